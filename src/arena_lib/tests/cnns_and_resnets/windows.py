"""Judges of convolutions without stride and padding."""

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.convolutions import windows
from arena_lib.tests.cnns_and_resnets.layouts import (
    ASK_STRIDES,
    BEGINS,
    FLOWS,
    PLAIN,
    SLICED,
    draw,
    in_all_layouts,
    strided,
    whole,
)

__test__ = False

UNFLIPPED = "the kernel isn't flipped: its first entry meets a window's first number"
ALL_CHANNELS = "a kernel has numbers of its own for each channel, and what the channels give is added up"


def simple_cases(generator: torch.Generator) -> list[Case]:
    """Kernels of two, three and one, and one that is as wide as the signal."""
    layouts = (PLAIN, SLICED)
    return [
        *in_all_layouts("a kernel of three on seven numbers", draw(generator, 7), draw(generator, 3), of=layouts),
        *in_all_layouts("a kernel of two on five whole numbers", whole(generator, 5), whole(generator, 2), of=layouts),
        *in_all_layouts("as many outputs as weights", draw(generator, 5), draw(generator, 3), of=layouts),
        *in_all_layouts("a kernel of one", draw(generator, 4), draw(generator, 1), of=layouts),
        *in_all_layouts("a kernel as wide as the signal", draw(generator, 4), draw(generator, 4), of=layouts),
    ]


def simple_by_shifts(x: Tensor, weights: Tensor) -> Tensor:
    """Weight by weight, each times a piece of the signal."""
    n = len(x) - len(weights) + 1
    return torch.stack([weight * x[k : k + n] for k, weight in enumerate(weights)]).sum(dim=0)


test_conv1d_minimal_simple = exercise(
    reference=windows.conv1d_minimal_simple,
    cases=simple_cases,
    observe=strided,
    accepts=[simple_by_shifts, lambda x, weights: F.conv1d(x[None, None], weights[None, None])[0, 0]],
    mistakes=[
        *instead_of(
            "width - kernel_width + 1, kernel_width",
            {
                "width - kernel_width, kernel_width": (
                    "leaves the last window out",
                    "the last window ends with the last number: there are width - kernel_width + 1",
                ),
                "width // kernel_width, kernel_width": (
                    "has as many windows as fit side by side",
                    "windows overlap: the kernel begins at every place where it fits in",
                ),
            },
        ),
        *instead_of(
            "(stride, stride)",
            {
                "(1, 1)": ("takes the strides for 1", ASK_STRIDES),
                "(0, stride)": (
                    "begins every window at the first number",
                    "the next window begins one number further on",
                ),
                "(stride, 0)": ("repeats a window's first number", "within a window, too, one goes on in x"),
                "(stride, stride), 0": ("begins where memory begins", BEGINS),
            },
        ),
        *instead_of(
            "einops.einsum(weights, windows,",
            {
                "einops.einsum(weights.flip(0), windows,": ("flips the kernel", UNFLIPPED),
                "einops.einsum(weights / len(weights), windows,": ("takes the mean", "the products are added up"),
                "einops.einsum(weights.detach(), windows,": ("cuts the weights' gradient off", FLOWS),
                "einops.einsum(weights, windows.detach(),": ("cuts x's gradient off", FLOWS),
            },
        ),
    ],
)


def batch_cases(generator: torch.Generator) -> list[Case]:
    """Sizes that all differ, sizes that are all equal, one channel, one signal, whole numbers."""

    def case(label: str, x: tuple[int, ...], weights: tuple[int, ...]) -> list[Case]:
        return in_all_layouts(label, draw(generator, *x), draw(generator, *weights))

    return [
        *case("sizes that all differ", (2, 3, 10), (4, 3, 5)),
        *case("as many signals as channels", (3, 3, 7), (3, 3, 3)),
        *case("one channel in", (4, 1, 6), (2, 1, 3)),
        *case("one channel out, one signal", (1, 2, 5), (1, 2, 4)),
        *case("a kernel of one", (2, 4, 3), (5, 4, 1)),
        *in_all_layouts("whole numbers", whole(generator, 2, 2, 6), whole(generator, 3, 2, 2)),
    ]


