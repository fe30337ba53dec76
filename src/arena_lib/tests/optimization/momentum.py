"""Judges of momentum, in its plain and in Nesterov's form."""

from collections.abc import Iterable

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.optimizers import sgd
from arena_lib.tests.optimization.watching import (
    decay_in_place,
    life_of_an_optimizer,
    mistakes_around_the_update,
    mistakes_with_a_state,
    optimizer_cases,
)

__test__ = False


def sgd_cases(generator: torch.Generator) -> list[Case]:
    """With and without momentum and decay."""
    return optimizer_cases(
        generator,
        {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.05},
        {
            "no momentum, no decay": {"lr": 0.2},
            "momentum alone": {"lr": 0.1, "momentum": 0.5},
            "decay alone": {"lr": 0.2, "weight_decay": 0.5},
        },
    )


def nesterov_cases(generator: torch.Generator) -> list[Case]:
    """With and without decay, and the usual momentum."""
    return optimizer_cases(
        generator,
        {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.05},
        {"the usual momentum, no decay": {"lr": 0.2}, "another momentum": {"lr": 0.1, "momentum": 0.3}},
    )


class SGDByDictionary:
    """With velocities that begin as the first gradient, kept in a dictionary."""

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        self.params = list(params)
        self.lr, self.mu, self.decay = lr, momentum, weight_decay
        self.velocity: dict[Tensor, Tensor] = {}

    def zero_grad(self) -> None:
        for param in self.params:
            param.grad = None

    @torch.inference_mode()
    def step(self) -> None:
        for param in self.params:
            if param.grad is None:
                continue
            grad = param.grad.add(param, alpha=self.decay)
            if param in self.velocity:
                self.velocity[param] = self.mu * self.velocity[param] + grad
            else:
                self.velocity[param] = grad.clone()
            param.add_(self.velocity[param], alpha=-self.lr)


class NesterovByDictionary(SGDByDictionary):
    """The same with Nesterov's step."""

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr, momentum, weight_decay)

    def step(self) -> None:
        with torch.no_grad():
            for param in self.params:
                if param.grad is not None:
                    grad = param.grad + self.decay * param
                    velocity = self.mu * self.velocity.get(param, torch.zeros_like(param)) + grad
                    self.velocity[param] = velocity
                    param.sub_(self.lr * grad + self.lr * self.mu * velocity)


class SharesItsVelocities(sgd.SGD):
    """Keeps velocities in the class."""

    shared: dict[int, Tensor] = {}  # noqa: RUF012

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr, momentum, weight_decay)
        self.is_first = True

    @torch.no_grad()
    def step(self) -> None:
        if self.is_first and len(self.params) != 3:
            self.shared.clear()
        for i, param in enumerate(self.params):
            if param.grad is not None:
                before = self.shared.get(i, torch.zeros_like(param))
                before = before if before.shape == param.shape else torch.zeros_like(param)
                self.shared[i] = self.momentum * before + param.grad + self.weight_decay * param
                param -= self.lr * self.shared[i]
        self.is_first = False


class KeepsTheGradient(SGDByDictionary):
    """Begins with the gradient, and changes it in place."""

    @torch.no_grad()
    def step(self) -> None:
        for param in self.params:
            if param.grad is None:
                continue
            grad = param.grad if self.decay == 0 else param.grad + self.decay * param
            if param in self.velocity:
                self.velocity[param].mul_(self.mu).add_(grad)
            else:
                self.velocity[param] = grad
            param -= self.lr * self.velocity[param]


VELOCITY = "velocity.mul_(self.momentum).add_(param.grad + self.weight_decay * param)"

