"""Judge of the gradient by trying."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of
from arena_lib.fundamentals.backprop import finite_differences
from arena_lib.tests.backprop.watching import array_result

__test__ = False


def cubes(x: np.ndarray) -> float:
    """A weighted sum of cubes: curved, so that nudges to one side alone show."""
    return float((np.arange(1.0, x.size + 1).reshape(x.shape) * x**3).sum())


def neighbours(x: np.ndarray) -> float:
    """The product of all entries: each slope depends on the others."""
    return float(np.prod(x))


def first_and_last(x: np.ndarray) -> float:
    """The first entry's square beside the last one; all between don't matter."""
    return float(x.flat[0] ** 2 - 3 * x.flat[-1])


def nudge_cases(generator: torch.Generator) -> list[Case]:
    """Curved functions, coarse steps, arrays of one entry, without axes, and of whole numbers."""

    def case(label: str, function: Callable[..., float], x: Any, *eps: float) -> Case:
        return Case(label=label, args=(function, np.asarray(x), *eps))

    return [
        case("a table, and a coarse step", cubes, [[1.0, -2.0, 0.5], [3.0, 0.2, -1.0]], 0.1),
        case("a row, with the usual step", neighbours, [2.0, -3.0, 0.5, 4.0]),
        case("entries that don't matter", first_and_last, [[[1.0, 5.0]], [[-2.0, 7.0]], [[4.0, 9.0]]], 0.01),
        case("whole numbers", cubes, [2, -1, 3], 0.2),
        case("a number without axes", cubes, 1.5, 0.3),
    ]


def nudge_and_restore(function: Callable[[np.ndarray], float], x: np.ndarray, eps: float = 1e-6) -> np.ndarray:
    """One copy, whose entries are moved and put back."""
    moved = np.array(x, dtype=float)
    gradient = np.empty(moved.shape)
    for index, value in np.ndenumerate(moved):
        moved[index] = value + eps
        above = function(moved)
        moved[index] = value - eps
        gradient[index] = (above - function(moved)) / (2 * eps)
        moved[index] = value
    return gradient


def nudge_along_rows(function: Callable[[np.ndarray], float], x: np.ndarray, eps: float = 1e-6) -> np.ndarray:
    """All nudges as rows of an identity matrix."""
    steps = eps * np.eye(x.size).reshape(-1, *x.shape)
    return np.array([(function(x + step) - function(x - step)) / (2 * eps) for step in steps]).reshape(x.shape)


def nudge_in_x(function: Callable[[np.ndarray], float], x: np.ndarray, eps: float = 1e-6) -> np.ndarray:
    """Moves the caller's entries, and leaves them there."""
    gradient = finite_differences.numerical_gradient(function, x, eps)
    if x.dtype.kind == "f":
        x += eps
    return gradient


test_numerical_gradient = exercise(
    reference=finite_differences.numerical_gradient,
    cases=nudge_cases,
    observe=array_result,
    tolerance={"output": Tolerance(rtol=1e-6, atol=1e-8)},
    accepts=[nudge_and_restore, nudge_along_rows],
    mistakes=[
        *instead_of(
            "(function(up) - function(down)) / (2 * eps)",
            {
                "(function(up) - function(down)) / eps": (
                    "divides by eps alone",
                    "from down to up it is 2 * eps",
                ),
                "(function(up) - function(x)) / eps": (
                    "nudges to one side alone",
                    "a central difference goes eps up and eps down: its error is far smaller",
                ),
                "(function(down) - function(up)) / (2 * eps)": (
                    "has the wrong sign",
                    "where the function grows with the entry the slope is above 0: up minus down",
                ),
                "(function(up) + function(down)) / (2 * eps)": ("adds the two", "the slope is up minus down"),
                "(function(up) - function(down)) / 2 * eps": (
                    "multiplies by eps",
                    "the whole 2 * eps is below the line: it needs brackets",
                ),
                "function(up) - function(down)": (
                    "does not divide",
                    "a slope is a change divided by the step that made it",
                ),
            },
        ),
        *instead_of(
            "up[index] += eps",
            {
                "up += eps": ("raises all entries at once", "one entry is moved, all others stay"),
                "up[index] *= 1 + eps": ("moves by a share of the entry", "every entry is moved by eps itself"),
            },
        ),
        *instead_of(
            "up, down = x.astype(float), x.astype(float)",
            {
                "up = down = x.astype(float)": (
                    "moves one array up and down",
                    "up and down must be two arrays: moved up and down again, one is as it was",
                ),
                "up, down = x.copy(), x.copy()": (
                    "keeps whole numbers",
                    "a nudge of eps is lost in whole numbers: make floats of them",
                ),
            },
        ),
        Mistake("changes x", function=nudge_in_x, why="x stays as it is: nudge a copy"),
    ],
)
