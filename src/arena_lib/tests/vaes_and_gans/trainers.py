"""Judges of a VAE, and of what trains autoencoders: steps with small models of the judge's own, and whole runs that are counted."""

from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.generative import autoencoder, vae
from arena_lib.fundamentals.generative.batches import minibatches
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
    weight = model.encoder.to_latents.weight  # type: ignore[union-attr]  # the judge's own encoder
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
        return (self.decoder(z), *cloud)  # type: ignore[return-value]  # two tensors are in the list


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
            "gives the encoder d_latent numbers",
            "make_encoder(2 * d_latent, d_hidden)",
            "make_encoder(d_latent, d_hidden)",
            within="VAE.__init__",
            why="each latent has a mean and a deviation: 2 * d_latent numbers",
        ),
    ],
)


class TinyAutoencoder(nn.Module):
    """In place of an autoencoder: two numbers that learn, so that a step is quick and has no noise."""

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.tensor(0.4)), nn.Parameter(torch.tensor(0.3))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x + self.shift


class TinyVAE(TinyAutoencoder):
    """In place of a VAE, with latents that have no noise."""

    def forward(self, x: Tensor) -> Any:
        level = x.flatten(1).mean(dim=1, keepdim=True)
        mu = torch.cat([self.gain * level, self.shift + level, self.gain * self.shift * level], dim=1)
        return super().forward(x), mu, 0.5 * mu - self.gain


def trainer_cases(generator: torch.Generator) -> list[Case]:
    """Other learning rates, batches and numbers of epochs; gradients that are left over."""

    def case(label: str, n: int, **settings: Any) -> Case:
        left_over = settings.pop("left_over", 0.0)
        images = torch.rand(n, 1, 28, 28, generator=generator)
        args = autoencoder.AutoencoderArgs(d_latent=2, d_hidden=4, **settings)
        words = ", ".join(f"{name}={value}" for name, value in settings.items())
        return Case(
            label=label, given={"args": args, "images": images, "left_over": left_over}, call=f"({words}), images"
        )

    return [
        case("batches that come out even", 6, n_epochs=2, batch_size=3, lr=0.1, noise=0.3),
        case("a smaller batch at the end", 7, n_epochs=3, batch_size=4, lr=0.02),
        case("gradients are left over", 5, n_epochs=1, batch_size=5, lr=0.05, noise=0.5, left_over=30.0),
    ]


def trainer_seen(cls: Any, case: Case, model: nn.Module) -> Observations:
    """Two steps of the trainer on a small model with plain descent, then a run whose batches are written down."""
    args, images = case.given["args"], case.given["images"]
    trainer = cls(args, images)
    trainer.model, before = model, images.clone()
    trainer.optimizer = torch.optim.SGD(model.parameters(), lr=args.lr / 100)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, case.given["left_over"])
    seen: Observations = {}
    for n in (1, 2):
        loss = trainer.training_step(images[:4])
        seen[f"loss of step {n}"] = float(loss)
        seen[f"weights after step {n}"] = [float(parameter) for parameter in model.parameters()]
    seen["loss holds its graph"] = isinstance(loss, Tensor) and loss.requires_grad
    seen["images are changed"] = not torch.equal(images, before)
    return seen | _run_seen(cls(args, images), images)


