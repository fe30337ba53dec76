"""Judges of a GAN's two networks."""

from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Tolerance, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.generative.gan import dcgan
from arena_lib.tests.vaes_and_gans.folding import SHAPES, net_case
from arena_lib.tests.vaes_and_gans.watching import (
    draw,
    fill_in_order,
    require_module,
    require_module_class,
    shapes_of,
)

__test__ = False


def gan_net_seen(net: nn.Module, case: Case) -> Observations:
    """With known weights: results and gradients in training mode, results in evaluation mode afterwards, of one row too."""
    seen: Observations = {SHAPES: shapes_of(net)}
    if seen[SHAPES] != case.given["shapes"]:
        return seen
    parameters = fill_in_order(net.train())
    leaf = case.given["x"].clone().requires_grad_()
    output = net(leaf)
    gradients = torch.autograd.grad(output.square().sum(), [leaf, *parameters], allow_unused=True)
    seen["output"] = output.detach()
    seen["sizes of the gradients"] = [0.0 if g is None else float(g.norm()) for g in gradients]
    seen["output in evaluation mode"] = net.eval()(case.given["x"]).detach()
    seen["output of a batch of one"] = net(case.given["x"][:1]).detach()
    return seen


def generator_seen(function: Any, case: Case) -> Observations:
    """What a function makes."""
    return gan_net_seen(require_module(function(*case.args), "The result"), case)


def generator_cases(generator: torch.Generator) -> list[Case]:
    """Two sizes, and the number of channels left out."""
    sizes = [("four channels", (5, 4)), ("seven channels", (3, 7)), ("n_channels left out", (6,))]
    return [
        net_case(label, dcgan.make_generator, args, draw(generator, 3, args[0]), "batch channel height width")
        for label, args in sizes
    ]


