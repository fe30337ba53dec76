"""Judges of rows and columns by number, boards, outliers, accuracies and counts."""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.puzzles import indexing
from arena_lib.tests.prerequisites.tensors import calls, floats, whole

__test__ = False


def rows_cases(generator: torch.Generator) -> list[Case]:
    """Rows out of order, one row many times, a square matrix, one row."""
    return calls(
        {
            "out of order": (floats(generator, 4, 3), torch.tensor([2, 0, 3])),
            "one row many times": (floats(generator, 2, 5), torch.tensor([1, 1, 0, 1])),
            "a square matrix": (floats(generator, 3, 3), torch.tensor([2, 0])),
            "one row": (floats(generator, 5, 2), torch.tensor([4])),
        },
        "n_taken n_columns",
    )


test_collect_rows = exercise(
    reference=indexing.collect_rows,
    cases=rows_cases,
    accepts=[
        lambda matrix, row_indexes: matrix.index_select(0, row_indexes),
        lambda matrix, row_indexes: torch.stack([matrix[i] for i in row_indexes]),
    ],
    mistakes=[
        *instead_of(
            "matrix[row_indexes]",
            {
                "matrix[row_indexes.sort().values]": ("sorts the rows", "the order of row_indexes is kept"),
                "matrix[row_indexes.unique()]": ("takes each row once", "a row may be asked for more than once"),
                "matrix[: len(row_indexes)]": ("takes the first rows", "row_indexes says which rows"),
                "matrix[row_indexes - 1]": ("counts from 1", "the first row has the number 0"),
                "matrix[row_indexes.flip(0)]": ("takes them backwards", "the order of row_indexes is kept"),
            },
        ),
    ],
)


def columns_cases(generator: torch.Generator) -> list[Case]:
    """Columns out of order, one column many times, a square matrix, one column."""
    return calls(
        {
            "out of order": (floats(generator, 3, 4), torch.tensor([2, 0, 3])),
            "one column many times": (floats(generator, 5, 2), torch.tensor([1, 1, 0, 1])),
            "a square matrix": (floats(generator, 3, 3), torch.tensor([2, 0])),
            "one column": (floats(generator, 2, 5), torch.tensor([4])),
        },
        "n_rows n_taken",
    )


test_collect_columns = exercise(
    reference=indexing.collect_columns,
    cases=columns_cases,
    accepts=[
        lambda matrix, column_indexes: matrix.index_select(1, column_indexes),
        lambda matrix, column_indexes: matrix.T[column_indexes].T,
    ],
    mistakes=[
        *instead_of(
            "matrix[:, column_indexes]",
            {
                "matrix.T[column_indexes]": ("returns the columns as rows", "they stay columns: matrix[:, indexes]"),
                "matrix[:, column_indexes.sort().values]": ("sorts the columns", "the order is kept"),
                "matrix[:, column_indexes.unique()]": ("takes each column once", "one may be asked for more than once"),
                "matrix[:, column_indexes - 1]": ("counts from 1", "the first column has the number 0"),
                "matrix[:, column_indexes.flip(0)]": ("takes them backwards", "the order is kept"),
            },
        ),
    ],
)


def boards_cases(generator: torch.Generator) -> list[Case]:
    """Even and odd numbers of rows and columns, a single row, a single column."""
    sizes = {"3 by 4": (3, 4), "2 by 5": (2, 5), "4 by 3": (4, 3), "one row": (1, 6), "one column": (7, 1)}
    return calls(sizes, "height width")


