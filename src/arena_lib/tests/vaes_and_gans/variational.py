"""Judge of a VAE: with halves of the judge's own, so that many draws cost little."""

from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.generative import vae
from arena_lib.tests.vaes_and_gans.folding import decoder_by_reshaping, encoder_by_appending
from arena_lib.tests.vaes_and_gans.watching import draw, fill_in_order, require_module_class, shapes_of

__test__ = False

N_ALIKE = 1500
"""Latents of so many draws: a deviation of so many varies by 0.02."""


class Latents(nn.Module):
    """In place of an encoder: it looks at one pixel alone, so that many draws cost little."""

    def __init__(self, d_latent: int) -> None:
        super().__init__()
        self.to_latents = nn.Linear(1, 2 * d_latent)

    def forward(self, x: Tensor) -> Tensor:
        return self.to_latents(x[:, 0, 0, :1])


class Pixels(nn.Module):
    """In place of a decoder."""

    def __init__(self, d_latent: int) -> None:
        super().__init__()
        self.to_pixels = nn.Linear(d_latent, 784)

    def forward(self, z: Tensor) -> Tensor:
        return self.to_pixels(z).reshape(len(z), 1, 28, 28)


def vae_cases(generator: torch.Generator) -> list[Case]:
    """Two sizes, and the width of the hidden layer left out."""
    sizes = [("two latents", (2, 24)), ("three latents", (3, 37)), ("d_hidden left out", (4,))]
    return [
        Case(
            label=label,
            args=(draw(generator, 2, 1, 28, 28),),
            given={"init": args, "shapes": shapes_of(vae.VAE(*args))},
            call=f"VAE({', '.join(map(str, args))})(x)",
        )
        for label, args in sizes
    ]


def vae_seen(cls: Any, case: Case) -> Observations:
    """The shapes of the parameters; and with halves of the judge's own, what becomes of the latents."""
    require_module_class(cls, "VAE")
    model = cls(*case.given["init"])
    for name in ("encoder", "decoder"):
        if not isinstance(getattr(model, name, None), nn.Module):
            raise Unfit(f"VAE must keep its {name} as self.{name}, a module: got none.")
    seen: Observations = {"shapes of the parameters, in order": shapes_of(model)}
    if shapes_of(model) != case.given["shapes"]:
        return seen
    d_latent = case.given["init"][0]
    model.encoder, model.decoder = Latents(d_latent), Pixels(d_latent)
    fill_in_order(model, scale=0.6)
    x = case.args[0][:1].expand(N_ALIKE, -1, -1, -1)
    torch.manual_seed(3)
    drawn = model.sample_latent_vector(x)
    if not (isinstance(drawn, tuple) and len(drawn) == 3):
        raise Unfit(f"sample_latent_vector must give three tensors, z, mu and logsigma: got {type(drawn).__name__}.")
    torch.manual_seed(3)
    recon, mu, logsigma = model(x)
    z = drawn[0]
    seen |= {"mu": drawn[1][0], "logsigma": drawn[2][0], "mu of forward": mu[0], "logsigma of forward": logsigma[0]}
    seen["forward decodes what sample_latent_vector draws"] = bool(torch.allclose(model.decoder(z), recon, atol=1e-4))
    seen["a second call draws anew"] = not torch.equal(z, model.sample_latent_vector(x)[0])
    if z.shape == mu.shape:
        wide = torch.exp(drawn[2])
        noise = ((z - drawn[1]) / wide).detach()
        seen["mean of the noise"] = noise.mean(dim=0).clamp(-9, 9)
        seen["deviation of the noise"] = noise.std(dim=0).clamp(max=9)
        centred = noise - noise.mean(dim=0)
        norms = centred[:, :2].norm(dim=0) + 1e-9
        seen["correlation of two dimensions"] = float((centred[:, 0] * centred[:, 1]).sum() / norms.prod())
    model.eval()
    seen["draws in evaluation mode too"] = not torch.equal(model(x)[0], model(x)[0])
    return seen | _gradients_seen(model, x)


def _gradients_seen(model: nn.Module, x: Tensor) -> Observations:
    recon, mu, logsigma = model.train()(x[:5])
    weight: Any = model.encoder.to_latents.weight  # type: ignore[union-attr]
    gradients = [
        torch.autograd.grad(value.square().sum(), weight, retain_graph=True, allow_unused=True)[0]
        for value in (recon, mu, logsigma)
        if value.requires_grad
    ]
    halves = [[] if g is None else [bool(half.abs().sum() > 0) for half in g.chunk(2)] for g in gradients]
    return {"which halves of the encoder's last layer learn from recon, mu and logsigma": halves}


