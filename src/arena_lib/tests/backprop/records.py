"""Judges of functions of tensors that remember: one of one argument, and one of two."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, also_called, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.backprop import recording
from arena_lib.fundamentals.backprop.grad_mode import is_grad_enabled, no_grad
from arena_lib.fundamentals.backprop.tensors import Recipe, Tensor
from arena_lib.tests.backprop.watching import describe_recipe, describe_tensor, draw

__test__ = False

FUNC = "recipe.func is the function of numpy"
UNCHANGED = "arguments are as before"


def watch_call(function: Callable[..., Any], numpy_func: Callable[..., Any], case: Case, **kwargs: Any) -> Observations:
    """The result of one call on new tensors, its recipe, and whether the arguments are as before."""
    args = tuple(_new_tensor(*arg) if isinstance(arg, tuple) else arg for arg in case.given["args"])
    before = [(np.array(arg.array), arg.requires_grad) if isinstance(arg, Tensor) else arg for arg in args]
    if case.given.get("no_grad"):
        with no_grad():
            result = function(*args, **kwargs)
    else:
        result = function(*args, **kwargs)
    seen = describe_tensor(result) | describe_recipe(result, args)
    if seen["has a recipe"]:
        seen[FUNC] = result.recipe.func is numpy_func
    kept = [
        arg.grad is None and arg.recipe is None and np.array_equal(arg.array, old[0]) and arg.requires_grad == old[1]
        if isinstance(arg, Tensor)
        else arg is old
        for arg, old in zip(args, before, strict=True)
    ]
    return seen | {UNCHANGED: all(kept)}


def _new_tensor(array: np.ndarray, requires_grad: bool) -> Tensor:
    return Tensor(array.copy(), requires_grad)


def tensor_case(label: str, *args: Any, written: str, no_grad: bool = False, **given: Any) -> Case:
    """Arguments that are numbers, or an array with whether its tensor requires a gradient."""
    return Case(label=label, given={"args": args, "no_grad": no_grad, **given}, call=written)


def log_cases(generator: torch.Generator) -> list[Case]:
    """Tensors that require a gradient and others, and a place where nothing is recorded."""
    rng = np.random.default_rng(12)
    row, table, number = (np.asarray(rng.uniform(0.2, 3.0, shape)) for shape in ((4,), (2, 3), ()))
    return [
        tensor_case("requires a gradient", (row, True), written="x"),
        tensor_case("a table", (table, True), written="x"),
        tensor_case("no axes", (number, True), written="x"),
        tensor_case("no gradient is wanted", (table, False), written="x, whose requires_grad is False"),
        tensor_case("no_grad: nothing is recorded", (row, True), written="x, inside no_grad()", no_grad=True),
    ]


def watch_log(function: Callable[..., Any], case: Case) -> Observations:
    """What the logarithm of a tensor is."""
    return watch_call(function, np.log, case)


def log_by_wrapping(x: Tensor) -> Tensor:
    """With the general form."""
    return recording.wrap_forward_fn(np.log)(x)


def log_with_one_decision(x: Tensor) -> Tensor:
    """Decides first."""
    wants_grad = x.requires_grad and is_grad_enabled()
    result = Tensor(np.log(x.array), wants_grad)
    result.recipe = Recipe(np.log, (x.array,), {}, {0: x}) if wants_grad else None
    return result


def log_in_place(x: Tensor) -> Tensor:
    """Into the tensor that was given."""
    result = recording.log_forward(x)
    x.array = result.array
    return result


def log_recorded_always(x: Tensor) -> Tensor:
    """With a recipe in any case, and requires_grad where it is wanted."""
    result = Tensor(np.log(x.array), x.requires_grad and is_grad_enabled())
    result.recipe = Recipe(np.log, (x.array,), {}, {0: x})
    return result


ALWAYS_A_RECIPE = (
    "keeps a recipe in any case",
    "without a gradient to find there is no recipe: it would only keep the parents in memory",
)
WRONG_PARENTS = (
    "keeps the array as the parent",
    "a parent is the tensor itself, so that its gradient can be found",
)
NO_ENABLED = (
    "records inside no_grad too",
    "nothing is recorded where is_grad_enabled() is False",
)

test_log_forward = exercise(
    reference=recording.log_forward,
    cases=log_cases,
    observe=watch_log,
    accepts=[log_by_wrapping, log_with_one_decision],
    mistakes=[
        *instead_of(
            "if is_grad_enabled() and x.requires_grad:",
            {
                "if x.requires_grad:": NO_ENABLED,
                "if is_grad_enabled():": (
                    "records whatever x requires",
                    "nothing is recorded where x requires no gradient",
                ),
                "if False:": ("records nothing", "without a recipe nobody can find the way back"),
                "if is_grad_enabled() or x.requires_grad:": (
                    "records where either condition holds",
                    "both must hold: x requires a gradient, and is_grad_enabled()",
                ),
            },
        ),
        *instead_of(
            "args=(x.array,)",
            {
                "args=(x,)": ("keeps the tensor among the args", "args holds arrays, as np.log was called with them"),
                "args=(result.array,)": ("keeps the output among the args", "args holds the input of np.log"),
                "args=()": ("forgets the args", "the backward function will need x: args is (x.array,)"),
            },
        ),
        *instead_of(
            "parents={0: x}",
            {
                "parents={0: x.array}": WRONG_PARENTS,
                "parents={1: x}": ("counts positions from 1", "positions are counted from 0"),
                "parents={}": ("forgets the parent", "the gradient is passed on to the parents: {0: x}"),
                "parents={0: result}": (
                    "is its own parent",
                    "the parent is the tensor that the result was made from",
                ),
            },
        ),
        *instead_of(
            "result.requires_grad = True",
            {
                "pass": (
                    "forgets requires_grad",
                    "the result requires a gradient if x does, else nothing flows through it",
                ),
            },
        ),
        *instead_of(
            "func=np.log",
            {
                "func=log_forward": (
                    "keeps the function of tensors",
                    "func is np.log, the function of arrays: by it the backward function is found",
                ),
            },
        ),
        Mistake(
            "returns an array",
            "return result",
            "return result.array",
            why="the result is a Tensor",
        ),
        Mistake(ALWAYS_A_RECIPE[0], function=log_recorded_always, why=ALWAYS_A_RECIPE[1]),
        Mistake("changes x", function=log_in_place, why="x stays as it is: the result is a new tensor"),
    ],
)


def multiply_cases(generator: torch.Generator) -> list[Case]:
    """Either factor may require a gradient, be a number, or be broadcast; one tensor may be both."""
    rng = np.random.default_rng(13)
    row, table = draw(rng, 3), draw(rng, 2, 3)
    return [
        tensor_case("both require a gradient", (table, True), (row, True), written="a, b"),
        tensor_case("a alone requires one", (row, True), (table, False), written="a, b"),
        tensor_case("b alone requires one", (table, False), (table + 1, True), written="a, b"),
        tensor_case("neither requires one", (row, False), (table, False), written="a, b"),
        tensor_case("b is a number", (row, True), 2.5, written="a, 2.5"),
        tensor_case("a is a whole number", -3, (row, True), written="-3, b"),
        tensor_case("a is a number", 0.5, (table, True), written="0.5, b"),
        tensor_case("a number, and no gradient is wanted", (row, False), 4, written="a, 4"),
        tensor_case("no_grad: nothing is recorded", (table, True), (row, True), written="a, b", no_grad=True),
    ]


def watch_multiply(function: Callable[..., Any], case: Case) -> Observations:
    """What the product of tensors is."""
    return watch_call(function, np.multiply, case)


def multiply_by_wrapping(a: Tensor | int | float, b: Tensor | int | float) -> Tensor:
    """With the general form."""
    return recording.wrap_forward_fn(np.multiply)(a, b)


def multiply_by_cases(a: Tensor | int | float, b: Tensor | int | float) -> Tensor:
    """Case by case."""
    is_a, is_b = isinstance(a, Tensor), isinstance(b, Tensor)
    array_a, array_b = a.array if is_a else a, b.array if is_b else b  # type: ignore[union-attr]
    result = Tensor(np.multiply(array_a, array_b))
    wants_a, wants_b = is_a and a.requires_grad, is_b and b.requires_grad  # type: ignore[union-attr]
    if is_grad_enabled() and (wants_a or wants_b):
        parents: dict[int, Any] = {}
        if is_a:
            parents[0] = a
        if is_b:
            parents[1] = b
        result.requires_grad = True
        result.recipe = Recipe(np.multiply, (array_a, array_b), {}, parents)
    return result


def multiply_of_tensors(a: Any, b: Any) -> Tensor:
    """Makes tensors of numbers."""
    return multiply_by_wrapping(*(arg if isinstance(arg, Tensor) else Tensor(arg) for arg in (a, b)))


def _record(a: Any, b: Any, parents: dict[int, Any], wants_grad: bool, has_recipe: bool) -> Tensor:
    args = tuple(arg.array if isinstance(arg, Tensor) else arg for arg in (a, b))
    result = Tensor(np.multiply(*args), wants_grad)
    result.recipe = Recipe(np.multiply, args, {}, parents) if has_recipe else None
    return result


def _wants_grad(a: Any, b: Any) -> bool:
    return is_grad_enabled() and any(isinstance(arg, Tensor) and arg.requires_grad for arg in (a, b))


def multiply_if_both_want(a: Any, b: Any) -> Tensor:
    """Records where both arguments are tensors that require a gradient."""
    wants = is_grad_enabled() and all(isinstance(arg, Tensor) and arg.requires_grad for arg in (a, b))
    return _record(a, b, {i: arg for i, arg in enumerate((a, b)) if isinstance(arg, Tensor)}, wants, wants)


def multiply_with_numbers_as_parents(a: Any, b: Any) -> Tensor:
    """Takes every argument for a parent."""
    return _record(a, b, {0: a, 1: b}, _wants_grad(a, b), _wants_grad(a, b))


def multiply_recorded_always(a: Any, b: Any) -> Tensor:
    """With a recipe in any case, and requires_grad where it is wanted."""
    parents = {i: arg for i, arg in enumerate((a, b)) if isinstance(arg, Tensor)}
    return _record(a, b, parents, _wants_grad(a, b), True)


def multiply_that_marks(a: Any, b: Any) -> Tensor:
    """Lets both arguments require a gradient if one does."""
    result = multiply_by_wrapping(a, b)
    for arg in (a, b):
        if isinstance(arg, Tensor) and result.requires_grad:
            arg.requires_grad = True
    return result


LEAVES_OUT_PARENTS = (
    "leaves out parents that require no gradient",
    "parents holds every argument that is a tensor",
)
BOTH_MUST = ("asks that all require a gradient", "one tensor that requires a gradient is enough")
FORGETS_REQUIRES_GRAD = (
    "forgets requires_grad",
    "the result requires a gradient too, else nothing flows through it",
)

test_multiply_forward = exercise(
    reference=recording.multiply_forward,
    cases=multiply_cases,
    observe=watch_multiply,
    accepts=[multiply_by_wrapping, multiply_by_cases],
    mistakes=[
        *instead_of(
            "any(parent.requires_grad for parent in parents.values())",
            {
                "all(parent.requires_grad for parent in parents.values())": BOTH_MUST,
                "getattr(a, 'requires_grad', False)": (
                    "looks at a alone",
                    "b may be the one that requires a gradient",
                ),
                "True": ("records whatever the factors require", "at least one tensor must require a gradient"),
            },
        ),
        *instead_of(
            "is_grad_enabled() and",
            {"True and": NO_ENABLED},
        ),
        *instead_of(
            "parents = {position: arg for position, arg in enumerate((a, b)) if isinstance(arg, Tensor)}",
            {
                "parents = {i: arg for i, arg in enumerate(arg for arg in (a, b) if isinstance(arg, Tensor))}": (
                    "counts positions among the tensors alone",
                    "a position is that among all arguments: with a number first, b is at 1",
                ),
                "parents = {1 - i: arg for i, arg in enumerate((a, b)) if isinstance(arg, Tensor)}": (
                    "swaps the parents",
                    "a is at position 0, b at position 1",
                ),
            },
        ),
        *instead_of(
            "func=np.multiply, args=args",
            {
                "func=np.multiply, args=(a, b)": (
                    "keeps tensors among the args",
                    "args holds arrays and numbers, as np.multiply was called with them",
                ),
                "func=np.multiply, args=tuple(np.asarray(arg) for arg in args)": (
                    "makes arrays of numbers",
                    "a number stays as it is among the args",
                ),
                "func=np.multiply, args=args[::-1]": ("swaps the args", "args come in the order of the call"),
                "func=multiply_forward, args=args": (
                    "keeps the function of tensors",
                    "func is np.multiply, the function of arrays: by it the backward function is found",
                ),
            },
        ),
        *instead_of(
            "np.multiply(*args)",
            {"np.add(*args)": ("adds", "np.multiply multiplies entry by entry")},
        ),
        Mistake(
            LEAVES_OUT_PARENTS[0],
            "args=args, kwargs={}, parents=parents",
            "args=args, kwargs={}, parents={i: arg for i, arg in parents.items() if arg.requires_grad}",
            why=LEAVES_OUT_PARENTS[1],
        ),
        Mistake(FORGETS_REQUIRES_GRAD[0], "result.requires_grad = True", "pass", why=FORGETS_REQUIRES_GRAD[1]),
        Mistake(BOTH_MUST[0], function=multiply_if_both_want, why=BOTH_MUST[1]),
        Mistake(ALWAYS_A_RECIPE[0], function=multiply_recorded_always, why=ALWAYS_A_RECIPE[1]),
        Mistake(
            "takes numbers for parents",
            function=multiply_with_numbers_as_parents,
            why="a number has no gradient: parents holds tensors alone",
        ),
        Mistake(
            "lets its arguments require a gradient",
            function=multiply_that_marks,
            why="the arguments stay as they are: the result alone requires a gradient",
        ),
        Mistake(
            "makes tensors of numbers",
            function=multiply_of_tensors,
            why="a number has no gradient: it stays as it is among the args, and is no parent",
        ),
    ],
)

test_log_no_grad = test_log_forward.part("no_grad")
test_multiply_no_grad = test_multiply_forward.part("no_grad")
test_multiply_float = test_multiply_forward.part("b is a number")
test_log = also_called(test_log_forward)
test_multiply = also_called(test_multiply_forward)
