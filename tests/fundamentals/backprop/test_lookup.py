import numpy as np
import pytest

from arena_lib.errors import UnknownNameError
from arena_lib.fundamentals.backprop import BACK_FUNCS, FORWARD_FUNCS, BackwardFuncLookup, Tensor
from arena_lib.fundamentals.backprop.lookup import make_back_funcs


def test_a_later_function_takes_the_place():
    table = BackwardFuncLookup()
    table.add_back_func(np.log, 0, min)
    table.add_back_func(np.log, 0, max)
    assert table.get_back_func(np.log, 0) is max


def test_what_is_missing_is_said_with_its_position_and_how_to_add_it():
    with pytest.raises(UnknownNameError, match=r"argument 1 of log.*add_back_func\(log, 1, your_function\)"):
        BACK_FUNCS.get_back_func(np.log, 1)


def test_tables_are_apart():
    make_back_funcs().add_back_func(np.log, 0, max)
    assert BACK_FUNCS.get_back_func(np.log, 0) is not max


def test_every_differentiable_function_has_its_backward_functions():
    """Each argument that holds numbers: all but a condition."""
    x = Tensor(np.ones((2, 2)), requires_grad=True)
    calls = {
        np.where: (True, x, x),
        np.reshape: (x, (4,)),
        np.broadcast_to: (x, (3, 2, 2)),
        np.transpose: (x,),
        np.sum: (x,),
        np.expand_dims: (x, 0),
        np.squeeze: (x,),
        np.ndarray.__getitem__: (x, 0),
    }
    for func, forward in FORWARD_FUNCS.items():
        n_args = func.nin if isinstance(func, np.ufunc) else 1
        out = forward(*calls.get(func, (x,) * n_args))
        for position in out.recipe.parents if out.recipe else []:
            assert callable(BACK_FUNCS.get_back_func(out.recipe.func, position))
