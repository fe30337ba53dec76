"""Judges of tables, rows and columns, distances, and masks made by comparing positions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.puzzles import broadcasting
from arena_lib.tests.prerequisites.tensors import calls, floats, whole

__test__ = False


def table_cases(generator: torch.Generator) -> list[Case]:
    """Few rows, few columns, as many rows as columns, a single number."""
    sizes = {"2 by 3": (2, 3), "5 by 2": (5, 2), "as many rows as columns": (4, 4), "one number down": (1, 3)}
    arguments = {label: (floats(generator, down), floats(generator, along)) for label, (down, along) in sizes.items()}
    return calls(arguments, "n_rows n_columns")


test_addition_table = exercise(
    reference=broadcasting.addition_table,
    cases=table_cases,
    accepts=[
        lambda down, along: down.unsqueeze(1) + along,
        lambda down, along: torch.stack([number + along for number in down]),
    ],
    mistakes=[
        *instead_of(
            "down[:, None] + along[None, :]",
            {
                "down[None, :] + along[:, None]": (
                    "swaps rows and columns",
                    "entry [i, j] is down[i] + along[j]: `down` gets its new axis last",
                ),
                "down[:, None] * along[None, :]": ("multiplies", "each entry is a sum"),
                "down[:, None] - along[None, :]": ("subtracts", "each entry is a sum"),
                "down[:, None] + along[None, :].flip(1)": ("reverses `along`", "entry [i, j] is down[i] + along[j]"),
                "down[:, None] + 0 * along[None, :]": ("leaves `along` out", "each entry is a sum of two numbers"),
            },
        ),
        Mistake(
            "adds the vectors without a new axis",
            "down[:, None] + along[None, :]",
            "down + along",
            why="sizes that differ don't fit: `down` needs an axis of size 1 after its own",
        ),
    ],
)


def matrix_cases(generator: torch.Generator) -> list[Case]:
    """A high matrix, a wide one, a square one, one column."""
    sizes = {"a high matrix": (5, 3), "a wide matrix": (2, 4), "a square matrix": (4, 4), "one column": (3, 1)}
    return calls({label: (1 + floats(generator, *size),) for label, size in sizes.items()}, "n_rows n_columns")


test_centre_columns = exercise(
    reference=broadcasting.centre_columns,
    cases=matrix_cases,
    accepts=[lambda matrix: matrix - matrix.mean(0, keepdim=True), lambda matrix: matrix - matrix.sum(0) / len(matrix)],
    mistakes=[
        *instead_of(
            "matrix - matrix.mean(dim=0)",
            {
                "matrix - matrix.mean(dim=1, keepdim=True)": (
                    "centres the rows",
                    "the mean of a column goes over the rows: dim=0 is the axis that is averaged away",
                ),
                "matrix - matrix.mean()": ("subtracts one mean from all", "each column has a mean of its own"),
                "matrix - matrix.median(dim=0).values": ("subtracts the median", "the mean is asked for"),
                "(matrix - matrix.mean(dim=0)) / (matrix.std(dim=0) + 1)": (
                    "divides by the spread too",
                    "only the mean is taken away",
                ),
                "matrix.sub_(matrix.mean(dim=0))": (
                    "changes the matrix itself",
                    "the caller's matrix stays as it is: x - y makes a new one",
                ),
            },
        ),
    ],
)


ROOT_OF_SQUARES = "the length of a row is the root of the sum of its squares"

test_normalize_rows = exercise(
    reference=broadcasting.normalize_rows,
    cases=matrix_cases,
    accepts=[
        lambda matrix: F.normalize(matrix, dim=1),
        lambda matrix: matrix / matrix.pow(2).sum(1).sqrt()[:, None],
    ],
    mistakes=[
        *instead_of(
            "matrix / matrix.norm(dim=1, keepdim=True)",
            {
                "matrix / matrix.norm(dim=0, keepdim=True)": (
                    "divides the columns by their length",
                    "dim=1 is the axis that is summed over, so that each row has a length",
                ),
                "matrix / matrix.norm()": ("divides by the length of the whole matrix", "each row has its own length"),
                "matrix / matrix.abs().sum(dim=1, keepdim=True)": ("divides by the sum of sizes", ROOT_OF_SQUARES),
                "matrix / matrix.sum(dim=1, keepdim=True)": ("divides by the sum", ROOT_OF_SQUARES),
                "matrix / matrix.pow(2).sum(dim=1, keepdim=True)": ("forgets the root", ROOT_OF_SQUARES),
                "matrix.div_(matrix.norm(dim=1, keepdim=True))": (
                    "changes the matrix itself",
                    "the caller's matrix stays as it is: x / y makes a new one",
                ),
            },
        ),
        Mistake(
            "divides column j by the length of row j",
            "matrix.norm(dim=1, keepdim=True)",
            "matrix.norm(dim=1)",
            why="without keepdim=True the lengths lie along a row: in a square matrix that fits, and is wrong",
            shows=lambda seen: [sorted(case) == ["raised"] for case in seen] == [True, True, False, True],
        ),
    ],
)


def cosines_cases(generator: torch.Generator) -> list[Case]:
    """As for rows of length 1."""
    return [
        *calls({label: (floats(generator, *size),) for label, size in COSINE_SIZES.items()}, "n_rows n_rows"),
        *calls({"long rows": (100 * floats(generator, 3, 2),)}, "n_rows n_rows"),
    ]


COSINE_SIZES = {"a high matrix": (5, 3), "a wide matrix": (2, 4), "a square matrix": (4, 4), "one row": (1, 3)}


test_cos_sim_matrix = exercise(
    reference=broadcasting.cos_sim_matrix,
    cases=cosines_cases,
    accepts=[
        lambda matrix: F.cosine_similarity(matrix[:, None], matrix[None], dim=-1),
        lambda matrix: matrix @ matrix.T / torch.outer(matrix.norm(dim=1), matrix.norm(dim=1)),
    ],
    mistakes=[
        *instead_of(
            "rows @ rows.T",
            {
                "rows.T @ rows": ("compares columns", "entry [i, j] is about rows i and j: rows @ rows.T"),
                "rows @ matrix.T": ("gives one row of each pair its length", "both rows are taken at length 1"),
                "matrix @ matrix.T": ("leaves the rows as long as they are", "both rows are taken at length 1"),
                "(rows @ rows.T).abs()": ("drops the sign", "rows that point apart have a cosine below 0"),
                "(rows @ rows.T).clamp(-1, 1).arccos()": ("gives the angles", "their cosines are asked for"),
            },
        ),
        Mistake(
            "takes the columns at length 1",
            "normalize_rows(matrix)",
            "normalize_rows(matrix.T).T",
            why="each row is divided by its own length",
        ),
    ],
)


def points_cases(generator: torch.Generator) -> list[Case]:
    """Points of the plane, of space, and on a line; as many here as there; points far from 0."""
    sizes = {"in the plane": (3, 5, 2), "in space": (4, 2, 3), "as many": (4, 4, 4), "on a line": (2, 3, 1)}
    return calls(
        {
            label: (floats(generator, n_first, dim), 3 + floats(generator, n_second, dim))
            for label, (n_first, n_second, dim) in sizes.items()
        },
        "n_first n_second",
    )


test_distance_matrix = exercise(
    reference=broadcasting.distance_matrix,
    cases=points_cases,
    accepts=[
        lambda first, second: torch.cdist(first, second),
        lambda first, second: torch.stack([(point - second).norm(dim=1) for point in first]),
    ],
    mistakes=[
        *instead_of(
            "(differences**2).sum(dim=-1).sqrt()",
            {
                "(differences**2).sum(dim=-1)": ("forgets the root", "a distance is the root of the sum of squares"),
                "differences.abs().sum(dim=-1)": (
                    "adds the differences",
                    "a distance is the root of the sum of squared differences",
                ),
                "(differences**2).mean(dim=-1).sqrt()": ("takes the mean", "the squares are added, not averaged"),
                "differences.sum(dim=-1).abs()": (
                    "adds differences of both signs",
                    "each difference is squared before they are added",
                ),
                "(differences**2).sum(dim=-1).sqrt().mT": (
                    "swaps the two sets",
                    "entry [i, j] is about point i of `first` and point j of `second`",
                ),
            },
        ),
        Mistake("adds the points", "first[:, None, :] - second", "first[:, None, :] + second", why="differences count"),
        Mistake(
            "takes the largest difference",
            "(differences**2).sum(dim=-1).sqrt()",
            "differences.abs().amax(dim=-1)",
            why="all differences count: the root of the sum of their squares",
        ),
        Mistake(
            "forgets the 2 in a² - 2ab + b²",
            "(differences**2).sum(dim=-1).sqrt()",
            "(first.square().sum(1)[:, None] + second.square().sum(1) - first @ second.T).sqrt()",
            why="the product of the two points counts twice",
        ),
    ],
)


def labels_cases(generator: torch.Generator) -> list[Case]:
    """More classes than labels, more labels than classes, a class that doesn't occur, a single class."""
    return calls(
        {
            "more classes than labels": (torch.tensor([3, 0, 1]), 5),
            "more labels than classes": (whole(generator, 2, 6), 2),
            "the last class does not occur": (torch.tensor([1, 0, 1, 2]), 4),
            "one class": (torch.tensor([0, 0]), 1),
        },
        "batch n_classes",
    )


