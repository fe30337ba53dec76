"""Functions of arrays that numpy has in another form, with the arguments that their backward functions get too.

Raises:  ShapeError where a product of matrices is asked of anything else. What numpy itself refuses stays its error.
"""

from typing import Any

import numpy as np

from arena_lib.errors import ShapeError

Arr = Any
"""An array of numpy. It is `Any` because in the last part of the section a `Tensor` takes an array's place."""
Axes = int | tuple[int, ...] | None
"""One axis, several, or None for all of them."""


def reshape_array(x: Arr, new_shape: tuple[int, ...]) -> Arr:
    """The same entries in another shape; one -1 in it is worked out, as numpy does.

    >>> reshape_array(np.arange(6), (2, -1)).shape
    (2, 3)
    """
    return np.reshape(x, new_shape)


def permute_array(x: Arr, axes: tuple[int, ...]) -> Arr:
    """The axes in another order: axis `i` of the result is axis `axes[i]` of `x`.

    >>> permute_array(np.zeros((2, 3, 5)), (2, 0, 1)).shape
    (5, 2, 3)
    """
    return np.transpose(x, axes)


def sum_array(x: Arr, dim: Axes = None, keepdim: bool = False) -> Arr:
    """The sum over `dim`: one axis, several, or all for None. With `keepdim` those axes stay, with length 1.

    >>> sum_array(np.ones((2, 3)), dim=0), sum_array(np.ones((2, 3)), keepdim=True)
    (array([2., 2., 2.]), array([[6.]]))
    """
    return np.sum(x, axis=dim, keepdims=keepdim)


def broadcast_array(x: Arr, shape: tuple[int, ...]) -> Arr:
    """`x` repeated along new axes and along those of length 1, so that it has `shape`.

    >>> broadcast_array(np.array([1.0, 2.0]), (3, 2)).shape
    (3, 2)
    """
    return np.broadcast_to(x, shape)


def matmul2d(x: Arr, y: Arr) -> Arr:
    """The product of two matrices, "n d" and "d m" -> "n m".

    >>> matmul2d(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    if np.ndim(x) != 2 or np.ndim(y) != 2:
        raise ShapeError(
            f"a product takes two matrices, with two axes each: got shapes {np.shape(x)} and {np.shape(y)}. "
            "Reshape them first: x.reshape(1, -1) is a matrix of one row."
        )
    if np.shape(x)[1] != np.shape(y)[0]:
        raise ShapeError(
            f"the first matrix must have a column for each row of the second: got shapes {np.shape(x)} and {np.shape(y)}. "
            "Is one of them to be transposed, with .T?"
        )
    return np.matmul(x, y)


def take_array(x: Arr, index: Any) -> Arr:
    """`x[index]`, for any index that numpy knows.

    >>> take_array(np.array([[1, 2], [3, 4]]), (np.array([0, 1]), np.array([1, 0])))
    array([2, 3])
    """
    return x[index]


def put_array(values: Arr, shape: tuple[int, ...], index: Any) -> Arr:
    """Zeros of `shape` with `values` added at `index`: a place that is named twice gets both.

    >>> put_array(np.array([1.0, 2.0, 4.0]), (3,), np.array([0, 2, 2]))
    array([1., 0., 6.])
    """
    result = np.zeros(shape, dtype=values.dtype)
    np.add.at(result, index, values)
    return result
