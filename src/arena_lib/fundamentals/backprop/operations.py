"""The functions of tensors, under numpy's own names and as operators.

Importing this module teaches `Tensor` its operators: each function of numpy gets its recording form in `FORWARD_FUNCS`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arena_lib.fundamentals.backprop.arrays import (
    Axes,
    broadcast_array,
    matmul2d,
    permute_array,
    put_array,
    reshape_array,
    sum_array,
    take_array,
)
from arena_lib.fundamentals.backprop.recording import wrap_forward_fn
from arena_lib.fundamentals.backprop.tensors import FORWARD_FUNCS, Tensor

log = wrap_forward_fn(np.log)
exp = wrap_forward_fn(np.exp)
negative = wrap_forward_fn(np.negative)
add = wrap_forward_fn(np.add)
subtract = wrap_forward_fn(np.subtract)
multiply = wrap_forward_fn(np.multiply)
true_divide = wrap_forward_fn(np.true_divide)
maximum = wrap_forward_fn(np.maximum)
where = wrap_forward_fn(np.where)
matmul = wrap_forward_fn(matmul2d)
reshape = wrap_forward_fn(reshape_array)
permute = wrap_forward_fn(permute_array)
sum_ = wrap_forward_fn(sum_array)
broadcast_to = wrap_forward_fn(broadcast_array)
take = wrap_forward_fn(take_array)
put = wrap_forward_fn(put_array)

COMPARISONS = (np.equal, np.not_equal, np.greater, np.greater_equal, np.less, np.less_equal)
"""Their results jump, or stay as they are: no gradient flows through them."""


def _transpose(a: Tensor, axes: Sequence[Any] | None = None) -> Tensor:
    return permute(a, axes=tuple(range(a.ndim))[::-1] if axes is None else tuple(map(int, axes)))


def _sum(a: Tensor, axis: Axes = None, *, keepdims: bool = False) -> Tensor:
    return sum_(a, dim=axis, keepdim=keepdims)


def _expand_dims(a: Tensor, axis: int | tuple[int, ...]) -> Tensor:
    return reshape(a, new_shape=np.expand_dims(a.array, axis).shape)


def _squeeze(a: Tensor, axis: Axes = None) -> Tensor:
    return reshape(a, new_shape=np.squeeze(a.array, axis).shape)


def _take(a: Tensor, index: Any) -> Tensor:
    return take(a, index=index)


_FORMS: dict[Callable[..., Any], Callable[..., Tensor]] = {
    np.log: log,
    np.exp: exp,
    np.negative: negative,
    np.add: add,
    np.subtract: subtract,
    np.multiply: multiply,
    np.true_divide: true_divide,
    np.maximum: maximum,
    np.where: where,
    np.matmul: matmul,
    np.reshape: lambda a, shape: reshape(a, new_shape=shape),
    np.broadcast_to: lambda array, shape: broadcast_to(array, shape=shape),
    np.transpose: _transpose,
    np.sum: _sum,
    np.expand_dims: _expand_dims,
    np.squeeze: _squeeze,
    np.ndarray.__getitem__: _take,
    np.argmax: wrap_forward_fn(np.argmax, is_differentiable=False),
    np.zeros_like: wrap_forward_fn(np.zeros_like, is_differentiable=False),
    np.ones_like: wrap_forward_fn(np.ones_like, is_differentiable=False),
    **{comparison: wrap_forward_fn(comparison, is_differentiable=False) for comparison in COMPARISONS},
}
FORWARD_FUNCS.update(_FORMS)