test_checkerboard = exercise(
    reference=indexing.checkerboard,
    cases=boards_cases,
    accepts=[
        lambda height, width: ((torch.arange(height)[:, None] + torch.arange(width)) % 2 == 0).float(),
        lambda height, width: torch.tensor([[float((r + c) % 2 == 0) for c in range(width)] for r in range(height)]),
    ],
    mistakes=[
        *instead_of(
            "board[::2, ::2] = 1\n    board[1::2, 1::2] = 1",
            {
                "board[::2, 1::2] = 1\n    board[1::2, ::2] = 1": ("swaps 0 and 1", "the top left corner is 1"),
                "board[::2, ::2] = 1": ("marks every second row only", "the odd rows have ones in the odd columns"),
                "board[::2] = 1": ("makes stripes of rows", "row and column together decide"),
                "board[:, ::2] = 1": ("makes stripes of columns", "row and column together decide"),
                "board[:, ::2] = 1\n    board = board.bool()": (
                    "makes stripes of booleans",
                    "row and column together decide, and the numbers are float32",
                ),
            },
        ),
        Mistake("swaps height and width", "zeros(height, width)", "zeros(width, height)", why="the height is first"),
    ],
)


def outliers_cases(generator: torch.Generator) -> list[Case]:
    """Numbers of both signs, some equal to the limit, none above it, a limit of 0."""
    return calls(
        {
            "some outliers": (3 * floats(generator, 9), 2.5),
            "equal to the limit": (torch.tensor([1.5, -1.5, 2.0, -2.0, 0.5]), 1.5),
            "no outliers": (floats(generator, 4).clamp(-3, 3), 4.0),
            "nothing is small enough": (torch.tensor([3.0, -2.0, 0.0]), 0.0),
        },
        "n",
    )


def zero_outliers_by_mask(x: Tensor, limit: float) -> Tensor:
    """Writes into a copy."""
    copy = x.clone()
    copy[copy.abs() > limit] = 0.0
    return copy


test_zero_outliers = exercise(
    reference=indexing.zero_outliers,
    cases=outliers_cases,
    accepts=[
        zero_outliers_by_mask,
        lambda x, limit: x * (x.abs() <= limit),
        lambda x, limit: x.masked_fill(x.abs() > limit, 0.0),
    ],
    mistakes=[
        *instead_of(
            "torch.where(x.abs() > limit, 0.0, x)",
            {
                "torch.where(x > limit, 0.0, x)": ("leaves very negative numbers", "the size counts: x.abs()"),
                "torch.where(x.abs() >= limit, 0.0, x)": (
                    "zeroes what is equal to the limit",
                    "only what is above the limit becomes 0",
                ),
                "x.clamp(-limit, limit)": ("cuts off at the limit", "an outlier becomes 0"),
                "torch.where(x.abs() > limit, x, 0.0)": ("keeps the outliers alone", "the outliers become 0"),
                "x[x.abs() <= limit]": ("leaves the outliers out", "the result is as long as x, with zeros"),
                "torch.where((x < 0) | (x > limit), 0.0, x)": (
                    "zeroes every negative number",
                    "a small negative number is no outlier: the size counts, x.abs()",
                ),
                "x.masked_fill_(x.abs() > limit, 0.0)": (
                    "changes x itself",
                    "x stays as it is: write into a copy, or use torch.where",
                ),
            },
        ),
    ],
)


def scores_cases(generator: torch.Generator) -> list[Case]:
    """Some right and some wrong, all right, none right, one example."""
    scores = floats(generator, 6, 4)
    best = scores.argmax(dim=1)
    half_right = torch.where(torch.arange(6) < 4, best, (best + 1) % 4)
    return calls(
        {
            "four of six are right": (scores, half_right),
            "all are right": (scores[:3], best[:3]),
            "none is right": (scores[:2], (best[:2] + 2) % 4),
            "one example": (floats(generator, 1, 3), torch.tensor([1])),
            "by chance": (floats(generator, 9, 2), whole(generator, 2, 9)),
        }
    )