def batch_by_shifts(x: Tensor, weights: Tensor) -> Tensor:
    """Place by place of the kernel, each a product of matrices."""
    kernel_width = weights.shape[-1]
    n = x.shape[-1] - kernel_width + 1
    return sum((weights[..., k] @ x[..., k : k + n] for k in range(kernel_width)), torch.zeros((), dtype=x.dtype))


AT_WINDOWS = "(stride_b, stride_c, stride_w, stride_w)"
FIRST_OPERAND = "        weights,\n        windows,"

test_conv1d_minimal = exercise(
    reference=windows.conv1d_minimal,
    cases=batch_cases,
    observe=strided,
    accepts=[F.conv1d, batch_by_shifts],
    mistakes=[
        *instead_of(
            AT_WINDOWS,
            {
                "(in_channels * width, width, 1, 1)": ("works strides out from the shape", ASK_STRIDES),
                "(stride_c, stride_b, stride_w, stride_w)": (
                    "swaps the strides of batch and channels",
                    "sizes and strides belong together, axis by axis: the batch is x's first axis",
                ),
                "(stride_b, stride_c, 1, 1)": ("takes the stride along the width for 1", ASK_STRIDES),
                "(stride_b, stride_c, 0, stride_w)": (
                    "begins every window at the first number",
                    "the next window begins one number further on",
                ),
                "(stride_b, stride_c, stride_w, stride_w), 0": ("begins where memory begins", BEGINS),
                "(stride_b, 0, stride_w, stride_w)": ("reads the first channel alone", ALL_CHANNELS),
                "(0, stride_c, stride_w, stride_w)": ("reads the first signal alone", "each signal has its own output"),
            },
        ),
        *instead_of(
            FIRST_OPERAND,
            {
                "        weights.flip(-1),\n        windows,": ("flips the kernel", UNFLIPPED),
                "        weights.sum(dim=1, keepdim=True).expand_as(weights),\n        windows,": (
                    "adds up the kernel's channels by themselves",
                    "channel c of the input meets channel c of the kernel: both have the same axis in the einsum",
                ),
                "        weights[:, :1].expand_as(weights),\n        windows,": (
                    "takes one kernel for all channels",
                    ALL_CHANNELS,
                ),
                "        weights.flip(1),\n        windows,": ("reads the channels backwards", ALL_CHANNELS),
                "        weights,\n        windows / in_channels,": (
                    "takes the mean over the channels",
                    ALL_CHANNELS,
                    "",
                ),
                "        weights.transpose(0, 1) if weights.shape[0] == in_channels else weights,\n        windows,": (
                    "swaps channels in and out where they are equally many",
                    "weights has the channels that come out first",
                ),
                "        weights.detach(),\n        windows,": ("cuts the weights' gradient off", FLOWS),
                "        weights,\n        windows.detach(),": ("cuts x's gradient off", FLOWS),
            },
        ),
        Mistake(
            "leaves the last window out",
            "width - kernel_width + 1, kernel_width)",
            "width - kernel_width, kernel_width)",
            why="the last window ends with the last number: there are width - kernel_width + 1",
        ),
    ],
)


def image_cases(generator: torch.Generator) -> list[Case]:
    """Sizes that all differ, squares, kernels of one row and one column, one channel, one image, whole numbers."""

    def case(label: str, x: tuple[int, ...], weights: tuple[int, ...]) -> list[Case]:
        return in_all_layouts(label, draw(generator, *x), draw(generator, *weights))

    return [
        *case("sizes that all differ", (2, 3, 8, 6), (5, 3, 4, 2)),
        *case("square kernels on square images, as many images as channels", (2, 2, 5, 5), (2, 2, 3, 3)),
        *case("kernels of one row", (1, 2, 3, 5), (3, 2, 1, 4)),
        *case("kernels of one column", (3, 1, 4, 2), (2, 1, 3, 1)),
        *case("kernels as large as the images", (2, 2, 3, 4), (1, 2, 3, 4)),
        *in_all_layouts("whole numbers", whole(generator, 2, 2, 4, 5), whole(generator, 3, 2, 2, 3)),
    ]


