"""Judges of convolutions with stride and padding."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.convolutions import convolving
from arena_lib.tests.cnns_and_resnets.layouts import FLOWS, PLAIN, draw, in_all_layouts, laid_out, strided, whole
from arena_lib.tests.cnns_and_resnets.windows import ALL_CHANNELS, FIRST_OPERAND, UNFLIPPED

__test__ = False

OF_PADDED = "windows are cut out of the padded tensor, whose rows are longer than x's: ask it for its strides"
WITHIN = "stride moves the kernel from place to place; within a window neighbours stay neighbours"
ZEROS = "a convolution pads with zeros"
BOTH_SIDES = "padding is added on both sides"


def signal_cases(generator: torch.Generator) -> list[Case]:
    """The defaults, stride alone, padding alone, both, numbers left over, and all layouts."""

    def case(label: str, x: tuple[int, ...], weights: tuple[int, ...], *options: int, **layouts: Any) -> list[Case]:
        return in_all_layouts(label, draw(generator, *x), draw(generator, *weights), *options, **layouts)

    return [
        *case("neither stride nor padding", (2, 3, 10), (4, 3, 5)),
        *case("stride 2", (2, 3, 9), (4, 3, 3), 2, of=(PLAIN,)),
        *case("padding 2", (1, 2, 6), (3, 2, 3), 1, 2, of=(PLAIN,)),
        *case("stride 2 and padding 1", (2, 3, 10), (4, 3, 5), 2, 1),
        *case("stride 3 and padding 2, numbers left over", (3, 3, 9), (3, 3, 4), 3, 2),
        *case("a kernel that only padding gives room", (2, 1, 2), (2, 1, 5), 1, 2, of=(PLAIN,)),
        *in_all_layouts("whole numbers", whole(generator, 2, 2, 7), whole(generator, 3, 2, 2), 2, 1),
        laid_out("double precision", draw(generator, 2, 2, 5).double(), draw(generator, 3, 2, 2).double(), 2, 1),
    ]


def signals_by_unfold(x: Tensor, weights: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """Torch's own windows."""
    padded = F.pad(x, (padding, padding))
    return torch.einsum("bcwk,ock->bow", padded.unfold(2, weights.shape[2], stride), weights)


OPERANDS: dict[str, tuple[str, ...]] = {
    "        weights.flip(-1),\n        windows,": ("flips the kernel", UNFLIPPED),
    "        weights.sum(dim=1, keepdim=True).expand_as(weights),\n        windows,": (
        "adds up the kernel's channels by themselves",
        "channel c of the input meets channel c of the kernel: both have the same axis in the einsum",
    ),
    "        weights[:, :1].expand_as(weights),\n        windows,": ("takes one kernel for all channels", ALL_CHANNELS),
    "        weights.detach(),\n        windows,": ("cuts the weights' gradient off", FLOWS),
    "        weights,\n        windows.detach(),": ("cuts x's gradient off", FLOWS),
    "        weights.transpose(0, 1) if weights.shape[0] == in_channels else weights,\n        windows,": (
        "swaps channels in and out where they are equally many",
        "weights has the channels that come out first",
    ),
}

