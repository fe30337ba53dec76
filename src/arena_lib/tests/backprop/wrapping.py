"""Judge of what makes functions of tensors out of functions of arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.backprop import recording
from arena_lib.fundamentals.backprop.arrays import sum_array
from arena_lib.fundamentals.backprop.grad_mode import is_grad_enabled
from arena_lib.fundamentals.backprop.tensors import Recipe, Tensor
from arena_lib.tests.backprop.records import (
    BOTH_MUST,
    FORGETS_REQUIRES_GRAD,
    LEAVES_OUT_PARENTS,
    NO_ENABLED,
    tensor_case,
    watch_call,
)
from arena_lib.tests.backprop.watching import draw

__test__ = False


def wrap_cases(generator: torch.Generator) -> list[Case]:
    """One argument, two, three; arguments by name; functions without a gradient."""
    rng = np.random.default_rng(14)
    row, table = draw(rng, 3), draw(rng, 2, 3)
    mask = table > 0

    def case(label: str, func: Callable[..., Any], *args: Any, written: str, **given: Any) -> Case:
        return tensor_case(label, *args, written=written, func=func, **given)

    return [
        case("one argument", np.exp, (table, True), written="np.exp"),
        case("two tensors", np.subtract, (table, True), (row, True), written="np.subtract"),
        case("the second alone requires a gradient", np.add, (row, False), (table, True), written="np.add"),
        case("a number first", np.true_divide, 2.0, (row, True), written="np.true_divide"),
        case("three arguments", np.where, mask, (table, True), 0.5, written="np.where"),
        case("arguments by name", sum_array, (table, True), written="sum_array", kwargs={"dim": 0, "keepdim": True}),
        case("no gradient is wanted", np.maximum, (row, False), (table, False), written="np.maximum"),
        case("not differentiable", np.equal, (table, True), (table, True), written="np.equal", differentiable=False),
        case("not differentiable, floats", np.floor, (row, True), written="np.floor", differentiable=False),
        case("no_grad: nothing is recorded", np.multiply, (row, True), 3.0, written="np.multiply", no_grad=True),
    ]


def watch_wrapped(wrap: Callable[..., Any], case: Case) -> Observations:
    """What a wrapped function gives, and how often it calls numpy."""
    calls: list[int] = []
    numpy_func = case.given["func"]

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(len(args))
        return numpy_func(*args, **kwargs)

    options = {} if case.given.get("differentiable", True) else {"is_differentiable": False}
    function = wrap(counted, **options)
    if not callable(function):
        return {"type of what is returned": type(function).__name__}
    n_calls: list[int] = []

    def called_twice(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        n_calls.append(len(calls))
        function(*[Tensor(arg.array + 1, arg.requires_grad) if _has_floats(arg) else arg for arg in args], **kwargs)
        return result  # looked at after another call

    seen = {"type of what is returned": "a function"}
    seen |= watch_call(called_twice, counted, case, **case.given.get("kwargs", {}))
    return seen | {"calls of numpy's function": n_calls}


def _has_floats(arg: Any) -> bool:
    return isinstance(arg, Tensor) and arg.dtype.kind == "f"


class Wrapped:
    """A function that is an object."""

    def __init__(self, numpy_func: Callable[..., Any], is_differentiable: bool = True) -> None:
        self.numpy_func, self.is_differentiable = numpy_func, is_differentiable

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        plain = [arg.array if isinstance(arg, Tensor) else arg for arg in args]
        tensors = {i: arg for i, arg in enumerate(args) if isinstance(arg, Tensor)}
        wants_grad = self.is_differentiable and is_grad_enabled() and any(t.requires_grad for t in tensors.values())
        result = Tensor(self.numpy_func(*plain, **kwargs), wants_grad)
        if wants_grad:
            result.recipe = Recipe(self.numpy_func, tuple(plain), kwargs, tensors)
        return result


def wrap_in_a_class(numpy_func: Callable[..., Any], is_differentiable: bool = True) -> Callable[..., Tensor]:
    """By an object that can be called."""
    return Wrapped(numpy_func, is_differentiable)


def wrap_with_loop(numpy_func: Callable[..., Any], is_differentiable: bool = True) -> Callable[..., Tensor]:
    """Argument by argument."""

    def tensor_func(*args: Any, **kwargs: Any) -> Tensor:
        arrays: list[Any] = []
        parents: dict[int, Tensor] = {}
        for i, arg in enumerate(args):
            if isinstance(arg, Tensor):
                parents[i] = arg
                arrays.append(arg.array)
            else:
                arrays.append(arg)
        result = Tensor(numpy_func(*arrays, **kwargs))
        if is_differentiable and is_grad_enabled():
            for parent in parents.values():
                result.requires_grad = result.requires_grad or parent.requires_grad
        if result.requires_grad:
            result.recipe = Recipe(numpy_func, tuple(arrays), kwargs, parents)
        return result

    return tensor_func


def wrap_with_shared_parents(numpy_func: Callable[..., Any], is_differentiable: bool = True) -> Callable[..., Tensor]:
    """Keeps the parents of all calls in one dictionary."""
    parents: dict[int, Tensor] = {}

    def tensor_func(*args: Any, **kwargs: Any) -> Tensor:
        result = recording.wrap_forward_fn(numpy_func, is_differentiable)(*args, **kwargs)
        parents.update({i: arg for i, arg in enumerate(args) if isinstance(arg, Tensor)})
        if result.recipe is not None:
            result.recipe = Recipe(numpy_func, result.recipe.args, kwargs, parents)
        return result

    return tensor_func


test_wrap_forward_fn = exercise(
    reference=recording.wrap_forward_fn,
    cases=wrap_cases,
    observe=watch_wrapped,
    accepts=[wrap_in_a_class, wrap_with_loop],
    mistakes=[
        *instead_of(
            "if is_differentiable and is_grad_enabled() and wants_grad:",
            {
                "if is_grad_enabled() and wants_grad:": (
                    "ignores is_differentiable",
                    "through a function that isn't differentiable no gradient flows: nothing is recorded",
                ),
                "if is_differentiable and wants_grad:": NO_ENABLED,
                "if is_differentiable and is_grad_enabled():": (
                    "records whatever the arguments require",
                    "at least one tensor must require a gradient",
                ),
            },
        ),
        *instead_of(
            "any(parent.requires_grad for parent in parents.values())",
            {
                "all(parent.requires_grad for parent in parents.values())": BOTH_MUST,
                "parents.get(0) is not None and parents[0].requires_grad": (
                    "looks at the first argument alone",
                    "any of the arguments may be the one that requires a gradient",
                ),
            },
        ),
        *instead_of(
            "{position: arg for position, arg in enumerate(args) if isinstance(arg, Tensor)}",
            {
                "dict(enumerate(arg for arg in args if isinstance(arg, Tensor)))": (
                    "counts positions among the tensors alone",
                    "a position is that among all arguments, numbers included",
                ),
            },
        ),
        *instead_of(
            "kwargs=kwargs, parents=parents",
            {
                "kwargs={}, parents=parents": (
                    "forgets the arguments by name",
                    "the backward function will need them: they go into the recipe",
                ),
                "kwargs=kwargs, parents={i: arg for i, arg in parents.items() if arg.requires_grad}": LEAVES_OUT_PARENTS,
                "kwargs=kwargs, parents=list(parents.values())": (
                    "keeps the parents in a list",
                    "parents is a dictionary: for each position its tensor",
                ),
            },
        ),
        *instead_of(
            "func=numpy_func",
            {
                "func=tensor_func": (
                    "keeps the function of tensors",
                    "func is numpy_func, the function of arrays: by it the backward function is found",
                ),
            },
        ),
        *instead_of(
            "is_differentiable: bool = True",
            {
                "is_differentiable: bool = False": (
                    "takes functions for not differentiable",
                    "without is_differentiable a function is differentiable: the default is True",
                ),
            },
        ),
        *instead_of(
            "return tensor_func",
            {
                "return tensor_func()": (
                    "calls the new function at once",
                    "the function itself is returned: whoever gets it will call it",
                    "TypeError",
                ),
            },
        ),
        Mistake(
            "keeps the parents of all calls in one dictionary",
            function=wrap_with_shared_parents,
            why="each call has a recipe of its own: make the dictionary inside the function that you return",
        ),
        *instead_of(
            "args=arrays",
            {
                "args=args": (
                    "keeps tensors among the args",
                    "args holds arrays and numbers, as numpy_func was called with them",
                ),
            },
        ),
        *instead_of(
            "Tensor(numpy_func(*arrays, **kwargs))",
            {
                "Tensor(numpy_func(*arrays))": (
                    "does not pass the arguments by name on",
                    "numpy_func gets them too: numpy_func(*arrays, **kwargs)",
                ),
                "(numpy_func(*arrays, **kwargs), Tensor(numpy_func(*arrays, **kwargs)))[1]": (
                    "calls the function twice",
                    "numpy_func is called once",
                ),
            },
        ),
        Mistake(FORGETS_REQUIRES_GRAD[0], "result.requires_grad = True", "pass", why=FORGETS_REQUIRES_GRAD[1]),
    ],
)

test_eq = test_wrap_forward_fn.part("not differentiable")
test_sum = test_wrap_forward_fn.part("arguments by name")
