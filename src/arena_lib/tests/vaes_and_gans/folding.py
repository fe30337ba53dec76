"""Judges of networks that fold pictures and unfold them."""

from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.generative import autoencoder
from arena_lib.tests.vaes_and_gans.watching import (
    draw,
    fill_in_order,
    require_module,
    require_module_class,
    shapes_of,
)

__test__ = False

SHAPES = "shapes of the parameters, in order"


def net_seen(function: Any, case: Case) -> Observations:
    """The shapes of the parameters, and with known weights the results and the gradients."""
    net = require_module(function(*case.args), "The result")
    again = function(*case.args)
    shared = {id(p) for p in net.parameters()} & {id(p) for p in again.parameters()}
    return {
        "parameters shared by two calls": len(shared),
        **filled_net_seen(net, case.given["x"], case.given["shapes"]),
    }


def filled_net_seen(net: nn.Module, x: Tensor, shapes: list[tuple[int, ...]]) -> Observations:
    """With known weights, the results and the gradient of each parameter; only the shapes where these are others."""
    seen: Observations = {SHAPES: shapes_of(net)}
    if seen[SHAPES] != shapes:
        return seen
    parameters = fill_in_order(net)
    leaf = x.clone().requires_grad_()
    output = net(leaf)
    gradients = torch.autograd.grad(output.square().sum(), [leaf, *parameters], allow_unused=True)
    sizes = [0.0 if gradient is None else float(gradient.norm()) for gradient in gradients]
    return seen | {"output": output.detach(), "sizes of the gradients of the input and of each parameter": sizes}


def net_case(label: str, reference: Any, args: tuple[int, ...], x: Tensor, axes: str) -> Case:
    """A case for a function that makes a network."""
    given = {"x": x, "shapes": shapes_of(reference(*args))}
    return Case(label=label, args=args, given=given, axes={"output": axes}, call=", ".join(map(str, args)))


def encoder_cases(generator: torch.Generator) -> list[Case]:
    """Two sizes, and the width of the hidden layer left out."""
    sizes = [("five numbers", (5, 24)), ("a wider hidden layer", (3, 37)), ("d_hidden left out", (4,))]
    return [
        net_case(label, autoencoder.make_encoder, args, draw(generator, 2, 1, 28, 28), "batch d_out")
        for label, args in sizes
    ]


