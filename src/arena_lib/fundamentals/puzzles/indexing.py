"""Take entries by number: fancy indexing, gather, masks, and counts.

Raises:  IndexError or RuntimeError (of torch) for an index that isn't there.
Source:  own puzzles; what indexing means is in numpy's manual, "Indexing on ndarrays".
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def collect_rows(
    matrix: Float[Tensor, "n_rows n_columns"], row_indexes: Int[Tensor, " n_taken"]
) -> Float[Tensor, "n_taken n_columns"]:
    """The rows of these numbers, in this order; a row may be asked for more than once.

    >>> collect_rows(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1, 0, 1]))
    tensor([[3., 4.],
            [1., 2.],
            [3., 4.]])
    """
    return matrix[row_indexes]


def collect_columns(
    matrix: Float[Tensor, "n_rows n_columns"], column_indexes: Int[Tensor, " n_taken"]
) -> Float[Tensor, "n_rows n_taken"]:
    """The columns of these numbers, in this order; a column may be asked for more than once.

    >>> collect_columns(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1, 1, 0]))
    tensor([[2., 2., 1.],
            [4., 4., 3.]])
    """
    return matrix[:, column_indexes]


def checkerboard(height: int, width: int) -> Float[Tensor, "height width"]:
    """A board, float32: 1 where row and column number add up to an even number, so in the top left corner, else 0.

    >>> checkerboard(2, 3)
    tensor([[1., 0., 1.],
            [0., 1., 0.]])
    """
    board = torch.zeros(height, width)
    board[::2, ::2] = 1
    board[1::2, 1::2] = 1
    return board


def zero_outliers(x: Float[Tensor, " n"], limit: float) -> Float[Tensor, " n"]:
    """A copy of `x` with 0 wherever the size of a number, |x|, is above `limit`. `x` stays as it is.

    >>> zero_outliers(torch.tensor([0.5, -9.0, 2.0]), limit=2.0)
    tensor([0.5000, 0.0000, 2.0000])
    """
    return torch.where(x.abs() > limit, 0.0, x)


def classifier_accuracy(
    scores: Float[Tensor, "batch n_classes"], true_classes: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """The share of examples whose largest score is that of the true class; no two largest scores are equal.

    >>> classifier_accuracy(torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]), torch.tensor([1, 0, 0]))
    tensor(0.6667)
    """
    return (scores.argmax(dim=1) == true_classes).float().mean()


def total_price_indexing(prices: Float[Tensor, " n_goods"], items: Int[Tensor, " n_items"]) -> float:
    """What all items cost together, as a float of Python; `items` are the goods' numbers. Use an index in brackets.

    >>> total_price_indexing(torch.tensor([0.5, 2.0, 10.0]), torch.tensor([0, 0, 2]))
    11.0
    """
    return prices[items].sum().item()


def gather_2d(
    matrix: Float[Tensor, "n_rows n_columns"], indexes: Int[Tensor, "n_rows n_taken"]
) -> Float[Tensor, "n_rows n_taken"]:
    """In each row, the entries in the columns that the same row of `indexes` names.

    Entry [i, j] of the result is matrix[i, indexes[i, j]].

    >>> gather_2d(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), torch.tensor([[2, 2], [0, 1]]))
    tensor([[3., 3.],
            [4., 5.]])
    """
    return matrix.gather(dim=1, index=indexes)


def total_price_gather(prices: Float[Tensor, " n_goods"], items: Int[Tensor, " n_items"]) -> float:
    """As `total_price_indexing`, by `gather`: what all items cost together, as a float of Python.

    >>> total_price_gather(torch.tensor([0.5, 2.0, 10.0]), torch.tensor([0, 0, 2]))
    11.0
    """
    return prices.gather(dim=0, index=items).sum().item()


def integer_array_indexing(
    matrix: Float[Tensor, "..."], coords: Int[Tensor, "batch n_axes"]
) -> Float[Tensor, " batch"]:
    """The entries at these coordinates. Each row of `coords` is the place of one entry, with a number for each axis.

    `matrix` may have any number of axes, as many as `coords` has columns. Entry [i] of the result is
    matrix[coords[i, 0], coords[i, 1], ...].

    >>> integer_array_indexing(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), torch.tensor([[0, 2], [1, 0]]))
    tensor([3., 4.])
    """
    return matrix[tuple(coords.T)]


def last_vectors(
    vectors: Float[Tensor, "batch seq d_model"], lengths: Int[Tensor, " batch"]
) -> Float[Tensor, "batch d_model"]:
    """The vector of each text's last token. Text i has lengths[i] tokens, at least one; what follows them is padding.

    >>> last_vectors(torch.tensor([[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]]), torch.tensor([2, 3]))
    tensor([[2.],
            [6.]])
    """
    return vectors[torch.arange(len(vectors)), lengths - 1]


def count_values(values: Int[Tensor, " n"], n_values: int) -> Int[Tensor, " n_values"]:
    """How often each of the numbers 0 to `n_values` - 1 occurs in `values`; 0 for one that doesn't.

    >>> count_values(torch.tensor([3, 0, 3]), n_values=5)
    tensor([1, 0, 0, 2, 0])
    """
    return (values[:, None] == torch.arange(n_values)).sum(dim=0)
