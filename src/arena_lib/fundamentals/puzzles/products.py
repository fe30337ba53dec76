"""Products of vectors, matrices and whole batches, each by one einsum.

An axis that stands in the result is kept. One that stands on the left alone is summed over.

Raises:  ValueError (of numpy) or RuntimeError (of torch) where sizes or axes don't fit.
Source:  Einstein 1916, "Die Grundlage der allgemeinen Relativitaetstheorie", for the convention.
"""

import einops
import numpy as np
from jaxtyping import Float
from torch import Tensor


def einsum_trace(mat: Float[np.ndarray, "n n"]) -> Float[np.ndarray, ""] | float:
    """The sum of the entries on the diagonal of a square matrix.

    >>> float(einsum_trace(np.array([[1.0, 2.0], [3.0, 4.0]])))
    5.0
    """
    return einops.einsum(mat, "n n ->")


def einsum_mv(
    mat: Float[np.ndarray, "n_rows n_columns"], vec: Float[np.ndarray, " n_columns"]
) -> Float[np.ndarray, " n_rows"]:
    """A matrix times a vector: entry [i] is the dot product of row i with the vector.

    >>> einsum_mv(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 1.0]))
    array([12., 34.])
    """
    return einops.einsum(mat, vec, "rows columns, columns -> rows")


def einsum_mm(
    mat1: Float[np.ndarray, "n_rows n_inner"], mat2: Float[np.ndarray, "n_inner n_columns"]
) -> Float[np.ndarray, "n_rows n_columns"]:
    """A matrix times a matrix: entry [i, j] is the dot product of row i of `mat1` with column j of `mat2`.

    >>> einsum_mm(np.array([[1.0, 2.0]]), np.array([[10.0, 0.0, 1.0], [1.0, 1.0, 1.0]]))
    array([[12.,  2.,  3.]])
    """
    return einops.einsum(mat1, mat2, "rows inner, inner columns -> rows columns")


def einsum_inner(vec1: Float[np.ndarray, " n"], vec2: Float[np.ndarray, " n"]) -> Float[np.ndarray, ""] | float:
    """The dot product of two vectors, the sum of the products of their entries.

    >>> float(einsum_inner(np.array([1.0, 2.0]), np.array([10.0, 1.0])))
    12.0
    """
    return einops.einsum(vec1, vec2, "n, n ->")


def einsum_outer(
    vec1: Float[np.ndarray, " n_rows"], vec2: Float[np.ndarray, " n_columns"]
) -> Float[np.ndarray, "n_rows n_columns"]:
    """The products of all pairs: entry [i, j] is vec1[i] * vec2[j].

    >>> einsum_outer(np.array([1.0, 2.0]), np.array([10.0, 1.0, 3.0]))
    array([[10.,  1.,  3.],
           [20.,  2.,  6.]])
    """
    return einops.einsum(vec1, vec2, "rows, columns -> rows columns")


def batched_product(
    first: Float[Tensor, "batch n_rows n_inner"], second: Float[Tensor, "batch n_inner n_columns"]
) -> Float[Tensor, "batch n_rows n_columns"]:
    """For each example of a batch the product of its two matrices.

    >>> import torch
    >>> batched_product(torch.ones(2, 3, 4), torch.ones(2, 4, 5)).shape
    torch.Size([2, 3, 5])
    """
    return einops.einsum(first, second, "batch rows inner, batch inner columns -> batch rows columns")


def attention_scores(
    q: Float[Tensor, "batch seq_q n_heads d_head"], k: Float[Tensor, "batch seq_k n_heads d_head"]
) -> Float[Tensor, "batch n_heads seq_q seq_k"]:
    """How well each query fits each key, by text and head: their dot product over d_head, not scaled.

    >>> import torch
    >>> attention_scores(torch.ones(2, 3, 5, 4), torch.ones(2, 7, 5, 4)).shape
    torch.Size([2, 5, 3, 7])
    """
    return einops.einsum(q, k, "batch seq_q n_heads d_head, batch seq_k n_heads d_head -> batch n_heads seq_q seq_k")