def encoder_by_appending(d_out: int, d_hidden: int = 128) -> nn.Sequential:
    """In two halves; the pictures are flattened by a layer of one's own."""

    class Flat(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.reshape(len(x), -1)

    convs = nn.Sequential(nn.Conv2d(1, 16, (4, 4), 2, 1), nn.ReLU(), nn.Conv2d(16, 32, (4, 4), 2, 1), nn.ReLU())
    return nn.Sequential(convs, Flat(), nn.Linear(1568, d_hidden), nn.ReLU(), nn.Linear(d_hidden, d_out))


STRIDE_ADVICE = "kernels of 4, stride 2 and padding 1 make 28 into 14 and 14 into 7"

test_make_encoder = exercise(
    reference=autoencoder.make_encoder,
    cases=encoder_cases,
    observe=net_seen,
    accepts=[encoder_by_appending],
    mistakes=[
        *instead_of(
            "nn.ReLU(),\n        nn.Conv2d(16, 32, 4, stride=2, padding=1),\n        nn.ReLU(),",
            {
                "nn.Conv2d(16, 32, 4, stride=2, padding=1),\n        nn.ReLU(),": (
                    "has no ReLU after the first convolution",
                    "each layer but the last is followed by a ReLU",
                ),
                "nn.ReLU(),\n        nn.Conv2d(16, 32, 4, stride=2, padding=1),": (
                    "has no ReLU after the second convolution",
                    "each layer but the last is followed by a ReLU",
                ),
                "nn.LeakyReLU(0.2),\n        nn.Conv2d(16, 32, 4, stride=2, padding=1),\n        nn.LeakyReLU(0.2),": (
                    "has leaky relus after the convolutions",
                    "an autoencoder has plain relus here",
                ),
            },
        ),
        *instead_of(
            "nn.ReLU(),\n        nn.Linear(d_hidden, d_out),",
            {
                "nn.ReLU(),\n        nn.Linear(d_hidden, d_out),\n        nn.ReLU(),": (
                    "has a ReLU at the end",
                    "latents may be negative: nothing comes after the last Linear",
                ),
                "nn.Linear(d_hidden, d_out),": (
                    "has no ReLU between the two Linears",
                    "without one, two Linears are no more than one",
                ),
                "nn.ReLU(),\n        nn.Linear(d_hidden, d_out, bias=False),": (
                    "has no bias in the last layer",
                    "every layer has a bias",
                ),
            },
        ),
        *instead_of(
            "nn.Conv2d(1, 16, 4, stride=2, padding=1)",
            {
                "nn.Conv2d(1, 16, 3, stride=2, padding=1)": ("has a kernel of 3 at first", STRIDE_ADVICE),
                "nn.Conv2d(1, 16, 4, stride=2, padding=1, bias=False)": (
                    "has no bias in the first convolution",
                    "each layer has a bias",
                ),
            },
        ),
    ],
)


def decoder_cases(generator: torch.Generator) -> list[Case]:
    """Two sizes, and the width of the hidden layer left out."""
    sizes = [("five numbers", (5, 24)), ("a wider hidden layer", (3, 37)), ("d_hidden left out", (4,))]
    return [
        net_case(label, autoencoder.make_decoder, args, draw(generator, 2, args[0]), "batch channel height width")
        for label, args in sizes
    ]


def decoder_by_reshaping(d_latent: int, d_hidden: int = 128) -> nn.Sequential:
    """With a layer of one's own that makes pictures of rows."""

    class Square(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.reshape(len(x), 32, 7, 7)

    first = [nn.Linear(d_latent, d_hidden), nn.ReLU(), nn.Linear(d_hidden, 1568), nn.ReLU(), Square()]
    last = [nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(16, 1, 4, 2, 1)]
    return nn.Sequential(*first, *last)


test_make_decoder = exercise(
    reference=autoencoder.make_decoder,
    cases=decoder_cases,
    observe=net_seen,
    accepts=[decoder_by_reshaping],
    mistakes=[
        *instead_of(
            "nn.ReLU(),\n        nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),",
            {
                "nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),": (
                    "has no ReLU between the two transposed convolutions",
                    "each layer but the last is followed by a ReLU",
                ),
                "nn.ReLU(),\n        nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),\n        nn.ReLU(),": (
                    "has a ReLU at the end",
                    "nothing bends the last result: where a relu is 0, no gradient comes back",
                ),
                "nn.ReLU(),\n        nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),\n        nn.Sigmoid(),": (
                    "has a sigmoid at the end",
                    "nothing bends the last result here",
                ),
                "nn.ReLU(),\n        nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),\n        nn.Tanh(),": (
                    "has a tanh at the end",
                    "nothing bends the last result here; a tanh is for the generator",
                ),
            },
        ),
        *instead_of(
            "nn.Linear(d_latent, d_hidden),\n        nn.ReLU(),",
            {
                "nn.Linear(d_latent, d_hidden),": (
                    "has no ReLU after the first Linear",
                    "each layer but the last is followed by a ReLU",
                ),
            },
        ),
        *instead_of(
            "nn.ReLU(),\n        nn.Unflatten(1, (32, 7, 7)),",
            {
                "nn.Unflatten(1, (32, 7, 7)),": (
                    "has no ReLU after the second Linear",
                    "each layer but the last is followed by a ReLU",
                ),
            },
        ),
        *instead_of(
            "nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1)",
            {
                "nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1, bias=False)": (
                    "has no bias in the first transposed convolution",
                    "every layer has a bias",
                ),
            },
        ),
    ],
)


def autoencoder_cases(generator: torch.Generator) -> list[Case]:
    """Two sizes, and the width of the hidden layer left out."""
    sizes = [("five latents", (5, 24)), ("three latents", (3, 37)), ("d_hidden left out", (4,))]
    return [
        Case(
            label=label,
            args=(draw(generator, 2, 1, 28, 28),),
            given={"init": args, "shapes": shapes_of(autoencoder.Autoencoder(*args))},
            axes={"output": "batch channel height width"},
            call=f"Autoencoder({', '.join(map(str, args))})(x)",
        )
        for label, args in sizes
    ]


def autoencoder_seen(cls: Any, case: Case) -> Observations:
    """The two halves by themselves, and both together."""
    require_module_class(cls, "Autoencoder")
    model = cls(*case.given["init"])
    for name in ("encoder", "decoder"):
        if not isinstance(getattr(model, name, None), nn.Module):
            raise Unfit(f"Autoencoder must keep its {name} as self.{name}, a module: got none.")
    seen = filled_net_seen(model, case.args[0], case.given["shapes"])
    latents = model.encoder(case.args[0])
    return {"latents": latents.detach(), "decoded latents": model.decoder(latents).detach(), **seen}


class AutoencoderOfParts(nn.Module):
    """Both halves written anew."""

    def __init__(self, d_latent: int, d_hidden: int = 128) -> None:
        super().__init__()
        self.encoder = encoder_by_appending(d_latent, d_hidden)
        self.decoder = decoder_by_reshaping(d_latent, d_hidden)

    def forward(self, x: Tensor) -> Tensor:
        z = self.encoder(x)
        return self.decoder(z)


test_autoencoder = exercise(
    reference=autoencoder.Autoencoder,
    cases=autoencoder_cases,
    observe=autoencoder_seen,
    accepts=[AutoencoderOfParts],
    mistakes=[
        *instead_of(
            "self.decoder(self.encoder(x))",
            {
                "self.decoder(self.encoder(x)).sigmoid()": (
                    "bends what the decoder gives",
                    "the result is what the decoder gives, as it is",
                ),
                "self.decoder(self.encoder(x).detach())": (
                    "lets no gradient through to the encoder",
                    "both halves learn from the same loss: no detach",
                ),
                "self.decoder(self.encoder(x).relu())": (
                    "bends the latents",
                    "latents go into the decoder as they are",
                ),
                "self.encoder(x)": ("stops at the latents", "the result is a picture again"),
                "x + self.decoder(self.encoder(x))": (
                    "adds the picture itself",
                    "a skip around the latents leaves them nothing to do",
                ),
            },
            within="Autoencoder.forward",
        ),
        *instead_of(
            "make_decoder(d_latent, d_hidden)",
            {
                "make_decoder(d_latent)": ("forgets d_hidden in the decoder", "both halves have d_hidden"),
            },
            within="Autoencoder.__init__",
        ),
        *instead_of(
            "make_encoder(d_latent, d_hidden)",
            {
                "make_encoder(d_latent)": ("forgets d_hidden in the encoder", "both halves have d_hidden"),
            },
            within="Autoencoder.__init__",
        ),
    ],
)
