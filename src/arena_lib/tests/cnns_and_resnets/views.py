"""Judges of views: what a size, a stride and an offset pick from memory."""

import torch

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.fundamentals.convolutions import strides
from arena_lib.tests.cnns_and_resnets.layouts import (
    A_VIEW,
    ASK_STRIDES,
    BEGINS,
    FLOWS,
    PLAIN,
    SLICED,
    draw,
    in_all_layouts,
    is_a_view,
    views,
    whole,
)

__test__ = False

IN_A_ROW = (PLAIN, SLICED)
"""Layouts of a tensor with one axis, which can't be transposed."""
COPIES = ("copies", A_VIEW)


def take_first_cases(generator: torch.Generator) -> list[Case]:
    """Some, one, all and none of the numbers; whole numbers; every second number of a larger tensor."""
    return [
        *in_all_layouts("three of five", draw(generator, 5), 3, of=IN_A_ROW),
        *in_all_layouts("all numbers", draw(generator, 4), 4, of=IN_A_ROW),
        *in_all_layouts("one of six whole numbers", whole(generator, 6), 1, of=IN_A_ROW),
        *in_all_layouts("none", draw(generator, 3), 0, of=(PLAIN,)),
    ]


test_take_first = exercise(
    reference=strides.take_first,
    cases=take_first_cases,
    observe=views,
    properties=[is_a_view],
    accepts=[lambda x, n: torch.as_strided(x, (n,), (x.stride(0),)), lambda x, n: x[:n]],
    mistakes=[
        *instead_of(
            "x.as_strided((n,), x.stride())",
            {
                "x.as_strided((n,), (1,))": ("takes the stride for 1", ASK_STRIDES),
                "x.as_strided((n,), x.stride(), 0)": ("begins where memory begins", BEGINS),
                "x.as_strided((n,), x.stride()).clone()": COPIES,
                "x.detach().as_strided((n,), x.stride())": ("cuts the gradient off", FLOWS),
                "x.as_strided((n,), (0,))": ("repeats the first number", "a stride of 0 stays where it is"),
                "x.as_strided((len(x),), x.stride())": ("takes all numbers", "the size says how many: n"),
                "x.flip(0)[:n]": ("takes the last", "as_strided begins with the first number"),
            },
        )
    ],
)


def take_every_cases(generator: torch.Generator) -> list[Case]:
    """Lengths that the step divides and doesn't, every number, a step past the end."""
    return [
        *in_all_layouts("seven numbers, every third", draw(generator, 7), 3, of=IN_A_ROW),
        *in_all_layouts("six numbers, every third", draw(generator, 6), 3, of=IN_A_ROW),
        *in_all_layouts("eight numbers, every second", whole(generator, 8), 2, of=IN_A_ROW),
        *in_all_layouts("every number", draw(generator, 4), 1, of=IN_A_ROW),
        *in_all_layouts("a step past the end", draw(generator, 5), 9, of=IN_A_ROW),
    ]


HOW_MANY = "of 7 numbers every third are those at 0, 3 and 6: 7 / 3 rounded up"

