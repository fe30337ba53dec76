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


def columns(x: np.ndarray) -> float:
    """The product of what the columns' cubes add up to: it needs the shape of x."""
    return float(np.prod((x**3).sum(axis=0)))


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
        case("a function that needs the shape of x", columns, [[1.0, -2.0, 0.5], [2.0, 0.4, -1.0]], 0.1),
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
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        x[index] += eps
        above = function(x)
        x[index] -= 2 * eps
        gradient[index] = (above - function(x)) / (2 * eps)
    return gradient


def nudge_in_x_and_back(function: Callable[[np.ndarray], float], x: np.ndarray, eps: float = 1e-6) -> np.ndarray:
    """Moves the caller's entries and moves them back, which leaves rounding in them, and loses eps in whole numbers."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        x[index] += eps
        above = function(x)
        x[index] -= 2 * eps
        gradient[index] = (above - function(x)) / (2 * eps)
        x[index] += eps
    return gradient


def nudge_by_the_usual_step(function: Callable[[np.ndarray], float], x: np.ndarray, eps: float = 1e-6) -> np.ndarray:
    """Whatever eps is."""
    return finite_differences.numerical_gradient(function, x)


def nudge_rows(function: Callable[[np.ndarray], float], x: np.ndarray, eps: float = 1e-6) -> np.ndarray:
    """Moves what one index picks: of a table a whole row."""
    gradient = np.zeros(x.shape)
    for i in range(len(x)):
        up, down = x.astype(float), x.astype(float)
        up[i] += eps
        down[i] -= eps
        gradient[i] = (function(up) - function(down)) / (2 * eps)
    return gradient


def nudge_flat(function: Callable[[np.ndarray], float], x: np.ndarray, eps: float = 1e-6) -> np.ndarray:
    """Hands the function a row of all entries."""
    return finite_differences.numerical_gradient(function, x.ravel(), eps).reshape(x.shape)


CHANGES_X = ("changes x", "x stays as it is: nudge a copy, of floats")

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
        *instead_of(
            "down[index] -= eps",
            {
                "pass": ("does not lower the entry", "down is x with this entry lowered by eps"),
                "down -= eps": ("lowers all entries at once", "one entry is moved, all others stay"),
            },
        ),
        *instead_of(
            "gradient = np.zeros(x.shape)\n    for index in np.ndindex(x.shape):\n        up, down = x.astype(float), x.astype(float)",
            {
                "gradient = np.zeros(x.shape)\n    up, down = x.astype(float), x.astype(float)\n    for index in np.ndindex(x.shape):": (
                    "leaves earlier entries moved",
                    "each entry is moved alone: begin every time with x as it is",
                ),
            },
        ),
        Mistake(
            "keeps the gradient in whole numbers",
            "gradient = np.zeros(x.shape)",
            "gradient = np.zeros_like(x)",
            why="a slope is a float, also where x holds whole numbers",
        ),
        Mistake(
            "returns a row of slopes",
            "return gradient",
            "return gradient.ravel()",
            why="the gradient has the shape of x",
        ),
        *(Mistake(CHANGES_X[0], function=wrong, why=CHANGES_X[1]) for wrong in (nudge_in_x, nudge_in_x_and_back)),
        Mistake("ignores eps", function=nudge_by_the_usual_step, why="eps says how far an entry is moved"),
        Mistake(
            "moves whole rows",
            function=nudge_rows,
            why="x may have any number of axes, or none: np.ndindex(x.shape) gives the index of every single entry",
        ),
        Mistake(
            "hands the function a flat array",
            function=nudge_flat,
            why="the function takes an array in the shape of x",
        ),
    ],
)
