"""Judge of gradient descent."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.backprop.classifier import networks
from arena_lib.fundamentals.backprop.tensors import Tensor
from arena_lib.tests.backprop.watching import draw, require_class

__test__ = False


def descent_cases(generator: torch.Generator) -> list[Case]:
    """Several parameters and rates, one without a gradient, an iterable that can be gone through once."""
    rng = np.random.default_rng(27)

    def case(label: str, lr: float, *shapes: tuple[int, ...], **given: Any) -> Case:
        params = [draw(rng, *shape) for shape in shapes]
        grads = [draw(rng, *shape) for shape in shapes]
        return Case(label=label, given={"lr": lr, "params": params, "grads": grads, **given}, call=f"params, lr={lr}")

    by_hand = {"params": [np.array([1.0]), np.array([2.0])], "grads": [np.array([1.0]), np.array([2.0])]}
    return [
        Case(label="by hand", given={"lr": 0.1, **by_hand}, call="params, lr=0.1"),
        case("one table", 0.5, (2, 3)),
        case("a parameter without a gradient", 0.3, (3,), (2, 2), (4,), without=1),
        case("a generator of parameters", 0.2, (3,), (2,), as_generator=True),
        case("parameters without axes", 2.0, (), ()),
    ]


def life_of_an_optimizer(cls: Any, case: Case) -> Observations:
    """Parameters after one step and after a second, what zero_grad leaves, and whether the old arrays are as before."""
    require_class(cls, "SGD")
    params = [networks.Parameter(array.copy()) for array in case.given["params"]]
    given: Iterable[Any] = (param for param in params) if case.given.get("as_generator") else params
    optimizer = cls(given, case.given["lr"])
    old = [param.array for param in params]
    before = [array.copy() for array in old]
    for i, (param, grad) in enumerate(zip(params, case.given["grads"], strict=True)):
        param.grad = None if i == case.given.get("without") else Tensor(grad.copy())
    seen: Observations = {}
    returned = []
    for n in (1, 2):
        returned.append(optimizer.step())
        seen[f"after step {n}"] = [_plain(param.array) for param in params]
    grads = [None if param.grad is None else _plain(param.grad.array) for param in params]
    seen["gradients after the steps"] = grads
    seen["old arrays are as before"] = all(np.array_equal(a, b) for a, b in zip(old, before, strict=True))
    seen["leaves"] = [param.is_leaf and param.requires_grad for param in params]
    returned.append(optimizer.zero_grad())
    seen["gradients after zero_grad"] = [None if param.grad is None else _plain(param.grad.array) for param in params]
    if not all(isinstance(param.array, np.ndarray) for param in params):
        return seen
    optimizer.step()
    seen["after a step without gradients"] = [_plain(param.array) for param in params]
    return seen | {"what the methods return": returned}


def _plain(array: Any) -> Any:
    return np.array(array) if isinstance(array, np.ndarray | np.generic) else type(array).__name__


class SGDByUpdate:
    """With zip and a list of results."""

    def __init__(self, params: Iterable[networks.Parameter], lr: float) -> None:
        self.params = [*params]
        self.lr = lr

    def zero_grad(self) -> None:
        for param in self.params:
            param.grad = None

    def step(self) -> None:
        for param in self.params:
            if param.grad is None:
                continue
            param.array = np.subtract(param.array, np.multiply(param.grad.array, self.lr))


class SGDByTensors(networks.SGD):
    """With tensors that are detached afterwards."""

    def step(self) -> None:
        for param in self.params:
            if param.grad is not None:
                param.array = (param.detach() - self.lr * param.grad).array


class SGDOfOneSweep(networks.SGD):
    """Keeps the iterable itself."""

    def __init__(self, params: Iterable[networks.Parameter], lr: float) -> None:
        self.params, self.lr = params, lr  # type: ignore[assignment]


class SGDOfNewParameters(networks.SGD):
    """Puts new parameters into its list."""

    def step(self) -> None:
        self.params = [
            param if param.grad is None else networks.Parameter(param.array - self.lr * param.grad.array)
            for param in self.params
        ]


class SGDThatLeavesRecipes(networks.SGD):
    """Lets the parameter remember how it was moved."""

    def step(self) -> None:
        for param in self.params:
            if param.grad is not None:
                moved = param - self.lr * param.grad
                param.array, param.recipe = moved.array, moved.recipe


NOTHING_MOVES = (
    "moves nothing",
    "the tensor that the model holds must get a new array: assign to its attribute, array",
)
STEP = "parameter.array = parameter.array - self.lr * parameter.grad.array"

test_sgd = exercise(
    reference=networks.SGD,
    cases=descent_cases,
    observe=life_of_an_optimizer,
    keep=["__init__"],
    accepts=[SGDByUpdate, SGDByTensors],
    mistakes=[
        *instead_of(
            STEP,
            {
                STEP.replace(" - ", " + "): ("goes uphill", "a step goes against the gradient: minus"),
                "parameter.array = parameter.array - parameter.grad.array": (
                    "forgets the learning rate",
                    "a step goes lr times the gradient",
                ),
                "parameter.array = parameter.array * (1 - self.lr * parameter.grad.array)": (
                    "moves by a share of the parameter",
                    "a step is lr times the gradient, whatever the parameter is",
                ),
                "parameter = parameter - self.lr * parameter.grad": NOTHING_MOVES,
                "parameter.array = parameter.array - self.lr * parameter.grad": (
                    "makes the array a Tensor",
                    "an array and a Tensor give a Tensor: take the gradient's array",
                ),
                "parameter.array = -self.lr * parameter.grad.array": (
                    "puts the step in place of the parameter",
                    "the step is subtracted from what was there",
                ),
                "parameter.array = parameter.array - self.lr * parameter.grad.array.mean()": (
                    "takes the mean of the gradient",
                    "every entry goes by its own slope",
                ),
                "parameter.array = parameter.array - self.lr * parameter.grad.array / len(self.params)": (
                    "divides by the number of parameters",
                    "every parameter takes the whole step: lr times its gradient",
                ),
                "parameter.array = parameter.array - self.lr * np.sign(parameter.grad.array)": (
                    "goes by the sign of the gradient alone",
                    "a step is lr times the gradient: longer where it is steeper",
                ),
                "parameter.array -= self.lr * parameter.grad.array": (
                    "changes the array in place",
                    "recipes may still hold the old array: the parameter gets a new one",
                ),
                f"{STEP}\n                parameter.grad = None": (
                    "forgets the gradients in step",
                    "that is what zero_grad is for",
                ),
            },
            within="SGD.step",
        ),
        *instead_of(
            "if parameter.grad is not None:",
            {
                "if parameter.grad is not None and parameter is self.params[0]:": (
                    "moves the first parameter alone",
                    "every parameter that has a gradient moves",
                ),
                "if True:": (
                    "forgets that a parameter may have no gradient",
                    "a parameter whose grad is None stays where it is",
                ),
                "if parameter.grad is None:\n                return\n            if True:": (
                    "stops at the first parameter without a gradient",
                    "the others still move: go on with the next one",
                ),
            },
            within="SGD.step",
        ),
        *instead_of(
            "parameter.grad = None",
            {
                "parameter.grad = Tensor(np.zeros_like(parameter.array))": (
                    "leaves zeros in place of gradients",
                    "zero_grad sets every grad to None",
                ),
                "parameter.grad = None\n            return": (
                    "clears the first gradient alone",
                    "zero_grad sets every grad to None",
                ),
                "pass": ("does nothing in zero_grad", "zero_grad sets every grad to None"),
            },
            within="SGD.zero_grad",
        ),
        Mistake(NOTHING_MOVES[0], function=SGDOfNewParameters, why=NOTHING_MOVES[1]),
        Mistake(
            "leaves a recipe on the parameter",
            function=SGDThatLeavesRecipes,
            why="a parameter is a leaf: what it was moved by is no part of the next calculation",
        ),
    ],
)
