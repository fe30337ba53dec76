"""Judges of the backward functions of the maximum, and of relu."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.backprop import elementwise_back, operations
from arena_lib.fundamentals.backprop.backward_pass import backprop
from arena_lib.fundamentals.backprop.classifier import networks
from arena_lib.fundamentals.backprop.tensors import Tensor
from arena_lib.tests.backprop.products import ADDS_UP_FIRST, FORGETS_TO_ADD_UP, KEEPS_WHAT_IS_GIVEN
from arena_lib.tests.backprop.watching import array_result, describe_tensor, draw

__test__ = False


def larger_case(label: str, x: Any, y: Any, rng: np.random.Generator) -> Case:
    """The arguments of a backward function of np.maximum(x, y)."""
    out = np.array(np.maximum(x, y))
    return Case(label=label, args=(draw(rng, *out.shape), out, x, y))


def larger_cases(generator: torch.Generator) -> list[Case]:
    """Either may be larger, both equal, either broadcast."""
    rng = np.random.default_rng(20)
    table = draw(rng, 2, 4)
    half_equal = np.where(rng.random((2, 4)) < 0.5, table, table + draw(rng, 2, 4))
    return [
        larger_case("either may be larger", draw(rng, 3, 4), draw(rng, 3, 4), rng),
        larger_case("some are equal", table, half_equal, rng),
        larger_case("all are equal", table, table.copy(), rng),
        larger_case("broadcasted: x was repeated", draw(rng, 4), draw(rng, 3, 4), rng),
        larger_case("broadcasted: y was repeated", draw(rng, 3, 4), draw(rng, 4), rng),
        larger_case(
            "broadcasted: both were stretched, and some are equal",
            np.array([[1.0], [2.0], [-3.0]]),
            np.array([[2.0, -3.0]]),
            rng,
        ),
        larger_case("no axes, equal", np.array(2.0), np.array(2.0), rng),
    ]


def maximum0_cases(generator: torch.Generator) -> list[Case]:
    """As `larger_cases`, and numbers in place of y."""
    rng = np.random.default_rng(21)
    row = np.array([-1.0, 0.0, 2.0, 0.5])
    return [
        *larger_cases(generator),
        larger_case("y is 0", row, 0.0, rng),
        larger_case("y is a number", row, 0.5, rng),
    ]


def maximum1_cases(generator: torch.Generator) -> list[Case]:
    """As `larger_cases`, and numbers in place of x."""
    rng = np.random.default_rng(22)
    row = np.array([-1.0, 0.0, 2.0, 0.5])
    return [
        *larger_cases(generator),
        larger_case("x is 0", 0.0, row, rng),
        larger_case("x is a number", 0.5, row, rng),
    ]


def maximum0_by_signs(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray, y: Any) -> np.ndarray:
    """By the sign of the difference: -1, 0, 1 become 0, 0.5, 1."""
    return elementwise_back.unbroadcast(grad_out * (np.sign(x - y) + 1) / 2, x)


def maximum0_by_masks(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray, y: Any) -> np.ndarray:
    """The mean of > and >=."""
    return elementwise_back.unbroadcast(grad_out * ((x > y) * 0.5 + (x >= y) * 0.5), x)


def maximum1_by_signs(grad_out: np.ndarray, out: np.ndarray, x: Any, y: np.ndarray) -> np.ndarray:
    """With the arguments swapped."""
    return maximum0_by_signs(grad_out, out, y, x)


def maximum1_by_masks(grad_out: np.ndarray, out: np.ndarray, x: Any, y: np.ndarray) -> np.ndarray:
    """With the arguments swapped."""
    return maximum0_by_masks(grad_out, out, y, x)


def maximum0_in_place(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray, y: Any) -> np.ndarray:
    """Into the gradient that was given."""
    grad_out *= (x > y) + 0.5 * (x == y)
    return elementwise_back.unbroadcast(grad_out, x)


def maximum1_in_place(grad_out: np.ndarray, out: np.ndarray, x: Any, y: np.ndarray) -> np.ndarray:
    """With the arguments swapped."""
    return maximum0_in_place(grad_out, out, y, x)


TIES = "where the two are equal each of them gets half of grad_out"
LARGER = "the gradient goes to the larger one"

test_maximum_back0 = exercise(
    reference=elementwise_back.maximum_back0,
    cases=maximum0_cases,
    observe=array_result,
    accepts=[maximum0_by_signs, maximum0_by_masks],
    equivalent={
        "np.where(x > y, grad_out, 0.0) -> np.where(x >= y, grad_out, 0.0)": "ties have got their half already"
    },
    mistakes=[
        *instead_of(
            "unbroadcast(np.where(x == y, grad_out / 2, np.where(x > y, grad_out, 0.0)), x)",
            {
                "np.where(x == y, grad_out / 2, np.where(x > y, grad_out, 0.0))": FORGETS_TO_ADD_UP,
                "unbroadcast(grad_out, x) * np.where(x == y, 0.5, np.where(x > y, 1.0, 0.0))": ADDS_UP_FIRST,
                "unbroadcast(np.where(x == y, grad_out / 2, np.where(x > y, grad_out, 0.0)), np.asarray(y))": (
                    "adds up to the shape of y",
                    "the gradient for x has the shape of x",
                ),
                "unbroadcast(np.where(x == y, grad_out * 1.5, np.where(x > y, grad_out, 0.0)), x)": (
                    "gives one and a half where both are equal",
                    TIES,
                ),
                "unbroadcast(np.where(out == y, grad_out / 2, np.where(x > y, grad_out, 0.0)), x)": (
                    "gives half wherever y is the result",
                    "half is for ties alone: where y is the larger one, x gets nothing",
                ),
                "unbroadcast(np.where(x > y, grad_out, 0.0), x)": ("gives nothing where both are equal", TIES),
                "unbroadcast(np.where(x >= y, grad_out, 0.0), x)": ("gives all where both are equal", TIES),
                "unbroadcast(np.where(x == y, grad_out / 2, np.where(x < y, grad_out, 0.0)), x)": (
                    "gives to the smaller one",
                    LARGER,
                ),
                "unbroadcast(np.where(x == y, 0.5, np.where(x > y, 1.0, 0.0)) + 0 * grad_out, x)": (
                    "forgets grad_out",
                    "the chain rule: the slope times grad_out",
                ),
                "unbroadcast(np.where(x == y, grad_out / 2, np.where(x > y, grad_out, 0.0)) * x, x)": (
                    "multiplies by x",
                    "where x is the larger one the slope is 1",
                ),
                "unbroadcast(np.where(out == 0, grad_out / 2, np.where(x > y, grad_out, 0.0)), x)": (
                    "halves at zeros instead of ties",
                    TIES,
                ),
            },
        ),
        Mistake("changes grad_out", function=maximum0_in_place, why=KEEPS_WHAT_IS_GIVEN),
    ],
)

test_maximum_back1 = exercise(
    reference=elementwise_back.maximum_back1,
    cases=maximum1_cases,
    observe=array_result,
    accepts=[maximum1_by_signs, maximum1_by_masks],
    equivalent={
        "np.where(x < y, grad_out, 0.0) -> np.where(x <= y, grad_out, 0.0)": "ties have got their half already"
    },
    mistakes=[
        *instead_of(
            "unbroadcast(np.where(x == y, grad_out / 2, np.where(x < y, grad_out, 0.0)), y)",
            {
                "np.where(x == y, grad_out / 2, np.where(x < y, grad_out, 0.0))": FORGETS_TO_ADD_UP,
                "unbroadcast(grad_out, y) * np.where(x == y, 0.5, np.where(x < y, 1.0, 0.0))": ADDS_UP_FIRST,
                "unbroadcast(np.where(x == y, grad_out / 2, np.where(x < y, grad_out, 0.0)), np.asarray(x))": (
                    "adds up to the shape of x",
                    "the gradient for y has the shape of y",
                ),
                "unbroadcast(np.where(x == y, grad_out * 1.5, np.where(x < y, grad_out, 0.0)), y)": (
                    "gives one and a half where both are equal",
                    TIES,
                ),
                "unbroadcast(np.where(out == x, grad_out / 2, np.where(x < y, grad_out, 0.0)), y)": (
                    "gives half wherever x is the result",
                    "half is for ties alone: where x is the larger one, y gets nothing",
                ),
                "unbroadcast(np.where(x < y, grad_out, 0.0), y)": ("gives nothing where both are equal", TIES),
                "unbroadcast(np.where(x <= y, grad_out, 0.0), y)": ("gives all where both are equal", TIES),
                "unbroadcast(np.where(x == y, grad_out / 2, np.where(x > y, grad_out, 0.0)), y)": (
                    "gives to the smaller one",
                    LARGER,
                ),
                "unbroadcast(np.where(x == y, 0.5, np.where(x < y, 1.0, 0.0)) + 0 * grad_out, y)": (
                    "forgets grad_out",
                    "the chain rule: the slope times grad_out",
                ),
            },
        ),
        Mistake("changes grad_out", function=maximum1_in_place, why=KEEPS_WHAT_IS_GIVEN),
    ],
)


def test_maximum(back0: Callable[..., Any], back1: Callable[..., Any]) -> None:
    """Both backward functions of the maximum, under the name by which other notebooks call their test."""
    __tracebackhide__ = True
    test_maximum_back0(back0)
    test_maximum_back1(back1)


def test_maximum_broadcasted(back0: Callable[..., Any], back1: Callable[..., Any]) -> None:
    """The same, where one of the arguments is broadcast."""
    __tracebackhide__ = True
    test_maximum_back0.part("broadcasted")(back0)  # type: ignore[operator]
    test_maximum_back1.part("broadcasted")(back1)  # type: ignore[operator]


def relu_cases(generator: torch.Generator) -> list[Case]:
    """Signs of both kinds, zeros, no axes, no gradient."""
    rng = np.random.default_rng(23)

    def case(label: str, x: Any, requires_grad: bool = True) -> Case:
        x = np.asarray(x)
        return Case(label=label, given={"x": x, "grad": draw(rng, *x.shape), "requires_grad": requires_grad}, call="x")

    return [
        case("a table", draw(rng, 2, 3)),
        case("zeros among the entries", [-1.0, 0.0, 2.0, -0.0, 5.0]),
        case("no axes", -2.0),
        case("no gradient is wanted", draw(rng, 4), requires_grad=False),
    ]


def relu_and_gradient(function: Callable[..., Any], case: Case) -> Observations:
    """What relu gives, and the gradient through it."""
    x = Tensor(case.given["x"].copy(), case.given["requires_grad"])
    result = function(x)
    seen = describe_tensor(result) | {"x is as before": np.array_equal(x.array, case.given["x"])}
    if seen.get("requires_grad"):
        backprop(result, Tensor(case.given["grad"]))
        seen["x.grad"] = np.array(x.grad.array) if x.grad is not None else None
    return seen


def relu_by_operation(x: Tensor) -> Tensor:
    """The recorded function, with the arguments swapped."""
    return operations.maximum(0.0, x)


def relu_by_mask(x: Tensor) -> Tensor:
    """By a mask with a half at 0."""
    return x * Tensor((np.sign(x.array) + 1) / 2)


test_relu = exercise(
    reference=networks.relu,
    cases=relu_cases,
    observe=relu_and_gradient,
    accepts=[relu_by_operation, relu_by_mask],
    mistakes=[
        *instead_of(
            "maximum(x, 0.0)",
            {
                "Tensor(np.maximum(x.array, 0.0))": (
                    "calculates with the array",
                    "nothing is recorded of what is done to arrays: give the tensor to maximum",
                ),
                "np.maximum(x.array, 0.0)": ("returns an array", "the result is a Tensor with a recipe"),
                "-maximum(x, 0.0)": ("has the wrong sign", "relu keeps what is above 0"),
                "x - maximum(x, 0.0)": ("keeps what is below 0", "relu keeps what is above 0"),
                "maximum(x, 1.0)": ("cuts at 1", "relu gives the larger of x and 0"),
                "x * (x > 0)": (
                    "has the gradient 0 at 0",
                    "here maximum shares ties: the gradient at 0 is 0.5 (PyTorch's relu has 0)",
                ),
                "maximum(x, -x)": ("gives the absolute value", "what is below 0 becomes 0"),
            },
        ),
    ],
)