class VAEOfParts(nn.Module):
    """The two halves by an axis of their own, and noise from torch.normal."""

    def __init__(self, d_latent: int, d_hidden: int = 128) -> None:
        super().__init__()
        self.encoder = encoder_by_appending(2 * d_latent, d_hidden)
        self.decoder = decoder_by_reshaping(d_latent, d_hidden)

    def sample_latent_vector(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        both = self.encoder(x)
        mu, logsigma = both.reshape(len(x), 2, -1).unbind(1)
        return torch.normal(torch.zeros_like(mu), torch.ones_like(mu)) * logsigma.exp() + mu, mu, logsigma

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z, *cloud = self.sample_latent_vector(x)
        return (self.decoder(z), *cloud)


NOISE = Tolerance(rtol=0.0, atol=0.15)

test_vae = exercise(
    reference=vae.VAE,
    cases=vae_cases,
    observe=vae_seen,
    tolerance={
        "mean of the noise": NOISE,
        "deviation of the noise": NOISE,
        "correlation of two dimensions": NOISE,
    },
    accepts=[VAEOfParts],
    mistakes=[
        *instead_of(
            "return reparameterise(mu, logsigma), mu, logsigma",
            {
                "return reparameterise(mu, logsigma), mu, logsigma.exp()": (
                    "gives sigma in place of its logarithm",
                    "the third is logsigma, with which z was drawn",
                ),
                "return mu, mu, logsigma": ("draws nothing", "z is drawn around mu by reparameterise"),
                "return reparameterise(mu, logsigma), logsigma, mu": (
                    "returns mu and logsigma in the wrong order",
                    "the order is z, mu, logsigma",
                ),
                "return reparameterise(mu, logsigma.exp()), mu, logsigma": (
                    "takes the exponential twice",
                    "reparameterise takes logsigma itself",
                ),
                "return reparameterise(mu, logsigma / 2), mu, logsigma": (
                    "takes logsigma for the logarithm of the variance",
                    "logsigma is the logarithm of the deviation",
                ),
                "return reparameterise(mu, logsigma).detach(), mu, logsigma": (
                    "lets no gradient through z",
                    "the encoder learns from what the decoder makes of z",
                ),
                "return reparameterise(mu, logsigma, torch.Generator().manual_seed(0)), mu, logsigma": (
                    "draws the same noise in every call",
                    "noise is drawn anew in each call: no seed is set inside",
                ),
                "return mu + logsigma.exp() * torch.randn(len(mu), 1), mu, logsigma": (
                    "draws one number for all dimensions of an example",
                    "each dimension has noise of its own",
                ),
                "return mu + logsigma.exp() * torch.randn(1, mu.shape[1]), mu, logsigma": (
                    "draws one number for all examples",
                    "each example has noise of its own",
                ),
                "return (reparameterise(mu, logsigma) if self.training else mu), mu, logsigma": (
                    "draws nothing in evaluation mode",
                    "a VAE draws in both modes",
                ),
            },
            within="VAE.sample_latent_vector",
        ),
        *instead_of(
            "mu, logsigma = self.encoder(x).chunk(2, dim=1)",
            {
                "logsigma, mu = self.encoder(x).chunk(2, dim=1)": (
                    "takes the first half for logsigma",
                    "the encoder gives first mu, then logsigma",
                ),
                "mu, logsigma = self.encoder(x)[:, ::2], self.encoder(x)[:, 1::2]": (
                    "takes every second number for mu",
                    "the first half is mu, the second logsigma",
                ),
            },
            within="VAE.sample_latent_vector",
        ),
        *instead_of(
            "self.decoder(z), mu, logsigma",
            {"self.decoder(mu), mu, logsigma": ("decodes the mean", "the decoder gets what was drawn: z, not mu")},
            within="VAE.forward",
        ),
        Mistake(
            "forgets d_hidden in the decoder",
            "make_decoder(d_latent, d_hidden)",
            "make_decoder(d_latent)",
            within="VAE.__init__",
            why="both halves have d_hidden",
        ),
        Mistake(
            "forgets d_hidden in the encoder",
            "make_encoder(2 * d_latent, d_hidden)",
            "make_encoder(2 * d_latent)",
            within="VAE.__init__",
            why="both halves have d_hidden",
        ),
        Mistake(
            "gives the encoder d_latent numbers",
            "make_encoder(2 * d_latent, d_hidden)",
            "make_encoder(d_latent, d_hidden)",
            within="VAE.__init__",
            why="each latent has a mean and a deviation: 2 * d_latent numbers",
        ),
    ],
)
