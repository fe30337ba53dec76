"""A tensor: an array that remembers how it was made.

`a * b` of tensors calls `np.multiply(a, b)`. Numpy sees that these are no arrays, and asks their class what to do
(`__array_ufunc__`, and `__array_function__` for functions such as `np.sum`). `Tensor` looks in `FORWARD_FUNCS`, where
`operations` has put a recording form of each function. So every operator and every function of numpy that is listed
there works on tensors, and code that is written for arrays works on tensors too.

Raises:  DtypeError for a gradient of whole numbers, ConfigError for what can't be recorded, each with what to do.
Source:  NEP 13 and NEP 18, https://numpy.org/neps/nep-0013-ufunc-overrides.html
Differs: from PyTorch: `backprop(loss)` stands in place of `loss.backward()`; `x += 1` is refused, since a change in place
         can't be recorded; and a change of `x.array` by hand is not noticed, where PyTorch would stop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from arena_lib.errors import ConfigError, DtypeError, ShapeError
from arena_lib.fundamentals.backprop.arrays import Axes

FORWARD_FUNCS: dict[Callable[..., Any], Callable[..., Any]] = {}
"""For each function of numpy its form for tensors. `operations` fills it."""


@dataclass(frozen=True)
class Recipe:
    """How a tensor was made: `func(*args, **kwargs)`, where some of the arguments were tensors."""

    func: Callable[..., Any]
    """The function of arrays that was called: `np.log`."""
    args: tuple[Any, ...]
    """Its arguments by position, each tensor as its array."""
    kwargs: Mapping[str, Any]
    """Its arguments by name."""
    parents: Mapping[int, Tensor]
    """The arguments that were tensors, by position."""


class Tensor(NDArrayOperatorsMixin):
    """An array with a recipe, and with a gradient once `backprop` has worked it out.

    `array` holds the numbers. `requires_grad` says whether gradients are wanted for it. `recipe` says how it was made,
    and is None for a tensor that nothing was recorded for; such a tensor is a leaf. `grad` is None, or a tensor of the
    same shape.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> y = x * 3
    >>> y.array, y.recipe.func.__name__, y.recipe.parents[0] is x, x.is_leaf
    (array([3., 6.]), 'multiply', True, True)
    """

    grad: Tensor | None
    recipe: Recipe | None

    def __init__(self, array: Any, requires_grad: bool = False) -> None:
        self.array = np.asarray(array)
        if self.array.dtype.kind not in "biufc":
            raise DtypeError(f"a tensor must hold numbers: got {type(array).__name__} of dtype {self.array.dtype}.")
        if requires_grad and self.array.dtype.kind != "f":
            raise DtypeError(
                f"only a tensor of floats can have a gradient: got dtype {self.array.dtype}. "
                "Write its numbers with a point, or use array.astype(float)."
            )
        self.requires_grad = requires_grad
        self.grad = None
        self.recipe = None

    def __repr__(self) -> str:
        note = ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({np.array2string(self.array, separator=', ', prefix='Tensor(')}{note})"

    __hash__ = object.__hash__  # a tensor is itself alone, though == compares entry by entry

    @property
    def is_leaf(self) -> bool:
        """Whether nothing was recorded of how it was made, so that `backprop` ends here."""
        return self.recipe is None

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self.array.shape

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return self.array.ndim

    @property
    def size(self) -> int:
        """How many entries there are."""
        return self.array.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the entries."""
        return self.array.dtype

    @property
    def T(self) -> Tensor:
        """The axes in reverse order."""
        return self.transpose()

    def __len__(self) -> int:
        return len(self.array)

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ShapeError(
                f"only a tensor of one entry is true or false: got shape {self.shape}. Compare its array, with "
                "(x.array == y.array).all(), or ask `x is y`."
            )
        return bool(self.array)

    def __getitem__(self, index: Any) -> Tensor:
        return _call(np.ndarray.__getitem__, self, index)

    def item(self) -> float:
        """The number, of a tensor of one entry."""
        return self.array.item()

    def detach(self) -> Tensor:
        """The same array in a tensor that remembers nothing."""
        return Tensor(self.array)

    def log(self) -> Tensor:
        """The natural logarithm of each entry."""
        return _call(np.log, self)

    def exp(self) -> Tensor:
        """The number e to the power of each entry."""
        return _call(np.exp, self)

    def reshape(self, *new_shape: Any) -> Tensor:
        """The same entries in another shape: `x.reshape(2, -1)` or `x.reshape((2, -1))`."""
        return _call(np.reshape, self, _one_tuple(new_shape))

    def permute(self, *axes: Any) -> Tensor:
        """The axes in another order: `x.permute(2, 0, 1)` or `x.permute((2, 0, 1))`."""
        return _call(np.transpose, self, _one_tuple(axes))

    def transpose(self, *axes: Any) -> Tensor:
        """As numpy's: in reverse order without arguments, else as `permute`."""
        return _call(np.transpose, self, _one_tuple(axes) or None)

    def sum(self, dim: Axes = None, keepdim: bool = False, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """The sum over `dim`; as in PyTorch, numpy's words `axis` and `keepdims` do as well."""
        return _call(np.sum, self, dim if axis is None else axis, keepdims=keepdim or keepdims)

    def mean(self, dim: Axes = None, keepdim: bool = False, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """The mean over `dim`."""
        total = self.sum(dim, keepdim, axis=axis, keepdims=keepdims)
        return total / (self.size / max(total.size, 1))

    def argmax(self, dim: int | None = None) -> Tensor:
        """Where the largest entry is, along `dim` or of all. No gradient flows through it."""
        return _call(np.argmax, self, dim)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise ConfigError(
            "a function that isn't among those of FORWARD_FUNCS asked for the plain array of a tensor, which would lose "
            "the record of how it was made. Use x.array if that is what you want."
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Tensor:
        if kwargs.get("out") is not None:
            raise ConfigError(
                f"a tensor can't be changed in place: got {ufunc.__name__} with a tensor to write into. "
                "Write x = x + y, not x += y."
            )
        if method != "__call__" or kwargs:
            used = f".{method}" if method != "__call__" else f" with {', '.join(kwargs)}"
            raise ConfigError(f"only a plain call can be recorded: got np.{ufunc.__name__}{used}. Leave that out.")
        return _call(ufunc, *inputs)

    def __array_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Tensor:
        return _call(func, *args, **kwargs)


def _call(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
    """The recording form of `func`, called."""
    try:
        forward = FORWARD_FUNCS[func]
    except KeyError:
        known = ", ".join(sorted({known.__name__ for known in FORWARD_FUNCS} - {"__getitem__"}))
        raise ConfigError(
            f"a function of tensors must be among those that are recorded: got {func.__name__}. There are: {known}. Write "
            f"it with these, or teach the engine: FORWARD_FUNCS[np.{func.__name__}] = wrap_forward_fn(np.{func.__name__}), "
            "and add its backward functions to BACK_FUNCS."
        ) from None
    result: Tensor = forward(*args, **kwargs)
    return result


def _one_tuple(numbers: tuple[Any, ...]) -> tuple[int, ...]:
    """Numbers that were given one by one, or as one tuple."""
    return tuple(numbers[0]) if len(numbers) == 1 and isinstance(numbers[0], tuple | list) else numbers
