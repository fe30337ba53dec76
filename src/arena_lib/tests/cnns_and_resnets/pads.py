"""Judges of padding."""

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.fundamentals.convolutions import padding
from arena_lib.tests.cnns_and_resnets.layouts import FLOWS, draw, in_all_layouts, laid_out, strided, whole

__test__ = False

IN_PLACE = "x stays as it is: the padded signal is a new tensor"
VALUE = "what is added is pad_value, which needn't be 0"
DTYPE = "the result has x's dtype: x.new_full makes a tensor of it"
NO_END = "with nothing to add at the end, a slice up to -0 is empty: count from the left"


def signal_cases(generator: torch.Generator) -> list[Case]:
    """One channel first; several; nothing on one side or on both; minus infinity; float64; whole numbers."""
    one, several = "one channel", "several channels"
    return [
        laid_out(f"{one}: more on the right", draw(generator, 1, 1, 4), 1, 3, -2.0),
        laid_out(f"{one}: more on the left", draw(generator, 2, 1, 3), 4, 2, 0.5),
        *in_all_layouts(f"{several}: zeros on both sides", draw(generator, 2, 3, 4), 2, 1, 0.0),
        *in_all_layouts(f"{several}: as many on either side", draw(generator, 3, 2, 5), 2, 2, 1.5),
        laid_out(f"{several}: nothing on the right", draw(generator, 2, 3, 4), 3, 0, -1.0),
        laid_out(f"{several}: nothing on the left", draw(generator, 2, 3, 4), 0, 2, -1.0),
        laid_out(f"{several}: nothing at all", draw(generator, 2, 3, 4), 0, 0, 7.0),
        laid_out(f"{several}: minus infinity", draw(generator, 1, 2, 3), 1, 2, -torch.inf),
        laid_out(f"{several}: double precision", draw(generator, 2, 2, 3).double(), 1, 2, 0.1),
        laid_out(f"{several}: whole numbers", whole(generator, 2, 2, 3), 2, 1, -3),
    ]


def pad1d_by_cat(x: Tensor, left: int, right: int, pad_value: float) -> Tensor:
    """Puts pieces side by side."""
    before, after = (torch.full((*x.shape[:2], n), pad_value, dtype=x.dtype) for n in (left, right))
    return torch.cat([before, x, after], dim=2)


test_pad1d = exercise(
    reference=padding.pad1d,
    cases=signal_cases,
    observe=strided,
    accepts=[pad1d_by_cat, lambda x, left, right, pad_value: F.pad(x, (left, right), value=pad_value)],
    mistakes=[
        *instead_of(
            "x.new_full((batch, in_channels, left + width + right), pad_value)",
            {
                "x.new_zeros((batch, in_channels, left + width + right))": ("pads with zeros", VALUE),
                "x.new_full((batch, in_channels, left + width + right), pad_value).float()": (
                    "makes another dtype",
                    DTYPE,
                ),
                "x.new_full((batch, in_channels, width + 2 * right), pad_value) if left == right else "
                "x.new_full((batch, in_channels, left + width + right), -pad_value)": (
                    "turns the value's sign where the sides differ",
                    VALUE,
                ),
                "x.new_full((batch, in_channels, width + 2 * left), pad_value)": (
                    "adds as much on the right as on the left",
                    "left numbers are added before, and right numbers after",
                    "",
                ),
            },
        ),
        *instead_of(
            "padded[..., left : left + width] = x",
            {
                "padded[..., right : right + width] = x": (
                    "swaps left and right",
                    "left numbers stand before the signal",
                ),
                "padded[..., left:-right] = x": ("counts from the right", NO_END, ""),
                "padded[..., :width] = x": ("puts everything after the signal", "left numbers stand before the signal"),
                "padded[..., right + left :] = x": (
                    "puts everything before the signal",
                    "right numbers stand after it",
                ),
                "padded[..., left : left + width] = x.detach()": ("cuts the gradient off", FLOWS),
                "padded[..., left : left + width] = x.flip(-1)": (
                    "turns the signal round",
                    "the signal stays in its order",
                ),
                "padded[..., left : left + width] = x; x.zero_()": ("changes x", IN_PLACE),
            },
        ),
    ],
)
test_pad1d_multi_channel = test_pad1d.part("several channels")


