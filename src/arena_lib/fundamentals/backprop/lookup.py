"""Which backward function belongs to which argument of which function.

Raises:  UnknownNameError (a LookupError) where none was added.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from arena_lib.errors import UnknownNameError
from arena_lib.fundamentals.backprop import elementwise_back as elementwise
from arena_lib.fundamentals.backprop import shape_back as shapes
from arena_lib.fundamentals.backprop.arrays import (
    broadcast_array,
    matmul2d,
    permute_array,
    put_array,
    reshape_array,
    sum_array,
    take_array,
)


class BackwardFuncLookup:
    """Remembers for each function, and for each of its arguments, the backward function.

    >>> lookup = BackwardFuncLookup()
    >>> lookup.add_back_func(np.negative, 0, elementwise.negative_back)
    >>> lookup.get_back_func(np.negative, 0).__name__
    'negative_back'
    """

    def __init__(self) -> None:
        """At first nothing is known."""
        self.back_funcs: dict[tuple[Callable[..., Any], int], Callable[..., Any]] = {}

    def add_back_func(self, forward_fn: Callable[..., Any], arg_position: int, back_fn: Callable[..., Any]) -> None:
        """Remember `back_fn` for the argument of `forward_fn` at `arg_position`, from 0; it replaces an earlier one."""
        self.back_funcs[forward_fn, arg_position] = back_fn

    def get_back_func(self, forward_fn: Callable[..., Any], arg_position: int) -> Callable[..., Any]:
        """The backward function that was added for this argument; a LookupError or KeyError if none was."""
        if (forward_fn, arg_position) not in self.back_funcs:
            raise UnknownNameError(
                "backward function",
                forward_fn.__name__,
                [],
                text=f"there must be a backward function for argument {arg_position} of {forward_fn.__name__}: none was "
                f"added. Add it: add_back_func({forward_fn.__name__}, {arg_position}, your_function).",
            )
        return self.back_funcs[forward_fn, arg_position]


def make_back_funcs() -> BackwardFuncLookup:
    """A lookup with every backward function of this package."""
    lookup = BackwardFuncLookup()
    table: dict[Callable[..., Any], dict[int, Callable[..., Any]]] = {
        np.log: {0: elementwise.log_back},
        np.exp: {0: elementwise.exp_back},
        np.negative: {0: elementwise.negative_back},
        np.add: {0: elementwise.add_back0, 1: elementwise.add_back1},
        np.subtract: {0: elementwise.subtract_back0, 1: elementwise.subtract_back1},
        np.multiply: {0: elementwise.multiply_back0, 1: elementwise.multiply_back1},
        np.true_divide: {0: elementwise.true_divide_back0, 1: elementwise.true_divide_back1},
        np.maximum: {0: elementwise.maximum_back0, 1: elementwise.maximum_back1},
        np.where: {1: elementwise.where_back1, 2: elementwise.where_back2},
        reshape_array: {0: shapes.reshape_back},
        permute_array: {0: shapes.permute_back},
        sum_array: {0: shapes.sum_back},
        broadcast_array: {0: shapes.broadcast_back},
        matmul2d: {0: shapes.matmul2d_back0, 1: shapes.matmul2d_back1},
        take_array: {0: shapes.take_back},
        put_array: {0: shapes.put_back},
    }
    for forward_fn, back_fns in table.items():
        for arg_position, back_fn in back_fns.items():
            lookup.add_back_func(forward_fn, arg_position, back_fn)
    return lookup


BACK_FUNCS = make_back_funcs()
"""The backward functions of this package, which `backprop` uses."""
