"""Backward functions of what moves, adds up or mixes entries: reshape, permute, sum, the product of matrices.

They get and return what those of `elementwise_back` do. Arguments that aren't arrays, such as `axes`, come by name.

Shapes:  grad_out and out have the shape of the function's result; what is returned has its argument's.
Source:  own derivation, from the chain rule.
"""

from typing import Any

import numpy as np

from arena_lib.fundamentals.backprop.arrays import Arr, Axes, put_array
from arena_lib.fundamentals.backprop.elementwise_back import unbroadcast
from arena_lib.fundamentals.backprop.operations import put
from arena_lib.fundamentals.backprop.tensors import Tensor


def reshape_back(grad_out: Arr, out: Arr, x: Arr, new_shape: tuple[int, ...]) -> Arr:
    """The gradient for `x` of `x` reshaped to `new_shape`, which may contain a -1.

    >>> reshape_back(np.array([1.0, 2.0, 3.0, 4.0]), np.zeros(4), np.zeros((2, 2)), (-1,))
    array([[1., 2.],
           [3., 4.]])
    """
    return np.reshape(grad_out, x.shape)


def permute_back(grad_out: Arr, out: Arr, x: Arr, axes: tuple[int, ...]) -> Arr:
    """The gradient for `x` of `np.transpose(x, axes)`, where axis `i` of the result is axis `axes[i]` of `x`.

    >>> permute_back(np.zeros((5, 2, 3)), np.zeros((5, 2, 3)), np.zeros((2, 3, 5)), (2, 0, 1)).shape
    (2, 3, 5)
    """
    return np.transpose(grad_out, tuple(np.argsort(axes)))


def sum_back(grad_out: Arr, out: Arr, x: Arr, dim: Axes = None, keepdim: bool = False) -> Arr:
    """The gradient for `x` of the sum of `x` over `dim`: one axis, several in a tuple, or all for None.

    Axes may be counted from the end, as -1. With `keepdim` the axes that were summed stay in the result, with length 1;
    without it they are gone from `out` and from `grad_out`.

    >>> sum_back(np.array([10.0, 20.0]), np.zeros(2), np.zeros((2, 3)), dim=1)
    array([[10., 10., 10.],
           [20., 20., 20.]])
    """
    if dim is not None and not keepdim:
        grad_out = np.expand_dims(grad_out, dim)
    return np.broadcast_to(grad_out, x.shape)


def broadcast_back(grad_out: Arr, out: Arr, x: Arr, shape: tuple[int, ...]) -> Arr:
    """The gradient for `x` of `x` broadcast to `shape`."""
    return unbroadcast(grad_out, x)


def matmul2d_back0(grad_out: Arr, out: Arr, x: Arr, y: Arr) -> Arr:
    """The gradient for `x` of the product of two matrices, `x @ y`.

    `x` is "n d", `y` is "d m", `grad_out` is "n m", and the result is "n d".

    >>> matmul2d_back0(np.array([[1.0, 2.0]]), np.zeros((1, 2)), np.zeros((1, 1)), np.array([[3.0, 4.0]]))
    array([[11.]])
    """
    return grad_out @ y.T


def matmul2d_back1(grad_out: Arr, out: Arr, x: Arr, y: Arr) -> Arr:
    """The gradient for `y` of the product of two matrices, `x @ y`.

    `x` is "n d", `y` is "d m", `grad_out` is "n m", and the result is "d m".

    >>> matmul2d_back1(np.array([[1.0, 2.0]]), np.zeros((1, 2)), np.array([[5.0]]), np.zeros((1, 2)))
    array([[ 5., 10.]])
    """
    return x.T @ grad_out


def take_back(grad_out: Arr, out: Arr, x: Arr, index: Any) -> Arr:
    """The gradient for `x` of `x[index]`: zeros, but at `index`, where an entry that was taken twice gets both."""
    if isinstance(grad_out, Tensor):
        return put(grad_out, shape=x.shape, index=index)
    return put_array(grad_out, x.shape, index)


def put_back(grad_out: Arr, out: Arr, values: Arr, shape: tuple[int, ...], index: Any) -> Arr:
    """The gradient for `values` of zeros with `values` added at `index`."""
    return grad_out[index]
