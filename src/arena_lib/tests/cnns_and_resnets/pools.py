"""Judge of max-pooling."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.convolutions import pooling
from arena_lib.tests.cnns_and_resnets.layouts import FLOWS, PLAIN, draw, in_all_layouts, laid_out, strided

__test__ = False


FAR_BELOW = "numbers far below 0, padded"


def pooling_cases(generator: torch.Generator) -> list[Case]:
    """The default stride, others, pairs, padding around negative numbers, rows left over, whole numbers, all layouts."""

    def case(label: str, x: tuple[int, ...], *options: Any, **layouts: Any) -> list[Case]:
        return in_all_layouts(label, draw(generator, *x), *options, **layouts)

    below_zero = -0.5 - torch.rand(2, 3, 5, 4, generator=generator)
    return [
        *case("windows side by side", (2, 3, 6, 4), 2),
        *case("windows of three that overlap", (1, 2, 7, 6), 3, 1, of=(PLAIN,)),
        *case("a pair for the kernel", (2, 3, 6, 8), (3, 2)),
        *case("a pair for the stride", (3, 2, 7, 8), 2, (3, 1), of=(PLAIN,)),
        *case("a pair for the padding", (2, 2, 6, 6), 4, None, (1, 2), of=(PLAIN,)),
        laid_out("numbers below 0, padded", below_zero, 2, 1, 1),
        laid_out(FAR_BELOW, 1e30 * below_zero, 2, 1, 1),
        *case("pairs for everything, rows left over", (2, 1, 9, 7), (4, 3), (3, 2), (2, 1)),
        *case("gaps between windows", (1, 3, 8, 9), 2, 3, of=(PLAIN,)),
        laid_out("double precision", draw(generator, 2, 2, 4, 5).double(), 3, 2, 1),
        laid_out(
            "whole numbers below 0, padded", torch.randperm(40, generator=generator).reshape(1, 2, 4, 5) - 60, 2, 2, 1
        ),
        laid_out("bytes, padded", torch.randint(256, (1, 1, 3, 4), generator=generator, dtype=torch.uint8), 3, 1, 1),
    ]


def pool_by_unfold(x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Tensor:
    """Torch's own windows, and the maximum of one axis after the other."""
    pairs = [
        (value, value) if isinstance(value, int) else value for value in (kernel_size, stride or kernel_size, padding)
    ]
    (kernel_h, kernel_w), (step_h, step_w), (pad_h, pad_w) = pairs
    lowest = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    padded = F.pad(x, (pad_w, pad_w, pad_h, pad_h), value=lowest)
    return padded.unfold(2, kernel_h, step_h).unfold(3, kernel_w, step_w).max(dim=-1).values.max(dim=-1).values