def image_cases(generator: torch.Generator) -> list[Case]:
    """One channel first; four different sides; sums that are equal; no padding on some sides; other dtypes."""
    one, several = "one channel", "several channels"
    return [
        laid_out(f"{one}: four different sides", draw(generator, 1, 1, 2, 3), 1, 2, 3, 4, -2.0),
        laid_out(f"{one}: a square that stays a square", draw(generator, 2, 1, 3, 3), 1, 3, 4, 0, 0.5),
        *in_all_layouts(f"{several}: four different sides", draw(generator, 2, 3, 4, 2), 4, 1, 0, 2, -0.5),
        *in_all_layouts(f"{several}: one on each side", draw(generator, 2, 2, 3, 3), 1, 1, 1, 1, 1.5),
        laid_out(f"{several}: on the left alone", draw(generator, 2, 3, 2, 4), 2, 0, 0, 0, 3.0),
        laid_out(f"{several}: at the bottom alone", draw(generator, 2, 3, 2, 4), 0, 0, 0, 2, 3.0),
        laid_out(f"{several}: nothing at all", draw(generator, 2, 3, 2, 4), 0, 0, 0, 0, 7.0),
        laid_out(f"{several}: minus infinity", draw(generator, 1, 2, 2, 3), 1, 2, 2, 1, -torch.inf),
        laid_out(f"{several}: double precision", draw(generator, 2, 2, 3, 2).double(), 2, 1, 1, 3, 0.1),
        laid_out(f"{several}: whole numbers", whole(generator, 2, 2, 3, 2), 1, 0, 2, 1, -3),
    ]


def pad2d_by_cat(x: Tensor, left: int, right: int, top: int, bottom: int, pad_value: float) -> Tensor:
    """Columns first, then rows."""
    batch, in_channels, height, _ = x.shape
    columns = [torch.full((batch, in_channels, height, n), pad_value, dtype=x.dtype) for n in (left, right)]
    wide = torch.cat([columns[0], x, columns[1]], dim=3)
    rows = [torch.full((batch, in_channels, n, wide.shape[3]), pad_value, dtype=x.dtype) for n in (top, bottom)]
    return torch.cat([rows[0], wide, rows[1]], dim=2)


PLACE = "top : top + height, left : left + width"
WHICH = "top counts rows above the image, left counts columns before it"
FULL_2D = "x.new_full((batch, in_channels, top + height + bottom, left + width + right), pad_value)"

test_pad2d = exercise(
    reference=padding.pad2d,
    cases=image_cases,
    observe=strided,
    accepts=[
        pad2d_by_cat,
        lambda x, left, right, top, bottom, pad_value: F.pad(x, (left, right, top, bottom), value=pad_value),
    ],
    mistakes=[
        *instead_of(
            FULL_2D,
            {
                FULL_2D.replace("new_full", "new_zeros").replace(", pad_value", ""): ("pads with zeros", VALUE),
                f"{FULL_2D}.float()": (
                    "makes another dtype",
                    DTYPE,
                ),
                FULL_2D.replace(
                    "top + height + bottom, left + width + right", "left + height + right, top + width + bottom"
                ): (
                    "adds columns where rows belong",
                    "top and bottom are added to the height, left and right to the width",
                    "",
                ),
            },
        ),
        *instead_of(
            f"padded[..., {PLACE}] = x",
            {
                "padded[..., bottom : bottom + height, left : left + width] = x": ("swaps top and bottom", WHICH),
                "padded[..., top : top + height, right : right + width] = x": ("swaps left and right", WHICH),
                "padded[..., bottom : bottom + height, right : right + width] = x": (
                    "swaps both pairs of sides",
                    WHICH,
                ),
                "padded[..., top:-bottom, left:-right] = x": ("counts from the end", NO_END, ""),
                f"padded[..., {PLACE}] = x.detach()": ("cuts the gradient off", FLOWS),
                f"padded[..., {PLACE}] = x; x.zero_()": ("changes x", IN_PLACE),
                f"padded[..., {PLACE}] = x.flip(-2)": ("turns the image upside down", "the image stays as it is"),
            },
        ),
    ],
)
test_pad2d_multi_channel = test_pad2d.part("several channels")