def images_by_shifts(x: Tensor, weights: Tensor) -> Tensor:
    """Place by place of the kernel."""
    kernel_h, kernel_w = weights.shape[2:]
    n_down, n_across = x.shape[2] - kernel_h + 1, x.shape[3] - kernel_w + 1
    return sum(
        (
            torch.einsum("bchw,oc->bohw", x[:, :, i : i + n_down, j : j + n_across], weights[:, :, i, j])
            for i in range(kernel_h)
            for j in range(kernel_w)
        ),
        torch.zeros((), dtype=x.dtype),
    )


test_conv2d_minimal = exercise(
    reference=windows.conv2d_minimal,
    cases=image_cases,
    observe=strided,
    accepts=[F.conv2d, images_by_shifts],
    mistakes=[
        *instead_of(
            "(stride_b, stride_c, stride_h, stride_w, stride_h, stride_w)",
            {
                "(in_channels * height * width, height * width, width, 1, width, 1)": (
                    "works strides out from the shape",
                    ASK_STRIDES,
                ),
                "(stride_b, stride_c, stride_h, stride_w, stride_w, stride_h)": (
                    "turns the windows on their side",
                    "a kernel's rows meet rows of the image: within a window the strides are (stride_h, stride_w)",
                ),
                "(stride_b, stride_c, stride_w, stride_h, stride_h, stride_w)": (
                    "turns the output on its side",
                    "from one row of the output to the next is one row of the image",
                ),
                "(stride_b, stride_c, stride_h, 1, stride_h, 1)": (
                    "takes the stride along the width for 1",
                    ASK_STRIDES,
                ),
                "(stride_b, stride_c, width, stride_w, width, stride_w)": (
                    "takes the stride down for the width",
                    ASK_STRIDES,
                ),
                "(stride_c, stride_b, stride_h, stride_w, stride_h, stride_w)": (
                    "swaps the strides of batch and channels",
                    "sizes and strides belong together, axis by axis: the batch is x's first axis",
                ),
                "(stride_b, 0, stride_h, stride_w, stride_h, stride_w)": (
                    "reads the first channel alone",
                    ALL_CHANNELS,
                ),
                "(stride_b, stride_c, stride_h, stride_w, stride_h, stride_w), 0": (
                    "begins where memory begins",
                    BEGINS,
                ),
            },
        ),
        *instead_of(
            FIRST_OPERAND,
            {
                "        weights.flip(-2, -1),\n        windows,": ("flips the kernel", UNFLIPPED),
                "        weights.flip(-1),\n        windows,": (
                    "flips the kernel from left to right",
                    UNFLIPPED,
                ),
                "        weights.sum(dim=1, keepdim=True).expand_as(weights),\n        windows,": (
                    "adds up the kernel's channels by themselves",
                    "channel c of the input meets channel c of the kernel: both have the same axis in the einsum",
                ),
                "        weights[:, :1].expand_as(weights),\n        windows,": (
                    "takes one kernel for all channels",
                    ALL_CHANNELS,
                ),
                "        weights.mT if kernel_h == kernel_w else weights,\n        windows,": (
                    "transposes square kernels",
                    "the kernel's rows meet the image's rows",
                ),
                "        weights.transpose(0, 1) if weights.shape[0] == in_channels else weights,\n        windows,": (
                    "swaps channels in and out where they are equally many",
                    "weights has the channels that come out first",
                ),
                "        weights.detach(),\n        windows,": ("cuts the weights' gradient off", FLOWS),
                "        weights,\n        windows.detach(),": ("cuts x's gradient off", FLOWS),
            },
        ),
        *instead_of(
            "height - kernel_h + 1, width - kernel_w + 1",
            {
                "height - kernel_h, width - kernel_w": (
                    "leaves the last row and the last column out",
                    "there are height - kernel_height + 1 rows, and the same for columns",
                ),
                "height - kernel_h, width - kernel_w + 1": (
                    "leaves the last row out",
                    "there are height - kernel_height + 1 rows",
                ),
                "height - kernel_h + 1, width - kernel_w": (
                    "leaves the last column out",
                    "there are width - kernel_width + 1 columns",
                ),
            },
        ),
    ],
)
