"""Judges of the backward functions of products, and the names under which other notebooks call them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.backprop import elementwise_back
from arena_lib.tests.backprop.watching import array_result, draw

__test__ = False


def product_case(label: str, x: Any, y: Any, rng: np.random.Generator) -> Case:
    """The arguments of a backward function of x * y."""
    out = np.asarray(x * y)
    return Case(label=label, args=(draw(rng, *out.shape), out, x, y))


def product_cases(generator: torch.Generator) -> list[Case]:
    """Equal shapes, either of the two broadcast, both at once."""
    rng = np.random.default_rng(7)
    return [
        product_case("equal shapes", draw(rng, 2, 3), draw(rng, 2, 3), rng),
        product_case("x was repeated", draw(rng, 3), draw(rng, 4, 3), rng),
        product_case("y was repeated", draw(rng, 4, 3), draw(rng, 3), rng),
        product_case("both were stretched", draw(rng, 4, 1), draw(rng, 1, 3), rng),
        product_case("no axes", draw(rng), draw(rng), rng),
        product_case("zeros among either", np.array([0.0, 2.0, -1.5, 0.0]), np.array([1.5, 0.0, -2.0, 0.0]), rng),
    ]


def multiply0_cases(generator: torch.Generator) -> list[Case]:
    """As `product_cases`, and numbers in place of y."""
    rng = np.random.default_rng(8)
    return [
        *product_cases(generator),
        product_case("y is a number", draw(rng, 2, 3), 2.5, rng),
        product_case("y is a whole number", draw(rng, 4), -3, rng),
    ]


def multiply1_cases(generator: torch.Generator) -> list[Case]:
    """As `product_cases`, and numbers in place of x."""
    rng = np.random.default_rng(9)
    return [
        *product_cases(generator),
        product_case("x is a number", 2.5, draw(rng, 2, 3), rng),
        product_case("x is a whole number", -3, draw(rng, 4), rng),
    ]


def multiply0_by_einsum(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray, y: Any) -> np.ndarray:
    """Adds up in the product itself."""
    y = np.broadcast_to(y, grad_out.shape)
    n_new = grad_out.ndim - x.ndim
    letters = "abcdefgh"[: grad_out.ndim]
    kept = "".join(letter for letter, n in zip(letters[n_new:], x.shape, strict=True) if n > 1)
    return np.asarray(np.einsum(f"{letters},{letters}->{kept}", grad_out, y)).reshape(x.shape)


def multiply1_by_einsum(grad_out: np.ndarray, out: np.ndarray, x: Any, y: np.ndarray) -> np.ndarray:
    """The same with the arguments swapped: a product doesn't mind."""
    return multiply0_by_einsum(grad_out, out, y, x)


def multiply0_in_place(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray, y: Any) -> np.ndarray:
    """Into the gradient that was given."""
    grad_out *= y
    return elementwise_back.unbroadcast(grad_out, x)


def multiply1_in_place(grad_out: np.ndarray, out: np.ndarray, x: Any, y: np.ndarray) -> np.ndarray:
    """Into the gradient that was given."""
    grad_out *= x
    return elementwise_back.unbroadcast(grad_out, y)


FORGETS_TO_ADD_UP = (
    "does not add up what was broadcast",
    "the gradient has the shape of its argument: unbroadcast adds up what belongs to copies of one entry",
)
FORGETS_GRAD_OUT = ("forgets grad_out", "the chain rule: the slope times grad_out")
ADDS_UP_FIRST = (
    "adds up before it multiplies",
    "each copy has met another entry of the other factor: multiply first, then add up",
)
KEEPS_WHAT_IS_GIVEN = "what is given stays as it is: calculate a new array"

test_multiply_back0 = exercise(
    reference=elementwise_back.multiply_back0,
    cases=multiply0_cases,
    observe=array_result,
    accepts=[multiply0_by_einsum],
    mistakes=[
        *instead_of(
            "unbroadcast(grad_out * y, x)",
            {
                "grad_out * y": FORGETS_TO_ADD_UP,
                "unbroadcast(grad_out * x, x)": ("multiplies by x itself", "the slope of x * y for x is y"),
                "unbroadcast(y + 0 * grad_out, x)": FORGETS_GRAD_OUT,
                "unbroadcast(grad_out * out, x)": ("multiplies by the product", "the slope of x * y for x is y"),
                "unbroadcast(grad_out + y, x)": (
                    "adds instead of multiplying",
                    "the chain rule multiplies derivatives",
                ),
                "unbroadcast(grad_out / y, x)": ("divides by y", "the slope of x * y for x is y: multiply"),
                "unbroadcast(grad_out, x) * np.mean(y)": ADDS_UP_FIRST,
                "unbroadcast(grad_out, x) * y": ADDS_UP_FIRST,
                "unbroadcast(grad_out * y, np.asarray(y))": (
                    "adds up to the shape of y",
                    "the gradient for x has the shape of x",
                ),
                "unbroadcast(grad_out * out / x, x)": (
                    "divides the product by x",
                    "the slope of x * y for x is y: where x is 0, out / x doesn't give it back",
                ),
            },
        ),
        Mistake("changes grad_out", function=multiply0_in_place, why=KEEPS_WHAT_IS_GIVEN),
    ],
)