class Squares(nn.Module):
    """Rows as pictures of 7 by 7."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), -1, 7, 7)


def generator_by_blocks(d_latent: int, n_channels: int = 32) -> nn.Sequential:
    """Block by block."""
    wide = 2 * n_channels
    first = nn.Sequential(nn.Linear(d_latent, wide * 49, bias=False), Squares(), nn.BatchNorm2d(wide), nn.ReLU())
    second = [nn.ConvTranspose2d(wide, n_channels, 4, 2, 1, bias=False), nn.BatchNorm2d(n_channels), nn.ReLU()]
    return nn.Sequential(first, *second, nn.ConvTranspose2d(n_channels, 1, 4, 2, 1, bias=False), nn.Tanh())


test_make_generator = exercise(
    reference=dcgan.make_generator,
    cases=generator_cases,
    observe=generator_seen,
    tolerance={"sizes of the gradients": Tolerance(rtol=1e-3, atol=1e-4)},
    accepts=[generator_by_blocks],
    mistakes=[
        *instead_of(
            "nn.Tanh(),",
            {
                "": ("has no Tanh at the end", "pixels lie between -1 and 1, as those of real pictures"),
                "nn.Sigmoid(),": ("has a sigmoid at the end", "pixels lie between -1 and 1: a Tanh"),
            },
        ),
        *instead_of(
            "nn.BatchNorm2d(n_channels),\n        nn.ReLU(),",
            {
                "nn.ReLU(),": (
                    "has no batch norm after the first transposed convolution",
                    "each layer but the last is followed by one",
                ),
                "nn.ReLU(),\n        nn.BatchNorm2d(n_channels),": (
                    "has the ReLU before the batch norm",
                    "the batch norm comes first",
                ),
                "nn.BatchNorm2d(n_channels),": (
                    "has no ReLU after the second batch norm",
                    "each batch norm is followed by a ReLU",
                ),
                "nn.BatchNorm2d(n_channels),\n        nn.LeakyReLU(0.2),": (
                    "has a leaky relu in the generator",
                    "the generator has plain relus; the discriminator's leak",
                ),
            },
        ),
        *instead_of(
            "nn.BatchNorm2d(2 * n_channels),\n        nn.ReLU(),",
            {
                "nn.BatchNorm2d(2 * n_channels),": (
                    "has no ReLU after the first batch norm",
                    "each batch norm is followed by a ReLU",
                ),
            },
        ),
        *instead_of(
            "nn.Linear(d_latent, 2 * n_channels * 7 * 7, bias=False)",
            {
                "nn.Linear(d_latent, 2 * n_channels * 7 * 7)": (
                    "has a bias in the Linear",
                    "the Linear has none: a batch norm takes the mean away",
                ),
            },
        ),
        *instead_of(
            "nn.ConvTranspose2d(n_channels, 1, 4, stride=2, padding=1, bias=False)",
            {
                "nn.ConvTranspose2d(n_channels, 1, 4, stride=2, padding=1)": (
                    "has a bias in the last layer",
                    "the transposed convolutions have no bias here",
                ),
            },
        ),
    ],
)


def discriminator_seen(cls: Any, case: Case) -> Observations:
    """What a class makes."""
    require_module_class(cls, "Discriminator")
    return gan_net_seen(cls(*case.given["init"]), case)


def discriminator_cases(generator: torch.Generator) -> list[Case]:
    """Two sizes, and the number of channels left out."""
    sizes = [("four channels", (4,)), ("seven channels", (7,)), ("n_channels left out", ())]
    return [
        Case(
            label=label,
            given={
                "init": init,
                "x": draw(generator, 3, 1, 28, 28),
                "shapes": shapes_of(dcgan.Discriminator(*init)),
            },
            axes={"output": "batch"},
            call=f"Discriminator({', '.join(map(str, init))})(x)",
        )
        for label, init in sizes
    ]


class DiscriminatorByFunctions(nn.Module):
    """Layers one by one, and functions in between."""

    def __init__(self, n_channels: int = 32) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, n_channels, 4, 2, 1, bias=False)
        self.second = nn.Conv2d(n_channels, 2 * n_channels, 4, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(2 * n_channels)
        self.last = nn.Linear(98 * n_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.leaky_relu(self.first(x), 0.2)
        x = nn.functional.leaky_relu(self.norm(self.second(x)), 0.2)
        return self.last(x.flatten(1)).squeeze(1)


test_discriminator = exercise(
    reference=dcgan.Discriminator,
    cases=discriminator_cases,
    observe=discriminator_seen,
    tolerance={"sizes of the gradients": Tolerance(rtol=1e-3, atol=1e-4)},
    accepts=[DiscriminatorByFunctions],
    mistakes=[
        *instead_of(
            "nn.LeakyReLU(LEAK),\n            nn.Conv2d(n_channels",
            {
                "nn.ReLU(),\n            nn.Conv2d(n_channels": (
                    "has a plain relu after the first convolution",
                    "the discriminator's relus leak, so that gradients reach the generator",
                ),
                "nn.LeakyReLU(),\n            nn.Conv2d(n_channels": (
                    "has a leaky relu with a slope of 0.01 at first",
                    "the slope is 0.2",
                ),
                "nn.BatchNorm2d(n_channels, affine=False),\n            nn.LeakyReLU(LEAK),\n            nn.Conv2d(n_channels": (
                    "has a batch norm after the first convolution",
                    "the first convolution has none: the mean and the contrast of a picture say whether it's real",
                ),
                "nn.Conv2d(n_channels": (
                    "has nothing after the first convolution",
                    "a LeakyReLU comes in between",
                ),
            },
            within="Discriminator.__init__",
        ),
        *instead_of(
            "nn.BatchNorm2d(2 * n_channels),\n            nn.LeakyReLU(LEAK),",
            {
                "nn.BatchNorm2d(2 * n_channels),\n            nn.ReLU(),": (
                    "has a plain relu after the batch norm",
                    "the discriminator's relus leak",
                ),
                "nn.LeakyReLU(LEAK),\n            nn.BatchNorm2d(2 * n_channels),": (
                    "has the leaky relu before the batch norm",
                    "the batch norm comes first",
                ),
                "nn.LeakyReLU(LEAK),": (
                    "has no batch norm",
                    "one follows the second convolution",
                ),
            },
            within="Discriminator.__init__",
        ),
        *instead_of(
            "nn.Conv2d(n_channels, 2 * n_channels, 4, stride=2, padding=1, bias=False)",
            {
                "nn.Conv2d(n_channels, 2 * n_channels, 4, stride=2, padding=1)": (
                    "has a bias in front of the batch norm",
                    "both convolutions have none: a batch norm takes the mean away",
                ),
            },
            within="Discriminator.__init__",
        ),
        *instead_of(
            "nn.Conv2d(1, n_channels, 4, stride=2, padding=1, bias=False)",
            {
                "nn.Conv2d(1, n_channels, 4, stride=2, padding=1)": (
                    "has a bias in the first convolution",
                    "both convolutions have none",
                ),
            },
            within="Discriminator.__init__",
        ),
        *instead_of(
            "self.layers(x)[:, 0]",
            {
                "self.layers(x)[:, 0].sigmoid()": (
                    "gives probabilities",
                    "the result is a logit; the loss takes the sigmoid",
                ),
                "self.layers(x).squeeze()": (
                    "loses the axis of a batch of one",
                    "squeeze takes every axis of length 1 away: squeeze(1), or [:, 0]",
                ),
                "self.layers(x)": ("leaves an axis of length 1", 'the result is " batch", one number for each picture'),
                "-self.layers(x)[:, 0]": ("has the sign wrong", "the result is what the last layer gives"),
            },
            within="Discriminator.forward",
        ),
    ],
    equivalent={
        "return self.layers(x)[:, 0] -> return self.layers(x)[:, -1]": "an axis of length 1 has one entry, first and last"
    },
)
