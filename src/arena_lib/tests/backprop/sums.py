"""Judges of sums, differences and quotients of arrays that were broadcast, under the names of other notebooks.

Their backward functions are no exercises here, but for that of a quotient's denominator. `unbroadcast` does what they need.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.fundamentals.backprop import elementwise_back
from arena_lib.tests.backprop.products import FORGETS_GRAD_OUT, FORGETS_TO_ADD_UP, test_true_divide_back1
from arena_lib.tests.backprop.watching import array_result, draw

__test__ = False


def pairs(func: Callable[..., Any], rng: np.random.Generator) -> list[Case]:
    """The arguments of a backward function of `func`, where x, y or both were broadcast."""

    def case(label: str, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> Case:
        x, y = draw(rng, *x_shape), draw(rng, *y_shape)
        out = np.asarray(func(x, y))
        return Case(label=label, args=(draw(rng, *out.shape), out, x, y))

    return [
        case("broadcasted: x was repeated", (3,), (4, 3)),
        case("broadcasted: y was repeated", (4, 3), (3,)),
        case("broadcasted: both were stretched", (4, 1), (1, 3)),
        case("broadcasted: x has no axes", (), (2, 3)),
        case("broadcasted: y has one entry", (2, 3), (1,)),
    ]


def add_cases(generator: torch.Generator) -> list[Case]:
    """Sums."""
    return pairs(np.add, np.random.default_rng(33))


def subtract_cases(generator: torch.Generator) -> list[Case]:
    """Differences."""
    return pairs(np.subtract, np.random.default_rng(34))


def true_divide_cases(generator: torch.Generator) -> list[Case]:
    """Quotients."""
    return pairs(np.true_divide, np.random.default_rng(35))


def add0_by_ones(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray, y: Any) -> np.ndarray:
    """As a product with 1."""
    return elementwise_back.multiply_back0(grad_out, out, x, np.ones_like(out))


def add1_by_ones(grad_out: np.ndarray, out: np.ndarray, x: Any, y: np.ndarray) -> np.ndarray:
    """As a product with 1."""
    return add0_by_ones(grad_out, out, y, x)


def subtract1_by_ones(grad_out: np.ndarray, out: np.ndarray, x: Any, y: np.ndarray) -> np.ndarray:
    """As a product with -1."""
    return -add0_by_ones(grad_out, out, y, x)


def divide0_by_reciprocal(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray, y: Any) -> np.ndarray:
    """As a product with 1 / y."""
    return elementwise_back.multiply_back0(grad_out, out, x, np.broadcast_to(1 / y, out.shape))


WRONG_SIGN = "has the wrong sign"

add_back0 = exercise(
    reference=elementwise_back.add_back0,
    cases=add_cases,
    observe=array_result,
    accepts=[add0_by_ones],
    mistakes=[
        *instead_of(
            "unbroadcast(grad_out, x)",
            {
                "grad_out": FORGETS_TO_ADD_UP,
                "unbroadcast(grad_out * x, x)": ("multiplies by x", "the slope of a sum is 1"),
                "unbroadcast(np.ones_like(grad_out), x)": FORGETS_GRAD_OUT,
            },
        ),
    ],
)

add_back1 = exercise(
    reference=elementwise_back.add_back1,
    cases=add_cases,
    observe=array_result,
    accepts=[add1_by_ones],
    mistakes=[
        *instead_of(
            "unbroadcast(grad_out, y)",
            {
                "grad_out": FORGETS_TO_ADD_UP,
                "unbroadcast(grad_out, x)": ("gives the gradient for x", "this one is for the second argument, y"),
                "unbroadcast(np.ones_like(grad_out), y)": FORGETS_GRAD_OUT,
            },
        ),
    ],
)

subtract_back0 = exercise(
    reference=elementwise_back.subtract_back0,
    cases=subtract_cases,
    observe=array_result,
    accepts=[add0_by_ones],
    mistakes=[
        *instead_of(
            "unbroadcast(grad_out, x)",
            {
                "grad_out": FORGETS_TO_ADD_UP,
                "unbroadcast(-grad_out, x)": (WRONG_SIGN, "x - y grows with x"),
                "unbroadcast(np.ones_like(grad_out), x)": FORGETS_GRAD_OUT,
            },
        ),
    ],
)

subtract_back1 = exercise(
    reference=elementwise_back.subtract_back1,
    cases=subtract_cases,
    observe=array_result,
    accepts=[subtract1_by_ones],
    mistakes=[
        *instead_of(
            "unbroadcast(-grad_out, y)",
            {
                "-grad_out": FORGETS_TO_ADD_UP,
                "unbroadcast(grad_out, y)": (WRONG_SIGN, "the larger y, the smaller x - y"),
                "unbroadcast(-np.ones_like(grad_out), y)": FORGETS_GRAD_OUT,
            },
        ),
    ],
)

true_divide_back0 = exercise(
    reference=elementwise_back.true_divide_back0,
    cases=true_divide_cases,
    observe=array_result,
    accepts=[divide0_by_reciprocal],
    mistakes=[
        *instead_of(
            "unbroadcast(grad_out / y, x)",
            {
                "grad_out / y": FORGETS_TO_ADD_UP,
                "unbroadcast(grad_out * y, x)": ("multiplies by y", "the slope of x / y for x is 1 / y"),
                "unbroadcast(1 / y + 0 * grad_out, x)": FORGETS_GRAD_OUT,
            },
        ),
    ],
)


def test_add_broadcasted(back0: Callable[..., Any], back1: Callable[..., Any]) -> None:
    """Both backward functions of a sum whose arguments were broadcast, under the name by which other notebooks call their test."""
    __tracebackhide__ = True
    add_back0.part("broadcasted")(back0)  # type: ignore[operator]
    add_back1.part("broadcasted")(back1)  # type: ignore[operator]


def test_subtract_broadcasted(back0: Callable[..., Any], back1: Callable[..., Any]) -> None:
    """The same for a difference."""
    __tracebackhide__ = True
    subtract_back0.part("broadcasted")(back0)  # type: ignore[operator]
    subtract_back1.part("broadcasted")(back1)  # type: ignore[operator]


def test_truedivide_broadcasted(back0: Callable[..., Any], back1: Callable[..., Any]) -> None:
    """The same for a quotient."""
    __tracebackhide__ = True
    true_divide_back0.part("broadcasted")(back0)  # type: ignore[operator]
    test_true_divide_back1.part("broadcasted")(back1)  # type: ignore[operator]