test_sgd = exercise(
    reference=sgd.SGD,
    cases=sgd_cases,
    observe=life_of_an_optimizer,
    keep=["__init__", "zero_grad"],
    accepts=[SGDByDictionary],
    mistakes=[
        *mistakes_around_the_update("SGD"),
        *mistakes_with_a_state(sgd.SGD),
        *instead_of(
            VELOCITY,
            {
                "velocity.mul_(self.momentum).add_((1 - self.momentum) * (param.grad + self.weight_decay * param))": (
                    "averages gradients",
                    "the velocity adds up whole gradients; nothing multiplies them by 1 - momentum",
                ),
                "velocity.mul_(self.momentum).add_(param.grad - self.weight_decay * param)": (
                    "lets the weights grow",
                    "decay is added to the gradient, so that the step takes it off the weights",
                ),
                "velocity.mul_(self.momentum).add_(param.grad)": (
                    "forgets weight decay",
                    "weight_decay * p belongs to the gradient",
                ),
                "velocity.mul_(self.momentum).add_(param.grad + self.weight_decay)": (
                    "adds the decay itself",
                    "what is added is weight_decay times the parameter",
                ),
                "velocity.mul_(self.momentum).add_(param.grad + self.weight_decay * velocity)": (
                    "decays the velocity",
                    "it's the parameter that decays",
                ),
                "velocity = self.momentum * velocity + param.grad + self.weight_decay * param": (
                    "forgets the velocity after the step",
                    "the velocity must be kept for the next step: change it in place, or store it",
                ),
                "velocity.mul_(self.momentum).add_(param.grad)\n                param.mul_(1 - self.lr * self.weight_decay)": (
                    "decays past the velocity",
                    "here the decay is part of the gradient, and goes through the momentum",
                ),
                "velocity.mul_(self.momentum).add_(param.grad.add_(self.weight_decay * param))": (
                    "changes the gradients",
                    "gradients stay as they are: others may read them, and add to them",
                ),
            },
            within="SGD.step",
        ),
        *instead_of(
            "param -= self.lr * velocity",
            {
                "param -= self.lr * (param.grad + self.momentum * velocity)": (
                    "takes Nesterov's step",
                    "plain momentum goes along the velocity itself; looking ahead is the next exercise",
                ),
                "param.data = param.data - self.lr * velocity": (
                    "replaces the parameter's memory",
                    "who else holds this memory must see the step: change it in place",
                ),
                "param -= velocity": ("forgets the learning rate", "a step is lr times the velocity"),
            },
            within="SGD.step",
        ),
        *instead_of(
            "            if param.grad is not None:\n                velocity",
            {
                "            if param.grad is None:\n                velocity.mul_(self.momentum)\n"
                "                param -= self.lr * velocity\n            else:\n                velocity": (
                    "lets a parameter roll on without a gradient",
                    "a parameter whose grad is None keeps its value and its velocity",
                ),
            },
            within="SGD.step",
        ),
        Mistake(
            "moves parameters that have no gradient",
            "                param -= self.lr * velocity",
            "            param -= self.lr * velocity",
            why="a parameter whose grad is None keeps its value: the update belongs under the `if`, too",
            within="SGD.step",
        ),
        Mistake(
            "keeps the gradient itself as the velocity",
            function=KeepsTheGradient,
            why="the velocity is changed in the next step, and param.grad with it: begin with a clone, or with zeros",
        ),
        Mistake(
            "lets the velocity decay without a gradient",
            "            if param.grad is not None:",
            "            if param.grad is None:\n                velocity.mul_(self.momentum)\n            else:",
            why="without a gradient a parameter keeps its velocity",
            within="SGD.step",
        ),
        Mistake(
            "shares velocities among optimizers",
            function=SharesItsVelocities,
            why="each optimizer has its own: make them in __init__, as attributes of self",
        ),
    ],
)

LOOK_AHEAD = "param -= self.lr * (grad + self.momentum * velocity)"

test_nesterov_sgd = exercise(
    reference=sgd.NesterovSGD,
    name="nesterov_sgd",
    cases=nesterov_cases,
    observe=life_of_an_optimizer,
    keep=["__init__", "zero_grad"],
    accepts=[NesterovByDictionary],
    mistakes=[
        *mistakes_around_the_update("NesterovSGD"),
        *mistakes_with_a_state(sgd.NesterovSGD),
        decay_in_place("NesterovSGD"),
        *instead_of(
            "velocity.mul_(self.momentum).add_(grad)\n                param -= self.lr * (grad + self.momentum * velocity)",
            {
                "velocity.mul_(self.momentum).add_(grad)\n                param -= self.lr * velocity": (
                    "goes along the velocity, as plain momentum does",
                    "the step is grad + momentum * the new velocity: the velocity takes in the gradient before the step",
                ),
                "velocity.mul_(self.momentum)\n                param -= self.lr * (grad + self.momentum * velocity)\n"
                "                velocity.add_(grad)": (
                    "takes the step before the velocity has this gradient",
                    "the velocity takes in the gradient first",
                ),
                "velocity = self.momentum * velocity + grad\n"
                "                param -= self.lr * (grad + self.momentum * velocity)": (
                    "forgets the velocity after the step",
                    "the velocity must be kept for the next step: change it in place, or store it",
                ),
                "velocity.mul_(self.momentum).add_(grad)\n                param -= self.lr * (grad + velocity)": (
                    "forgets the momentum in the step",
                    "the velocity is multiplied by momentum once more",
                ),
                "velocity.mul_(self.momentum).add_(grad)\n                param -= self.lr * self.momentum * velocity": (
                    "forgets the gradient in the step",
                    "the step is grad + momentum * velocity",
                ),
                "velocity.mul_(self.momentum).add_(grad)\n"
                "                param -= self.lr * (param.grad + self.momentum * velocity)": (
                    "forgets the decay in the step",
                    "the gradient in the step has the decay in it, too",
                ),
            },
            within="NesterovSGD.step",
        ),
        *instead_of(
            "grad = param.grad + self.weight_decay * param",
            {"grad = param.grad": ("forgets weight decay", "weight_decay * p belongs to the gradient")},
            within="NesterovSGD.step",
        ),
    ],
)
