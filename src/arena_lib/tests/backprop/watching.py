"""What judges of this section look at.

Arrays are copied before each call, so that what a call changes in place is seen and spoils nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from arena_lib.checking import Case, Unfit
from arena_lib.checking.observing import Observations, outputs
from arena_lib.fundamentals.backprop.tensors import Tensor

__test__ = False


def array_result(function: Callable[..., Any], case: Case) -> Observations:
    """As `outputs`; a number counts as an array without axes."""
    seen = outputs(function, case)
    output = seen["output"]
    if isinstance(output, tuple):
        return seen | {"output": tuple(as_array(part) for part in output)}
    return seen | {"output": as_array(output)}


def as_array(value: Any) -> Any:
    """A number as an array without axes; all else as it is."""
    return np.asarray(value) if isinstance(value, np.generic | float | int) else value


def draw(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Numbers of either sign, none of them near 0."""
    return np.asarray(rng.uniform(0.5, 2.0, shape) * rng.choice([-1.0, 1.0], shape))


def describe_tensor(result: Any) -> Observations:
    """A result's array and whether it requires a gradient; of anything but a Tensor the type alone."""
    if not isinstance(result, Tensor):
        return {"type of the result": type(result).__name__}
    return {
        "type of the result": "Tensor",
        "array": np.array(result.array),
        "requires_grad": result.requires_grad,
        "grad": result.grad,
    }


def describe_recipe(result: Any, args: tuple[Any, ...]) -> Observations:
    """How a result says that it was made, from these arguments."""
    recipe = getattr(result, "recipe", None)
    if recipe is None:
        return {"has a recipe": False}
    if not isinstance(recipe.parents, Mapping):
        return {"has a recipe": True, "type of recipe.parents": type(recipe.parents).__name__}
    parents = {
        position: next((f"argument {i} itself" for i, arg in enumerate(args) if arg is parent), type(parent).__name__)
        for position, parent in dict(recipe.parents).items()
    }
    return {
        "has a recipe": True,
        "recipe.args": [np.array(arg) if isinstance(arg, np.ndarray) else _kind(arg) for arg in recipe.args],
        "recipe.kwargs": dict(recipe.kwargs),
        "recipe.parents": dict(sorted(parents.items())),
    }


def _kind(arg: Any) -> Any:
    return "a Tensor" if isinstance(arg, Tensor) else arg


def require_class(cls: Any, name: str) -> None:
    """Unfit unless a class was handed in."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class {name} itself: got {type(cls).__name__}.")
