"""The trace and products of matrices, each as a sum over a view.

A stride of 0 repeats numbers without a copy, so a product of matrices is a product of two blocks entry by entry, added up
along one axis. It shows what a product is made of; `@` is faster, for it never writes the block down.

Shapes:  "i j", "j", "j k".
Raises:  ShapeError where axes don't fit; DtypeError where dtypes differ.
Source:  own derivation.
"""

from jaxtyping import Num
from torch import Tensor

from arena_lib.fundamentals.convolutions.inputs import check_axes, check_same_dtype, check_same_length


def as_strided_trace(mat: Num[Tensor, "i j"]) -> Num[Tensor, ""]:
    """The sum of the entries on the diagonal: mat[0, 0] + mat[1, 1] + ..., as a tensor without axes.

    Pick the diagonal by `as_strided`, then add up. mat need not be square: the diagonal ends where rows or columns do.

    >>> import torch
    >>> as_strided_trace(torch.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    check_axes("i j", mat=mat)
    stride_i, stride_j = mat.stride()
    return mat.as_strided((min(mat.shape),), (stride_i + stride_j,)).sum()


def as_strided_mv(mat: Num[Tensor, "i j"], vec: Num[Tensor, " j"]) -> Num[Tensor, " i"]:
    """The product of a matrix and a vector: entry [i] is the sum over j of mat[i, j] * vec[j].

    Make a view of `vec` that has the shape of `mat`, by `as_strided`. Then multiply entry by entry, and add up.

    >>> import torch
    >>> as_strided_mv(torch.tensor([[1, 2], [3, 4], [5, 6]]), torch.tensor([10, 1]))
    tensor([12, 34, 56])
    """
    check_axes("i j", mat=mat)
    check_axes("j", vec=vec)
    check_same_length("columns of mat", mat.shape[1], "numbers in vec", len(vec))
    check_same_dtype(mat=mat, vec=vec)
    (stride,) = vec.stride()
    repeated = vec.as_strided(mat.shape, (0, stride))
    return (mat * repeated).sum(dim=1)


def as_strided_mm(matA: Num[Tensor, "i j"], matB: Num[Tensor, "j k"]) -> Num[Tensor, "i k"]:
    """The product of two matrices: entry [i, k] is the sum over j of matA[i, j] * matB[j, k].

    Make views of both that have the shape (i, j, k), by `as_strided`. Then multiply entry by entry, and add up over j.

    >>> import torch
    >>> as_strided_mm(torch.tensor([[1, 2], [3, 4], [5, 6]]), torch.tensor([[10, 0], [1, 1]]))
    tensor([[12,  2],
            [34,  4],
            [56,  6]])
    """
    check_axes("i j", matA=matA)
    check_axes("j k", matB=matB)
    check_same_length("columns of matA", matA.shape[1], "rows of matB", len(matB))
    check_same_dtype(matA=matA, matB=matB)
    block = (*matA.shape, matB.shape[1])
    of_A = matA.as_strided(block, (*matA.stride(), 0))
    of_B = matB.as_strided(block, (0, *matB.stride()))
    return (of_A * of_B).sum(dim=1)