test_multiply_back1 = exercise(
    reference=elementwise_back.multiply_back1,
    cases=multiply1_cases,
    observe=array_result,
    accepts=[multiply1_by_einsum],
    mistakes=[
        *instead_of(
            "unbroadcast(grad_out * x, y)",
            {
                "grad_out * x": FORGETS_TO_ADD_UP,
                "unbroadcast(grad_out * y, y)": ("multiplies by y itself", "the slope of x * y for y is x"),
                "unbroadcast(x + 0 * grad_out, y)": FORGETS_GRAD_OUT,
                "unbroadcast(grad_out * out, y)": ("multiplies by the product", "the slope of x * y for y is x"),
                "unbroadcast(grad_out * y, np.asarray(x))": (
                    "gives the gradient for x",
                    "this one is for the second argument, y",
                ),
                "unbroadcast(grad_out + x, y)": ("adds instead of multiplying", "the chain rule multiplies"),
                "unbroadcast(grad_out, y) * x": ADDS_UP_FIRST,
                "unbroadcast(grad_out * x, np.asarray(x))": (
                    "adds up to the shape of x",
                    "the gradient for y has the shape of y",
                ),
                "unbroadcast(grad_out * out / y, y)": (
                    "divides the product by y",
                    "the slope of x * y for y is x: where y is 0, out / y doesn't give it back",
                ),
                "unbroadcast(grad_out / x, y)": ("divides by x", "the slope of x * y for y is x: multiply"),
                "unbroadcast(grad_out, y) * np.mean(x)": ADDS_UP_FIRST,
            },
        ),
        Mistake("changes grad_out", function=multiply1_in_place, why=KEEPS_WHAT_IS_GIVEN),
    ],
)


def test_multiply_back(back0: Callable[..., Any], back1: Callable[..., Any]) -> None:
    """Both backward functions of a product, under the name by which other notebooks call their test."""
    __tracebackhide__ = True
    test_multiply_back0(back0)
    test_multiply_back1(back1)


def test_multiply_back_float(back0: Callable[..., Any], back1: Callable[..., Any]) -> None:
    """The same, under another such name: numbers in place of an array are among the cases."""
    __tracebackhide__ = True
    test_multiply_back(back0, back1)


def quotient_cases(generator: torch.Generator) -> list[Case]:
    """Equal shapes, either of the two broadcast, both at once, numbers in place of x."""
    rng = np.random.default_rng(10)

    def case(label: str, x: Any, y: np.ndarray) -> Case:
        out = np.asarray(x / y)
        return Case(label=label, args=(draw(rng, *out.shape), out, x, y))

    return [
        case("equal shapes", draw(rng, 2, 3), draw(rng, 2, 3)),
        case("broadcasted: x was repeated", draw(rng, 3), draw(rng, 4, 3)),
        case("broadcasted: y was repeated", draw(rng, 4, 3), draw(rng, 3)),
        case("broadcasted: both were stretched", draw(rng, 4, 1), draw(rng, 1, 3)),
        case("x is a number", 2.5, draw(rng, 2, 3)),
        case("no axes", draw(rng), draw(rng)),
    ]


def divide1_by_square(grad_out: np.ndarray, out: np.ndarray, x: Any, y: np.ndarray) -> np.ndarray:
    """By the derivative of 1 / y."""
    return elementwise_back.unbroadcast(grad_out * (-x / y**2), y)


test_true_divide_back1 = exercise(
    reference=elementwise_back.true_divide_back1,
    cases=quotient_cases,
    observe=array_result,
    accepts=[divide1_by_square],
    free={"x": "the slope is -out / y, without x"},
    mistakes=[
        *instead_of(
            "unbroadcast(-grad_out * out / y, y)",
            {
                "-grad_out * out / y": FORGETS_TO_ADD_UP,
                "unbroadcast(grad_out * out / y, y)": ("has the wrong sign", "the larger y, the smaller x / y"),
                "unbroadcast(grad_out / y, y)": ("gives the slope for x", "1 / y is the slope of x / y for x"),
                "unbroadcast(-grad_out * x / y, y)": ("divides by y once", "the slope of x / y for y is -x / y**2"),
                "unbroadcast(-grad_out * x, y)": (
                    "divides by y and multiplies by it again",
                    "-x / y * y is -x: what is below the line needs brackets, or y**2",
                ),
                "unbroadcast(-grad_out * out / y**2, y)": (
                    "divides by y once too often",
                    "out is x / y already: the slope is -x / y**2, or -out / y",
                ),
                "unbroadcast(-grad_out * y / x**2, y)": (
                    "takes x for y",
                    "the slope of x / y for y is -x / y**2: y is below the line",
                ),
                "unbroadcast(grad_out, y) * (-out / y)": ADDS_UP_FIRST,
                "unbroadcast(grad_out, y) * (-x / y**2)": ADDS_UP_FIRST,
                "unbroadcast(-grad_out * out / y, np.asarray(x))": (
                    "adds up to the shape of x",
                    "the gradient for y has the shape of y",
                ),
                "unbroadcast(-grad_out / y**2, y)": ("forgets x", "the slope of x / y for y is -x / y**2"),
                "unbroadcast(-out / y + 0 * grad_out, y)": FORGETS_GRAD_OUT,
                "unbroadcast(grad_out * x, y)": ("takes it for a product", "the slope of x / y for y is -x / y**2"),
            },
        ),
    ],
)