def _run_seen(trainer: Any, images: Tensor) -> Observations:
    """What `train` does, with a step that only writes down which pictures it got."""
    batches: list[list[int]] = []
    numbers = {float(image.sum()): i for i, image in enumerate(images)}

    def step(img: Tensor) -> Tensor:
        batches.append([numbers.get(float(image.sum()), -1) for image in img])
        return torch.tensor(float(len(batches)))

    trainer.training_step = step
    returned = trainer.train()
    n_epochs, per_epoch = trainer.args.n_epochs, -(-len(images) // trainer.args.batch_size)
    epochs = [[i for batch in batches[e * per_epoch : (e + 1) * per_epoch] for i in batch] for e in range(n_epochs)]
    return {
        "sizes of the batches": [len(batch) for batch in batches],
        "pictures of each epoch, sorted": [sorted(epoch) for epoch in epochs],
        "an epoch in the order of the images": any(epoch == sorted(epoch) for epoch in epochs),
        "two epochs in one order": len({tuple(epoch) for epoch in epochs}) < n_epochs,
        "losses": [loss if isinstance(loss, float) else type(loss).__name__ for loss in trainer.losses],
        "the model is returned": returned is trainer.model,
    }


def autoencoder_trainer_seen(cls: Any, case: Case) -> Observations:
    """A trainer of autoencoders."""
    return trainer_seen(cls, case, TinyAutoencoder())


def vae_trainer_seen(cls: Any, case: Case) -> Observations:
    """A trainer of VAEs."""
    return trainer_seen(cls, case, TinyVAE())


class StepwiseAutoencoderTrainer(autoencoder.AutoencoderTrainer):
    """With functions of torch, and gradients that are cleared after the step."""

    def training_step(self, img: Tensor) -> Tensor:
        self.model.zero_grad()
        loss = nn.functional.mse_loss(self.model(img), img)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()

    def train(self) -> Any:
        for _ in range(self.args.n_epochs):
            batches = minibatches(self.images, self.args.batch_size, self.generator)
            self.losses += [self.training_step(img).item() for img in batches]
        return self.model


STEP = "self.optimizer.zero_grad()\n        loss.backward()\n        self.optimizer.step()"
STEP_MISTAKES = {
    "loss.backward()\n        self.optimizer.step()": (
        "forgets zero_grad",
        "gradients add up over steps: zero_grad comes before backward",
    ),
    "self.optimizer.step()\n        self.optimizer.zero_grad()\n        loss.backward()": (
        "takes the step before backward",
        "a step needs the gradients of this batch: zero_grad, backward, step",
    ),
    "self.optimizer.zero_grad()\n        loss.backward()": ("forgets the step", "the optimizer takes a step"),
    "self.optimizer.zero_grad()\n        loss.backward()\n        self.optimizer.step()\n        self.optimizer.step()": (
        "takes the step twice",
        "one step for each batch",
    ),
}

VAE_STEP_MISTAKES = {
    edit: (*words, "RuntimeError") if words[0] == "takes the step before backward" else words
    for edit, words in STEP_MISTAKES.items()
}
"""The same, but for the graph of the ELBO, which can't be walked once the weights have moved."""


def run_mistakes(name: str) -> list[Mistake]:
    """What goes wrong in a trainer's `train`."""
    return [
        *instead_of(
            "range(self.args.n_epochs)",
            {"range(1)": ("trains for one epoch", "every picture is seen n_epochs times")},
            within=f"{name}.train",
        ),
        *instead_of(
            "minibatches(self.images, self.args.batch_size, self.generator)",
            {
                "self.images.split(self.args.batch_size)": (
                    "keeps the pictures in their order",
                    "each epoch has an order of its own: minibatches draws it",
                ),
                "minibatches(self.images[: len(self.images) // self.args.batch_size * self.args.batch_size], "
                "self.args.batch_size, self.generator)": (
                    "leaves out the smaller batch at the end",
                    "every picture is seen in every epoch",
                ),
                "minibatches(self.images, self.args.batch_size, torch.Generator().manual_seed(0))": (
                    "takes the same order in every epoch",
                    "the trainer's generator gives another order each time",
                ),
            },
            within=f"{name}.train",
        ),
        *instead_of(
            "self.losses.append(check_loss(self.training_step(img)))",
            {
                "self.training_step(img)": ("keeps no losses", "each loss is appended to self.losses"),
                "self.losses.append(self.training_step(img))": (
                    "keeps losses as tensors",
                    "losses are kept as floats: .item() or float()",
                ),
            },
            within=f"{name}.train",
        ),
        Mistake(
            "returns nothing", "return self.model", "return None", within=f"{name}.train", why="the model is returned"
        ),
    ]


test_AutoencoderTrainer = exercise(  # noqa: N816 -- the name that learners know
    reference=autoencoder.AutoencoderTrainer,
    cases=trainer_cases,
    observe=autoencoder_trainer_seen,
    keep=["__init__"],
    accepts=[StepwiseAutoencoderTrainer],
    mistakes=[
        *instead_of(
            "(self.model(img) - img).pow(2).mean()",
            {
                "(self.model(img) - img).pow(2).sum()": (
                    "adds the squares up",
                    "the loss is the mean over all pixels of all pictures",
                ),
                "(self.model(img) - img).abs().mean()": (
                    "takes the mean of the distances",
                    "the differences are squared",
                ),
                "(self.model(img) - img).mean().pow(2)": (
                    "squares the mean",
                    "square first: else differences of both signs cancel",
                ),
                "(self.model(img) - img).pow(2).mean().sqrt()": (
                    "takes the root",
                    "it's the mean of the squares, without a root",
                ),
            },
            within="AutoencoderTrainer.training_step",
        ),
        *instead_of(STEP, STEP_MISTAKES, within="AutoencoderTrainer.training_step"),
        *instead_of(
            "return loss.detach()",
            {
                "return loss": ("returns a loss that holds its graph", "the loss is detached, so that memory is freed"),
                "return (self.model(img) - img).pow(2).mean().detach()": (
                    "returns the loss after the step",
                    "it's the loss before the step, which is known already",
                ),
            },
            within="AutoencoderTrainer.training_step",
        ),
        *run_mistakes("AutoencoderTrainer"),
    ],
)


class StepwiseVAETrainer(vae.VAETrainer):
    """The two parts of the ELBO written out."""

    def training_step(self, img: Tensor) -> Tensor:
        recon, mu, logsigma = self.model(img)
        pixels = torch.distributions.Normal(recon, self.args.noise).log_prob(img).sum()
        cloud = torch.distributions.Normal(mu, logsigma.exp())
        standard = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
        loss = (torch.distributions.kl_divergence(cloud, standard).sum() - pixels) / len(img)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def train(self) -> Any:
        for _ in range(self.args.n_epochs):
            batches = minibatches(self.images, self.args.batch_size, self.generator)
            self.losses += [self.training_step(img).item() for img in batches]
        return self.model


test_VAETrainer = exercise(  # noqa: N816 -- the name that learners know
    reference=vae.VAETrainer,
    cases=trainer_cases,
    observe=vae_trainer_seen,
    keep=["__init__"],
    accepts=[StepwiseVAETrainer],
    mistakes=[
        *instead_of(
            "-compute_elbo(img, recon, mu, logsigma, self.args.noise).mean()",
            {
                "compute_elbo(img, recon, mu, logsigma, self.args.noise).mean()": (
                    "lowers the ELBO",
                    "descent makes the loss smaller, and the ELBO shall grow: the loss is minus the ELBO",
                ),
                "-compute_elbo(img, recon, mu, logsigma, self.args.noise).sum()": (
                    "adds up over the batch",
                    "the loss is a mean over pictures",
                ),
                "-compute_elbo(img, recon, mu, logsigma).mean()": (
                    "forgets the noise of args",
                    "args.noise says how far pixels may be off",
                ),
                "-compute_elbo(img, recon, logsigma, mu, self.args.noise).mean()": (
                    "swaps mu and logsigma",
                    "compute_elbo takes x, recon, mu, logsigma",
                ),
                "-compute_elbo(img, recon, mu.detach(), logsigma.detach(), self.args.noise).mean()": (
                    "doesn't learn from the KL divergence",
                    "both parts of the ELBO give gradients: no detach",
                ),
            },
            within="VAETrainer.training_step",
        ),
        *instead_of(STEP, VAE_STEP_MISTAKES, within="VAETrainer.training_step"),
        *instead_of(
            "return loss.detach()",
            {"return loss": ("returns a loss that holds its graph", "the loss is detached, so that memory is freed")},
            within="VAETrainer.training_step",
        ),
        *run_mistakes("VAETrainer"),
    ],
    equivalent={
        "compute_elbo(img, recon, mu, logsigma, self.args.noise).mean -> compute_elbo(recon, img, mu, logsigma, self.args.noise).mean": (
            "the squared error of two pictures is the same either way round"
        )
    },
)