test_conv1d = exercise(
    reference=convolving.conv1d,
    cases=signal_cases,
    observe=strided,
    accepts=[
        signals_by_unfold,
        lambda x, weights, stride=1, padding=0: F.conv1d(x, weights, stride=stride, padding=padding),
    ],
    equivalent={
        "(stride_b, stride_c, stride_w * stride, stride_w) -> (stride_b, stride_c, stride, stride_w)": (
            "a padded tensor is new: its neighbours lie side by side"
        )
    },
    mistakes=[
        Mistake(
            "works strides out from a shape",
            "padded = pad1d(x, padding, padding, 0.0)\n    stride_b, stride_c, stride_w = padded.stride()",
            "padded = pad1d(x, padding, padding, 0.0) if padding else x\n"
            "    stride_b, stride_c, stride_w = in_channels * padded.shape[2], padded.shape[2], 1",
            why="x may lie otherwise in memory, transposed or sliced: ask the tensor itself for its strides",
        ),
        *instead_of(FIRST_OPERAND, OPERANDS),
        *instead_of(
            "pad1d(x, padding, padding, 0.0)",
            {
                "pad1d(x, 2 * padding, 0, 0.0)": ("pads on the left alone", BOTH_SIDES),
                "pad1d(x, 0, 2 * padding, 0.0)": ("pads on the right alone", BOTH_SIDES),
                "pad1d(x, padding, padding, 1.0)": ("pads with ones", ZEROS),
            },
        ),
        *instead_of(
            "(stride_b, stride_c, stride_w * stride, stride_w)",
            {
                "(stride_b, stride_c, stride_w, stride_w)": (
                    "forgets the stride between windows",
                    "the next window begins `stride` numbers further on",
                ),
                "(stride_b, stride_c, stride_w, stride_w * stride)": ("spreads the window out", WITHIN),
                "(stride_b, stride_c, stride_w * stride, stride_w * stride)": (
                    "takes each number `stride` further",
                    WITHIN,
                ),
                "(stride_c, stride_b, stride_w * stride, stride_w)": (
                    "swaps the strides of batch and channels",
                    "sizes and strides belong together, axis by axis",
                ),
                "(in_channels * width, width, stride, 1)": ("works strides out from x's shape", OF_PADDED),
            },
        ),
        Mistake(
            "asks x for the strides",
            "stride_b, stride_c, stride_w = padded.stride()",
            "stride_b, stride_c, stride_w = x.stride()",
            why=OF_PADDED,
        ),
        Mistake(
            "leaves the last window out",
            "output_size(width, kernel_width, stride, padding), kernel_width)",
            "output_size(width, kernel_width, stride, padding) - 1, kernel_width)",
            why="output_size says how many windows there are",
        ),
    ],
)


def image_cases(generator: torch.Generator) -> list[Case]:
    """The defaults, numbers, pairs, each alone and together, rows and columns left over, and all layouts."""

    def case(label: str, x: tuple[int, ...], weights: tuple[int, ...], *options: Any, **layouts: Any) -> list[Case]:
        return in_all_layouts(label, draw(generator, *x), draw(generator, *weights), *options, **layouts)

    return [
        *case("neither stride nor padding", (2, 3, 7, 6), (4, 3, 3, 2)),
        *case("stride 2", (1, 3, 8, 7), (2, 3, 3, 3), 2, of=(PLAIN,)),
        *case("padding 1", (2, 2, 4, 5), (2, 2, 3, 3), 1, 1, of=(PLAIN,)),
        *case("a pair of strides", (2, 3, 9, 8), (4, 3, 2, 3), (3, 2), of=(PLAIN,)),
        *case("a pair of paddings", (2, 1, 5, 4), (3, 1, 3, 2), 1, (2, 1), of=(PLAIN,)),
        *case("pairs on square images", (3, 2, 6, 6), (2, 2, 3, 3), (1, 2), (2, 0)),
        *case("pairs, rows and columns left over", (2, 3, 9, 7), (5, 3, 4, 2), (2, 3), (1, 2)),
        *in_all_layouts("whole numbers", whole(generator, 2, 2, 5, 4), whole(generator, 3, 2, 2, 3), 2, (0, 1)),
        laid_out("double precision", draw(generator, 1, 2, 4, 5).double(), draw(generator, 3, 2, 2, 3).double(), 2, 1),
    ]


def images_by_unfold(x: Tensor, weights: Tensor, stride: Any = 1, padding: Any = 0) -> Tensor:
    """Torch's own windows, axis by axis."""
    (step_h, step_w), (pad_h, pad_w) = (
        (value, value) if isinstance(value, int) else value for value in (stride, padding)
    )
    padded = F.pad(x, (pad_w, pad_w, pad_h, pad_h))
    windows = padded.unfold(2, weights.shape[2], step_h).unfold(3, weights.shape[3], step_w)
    return torch.tensordot(windows, weights, dims=([1, 4, 5], [1, 2, 3])).permute(0, 3, 1, 2)


