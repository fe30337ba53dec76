"""Judges of Conv2d and AveragePool."""

from typing import Any

import torch
import torch.nn.functional as F
from einops import reduce
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.resnets import convolution
from arena_lib.tests.cnns_and_resnets.layers import DEVIATIONS, instance_outputs_and_gradients
from arena_lib.tests.cnns_and_resnets.watching import call_with_gradients, fill, require_module, shapes_of, spread_of

__test__ = False


def conv2d_cases(generator: torch.Generator) -> list[Case]:
    """Strides and paddings, one channel, a window of one pixel, more channels in than out and the other way."""

    def case(label: str, shape: tuple[int, ...], *init: int) -> Case:
        return Case(
            label=label,
            args=(torch.randn(*shape, generator=generator),),
            given={"init": init},
            call=f"Conv2d{init}(x)",
        )

    return [
        case("no stride, no padding", (2, 3, 5, 7), 3, 4, 3),
        case("a stride", (2, 2, 9, 8), 2, 5, 3, 2),
        case("stride and padding", (1, 4, 6, 9), 4, 3, 5, 3, 2),
        case("one pixel with a stride", (3, 6, 5, 4), 6, 2, 1, 2),
        case("grey pictures", (2, 1, 7, 6), 1, 8, 2, 1, 1),
    ]


def conv2d_and_gradients(cls: Any, case: Case) -> Observations:
    """Names, the spread of new weights, and with known ones what it gives."""
    require_module(cls, "Conv2d")
    in_channels, out_channels, kernel_size, *_ = case.given["init"]
    layer = cls(*case.given["init"])
    seen: Observations = shapes_of(layer)
    if list(seen["parameters"]) == ["weight"]:
        bound = (in_channels * kernel_size**2) ** -0.5
        spread = spread_of(lambda: cls(*case.given["init"]).weight, bound)
        seen |= {f"new weights: {what}": value for what, value in spread.items()}
        if seen["parameters"]["weight"] == (out_channels, in_channels, kernel_size, kernel_size):
            fill(layer)
            seen |= call_with_gradients(layer, case.fresh().args[0], "of known weights")
    return seen


class Conv2dByUnfold(nn.Module):
    """A product with all windows, and weights drawn by rand."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__()
        self.settings = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        scale = (in_channels * kernel_size**2) ** -0.5
        self.weight = nn.Parameter(scale * (torch.rand(shape) * 2 - 1))

    def forward(self, x: Tensor) -> Tensor:
        windows = F.unfold(x, **self.settings)
        size, step, pad = (self.settings[name] for name in ("kernel_size", "stride", "padding"))
        height, width = ((length + 2 * pad - size) // step + 1 for length in x.shape[2:])
        return (self.weight.flatten(1) @ windows).unflatten(-1, (height, width))


class Conv2dLikeTorch(nn.Conv2d):
    """Torch's own, without a bias."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, bias=False)


DRAWN = "torch.empty(out_channels, in_channels, kernel_size, kernel_size).uniform_(-bound, bound)"

test_conv2d_module = exercise(
    name="conv2d_module",
    reference=convolution.Conv2d,
    cases=conv2d_cases,
    observe=conv2d_and_gradients,
    keep=["extra_repr"],
    tolerance=DEVIATIONS,
    accepts=[Conv2dByUnfold, Conv2dLikeTorch],
    mistakes=[
        *instead_of(
            "bound = 1 / math.sqrt(in_channels * kernel_size * kernel_size)",
            {
                "bound = 1 / math.sqrt(in_channels)": (
                    "leaves the window out of the bound",
                    "in_channels * kernel_size * kernel_size numbers are summed up for one output",
                ),
                "bound = 1 / math.sqrt(out_channels * kernel_size * kernel_size)": (
                    "takes the outputs for the inputs",
                    "in_channels * kernel_size * kernel_size numbers are summed up for one output",
                ),
                "bound = 1 / (in_channels * kernel_size * kernel_size)": (
                    "forgets the root in the bound",
                    "the bound is 1 / sqrt(in_channels * kernel_size * kernel_size)",
                ),
                "bound = 1 / math.sqrt(in_channels * kernel_size)": (
                    "counts one side of the window alone",
                    "the window has kernel_size * kernel_size pixels",
                ),
            },
        ),
        *instead_of(
            DRAWN,
            {
                "torch.empty(in_channels, out_channels, kernel_size, kernel_size).uniform_(-bound, bound)": (
                    "swaps the channels of the weights",
                    "the outputs come first: out_channels, in_channels, kernel_h, kernel_w",
                ),
                "bound * torch.randn(out_channels, in_channels, kernel_size, kernel_size)": (
                    "draws from a normal distribution",
                    "weights are uniform between -bound and bound",
                ),
                "torch.empty(out_channels, in_channels, kernel_size, kernel_size).uniform_(0, bound)": (
                    "draws no weights below 0",
                    "weights lie on both sides of 0",
                ),
            },
        ),
        *instead_of(
            ", stride=self.stride, padding=self.padding)",
            {
                ", padding=self.padding)": ("forgets the stride", "the window moves on by stride pixels"),
                ", stride=self.stride)": ("forgets the padding", "zeros are put around the input first"),
                ", stride=self.padding or 1, padding=self.stride)": (
                    "swaps stride and padding",
                    "stride is how far the window moves, padding what is put around",
                ),
            },
            within="Conv2d.forward",
        ),
        Mistake(
            "turns the window round",
            "self.weight,",
            "self.weight.flip(2, 3),",
            within="Conv2d.forward",
            why="in deep learning the window isn't turned round",
        ),
    ],
)


def average_pool_cases(generator: torch.Generator) -> list[Case]:
    """High and wide pictures, one pixel, one channel."""
    return [
        Case(label=label, args=(torch.randn(*shape, generator=generator) + 1,), axes={"output": "batch channel"})
        for label, shape in (
            ("wide pictures", (2, 3, 4, 5)),
            ("high pictures", (3, 2, 7, 4)),
            ("one pixel", (4, 3, 1, 1)),
            ("one picture of one channel", (1, 1, 3, 2)),
        )
    ]


class AveragePoolByReduce(nn.Module):
    """With einops."""

    def forward(self, x: Tensor) -> Tensor:
        return reduce(x, "batch channel height width -> batch channel", "mean")


test_average_pool = exercise(
    reference=convolution.AveragePool,
    cases=average_pool_cases,
    observe=instance_outputs_and_gradients,
    accepts=[AveragePoolByReduce],
    mistakes=[
        *instead_of(
            "x.mean(dim=(2, 3))",
            {
                "x.sum(dim=(2, 3))": ("takes the sum", "the mean doesn't grow with the picture"),
                "x.amax(dim=(2, 3))": ("takes the largest pixel", "the mean over all pixels is asked for"),
                "x.mean(dim=(2, 3), keepdim=True)": ("keeps height and width", "height and width are gone afterwards"),
                "x.mean(dim=(1, 2))": (
                    "takes the mean over channels and height",
                    "over height and width, axes 2 and 3",
                ),
                "x.mean(dim=(0, 1))": ("takes the mean over batch and channels", "over height and width, axes 2 and 3"),
                "x.mean(dim=3)": ("takes the mean over the width alone", "over height and width both"),
                "x.mean(dim=(0, 2, 3))": ("takes the mean over the batch too", "each picture has means of its own"),
                "x.detach().mean(dim=(2, 3))": ("lets no gradient through", "the mean has a gradient: no detach"),
            },
        ),
    ],
)
