"""Judges of gradient descent by hand, of the way that an optimizer takes, and of the first optimizer."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of, outputs
from arena_lib.checking.mistakes import Mistake
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.optimizers import paths, sgd
from arena_lib.fundamentals.optimizers.surfaces import plateau, ravine, rosenbrock, saddle
from arena_lib.tests.optimization.watching import (
    life_of_an_optimizer,
    mistakes_around_the_update,
    mistakes_in_zero_grad,
    optimizer_cases,
)

__test__ = False


def way_cases(generator: torch.Generator) -> list[Case]:
    """Several surfaces, rates and lengths, one point, double precision, a start that requires a gradient."""
    del generator

    def case(label: str, fn: Callable[..., Tensor], xy: Tensor, *rest: float) -> Case:
        return Case(label=label, args=(fn, xy, *rest), axes={"output": "n_iters coordinate"})

    return [
        case("a ravine", ravine, torch.tensor([-4.0, 1.0]), 0.02, 5),
        case("a bent valley", rosenbrock, torch.tensor([-1.2, 1.0]), 0.001, 7),
        case("one point", saddle, torch.tensor([0.5, 0.3]), 0.1, 1),
        case("double precision", plateau, torch.tensor([1.0, -0.5], dtype=torch.float64), 0.5, 4),
        case("a start that requires a gradient", ravine, torch.tensor([2.0, -1.0], requires_grad=True), 0.05, 3),
        case("the default rate and number of points", ravine, torch.tensor([1.0, 0.2])),
    ]


def momentum_cases(generator: torch.Generator) -> list[Case]:
    """The same, with a momentum after the rate."""

    def with_momentum(case: Case, momentum: float) -> Case:
        fn, xy, *rest = case.args
        args = (fn, xy, rest[0], momentum, rest[1]) if rest else (fn, xy)
        return Case(label=case.label, args=args, axes=case.axes)

    return [
        with_momentum(case, momentum)
        for case, momentum in zip(way_cases(generator), (0.5, 0.9, 0.9, 0.0, 0.7, 0.9), strict=True)
    ]


def way(function: Callable[..., Any], case: Case) -> Observations:
    """The points, their dtype, whether they need a gradient, and what became of the start and of its grad."""
    seen = outputs(function, case)
    output = seen["output"]
    if isinstance(output, Tensor):
        seen |= {"requires a gradient": output.requires_grad, "output": output.detach()}
    passed = case.fresh()
    function(*passed.args)
    return seen | {"grad of xy": passed.args[1].grad}


def descent_by_backward(fn, xy, lr=0.01, n_iters=100):  # type: ignore[no-untyped-def]
    """With backward and a table that is filled."""
    points = torch.empty(n_iters, 2, dtype=xy.dtype)
    point = xy.detach().clone()
    for i in range(n_iters):
        points[i] = point
        x, y = (number.clone().requires_grad_() for number in point)
        fn(x, y).backward()
        point = point - lr * torch.stack([x.grad, y.grad])
    return points


def way_by_table(fn, xy, lr=0.001, momentum=0.98, n_iters=100):  # type: ignore[no-untyped-def]
    """With a table, and zero_grad after the step."""
    point = torch.nn.Parameter(xy.detach().clone())
    optimizer = torch.optim.SGD([point], lr, momentum)
    points = torch.zeros(n_iters, 2, dtype=xy.dtype)
    for i in range(n_iters):
        points[i] = point.detach()
        fn(*point).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
    return points


test_gradient_descent = exercise(
    reference=paths.gradient_descent,
    cases=way_cases,
    observe=way,
    accepts=[descent_by_backward],
    mistakes=[
        *instead_of(
            "points[-1] - lr * grad",
            {
                "points[-1] + lr * grad": ("goes uphill", "the gradient points uphill: subtract it"),
                "points[-1] - grad": ("forgets the learning rate", "a step is lr times the gradient"),
                "points[0] - lr * grad": ("steps from the start each time", "a step begins at the last point"),
                "points[-1] - lr * grad / grad.norm()": (
                    "makes all steps equally long",
                    "where the ground is steep, a step is long",
                ),
                "points[-1] - lr * grad.sign()": ("uses the sign of the gradient alone", "its size matters as well"),
            },
        ),
        *instead_of(
            "range(n_iters - 1)",
            {
                "range(n_iters)": ("gives one point too many", "the start is one of the n_iters points"),
            },
        ),
        *instead_of(
            "point = points[-1].clone()",
            {
                "point = points[0].clone()": (
                    "takes the gradient at the start",
                    "each step asks for the slope where it is",
                )
            },
        ),
        *instead_of(
            "points = [xy.detach().clone()]",
            {
                "points = [xy.detach().float()]": ("gives single precision", "the points have the dtype of xy"),
                "points = [xy.clone()]": ("keeps the start's graph", "the points need no gradient: detach the start"),
            },
        ),
    ],
)

test_opt_fn_with_sgd = exercise(
    reference=paths.opt_fn_with_sgd,
    cases=momentum_cases,
    observe=way,
    accepts=[way_by_table],
    mistakes=[
        *instead_of(
            "        optimizer.zero_grad()\n",
            {"": ("forgets zero_grad", "backward adds to grad: without zero_grad, all gradients so far pile up")},
        ),
        *instead_of(
            "lr=lr, momentum=momentum",
            {
                "lr=lr": ("ignores momentum", "torch.optim.SGD takes momentum as well"),
                "lr=lr, momentum=momentum, nesterov=momentum > 0": (
                    "uses Nesterov's momentum",
                    "plain momentum is what SGD does unless told otherwise",
                ),
                "lr=lr, momentum=momentum, dampening=momentum": (
                    "dampens the gradients",
                    "SGD adds whole gradients to the velocity unless told otherwise",
                ),
            },
        ),
        *instead_of(
            "points.append(point.detach().clone())\n        optimizer.zero_grad()\n        fn(point[0], point[1]).backward()\n"
            "        optimizer.step()",
            {
                "optimizer.zero_grad()\n        fn(point[0], point[1]).backward()\n        optimizer.step()\n"
                "        points.append(point.detach().clone())": (
                    "records each point after its step",
                    "the first point is the start: record before the step",
                ),
                "points.append(point.detach())\n        optimizer.zero_grad()\n        fn(point[0], point[1]).backward()\n"
                "        optimizer.step()": (
                    "records the same tensor every time",
                    "the optimizer changes the point in place: record a clone",
                ),
            },
        ),
        *instead_of(
            "point = xy.detach().clone()",
            {"point = xy.detach()": ("moves the start itself", "xy stays as it is: work on a clone")},
        ),
        *instead_of(
            "points.append(point.detach().clone())",
            {"points.append(point.clone())": ("keeps the points' graph", "the points need no gradient: detach them")},
        ),
        *instead_of(
            "return torch.stack(points)",
            {"return torch.stack(points).float()": ("gives single precision", "the points have the dtype of xy")},
        ),
        *instead_of(
            "range(n_iters)",
            {
                "range(n_iters + 1)": ("gives one point too many", "the start is one of the n_iters points"),
                "range(n_iters - 1)": ("gives one point too few", "the start is one of the n_iters points"),
            },
        ),
        *instead_of(
            "fn(point[0], point[1])",
            {"fn(point[1], point[0])": ("swaps x and y", "x is the first number")},
        ),
    ],
)


def plain_cases(generator: torch.Generator) -> list[Case]:
    """Two learning rates."""
    return optimizer_cases(generator, {"lr": 0.1}, {"another rate": {"lr": 2.0}})


class PlainSGDByCopy:
    """With inference mode and copy_."""

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        self.params = [*params]
        self.lr = lr

    def zero_grad(self) -> None:
        for param in self.params:
            param.grad = None

    @torch.inference_mode()
    def step(self) -> None:
        for param in self.params:
            if param.grad is None:
                continue
            param.copy_(param - self.lr * param.grad)


class PlainSGDByData(PlainSGDByCopy):
    """With .data, as in old code."""

    def step(self) -> None:
        for param in self.params:
            if param.grad is not None:
                param.data.add_(param.grad.data, alpha=-self.lr)


class KeepsTheIterable(PlainSGDByCopy):
    """Goes through what it was given, which a generator allows only once."""

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        self.params = params  # type: ignore[assignment]
        self.lr = lr


UPDATE = "param -= self.lr * param.grad"

test_plain_sgd = exercise(
    reference=sgd.PlainSGD,
    name="plain_sgd",
    cases=plain_cases,
    observe=life_of_an_optimizer,
    accepts=[PlainSGDByCopy, PlainSGDByData],
    mistakes=[
        *mistakes_around_the_update("PlainSGD"),
        *mistakes_in_zero_grad("PlainSGD"),
        *instead_of(
            UPDATE,
            {
                "param += self.lr * param.grad": ("goes uphill", "a step goes against the gradient: minus"),
                "param -= param.grad": ("forgets the learning rate", "a step is lr times the gradient"),
                "param = param - self.lr * param.grad": (
                    "gives the name to a new tensor",
                    "`param = ...` changes nothing outside of step: write `param -= ...`",
                ),
                "param.data = param.data - self.lr * param.grad": (
                    "replaces the parameter's memory",
                    "who else holds this memory must see the step: change it in place",
                ),
                "param -= self.lr * param.grad\n                param.grad = None": (
                    "forgets the gradients in step",
                    "that is what zero_grad is for",
                ),
                "param.grad *= self.lr\n                param -= param.grad": (
                    "changes the gradients",
                    "gradients stay as they are: others may read them, and add to them",
                ),
            },
            within="PlainSGD.step",
        ),
        Mistake(
            "takes a missing gradient for a number",
            "if param.grad is not None:",
            "if True:",
            why="a parameter whose grad is None stays as it is",
            within="PlainSGD.step",
        ),
        Mistake(
            "keeps the iterable itself",
            function=KeepsTheIterable,
            why="a generator can be gone through only once: keep list(params)",
        ),
    ],
)