BY_AXIS = "a pair is (height, width): its first number is for rows"

test_conv2d = exercise(
    reference=convolving.conv2d,
    cases=image_cases,
    observe=strided,
    accepts=[
        images_by_unfold,
        lambda x, weights, stride=1, padding=0: F.conv2d(x, weights, stride=stride, padding=padding),
    ],
    mistakes=[
        *instead_of(
            FIRST_OPERAND,
            OPERANDS
            | {
                "        weights.mT if kernel_h == kernel_w else weights,\n        windows,": (
                    "transposes square kernels",
                    "the kernel's rows meet the image's rows",
                ),
                "        weights.flip(-2, -1),\n        windows,": ("flips the kernel", UNFLIPPED),
                "        weights.flip(-1),\n        windows,": ("flips the kernel from left to right", UNFLIPPED),
            },
        ),
        *instead_of(
            "(step_h, step_w), (pad_h, pad_w) = as_pair",
            {
                "(step_w, step_h), (pad_h, pad_w) = as_pair": ("swaps the strides of height and width", BY_AXIS),
                "(step_h, step_w), (pad_w, pad_h) = as_pair": ("swaps the padding of height and width", BY_AXIS),
                "(step_w, step_h), (pad_w, pad_h) = as_pair": ("reads pairs as (width, height)", BY_AXIS),
            },
        ),
        *instead_of(
            "pad2d(x, left=pad_w, right=pad_w, top=pad_h, bottom=pad_h, pad_value=0.0)",
            {
                "pad2d(x, left=2 * pad_w, right=0, top=2 * pad_h, bottom=0, pad_value=0.0)": (
                    "pads on the top and on the left alone",
                    BOTH_SIDES,
                ),
                "pad2d(x, left=0, right=2 * pad_w, top=0, bottom=2 * pad_h, pad_value=0.0)": (
                    "pads at the bottom and on the right alone",
                    BOTH_SIDES,
                ),
                "pad2d(x, left=pad_h, right=pad_h, top=pad_w, bottom=pad_w, pad_value=0.0)": (
                    "pads the width by what the height has, and the other way round",
                    BY_AXIS,
                ),
                "pad2d(x, left=pad_w, right=pad_w, top=pad_h, bottom=pad_h, pad_value=1.0)": ("pads with ones", ZEROS),
            },
        ),
        *instead_of(
            "(stride_b, stride_c, stride_h * step_h, stride_w * step_w, stride_h, stride_w)",
            {
                "(stride_b, stride_c, stride_h, stride_w, stride_h, stride_w)": (
                    "forgets the stride between windows",
                    "the next window begins `stride` rows or columns further on",
                ),
                "(stride_b, stride_c, stride_h, stride_w, stride_h * step_h, stride_w * step_w)": (
                    "spreads the window out",
                    WITHIN,
                ),
                "(stride_b, stride_c, stride_h * step_h, stride_w * step_w, stride_h * step_h, stride_w * step_w)": (
                    "takes each number `stride` further",
                    WITHIN,
                ),
                "(stride_b, stride_c, stride_h * step_h, stride_w * step_h, stride_h, stride_w)": (
                    "takes the height's stride for the width too",
                    BY_AXIS,
                ),
                "(stride_b, stride_c, stride_h * step_h, stride_w * step_w, stride_w, stride_h)": (
                    "turns the windows on their side",
                    "a kernel's rows meet rows of the image: within a window the strides are (stride_h, stride_w)",
                ),
                "(in_channels * height * width, height * width, width * step_h, step_w, width, 1)": (
                    "works strides out from x's shape",
                    OF_PADDED,
                ),
            },
        ),
        Mistake(
            "asks x for the strides",
            "stride_b, stride_c, stride_h, stride_w = padded.stride()",
            "stride_b, stride_c, stride_h, stride_w = x.stride()",
            why=OF_PADDED,
        ),
    ],
)
