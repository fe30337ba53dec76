"""Judges of running averages and of RMSprop."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.fundamentals.optimizers import averages, rmsprop
from arena_lib.tests.optimization.watching import (
    decay_in_place,
    life_of_an_optimizer,
    mistakes_around_the_update,
    mistakes_with_a_state,
    optimizer_cases,
)

__test__ = False


def average_cases(generator: torch.Generator) -> list[Case]:
    """Several shares, corrected or not, one value, double precision."""

    def case(label: str, n_steps: int, *rest: Any, dtype: torch.dtype = torch.float32) -> Case:
        values = torch.randn(n_steps, generator=generator).to(dtype) + 1
        return Case(label=label, args=(values, *rest), axes={"output": "n_steps"})

    return [
        case("corrected", 6, 0.9, True),
        case("not corrected", 5, 0.8, False),
        case("corrected unless told otherwise", 4, 0.5),
        case("one value", 1, 0.99, True),
        case("no memory", 3, 0.0, True),
        case("double precision", 4, 0.7, True, dtype=torch.float64),
    ]


def average_by_weights(values, beta, corrected=True):  # type: ignore[no-untyped-def]
    """Every average as a weighted sum of all values so far."""
    rows = []
    for n in range(1, len(values) + 1):
        weights = (1 - beta) * torch.tensor([beta**age for age in range(n - 1, -1, -1)], dtype=values.dtype)
        rows.append((weights * values[:n]).sum() / (weights.sum() if corrected else 1))
    return torch.stack(rows)


def average_by_list(values, beta, corrected=True):  # type: ignore[no-untyped-def]
    """With numbers of Python."""
    average, rows = 0.0, []
    for t, value in enumerate(values.tolist(), start=1):
        average = beta * average + (1 - beta) * value
        rows.append(average / (1 - beta**t) if corrected else average)
    return torch.tensor(rows, dtype=values.dtype)


test_moving_average = exercise(
    reference=averages.moving_average,
    cases=average_cases,
    observe=outputs,
    accepts=[average_by_weights, average_by_list],
    mistakes=[
        *instead_of(
            "beta * average + (1 - beta) * value",
            {
                "(1 - beta) * average + beta * value": (
                    "swaps the shares",
                    "beta is the share that is kept of the average",
                ),
                "beta * average + value": ("adds up values", "a new value counts 1 - beta times"),
            },
        ),
        *instead_of(
            "average / (1 - beta ** (i + 1)) if corrected else average",
            {
                "average / (1 - beta ** (i + 2)) if corrected else average": (
                    "counts one step too many",
                    "in the first step t is 1",
                ),
                "average / (1 - beta**i) if corrected else average": (
                    "counts steps from 0",
                    "in the first step t is 1: 1 - beta^0 is 0, and divides nothing",
                ),
                "average / (1 - beta) if corrected else average": (
                    "corrects every step as the first",
                    "the power of beta is the number of steps so far",
                ),
                "average": ("never corrects", "if corrected, m is divided by 1 - beta^t"),
                "average / (1 - beta ** (i + 1))": (
                    "always corrects",
                    "if corrected is False, m is given out as it is",
                ),
            },
        ),
        *instead_of(
            "        averages[i] = average / (1 - beta ** (i + 1)) if corrected else average",
            {
                "        average = average / (1 - beta ** (i + 1)) if corrected else average\n        averages[i] = average": (
                    "goes on with the corrected average",
                    "only what is given out is corrected; m goes on uncorrected",
                ),
            },
        ),
        *instead_of(
            "average = torch.zeros((), dtype=values.dtype)",
            {"average = values[0].clone()": ("begins with the first value", "m begins at 0")},
        ),
        *instead_of(
            "torch.empty_like(values)",
            {"torch.empty(len(values))": ("gives single precision", "the averages have the dtype of the values")},
        ),
    ],
    equivalent={
        "average = torch.zeros((), dtype=values.dtype) -> average = torch.zeros(())": "the first value brings its dtype",
    },
)


def rmsprop_cases(generator: torch.Generator) -> list[Case]:
    """Every setting, and the defaults."""
    return optimizer_cases(
        generator,
        {"lr": 0.1, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.05, "momentum": 0.5},
        {
            "nothing but the rate": {"lr": 0.02},
            "the default rate": {},
            "another alpha and eps": {"lr": 0.1, "alpha": 0.95, "eps": 0.1},
            "decay alone": {"lr": 0.1, "weight_decay": 0.5},
            "momentum alone": {"lr": 0.1, "momentum": 0.8},
        },
    )


class RMSpropByAddcmul:
    """With fused operations and lists of state."""

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
    ) -> None:
        self.params = list(params)
        self.lr, self.alpha, self.eps, self.decay, self.mu = lr, alpha, eps, weight_decay, momentum
        self.v = [torch.zeros_like(p) for p in self.params]
        self.b = [torch.zeros_like(p) for p in self.params]

    def zero_grad(self) -> None:
        for p in self.params:
            p.grad = None

    @torch.inference_mode()
    def step(self) -> None:
        for i, p in enumerate(self.params):
            if p.grad is None:
                continue
            g = p.grad.add(p, alpha=self.decay) if self.decay else p.grad
            self.v[i] = torch.lerp(g * g, self.v[i], self.alpha)
            update = g / (self.v[i] ** 0.5 + self.eps)
            if self.mu > 0:
                self.b[i] = update = self.mu * self.b[i] + update
            p.sub_(update, alpha=self.lr)


SQUARE = "square.mul_(self.alpha).add_((1 - self.alpha) * grad**2)"
VELOCITY = "velocity.mul_(self.momentum).add_(grad / (square.sqrt() + self.eps))"

test_rmsprop = exercise(
    reference=rmsprop.RMSprop,
    name="rmsprop",
    cases=rmsprop_cases,
    observe=life_of_an_optimizer,
    keep=["__init__", "zero_grad"],
    accepts=[RMSpropByAddcmul],
    mistakes=[
        *mistakes_around_the_update("RMSprop"),
        *mistakes_with_a_state(rmsprop.RMSprop),
        decay_in_place("RMSprop"),
        *instead_of(
            SQUARE,
            {
                "square.mul_(1 - self.alpha).add_(self.alpha * grad**2)": (
                    "swaps the shares",
                    "alpha is the share that is kept of the average square",
                ),
                "square.mul_(self.alpha).add_(grad**2)": ("adds up squares", "a new square counts 1 - alpha times"),
                "square.mul_(self.alpha).add_((1 - self.alpha) * param.grad**2)": (
                    "leaves the decay out of the square",
                    "g has the decay in it, wherever it is used",
                ),
                "square.mul_(self.alpha).add_((1 - self.alpha) * grad.abs())": (
                    "averages sizes, not squares",
                    "s is the average of g²",
                ),
                "square.mul_(self.alpha).add_((1 - self.alpha) * (grad**2).mean())": (
                    "takes one average for the whole parameter",
                    "every entry has its own",
                ),
                "square = self.alpha * square + (1 - self.alpha) * grad**2": (
                    "forgets the average after the step",
                    "the average must be kept for the next step: change it in place, or store it",
                ),
                "square.mul_(self.alpha).add_(((1 - self.alpha) * grad)**2)": (
                    "squares 1 - alpha as well",
                    "only g is squared",
                ),
            },
            within="RMSprop.step",
        ),
        *instead_of(
            VELOCITY,
            {
                "velocity.mul_(self.momentum).add_(grad / (square + self.eps).sqrt())": (
                    "adds eps inside the root",
                    "eps is added to the root: √s + eps",
                ),
                "velocity.mul_(self.momentum).add_(grad / (square + self.eps))": (
                    "divides by the average square",
                    "it's divided by its root",
                ),
                "velocity.mul_(self.momentum).add_(grad).div_(square.sqrt() + self.eps)": (
                    "divides the velocity",
                    "the gradient is divided, and then added to the velocity",
                ),
                "velocity.mul_(self.momentum).add_(grad * (1 - self.momentum) / (square.sqrt() + self.eps))": (
                    "averages in the velocity",
                    "the velocity adds up whole updates",
                ),
                "velocity.mul_(self.momentum).add_(self.lr * grad / (square.sqrt() + self.eps))": (
                    "multiplies by the learning rate twice",
                    "lr comes in once, when the parameter moves",
                ),
            },
            within="RMSprop.step",
        ),
        Mistake(
            "divides by the average square of before",
            f"{SQUARE}\n                {VELOCITY}",
            f"{VELOCITY}\n                {SQUARE}",
            why="the average square takes in this gradient first",
            within="RMSprop.step",
        ),
        Mistake(
            "divides the velocity",
            f"{VELOCITY}\n                param -= self.lr * velocity",
            "velocity.mul_(self.momentum).add_(grad)\n"
            "                param -= self.lr * velocity / (square.sqrt() + self.eps)",
            why="the gradient is divided, and then added to the velocity",
            within="RMSprop.step",
        ),
        Mistake(
            "ignores momentum",
            "param -= self.lr * velocity",
            "param -= self.lr * grad / (square.sqrt() + self.eps)",
            why="the step goes along the velocity",
            within="RMSprop.step",
        ),
        Mistake(
            "forgets weight decay",
            "grad = param.grad + self.weight_decay * param",
            "grad = param.grad",
            why="weight_decay * p belongs to the gradient",
            within="RMSprop.step",
        ),
        Mistake(
            "decays past the average",
            "grad = param.grad + self.weight_decay * param",
            "grad = param.grad\n                param -= self.lr * self.weight_decay * param",
            why="here the decay is part of the gradient, and is divided like all of it",
            within="RMSprop.step",
        ),
    ],
)