test_take_every = exercise(
    reference=strides.take_every,
    cases=take_every_cases,
    observe=views,
    properties=[is_a_view],
    accepts=[
        lambda x, step: x[::step],
        lambda x, step: x.as_strided((1 + (len(x) - 1) // step,), (x.stride(0) * step,), x.storage_offset()),
    ],
    mistakes=[
        *instead_of(
            "n = (len(x) + step - 1) // step",
            {
                "n = len(x) // step": ("rounds the size down", HOW_MANY),
                "n = min(len(x) // step + 1, len(x))": ("has one too many where the step fits", HOW_MANY),
            },
        ),
        *instead_of(
            "x.as_strided((n,), (step * stride,))",
            {
                "x.as_strided((n,), (step,))": ("takes x's own stride for 1", ASK_STRIDES),
                "x.as_strided((n,), (stride,))": (
                    "takes neighbours",
                    "one step in the result is `step` steps in x: the strides multiply",
                ),
                "x.as_strided((n,), (step + stride,))": (
                    "adds the strides",
                    "one step in the result is `step` steps in x: the strides multiply",
                ),
                "x.as_strided((n,), (step * stride,), 0)": ("begins where memory begins", BEGINS),
                "x.as_strided((n,), (step * stride,)).contiguous().clone()": COPIES,
                "x.detach().as_strided((n,), (step * stride,))": ("cuts the gradient off", FLOWS),
            },
        ),
    ],
)


def column_cases(generator: torch.Generator) -> list[Case]:
    """Columns at both edges and inside, squares, one row, one column."""
    return [
        *in_all_layouts("the last of three columns", draw(generator, 4, 3), 2),
        *in_all_layouts("the second of five columns", whole(generator, 2, 5), 1),
        *in_all_layouts("the first column", draw(generator, 3, 4), 0),
        *in_all_layouts("a square", draw(generator, 3, 3), 1),
        *in_all_layouts("one row", draw(generator, 1, 4), 3),
    ]


AT_COLUMN = "grid.storage_offset() + column * stride_w"

test_take_column = exercise(
    reference=strides.take_column,
    cases=column_cases,
    observe=views,
    properties=[is_a_view],
    accepts=[
        lambda grid, column: grid[:, column],
        lambda grid, column: torch.select(grid, 1, column),
    ],
    mistakes=[
        *instead_of(
            AT_COLUMN,
            {
                "column * stride_w": ("begins where memory begins", BEGINS),
                "grid.storage_offset() + column": ("takes the stride along a row for 1", ASK_STRIDES),
                "grid.storage_offset()": ("takes the first column", "the column begins `column` steps along the row"),
                "grid.storage_offset() + (column + 1) * stride_w": (
                    "counts columns from 1",
                    "the first column is number 0",
                ),
            },
        ),
        *instead_of(
            "(height,), (stride_h,)",
            {
                "(height,), (stride_w,)": (
                    "goes along the row",
                    "one step down a column is one step along the first axis",
                ),
                "(height,), (width,)": ("takes the stride down for the width", ASK_STRIDES),
                "(height,), (0,)": ("repeats one number", "one step down a column is one step along the first axis"),
            },
        ),
        *instead_of(
            "grid.as_strided((height,), (stride_h,), grid.storage_offset() + column * stride_w)",
            {
                "grid[:, column].clone()": COPIES,
                "grid.detach()[:, column]": ("cuts the gradient off", FLOWS),
            },
        ),
    ],
)


def grid_cases(generator: torch.Generator) -> list[Case]:
    """High, wide, square, one row, one column."""
    return [
        *in_all_layouts("a high grid", draw(generator, 4, 3)),
        *in_all_layouts("a wide grid of whole numbers", whole(generator, 2, 5)),
        *in_all_layouts("a square", draw(generator, 3, 3)),
        *in_all_layouts("one row", draw(generator, 1, 4)),
    ]


test_swap_axes = exercise(
    reference=strides.swap_axes,
    cases=grid_cases,
    observe=views,
    properties=[is_a_view],
    accepts=[lambda grid: grid.T, lambda grid: grid.as_strided(grid.shape[::-1], grid.stride()[::-1])],
    mistakes=[
        *instead_of(
            "grid.as_strided((width, height), (stride_w, stride_h))",
            {
                "grid.as_strided((width, height), (1, width))": ("works strides out from the shape", ASK_STRIDES),
                "grid.as_strided((width, height), (height, 1))": (
                    "reads on in the order of memory",
                    "that is reshape: along the new rows lies what was down the columns, so the strides change places",
                ),
                "grid.as_strided((height, width), (stride_w, stride_h))": (
                    "swaps strides, but no lengths",
                    "lengths and strides change places together",
                ),
                "grid.as_strided((width, height), (stride_w, stride_h), 0)": ("begins where memory begins", BEGINS),
                "grid.as_strided((width, height), (stride_w, stride_h)).clone()": COPIES,
                "grid.detach().as_strided((width, height), (stride_w, stride_h))": ("cuts the gradient off", FLOWS),
                "grid": ("changes nothing", "rows become columns"),
            },
        )
    ],
)


def repeat_cases(generator: torch.Generator) -> list[Case]:
    """More rows than columns, fewer, as many, one row, none."""
    return [
        *in_all_layouts("two rows of five", draw(generator, 5), 2, of=IN_A_ROW),
        *in_all_layouts("four rows of three", whole(generator, 3), 4, of=IN_A_ROW),
        *in_all_layouts("as many rows as columns", draw(generator, 3), 3, of=IN_A_ROW),
        *in_all_layouts("one row", draw(generator, 4), 1, of=IN_A_ROW),
        *in_all_layouts("no rows", draw(generator, 2), 0, of=(PLAIN,)),
    ]


STAY = "a step to the next row stays where it is in memory: that axis has the stride 0"

test_repeat_row = exercise(
    reference=strides.repeat_row,
    cases=repeat_cases,
    observe=views,
    properties=[is_a_view],
    accepts=[
        lambda row, n_rows: row.expand(n_rows, -1),
        lambda row, n_rows: torch.broadcast_to(row, (n_rows, row.numel())),
    ],
    mistakes=[
        *instead_of(
            "row.as_strided((n_rows, len(row)), (0, stride))",
            {
                "row.as_strided((n_rows, len(row)), (0, 1))": ("takes the stride along the row for 1", ASK_STRIDES),
                "row[:, None].expand(len(row), len(row))[:n_rows]": (
                    "repeats each number along its row",
                    "the *rows* are equal: the stride of 0 belongs to the first axis",
                ),
                "row.as_strided((n_rows, len(row)), (0, stride), 0)": ("begins where memory begins", BEGINS),
                "row.repeat(n_rows, 1)": COPIES,
                "row.detach().as_strided((n_rows, len(row)), (0, stride))": ("cuts the gradient off", FLOWS),
                "row.as_strided((n_rows, len(row)), (stride, stride))": (
                    "moves on with each row",
                    STAY,
                ),
                "row.as_strided((n_rows, len(row)), (0, 0))": (
                    "repeats one number everywhere",
                    "along a row the numbers differ: only the first axis has the stride 0",
                ),
            },
        )
    ],
)
