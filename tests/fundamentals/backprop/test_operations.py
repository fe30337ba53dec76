"""Every recorded function has backward functions that trying confirms, and is told to `Tensor`."""

import numpy as np
import pytest

from arena_lib.fundamentals.backprop import FORWARD_FUNCS, Tensor, check_gradient, compute_gradients
from arena_lib.fundamentals.backprop import operations as ops

RNG = np.random.default_rng(0)
ROW, TABLE, DEEP = RNG.uniform(0.5, 2.0, 3), RNG.uniform(0.5, 2.0, (2, 3)), RNG.uniform(0.5, 2.0, (2, 1, 3))
CALLS = {
    "log": (ops.log, TABLE),
    "exp": (ops.exp, TABLE),
    "negative": (ops.negative, TABLE),
    "add": (ops.add, TABLE, ROW),
    "subtract": (ops.subtract, ROW, DEEP),
    "multiply": (ops.multiply, DEEP, TABLE),
    "true_divide": (ops.true_divide, ROW, DEEP),
    "true_divide by a number": (lambda x: ops.true_divide(x, 3), TABLE),
    "true_divide of a number": (lambda x: ops.true_divide(3, x), TABLE),
    "maximum": (ops.maximum, TABLE, ROW),
    "where": (lambda x, y: ops.where(np.array([True, False, True]), x, y), DEEP, ROW),
    "matmul": (ops.matmul, TABLE, RNG.normal(size=(3, 4))),
    "reshape": (lambda x: ops.reshape(x, new_shape=(3, -1)), TABLE),
    "permute": (lambda x: ops.permute(x, axes=(2, 0, 1)), DEEP),
    "sum": (lambda x: ops.sum_(x, dim=(0, -1)), DEEP),
    "broadcast_to": (lambda x: ops.broadcast_to(x, shape=(4, 2, 5, 3)), DEEP),
    "take": (lambda x: x[np.array([1, 0, 1]), np.array([2, 2, 2])], TABLE),
    "take a slice": (lambda x: x[:, ::2], TABLE),
    "put": (lambda x: ops.put(x, shape=(4,), index=np.array([0, 2, 2])), ROW),
    "squeeze": (lambda x: np.squeeze(x, axis=1), DEEP),
    "expand_dims": (lambda x: np.expand_dims(x, (0, -1)), TABLE),
    "transpose": (lambda x: np.transpose(x, (1, 0)), TABLE),
}


@pytest.mark.parametrize("name", CALLS)
def test_backprop_agrees_with_trying(name):
    function, *args = CALLS[name]
    check_gradient(function, *args)


@pytest.mark.parametrize("name", sorted(CALLS.keys() - {"maximum"}))
def test_every_backward_function_can_be_differentiated_again(name):
    function, *args = CALLS[name]

    def gradient(*tensors):
        out = function(*tensors)
        weights = np.random.default_rng(1).normal(size=out.shape)
        gradients = compute_gradients((out * out * weights).sum(), tensors)
        return sum((gradient * gradient).sum() for gradient in gradients[1:]) + (gradients[0] * gradients[0]).sum()

    check_gradient(gradient, *args, rtol=1e-4)


def test_operators_reach_the_same_functions():
    a, b = Tensor(TABLE, requires_grad=True), Tensor(ROW)
    for result, name in (
        (a + b, "add"),
        (a - b, "subtract"),
        (a * b, "multiply"),
        (a / b, "divide"),
        (-a, "negative"),
    ):
        assert result.recipe.func.__name__ == name
    assert FORWARD_FUNCS[np.log] is ops.log