test_classifier_accuracy = exercise(
    reference=indexing.classifier_accuracy,
    cases=scores_cases,
    accepts=[
        lambda scores, true_classes: (scores.max(dim=1).indices == true_classes).sum() / len(scores),
        lambda scores, true_classes: (scores.argsort(dim=1)[:, -1] == true_classes).double().mean().float(),
    ],
    mistakes=[
        *instead_of(
            "(scores.argmax(dim=1) == true_classes).float().mean()",
            {
                "(scores.argmax(dim=1) == true_classes).sum()": (
                    "counts the right ones",
                    "the share divides by the number of examples",
                ),
                "(scores.argmax(dim=1) == true_classes).float().sum()": (
                    "counts the right ones",
                    "the share divides by the number of examples",
                ),
                "(scores.argmax(dim=1) != true_classes).float().mean()": (
                    "gives the share that is wrong",
                    "the share that is right is asked for",
                ),
                "(scores.argmin(dim=1) == true_classes).float().mean()": (
                    "takes the lowest score",
                    "the largest score is the guess: argmax",
                ),
                "(scores.argmax(dim=1) == true_classes).float()": (
                    "returns a verdict for each example",
                    "the share of all examples is one number",
                ),
                "(scores.argmax(dim=1) == true_classes).float().mean().item()": (
                    "returns a plain number",
                    "the result is a tensor without axes: leave item() out",
                ),
                "(scores.argmax(dim=1) == true_classes).sum() / scores.numel()": (
                    "divides by the number of scores",
                    "the share divides by the number of examples",
                ),
            },
        ),
    ],
)


def values_cases(generator: torch.Generator) -> list[Case]:
    """Numbers that don't occur, the largest among them; more values than numbers; none at all."""
    return calls(
        {
            "most occur": (whole(generator, 4, 15), 4),
            "the last does not occur": (torch.tensor([1, 0, 1, 2, 1]), 5),
            "a few": (torch.tensor([6]), 7),
            "none": (torch.tensor([], dtype=torch.int64), 3),
        },
        "n_values",
    )


def count_by_scatter(values: Tensor, n_values: int) -> Tensor:
    """Adds 1 to the place of each number."""
    return torch.zeros(n_values, dtype=torch.int64).index_add_(0, values, torch.ones_like(values))


def assigned(values: Tensor, n_values: int) -> Tensor:
    """Adds 1 by an index in brackets, which counts a number once however often it occurs."""
    counts = torch.zeros(n_values, dtype=torch.int64)
    counts[values] += 1
    return counts


test_count_values = exercise(
    reference=indexing.count_values,
    cases=values_cases,
    accepts=[lambda values, n_values: torch.bincount(values, minlength=n_values), count_by_scatter],
    mistakes=[
        *instead_of(
            "(values[:, None] == torch.arange(n_values)).sum(dim=0)",
            {
                "(values[:, None] == torch.arange(n_values)).sum(dim=1)": (
                    "sums over the numbers",
                    "each number has a count: the axis of `values` is summed over, dim=0",
                ),
                "(values[:, None] == torch.arange(n_values)).any(dim=0)": (
                    "says which occur",
                    "how often each occurs is asked for",
                ),
                "(values[:, None] == torch.arange(1, n_values + 1)).sum(dim=0)": (
                    "counts from 1 on",
                    "the first count is that of 0",
                ),
                "(values[:, None] <= torch.arange(n_values)).sum(dim=0)": (
                    "counts the smaller numbers too",
                    "only equal numbers count",
                ),
                "(values[:, None] == torch.arange(n_values)).float().mean(dim=0).nan_to_num()": (
                    "gives shares",
                    "counts are whole numbers",
                ),
                "(values[:, None] == torch.arange(n_values)).float().sum(dim=0)": (
                    "returns floats",
                    "counts are whole numbers, int64",
                ),
                "values.unique(return_counts=True)[1]": (
                    "leaves out what does not occur",
                    "there are n_values counts, with 0 for what doesn't occur",
                ),
                "torch.bincount(values)": (
                    "ends at the largest number that occurs",
                    "there are n_values counts, with 0 for what doesn't occur",
                ),
            },
        ),
        Mistake(
            "adds 1 once for each number",
            function=assigned,
            why="counts[values] += 1 reads before it writes, so that an equal number is added once: use index_add_",
        ),
    ],
)
