"""Judges of views with more axes than their tensor: windows and tiles."""

import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.fundamentals.convolutions import strides
from arena_lib.tests.cnns_and_resnets.layouts import (
    A_VIEW,
    ASK_STRIDES,
    BEGINS,
    FLOWS,
    draw,
    in_all_layouts,
    is_a_view,
    views,
    whole,
)
from arena_lib.tests.cnns_and_resnets.views import COPIES, IN_A_ROW

__test__ = False


def window_cases(generator: torch.Generator) -> list[Case]:
    """Windows of two, three and one, and one that is the whole signal."""
    return [
        *in_all_layouts("windows of three in seven numbers", draw(generator, 7), 3, of=IN_A_ROW),
        *in_all_layouts("windows of two in five whole numbers", whole(generator, 5), 2, of=IN_A_ROW),
        *in_all_layouts("as many windows as numbers in each", draw(generator, 5), 3, of=IN_A_ROW),
        *in_all_layouts("windows of one", draw(generator, 4), 1, of=IN_A_ROW),
        *in_all_layouts("one window", draw(generator, 4), 4, of=IN_A_ROW),
    ]


N_WINDOWS = "the last window ends with the last number: there are length - window + 1"
ONE_FURTHER = "each window begins one number further on, and so do the numbers within: both strides are x's own"

test_sliding_windows = exercise(
    reference=strides.sliding_windows,
    cases=window_cases,
    observe=views,
    properties=[is_a_view],
    accepts=[
        lambda x, window: x.unfold(0, window, 1),
        lambda x, window: x.as_strided((window, len(x) - window + 1), x.stride() * 2).T,
    ],
    mistakes=[
        *instead_of(
            "len(x) - window + 1",
            {
                "len(x) - window": ("leaves the last window out", N_WINDOWS),
                "len(x)": ("lets windows run past the end", N_WINDOWS),
                "len(x) // window": ("counts windows that don't overlap", N_WINDOWS),
            },
        ),
        *instead_of(
            "(stride, stride)",
            {
                "(1, 1)": ("takes the strides for 1", ASK_STRIDES),
                "(stride, 1)": ("takes the stride within a window for 1", ASK_STRIDES),
                "(1, stride)": ("takes the stride from window to window for 1", ASK_STRIDES),
                "(0, stride)": ("begins every window at the first number", ONE_FURTHER),
                "(stride, 0)": ("repeats a window's first number", ONE_FURTHER),
                "(stride, stride), 0": ("begins where memory begins", BEGINS),
            },
        ),
        *instead_of(
            "x.as_strided((len(x) - window + 1, window), (stride, stride))",
            {
                "x.unfold(0, window, 1).clone()": COPIES,
                "x.detach().unfold(0, window, 1)": ("cuts the gradient off", FLOWS),
            },
        ),
    ],
)


def tile_cases(generator: torch.Generator) -> list[Case]:
    """Tiles that fill the grid, tiles that leave a rest, squares, tiles of one number, one tile."""
    return [
        *in_all_layouts("six tiles of 2 by 3", draw(generator, 4, 9), 2, 3),
        *in_all_layouts("tiles of 3 by 2, and a rest on both sides", draw(generator, 7, 5), 3, 2),
        *in_all_layouts("square tiles in a square of whole numbers", whole(generator, 4, 4), 2, 2),
        *in_all_layouts("tiles of one row", draw(generator, 3, 4), 1, 2),
        *in_all_layouts("one tile", draw(generator, 2, 3), 2, 3),
    ]


def tiles_by_rows(grid: Tensor, tile_height: int, tile_width: int) -> Tensor:
    """One axis after the other."""
    return grid.unfold(0, tile_height, tile_height).unfold(1, tile_width, tile_width)


TO_TILE = "from tile to tile one goes as many rows or columns as a tile has"

WHOLE_TILES = """grid.as_strided(
        (height // tile_height, width // tile_width, tile_height, tile_width),
        (tile_height * stride_h, tile_width * stride_w, stride_h, stride_w),
    )"""

test_cut_tiles = exercise(
    reference=strides.cut_tiles,
    cases=tile_cases,
    observe=views,
    properties=[is_a_view],
    accepts=[
        tiles_by_rows,
        lambda grid, tile_height, tile_width: (
            grid[: len(grid) // tile_height * tile_height, : grid.shape[1] // tile_width * tile_width]
            .unflatten(0, (-1, tile_height))
            .unflatten(2, (-1, tile_width))
            .transpose(1, 2)
        ),
    ],
    mistakes=[
        *instead_of(
            "(tile_height * stride_h, tile_width * stride_w, stride_h, stride_w)",
            {
                "(tile_height * width, tile_width, width, 1)": ("works strides out from the shape", ASK_STRIDES),
                "(tile_height * stride_h, tile_width, stride_h, 1)": (
                    "takes the stride along a row for 1",
                    ASK_STRIDES,
                ),
                "(tile_height * width, tile_width * stride_w, width, stride_w)": (
                    "takes the stride down for the width",
                    ASK_STRIDES,
                ),
                "(stride_h, stride_w, stride_h, stride_w)": ("lets the tiles overlap", TO_TILE),
                "(tile_height * stride_h, stride_w, stride_h, stride_w)": (
                    "lets the tiles overlap from left to right",
                    TO_TILE,
                ),
                "(stride_h, tile_width * stride_w, stride_h, stride_w)": (
                    "lets the tiles overlap from top to bottom",
                    TO_TILE,
                ),
                "(tile_height * stride_h, tile_width * stride_w, stride_h, stride_w), 0": (
                    "begins where memory begins",
                    BEGINS,
                ),
                "(stride_h, stride_w, (height // tile_height) * stride_h, (width // tile_width) * stride_w)": (
                    "deals the rows out to the tiles in turn",
                    "a tile holds neighbours: within it the strides are grid's own",
                ),
            },
        ),
        *instead_of(
            "height // tile_height, width // tile_width",
            {
                "height // tile_height - 1, width // tile_width": ("leaves the last row of tiles out", TO_TILE),
                "-(-height // tile_height), -(-width // tile_width)": (
                    "has tiles that stick out",
                    "what doesn't fill a tile is left out: round down",
                ),
            },
        ),
        *instead_of(
            WHOLE_TILES,
            {
                f"{WHOLE_TILES}.clone()": COPIES,
                "grid[: height // tile_height * tile_height, : width // tile_width * tile_width].reshape("
                "height // tile_height, width // tile_width, tile_height, tile_width)": (
                    "reads on row by row",
                    "a tile isn't what comes next in a row: its second row lies one row of the grid further down",
                ),
            },
        ),
        *instead_of(
            "grid.as_strided(",
            {
                "grid.clone().as_strided(": ("takes a copy's memory", A_VIEW),
                "grid.detach().as_strided(": ("cuts the gradient off", FLOWS),
            },
        ),
    ],
)
