"""Judge of gradient descent with measurements on its way."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.errors import TrainingError
from arena_lib.fundamentals.landscapes import edge_of_stability
from arena_lib.fundamentals.landscapes.edge_of_stability import Descent
from arena_lib.tests.loss_landscapes.curvature import LOSSES, Loss
from arena_lib.tests.loss_landscapes.watching import draw

__test__ = False


def measure_size(loss_fn: Loss, theta: Tensor) -> float:
    """Not a sharpness, so that only what is handed in gives these numbers."""
    return loss_fn(theta).item() + theta.norm().item()


def steeper(theta: Tensor) -> Tensor:
    """Each step of 0.1 jumps over the bottom and lands much higher, until the loss is infinite."""
    return (theta**10).sum()


def root(theta: Tensor) -> Tensor:
    """Not a number where an entry is below 0."""
    return theta.sqrt().sum()


def descent_cases(generator: torch.Generator) -> list[Case]:
    """Several settings; one with the usual measure."""
    settings = {
        "mixed derivatives": (0.01, 7, 3),
        "a log of a sum": (0.3, 6, 2),
        "a quartic": (0.001, 5, 1),
        "a quadratic form that isn't symmetric": (0.002, 4, 9),
    }
    finite = [
        Case(
            label=label,
            given={
                "loss": LOSSES[label][0],
                "theta": draw(generator, LOSSES[label][1]),
                "settings": numbers,
                "measure": measure,
            },
            call=f"loss_fn, theta, {', '.join(map(str, numbers))}{', measure' * bool(measure)}",
        )
        for (label, numbers), measure in zip(
            settings.items(), ((measure_size,), (measure_size,), (), (measure_size,)), strict=True
        )
    ]
    endless = [
        Case(
            label=label,
            given={"loss": loss, "theta": start, "settings": (0.1, n_steps, 5), "measure": (measure_size,)},
            call=f"loss_fn, theta, 0.1, {n_steps}, 5, measure",
            raises="TrainingError",
        )
        for label, loss, start, n_steps in (
            ("a loss that becomes infinite at the last step", steeper, torch.tensor([2.0, 1.5]).double(), 4),
            ("a loss that isn't a number", root, torch.tensor([1.0, -2.0]).double(), 1),
        )
    ]
    return [*finite, *endless]


def way_down(function: Callable[..., Any], case: Case) -> Observations:
    """All four fields; theta afterwards, which may require a gradient; what the measurements were given."""
    seen: Observations = {}
    for name, requires_grad in (("", False), (" with a theta that requires a gradient", True)):
        theta = case.given["theta"].clone().requires_grad_(requires_grad)
        result = function(case.given["loss"], theta, *case.given["settings"], *case.given["measure"])
        seen |= {
            f"theta at the end{name}": result.theta.detach(),
            f"it has a history{name}": result.theta.requires_grad,
            f"losses{name}": [float(loss) for loss in result.losses],
            f"steps{name}": [int(step) for step in result.steps],
            f"sharpness{name}": [float(value) for value in result.sharpness],
            f"theta is as before{name}": torch.equal(theta, case.given["theta"]) and theta.grad is None,
        }
    return seen


def descend_by_backward(
    loss_fn: Loss,
    theta: Tensor,
    lr: float,
    n_steps: int,
    every: int,
    measure: Any = edge_of_stability.measure_sharpness,
) -> Descent:
    """By an optimizer of torch."""
    point = theta.detach().clone().requires_grad_(True)
    optimizer = torch.optim.SGD([point], lr=lr)
    losses, sharpness = [], []
    for step in range(n_steps):
        if not step % every:
            sharpness.append(measure(loss_fn, point.detach().clone()))
        loss = loss_fn(point)
        if not math.isfinite(loss.item()):
            raise TrainingError(f"the loss must be finite: got {loss.item()}")
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Descent(theta=point.detach(), losses=losses, steps=[*range(0, n_steps, every)], sharpness=sharpness)


def descend_in_place(
    loss_fn: Loss,
    theta: Tensor,
    lr: float,
    n_steps: int,
    every: int,
    measure: Any = edge_of_stability.measure_sharpness,
) -> Descent:
    """Moves the vector that was handed in."""
    result = edge_of_stability.descend_and_measure(loss_fn, theta, lr, n_steps, every, measure)
    theta.detach().copy_(result.theta)
    return result


def keeps_its_history(seen: Sequence[Observations]) -> bool:
    """Whether the place where it ended remembers the way there."""
    return any(value for shown in seen for name, value in shown.items() if name.startswith("it has a history"))


test_descend_and_measure = exercise(
    reference=edge_of_stability.descend_and_measure,
    cases=descent_cases,
    observe=way_down,
    accepts=[descend_by_backward],
    equivalent={"losses.append(loss.item()) -> losses.append(loss)": "a number will do in either form"},
    mistakes=[
        *instead_of(
            "place = place - lr * gradient",
            {
                "place = place + lr * gradient": ("goes uphill", "a step goes against the gradient: minus"),
                "place = place - gradient": ("forgets the learning rate", "a step goes lr times the gradient"),
                "place = place - lr * gradient / gradient.norm()": (
                    "divides the gradient by its length",
                    "plain gradient descent: steep places mean long steps",
                ),
                "place = theta.detach() - lr * gradient": (
                    "begins each step at theta",
                    "a step begins where the last one ended",
                ),
            },
        ),
        *instead_of(
            "if step % every == 0:",
            {
                "if (step + 1) % every == 0:": (
                    "measures before the last of each round",
                    "measured is before the steps 0, every, 2 * every, ...",
                ),
                "if step % every == 0 and step > 0:": ("leaves the start out", "step 0 is measured as well"),
                "if True:": ("measures before each step", "measured is before every `every`-th step alone"),
            },
        ),
        *instead_of(
            "measure(loss_fn, place)",
            {
                "measure(loss_fn, theta.detach())": (
                    "always measures at the start",
                    "it's measured where the step begins",
                ),
                "measure_sharpness(loss_fn, place)": ("ignores measure", "what to measure is handed in"),
                "measure(loss_fn, place - lr * torch.func.grad(loss_fn)(place))": (
                    "measures where the step ends",
                    "it's measured before the step, where it begins",
                ),
            },
        ),
        *instead_of(
            "losses.append(loss.item())",
            {
                "losses.append(loss_fn(place - lr * gradient).item())": (
                    "writes down the loss after the step",
                    "the loss is that before the step: the first is the loss at theta",
                ),
            },
        ),
        *instead_of(
            "check_loss(loss)",
            {
                "pass": ("goes on with a loss that isn't finite", "nan and inf raise TrainingError"),
                "loss.isnan() and check_loss(loss)": (
                    "lets an infinite loss pass",
                    "inf isn't finite either: torch.isfinite",
                ),
                "loss.isinf() and check_loss(loss)": ("lets nan pass", "nan isn't finite either: torch.isfinite"),
            },
        ),
        Mistake(
            "keeps a history",
            "theta.detach(), [], [], []",
            "theta.clone().requires_grad_(True), [], [], []",
            why="the last theta, and the places that are measured, have none: detach the place after each step",
            shows=keeps_its_history,
        ),
        Mistake("changes theta", function=descend_in_place, why="theta stays as it is: the end is in the result"),
    ],
)
