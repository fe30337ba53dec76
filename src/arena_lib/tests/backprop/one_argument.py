"""Judges of the backward functions of log, negative and exp."""

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.backprop import elementwise_back
from arena_lib.tests.backprop.watching import array_result, draw

__test__ = False


def log_cases(generator: torch.Generator) -> list[Case]:
    """Several shapes, gradients of either sign, arguments below and above 1."""
    rng = np.random.default_rng(3)

    def case(label: str, *shape: int) -> Case:
        x = np.asarray(rng.uniform(0.2, 3.0, shape))
        return Case(label=label, args=(draw(rng, *shape), np.asarray(np.log(x)), x))

    return [case("a row", 5), case("a table", 2, 3), case("three axes", 2, 1, 4), case("no axes")]


def log_by_exp(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray) -> np.ndarray:
    """By the output alone: 1 / x is exp(-out)."""
    return grad_out * np.exp(-out)


def log_by_reciprocal(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray) -> np.ndarray:
    """One over x first."""
    return np.multiply(grad_out, x**-1.0)


def log_in_place(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Into the gradient that was given."""
    grad_out /= x
    return grad_out


test_log_back = exercise(
    reference=elementwise_back.log_back,
    cases=log_cases,
    observe=array_result,
    accepts=[log_by_exp, log_by_reciprocal],
    mistakes=[
        *instead_of(
            "grad_out / x",
            {
                "1 / x": ("forgets grad_out", "the chain rule: the derivative of log is multiplied by grad_out"),
                "grad_out / out": ("divides by the output", "the derivative of log(x) is 1 / x, where x is the input"),
                "grad_out * x": ("multiplies by x", "the derivative of log(x) is 1 / x"),
                "grad_out * out": ("multiplies by the output", "the derivative of log(x) is 1 / x"),
                "-grad_out / x": ("has the wrong sign", "log grows with x: 1 / x is above 0"),
                "grad_out / x**2": (
                    "divides by x twice",
                    "-1 / x**2 is the derivative of 1 / x; that of log(x) is 1 / x",
                ),
                "grad_out / (x * np.log(10))": ("takes the decimal logarithm", "np.log is the natural logarithm"),
                "grad_out + 1 / x": ("adds instead of multiplying", "the chain rule multiplies derivatives"),
                "grad_out": ("passes grad_out on as it is", "it is multiplied by the derivative of log, 1 / x"),
            },
        ),
        Mistake("changes grad_out", function=log_in_place, why="what is given stays as it is: calculate a new array"),
    ],
)


def negative_cases(generator: torch.Generator) -> list[Case]:
    """Several shapes."""
    rng = np.random.default_rng(4)

    def case(label: str, *shape: int) -> Case:
        x = draw(rng, *shape)
        return Case(label=label, args=(draw(rng, *shape), np.asarray(-x), x))

    return [case("a row", 4), case("a table", 3, 2), case("no axes")]


def negative_by_product(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Times -1."""
    return grad_out * -1.0


def negative_in_place(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Into the gradient that was given."""
    return np.negative(grad_out, out=grad_out)


test_negative_back = exercise(
    reference=elementwise_back.negative_back,
    cases=negative_cases,
    observe=array_result,
    accepts=[negative_by_product],
    mistakes=[
        *instead_of(
            "-grad_out",
            {
                "grad_out": ("forgets the sign", "the slope of -x is -1"),
                "-x": ("negates x", "grad_out is what is passed back, with the other sign"),
                "-np.ones_like(grad_out)": ("forgets grad_out", "the chain rule: the slope -1 times grad_out"),
                "-grad_out * x": ("multiplies by x", "the slope of -x is -1, whatever x is"),
                "grad_out * np.sign(-x)": ("takes the sign of the output", "the slope of -x is -1, whatever x is"),
            },
        ),
        Mistake(
            "changes grad_out", function=negative_in_place, why="what is given stays as it is: calculate a new array"
        ),
    ],
)


def exp_cases(generator: torch.Generator) -> list[Case]:
    """Several shapes; exponents of either sign."""
    rng = np.random.default_rng(5)

    def case(label: str, *shape: int) -> Case:
        x = draw(rng, *shape)
        return Case(label=label, args=(draw(rng, *shape), np.asarray(np.exp(x)), x))

    return [case("a row", 4), case("a table", 3, 2), case("no axes")]


def exp_again(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Calculates the exponential once more."""
    return np.exp(x) * grad_out


def exp_in_place(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Into the output that was given."""
    out *= grad_out
    return out


test_exp_back = exercise(
    reference=elementwise_back.exp_back,
    cases=exp_cases,
    observe=array_result,
    accepts=[exp_again],
    mistakes=[
        *instead_of(
            "grad_out * out",
            {
                "out": ("forgets grad_out", "the chain rule: the slope times grad_out"),
                "grad_out * x": ("multiplies by x", "the derivative of exp(x) is exp(x), the output"),
                "grad_out * np.exp(out)": ("takes exp of the output", "the output is exp(x) already"),
                "grad_out / out": ("divides by the output", "the derivative of exp(x) is exp(x): multiply"),
                "grad_out * x * np.exp(x - 1)": (
                    "takes it for a power of x",
                    "x is the exponent here, and the derivative of exp(x) is exp(x)",
                ),
                "np.exp(grad_out)": ("takes exp of grad_out", "grad_out is multiplied by exp(x)"),
            },
        ),
        Mistake("changes out", function=exp_in_place, why="what is given stays as it is: calculate a new array"),
    ],
)