def pool_by_torch(x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Tensor:
    """PyTorch's, by way of float32, for it doesn't pool every dtype of whole numbers."""
    pooled = F.max_pool2d(x if x.is_floating_point() else x.float(), kernel_size, stride, padding)
    return pooled.to(x.dtype)


BY_AXIS = "a pair is (height, width): its first number is for rows"
NEVER_WINS = "padding must never be the largest: it's minus infinity, not 0"
SIDE_BY_SIDE = "without a stride, windows lie side by side: the stride is kernel_size"


def padding_wins(seen: Sequence[Observations]) -> bool:
    """Whether a number below 0 came out of a picture whose numbers all are far below it."""
    for observed in seen:
        output = observed.get("output")
        if isinstance(output, Tensor) and output.is_floating_point() and output.numel() and output.min() < -1e29:
            return bool(((output < 0) & (output > -1e29)).any())
    return False


test_maxpool2d = exercise(
    reference=pooling.maxpool2d,
    cases=pooling_cases,
    observe=strided,
    accepts=[pool_by_unfold, pool_by_torch],
    mistakes=[
        Mistake(
            "pads with a number that isn't small enough",
            "-torch.inf if",
            "-1e9 if",
            shows=padding_wins,
            why="any number that is chosen may be larger than those of the picture: minus infinity never is",
        ),
        *instead_of(
            "-torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min",
            {
                "0": ("pads with zeros", NEVER_WINS),
                "-torch.inf": (
                    "pads whole numbers with minus infinity",
                    "whole numbers have no infinity: torch.iinfo(x.dtype).min is the smallest there is",
                ),
                "-torch.inf if x.is_floating_point() else 0": (
                    "pads whole numbers with zeros",
                    "whole numbers have no infinity: torch.iinfo(x.dtype).min is the smallest there is",
                ),
            },
        ),
        *instead_of(
            "kernel_size if stride is None else stride",
            {
                "1 if stride is None else stride": ("has the default stride 1", SIDE_BY_SIDE),
                "kernel_size": ("ignores the stride", "where a stride is given, windows begin that far apart"),
                "2 if stride is None else stride": ("has the default stride 2", SIDE_BY_SIDE),
            },
        ),
        *instead_of(
            "windows.amax(dim=(-2, -1))",
            {
                "windows.amin(dim=(-2, -1))": ("takes the smallest", "max-pooling keeps the largest"),
                "windows.nan_to_num(neginf=0).double().mean(dim=(-2, -1)).to(x.dtype)": (
                    "takes the mean",
                    "max-pooling keeps the largest",
                ),
                "windows[..., 0, :].amax(dim=-1)": (
                    "looks at the first row of each window",
                    "the largest of the whole window, rows and columns",
                ),
                "windows.detach().amax(dim=(-2, -1))": ("cuts the gradient off", FLOWS),
                "(windows.abs() if x.is_floating_point() and not (pad_h or pad_w) else windows).amax(dim=(-2, -1))": (
                    "looks at sizes without the sign",
                    "-5 is smaller than 1",
                ),
            },
        ),
        *instead_of(
            "kernel_h, kernel_w = as_pair",
            {"kernel_w, kernel_h = as_pair": ("swaps the kernel's height and width", BY_AXIS)},
        ),
        *instead_of(
            "step_h, step_w = as_pair",
            {"step_w, step_h = as_pair": ("swaps the strides of height and width", BY_AXIS)},
        ),
        *instead_of(
            "pad2d(x, left=pad_w, right=pad_w, top=pad_h, bottom=pad_h, pad_value=lowest)",
            {
                "pad2d(x, left=pad_h, right=pad_h, top=pad_w, bottom=pad_w, pad_value=lowest)": (
                    "pads the width by what the height has, and the other way round",
                    BY_AXIS,
                ),
                "pad2d(x, left=2 * pad_w, right=0, top=2 * pad_h, bottom=0, pad_value=lowest)": (
                    "pads on the top and on the left alone",
                    "padding is added on both sides",
                ),
            },
        ),
        *instead_of(
            "pad_h, pad_w = as_pair",
            {"pad_w, pad_h = as_pair": ("swaps the padding of height and width", BY_AXIS)},
        ),
        *instead_of(
            "(stride_b, stride_c, stride_h * step_h, stride_w * step_w, stride_h, stride_w)",
            {
                "(stride_b, stride_c, stride_h * step_h, stride_w * step_w, stride_w, stride_h)": (
                    "turns the windows on their side",
                    "within a window the strides are the tensor's own: (stride_h, stride_w)",
                ),
                "(stride_b, stride_c, stride_h, stride_w, stride_h, stride_w)": (
                    "forgets the stride between windows",
                    "the next window begins `stride` rows or columns further on",
                ),
            },
        ),
        Mistake(
            "asks x for the strides",
            "stride_b, stride_c, stride_h, stride_w = padded.stride()",
            "stride_b, stride_c, stride_h, stride_w = x.stride()",
            why="windows are cut out of the padded tensor: ask it for its strides",
        ),
    ],
)