def one_hot_by_scatter(labels: Tensor, n_classes: int) -> Tensor:
    """Writes the ones."""
    rows = torch.zeros(len(labels), n_classes)
    rows[torch.arange(len(labels)), labels] = 1.0
    return rows


test_one_hot = exercise(
    reference=broadcasting.one_hot,
    cases=labels_cases,
    accepts=[
        lambda labels, n_classes: F.one_hot(labels, n_classes).float(),
        lambda labels, n_classes: torch.eye(n_classes)[labels],
        one_hot_by_scatter,
    ],
    mistakes=[
        *instead_of(
            "(labels[:, None] == torch.arange(n_classes)[None, :]).float()",
            {
                "labels[:, None] == torch.arange(n_classes)[None, :]": (
                    "returns booleans",
                    "the numbers are float32: .float()",
                ),
                "(labels[:, None] == torch.arange(n_classes)[None, :]).long()": (
                    "returns whole numbers",
                    "the numbers are float32: .float()",
                ),
                "(labels[None, :] == torch.arange(n_classes)[:, None]).float()": (
                    "gives each label a column",
                    "each label has a row: its axis comes first",
                ),
                "(labels[:, None] == torch.arange(1, n_classes + 1)[None, :]).float()": (
                    "counts the classes from 1",
                    "label 0 is the first column",
                ),
                "(labels[:, None] != torch.arange(n_classes)[None, :]).float()": (
                    "swaps 0 and 1",
                    "1 stands in the column that the label names",
                ),
                "(labels[:, None] >= torch.arange(n_classes)[None, :]).float()": (
                    "writes a 1 in the columns before, too",
                    "each row has a single 1",
                ),
                "(labels[:, None] == torch.arange(int(labels.max()) + 1)[None, :]).float()": (
                    "counts the classes from the labels",
                    "the last classes may not occur: there are n_classes columns",
                ),
            },
        ),
    ],
)


