"""Judges of entries by number: prices, gather, coordinates, and each text's last vector."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.puzzles import indexing
from arena_lib.tests.prerequisites.tensors import calls, floats, shades, whole

__test__ = False


def prices_cases(generator: torch.Generator) -> list[Case]:
    """Goods bought more than once, one item, nothing at all, more items than goods."""
    return calls(
        {
            "some twice": (torch.tensor([0.5, 2.0, 10.0, 1.25]), torch.tensor([0, 0, 2])),
            "one item": (torch.tensor([3.0, 0.75]), torch.tensor([1])),
            "nothing": (torch.tensor([3.0, 0.75]), torch.tensor([], dtype=torch.int64)),
            "more items than goods": (9 * shades(generator, 3), whole(generator, 3, 8)),
        }
    )


def total(function: Callable[..., Any], case: Case) -> dict[str, Any]:
    """The price, and whether it is a number of Python."""
    price = function(*case.fresh().args)
    return {"output": price, "type": type(price).__name__}


def wrong_totals(right: str, taken: str) -> list[Mistake]:
    """What goes wrong in a total, however the prices are taken."""
    return [
        *instead_of(
            right,
            {
                f"{taken}.sum()": ("returns a tensor", "the result is a float of Python: .item()"),
                f"{taken}.mean().nan_to_num().item()": ("takes the mean price", "the prices are added"),
                "prices[items.unique()].sum().item()": ("counts each good once", "every item is paid for"),
                "prices.sum().item()": ("adds all prices", "only the items that were bought are paid for"),
                "float(items.sum())": ("adds the goods' numbers", "an item is the number of a good, not its price"),
                f"round({taken}.sum().item())": ("rounds", "the sum stays as it is"),
            },
        )
    ]


test_total_price_indexing = exercise(
    reference=indexing.total_price_indexing,
    cases=prices_cases,
    observe=total,
    accepts=[
        lambda prices, items: float(sum(prices[item].item() for item in items)),
        lambda prices, items: float(prices[items].sum()),
    ],
    mistakes=wrong_totals("prices[items].sum().item()", "prices[items]"),
)

test_total_price_gather = exercise(
    reference=indexing.total_price_gather,
    cases=prices_cases,
    observe=total,
    accepts=[
        lambda prices, items: float(prices.gather(0, items).sum()),
        lambda prices, items: float(prices[items].sum()),
    ],
    mistakes=wrong_totals("prices.gather(dim=0, index=items).sum().item()", "prices.gather(dim=0, index=items)"),
    equivalent={
        "return prices.gather(dim=0, index=items).sum().item() -> return prices.gather(dim=-1, index=items).sum().item()": (
            "prices have one axis, the first and the last"
        )
    },
)


def gather_cases(generator: torch.Generator) -> list[Case]:
    """Fewer and more than there are columns, square, one row, one taken."""
    sizes = {"two of five": (3, 5, 2), "more than there are": (2, 3, 4), "square": (4, 4, 4), "one row": (1, 6, 3)}
    return calls(
        {
            label: (floats(generator, n_rows, n_columns), whole(generator, n_columns, n_rows, n_taken))
            for label, (n_rows, n_columns, n_taken) in sizes.items()
        },
        "n_rows n_taken",
    )


test_gather_2d = exercise(
    reference=indexing.gather_2d,
    cases=gather_cases,
    accepts=[
        lambda matrix, indexes: matrix[torch.arange(len(matrix))[:, None], indexes],
        lambda matrix, indexes: torch.stack([row[index] for row, index in zip(matrix, indexes, strict=True)]),
        lambda matrix, indexes: torch.take_along_dim(matrix, indexes, dim=1),
    ],
    mistakes=[
        *instead_of(
            "matrix.gather(dim=1, index=indexes)",
            {
                "matrix[:, indexes]": (
                    "takes every index in every row",
                    "each row has its own indexes: matrix[:, indexes] pairs all with all",
                ),
                "matrix[0].gather(dim=0, index=indexes.flatten()).reshape(indexes.shape)": (
                    "takes all from the first row",
                    "row i of the result comes from row i of the matrix",
                ),
                "matrix.gather(dim=1, index=indexes[:1].expand_as(indexes))": (
                    "uses the first row's indexes everywhere",
                    "row i of the result uses row i of the indexes",
                ),
                "matrix.gather(dim=1, index=indexes.sort(dim=1).values)": (
                    "sorts the indexes",
                    "the order of the indexes is kept",
                ),
                "matrix.gather(dim=1, index=indexes).flip(0)": (
                    "turns the rows round",
                    "row i of the result comes from row i of the matrix",
                ),
                "matrix.flip(1).gather(dim=1, index=indexes)": (
                    "counts the columns from the right",
                    "column 0 is on the left",
                ),
            },
        ),
    ],
)


def coords_cases(generator: torch.Generator) -> list[Case]:
    """Matrices, a vector, a tensor of three axes, one place, places asked for twice."""

    def case(n_places: int, *shape: int) -> tuple[Any, ...]:
        places = torch.stack([whole(generator, size, n_places) for size in shape], dim=1)
        return floats(generator, *shape), places

    return calls(
        {
            "a matrix": case(4, 3, 5),
            "a square matrix": case(3, 3, 3),
            "a vector": case(2, 6),
            "three axes": case(5, 2, 3, 4),
            "one place": case(1, 2, 4),
        },
        "batch",
    )


test_integer_array_indexing = exercise(
    reference=indexing.integer_array_indexing,
    cases=coords_cases,
    accepts=[
        lambda matrix, coords: matrix[coords.unbind(dim=1)],
        lambda matrix, coords: torch.stack([matrix[tuple(place)] for place in coords.tolist()]),
    ],
    mistakes=[
        *instead_of(
            "matrix[tuple(coords.T)]",
            {
                "matrix[coords]": (
                    "takes whole rows",
                    "a tensor as an index counts along the first axis alone: give one index for each axis",
                ),
                "matrix[tuple(coords)]": (
                    "takes a place's numbers for one axis",
                    "a column of coords belongs to one axis: tuple(coords.T)",
                ),
                "matrix[coords[:, 0]]": ("uses the first number only", "each place has a number for every axis"),
                "matrix[tuple(coords.flip(0).T)]": (
                    "turns the order of the places round",
                    "entry i belongs to row i of coords",
                ),
                "matrix[coords[:, 0], coords[:, 1]]": (
                    "takes two axes for granted",
                    "matrix may have any number of axes: tuple(coords.T) has an index for each",
                ),
                "matrix[tuple(coords.T.flip(0))]": (
                    "turns the order of the axes round",
                    "the first number of a place counts along the first axis",
                ),
                "matrix.reshape(-1)[coords.sum(dim=1)]": (
                    "adds the numbers of a place",
                    "each number counts along an axis of its own",
                ),
            },
        ),
        Mistake(
            "swaps rows and columns",
            "tuple(coords.T)",
            "tuple(coords.T.flip(0) % torch.tensor(matrix.shape)[:, None])",
            why="the first number counts along the first axis",
        ),
    ],
)


def texts_cases(generator: torch.Generator) -> list[Case]:
    """Texts of several lengths, all of full length, of one token, a single text."""
    return calls(
        {
            "several lengths": (floats(generator, 4, 5, 3), torch.tensor([2, 5, 1, 3])),
            "full length": (floats(generator, 2, 3, 4), torch.tensor([3, 3])),
            "one token each": (floats(generator, 3, 4, 2), torch.tensor([1, 1, 1])),
            "one text": (floats(generator, 1, 6, 2), torch.tensor([4])),
        },
        "batch d_model",
    )


def last_by_gather(vectors: Tensor, lengths: Tensor) -> Tensor:
    """With an index of three axes."""
    index = (lengths - 1)[:, None, None].expand(-1, 1, vectors.shape[-1])
    return vectors.gather(1, index).squeeze(1)


test_last_vectors = exercise(
    reference=indexing.last_vectors,
    cases=texts_cases,
    accepts=[
        last_by_gather,
        lambda vectors, lengths: torch.stack([text[n - 1] for text, n in zip(vectors, lengths, strict=True)]),
    ],
    mistakes=[
        *instead_of(
            "vectors[torch.arange(len(vectors)), lengths - 1]",
            {
                "vectors[:, -1]": ("takes the last position of all", "a short text ends before: the rest is padding"),
                "vectors[torch.arange(len(vectors)), lengths % vectors.shape[1]]": (
                    "takes the position after the last",
                    "a text of n tokens ends at position n - 1",
                ),
                "vectors[torch.arange(len(vectors)), lengths]": (
                    "takes the position after the last",
                    "a text of n tokens ends at position n - 1",
                ),
                "vectors[torch.arange(len(vectors)), lengths.clamp(max=vectors.shape[1] - 1)]": (
                    "takes the position after the last",
                    "a text of n tokens ends at position n - 1",
                ),
                "vectors[torch.arange(len(vectors)), lengths - 2]": (
                    "takes the last position but one",
                    "a text of n tokens ends at position n - 1",
                ),
                "vectors[torch.arange(len(vectors)), -lengths]": (
                    "counts from the end",
                    "padding follows the text: its last token is at lengths - 1 from the beginning",
                ),
                "vectors[:, lengths[0] - 1]": (
                    "takes the first text's length for all",
                    "each text has a length of its own: lengths goes along with torch.arange(batch)",
                ),
                "torch.stack([text[:n].mean(dim=0) for text, n in zip(vectors, lengths)])": (
                    "averages the real tokens",
                    "only the last token's vector is asked for",
                ),
                "vectors[:, lengths - 1]": (
                    "takes every length in every text",
                    "an index for the texts is needed too: torch.arange(batch)",
                ),
                "vectors[:, 0]": ("takes the first position", "the last token's vector is asked for"),
                "vectors[0, lengths - 1]": ("looks at the first text only", "text i has a vector of its own"),
            },
        ),
    ],
)