def windows_cases(generator: torch.Generator) -> list[Case]:
    """A window that is shorter than the text, one that is longer, one of one position, a text of one token."""
    sizes = {"a short window": (5, 2), "a wider window": (6, 4), "no limit": (4, 9), "only itself": (3, 1)}
    return calls({**sizes, "one token": (1, 2)}, "seq_q seq_k")


test_can_see = exercise(
    reference=broadcasting.can_see,
    cases=windows_cases,
    accepts=[
        lambda seq, window: torch.ones(seq, seq, dtype=torch.bool).tril().triu(1 - window),
        lambda seq, window: torch.tensor([[0 <= q - k < window for k in range(seq)] for q in range(seq)]),
    ],
    mistakes=[
        *instead_of(
            "(steps_back >= 0) & (steps_back < window)",
            {
                "steps_back >= 0": ("forgets the window", "positions too far back are False"),
                "steps_back < window": ("sees the future", "a position sees itself and those before it"),
                "(steps_back >= 0) & (steps_back <= window)": (
                    "sees one position too many",
                    "the window holds `window` positions, the position itself among them",
                ),
                "(steps_back > 0) & (steps_back < window)": (
                    "does not see itself",
                    "a position sees itself: 0 steps back",
                ),
                "((steps_back >= 0) & (steps_back < window)).float()": (
                    "returns floats",
                    "the entries are True or False",
                ),
                "steps_back.abs() < window": (
                    "sees as far forwards as back",
                    "a position sees itself and those before it, none after it",
                ),
                "(steps_back > 0) & (steps_back <= window)": (
                    "begins one position before itself",
                    "a position sees itself: the steps back are 0 to window - 1",
                ),
                "(steps_back >= 0) | (steps_back < window)": (
                    "asks for one of the two conditions",
                    "both must hold: &, not |",
                ),
                "~((steps_back >= 0) & (steps_back < window))": (
                    "marks what it can't see",
                    "True is what a position may look at",
                ),
            },
        ),
        Mistake(
            "looks forwards",
            "positions[:, None] - positions[None, :]",
            "positions[None, :] - positions[:, None]",
            why="the row is the position that looks: steps back are q - k",
        ),
    ],
)
