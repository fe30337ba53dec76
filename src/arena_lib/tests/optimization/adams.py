"""Judges of Adam and AdamW."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.optimizers import adam
from arena_lib.tests.optimization.watching import (
    decay_in_place,
    life_of_an_optimizer,
    mistakes_around_the_update,
    mistakes_with_a_state,
    optimizer_cases,
)

__test__ = False

SETTINGS: Mapping[str, Mapping[str, object]] = {
    "nothing but the rate": {"lr": 0.02},
    "all defaults": {},
    "other betas and a large eps": {"lr": 0.1, "betas": (0.9, 0.95), "eps": 0.1},
    "much decay": {"lr": 0.1, "weight_decay": 0.5},
    "no decay": {"lr": 0.1, "weight_decay": 0.0},
}
FIRST = {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-2, "weight_decay": 0.05}


def adam_cases(generator: torch.Generator) -> list[Case]:
    """Every setting, and the defaults."""
    return optimizer_cases(generator, FIRST, SETTINGS)


def adamw_cases(generator: torch.Generator) -> list[Case]:
    """The same."""
    return optimizer_cases(generator, FIRST, SETTINGS)


class AdamByLists:
    """With the step's size corrected, as in the paper's last lines, and state in dictionaries."""

    decay_of_default = 0.0

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float | None = None,
    ) -> None:
        self.params = tuple(params)
        self.lr, self.betas, self.eps = lr, betas, eps
        self.decay = self.decay_of_default if weight_decay is None else weight_decay
        self.state: dict[Tensor, list] = {p: [0, torch.zeros_like(p), torch.zeros_like(p)] for p in self.params}

    def zero_grad(self) -> None:
        for p in self.params:
            p.grad = None

    def decayed(self, p: Tensor) -> Tensor:
        """The gradient with the decay in it."""
        assert p.grad is not None
        return p.grad.add(p, alpha=self.decay)

    def step(self) -> None:
        with torch.no_grad():
            for p, state in self.state.items():
                if p.grad is None:
                    continue
                g = self.decayed(p)
                state[0] += 1
                state[1].lerp_(g, 1 - self.betas[0])
                state[2].mul_(self.betas[1]).addcmul_(g, g, value=1 - self.betas[1])
                fix1, fix2 = (1 - beta ** state[0] for beta in self.betas)
                p.addcdiv_(state[1], (state[2] / fix2).sqrt().add_(self.eps), value=-self.lr / fix1)


class AdamWByLists(AdamByLists):
    """The same with decoupled decay."""

    decay_of_default = 0.01

    def decayed(self, p: Tensor) -> Tensor:
        """The gradient, after the parameter has shrunk."""
        assert p.grad is not None
        p.mul_(1 - self.lr * self.decay)
        return p.grad


class CountsForAll(adam.Adam):
    """One count of steps for all parameters."""

    @torch.no_grad()
    def step(self) -> None:
        self.n_steps = [max(self.n_steps)] * len(self.params)
        before = [*self.n_steps]
        super().step()
        self.n_steps = [before[0] + 1] * len(self.params)


def mistakes_of_adams(name: str, grad: str) -> tuple[Mistake, ...]:
    """Those that Adam and AdamW share; `grad` is how the gradient is written."""
    within = f"{name}.step"
    mean = f"mean.mul_(self.beta1).add_((1 - self.beta1) * {grad})"
    square = f"square.mul_(self.beta2).add_((1 - self.beta2) * {grad}**2)"
    return (
        *mistakes_around_the_update(name),
        *mistakes_with_a_state(getattr(adam, name)),
        *instead_of(
            mean,
            {
                f"mean.mul_(self.beta1).add_({grad})": (
                    "adds up gradients",
                    "m averages: a new gradient counts 1 - beta1 times",
                ),
                f"mean.mul_(self.beta2).add_((1 - self.beta2) * {grad})": ("uses beta2 for m", "m goes with beta1"),
                f"mean = self.beta1 * mean + (1 - self.beta1) * {grad}": (
                    "forgets m after the step",
                    "m must be kept for the next step: change it in place, or store it",
                ),
            },
            within=within,
        ),
        *instead_of(
            square,
            {
                f"square.mul_(self.beta2).add_((1 - self.beta2) * {grad}.abs())": (
                    "averages sizes, not squares",
                    "s is the average of g²",
                ),
                f"square.mul_(self.beta1).add_((1 - self.beta1) * {grad}**2)": (
                    "uses beta1 for s",
                    "s goes with beta2",
                ),
                f"square.mul_(self.beta2).add_({grad}**2)": ("adds up squares", "a new square counts 1 - beta2 times"),
                f"square.mul_(self.beta2).add_((1 - self.beta2) * mean**2)": (  # noqa: F541
                    "squares m",
                    "s is the average of the gradient's own square",
                ),
                f"square = self.beta2 * square + (1 - self.beta2) * {grad}**2": (
                    "forgets s after the step",
                    "s must be kept for the next step: change it in place, or store it",
                ),
            },
            within=within,
        ),
        *instead_of(
            "mean_hat = mean / (1 - self.beta1 ** self.n_steps[i])\n"
            "                square_hat = square / (1 - self.beta2 ** self.n_steps[i])",
            {
                "mean_hat, square_hat = mean, square": (
                    "forgets to take out the bias",
                    "m and s begin at 0, so at first both are too small: divide by 1 - beta^t",
                ),
                "mean_hat = mean / (1 - self.beta1 ** (self.n_steps[i] + 1))\n"
                "                square_hat = square / (1 - self.beta2 ** (self.n_steps[i] + 1))": (
                    "counts one step too many",
                    "in the first step t is 1",
                ),
                "mean_hat = mean / (1 - self.beta1 ** (self.n_steps[i] - 1))\n"
                "                square_hat = square / (1 - self.beta2 ** (self.n_steps[i] - 1))": (
                    "counts steps from 0",
                    "in the first step t is 1: 1 - beta^0 is 0, and divides nothing",
                ),
                "mean_hat = mean / (1 - self.beta1 ** self.n_steps[i])\n"
                "                square_hat = square / (1 - self.beta1 ** self.n_steps[i])": (
                    "corrects both with beta1",
                    "s goes with beta2: ŝ = s / (1 - beta2^t)",
                ),
                "mean_hat = mean / (1 - self.beta2 ** self.n_steps[i])\n"
                "                square_hat = square / (1 - self.beta1 ** self.n_steps[i])": (
                    "swaps the betas in the correction",
                    "m goes with beta1, and s with beta2",
                ),
                "mean_hat = mean\n                square_hat = square / (1 - self.beta2 ** self.n_steps[i])": (
                    "takes the bias out of s alone",
                    "m begins at 0 as well",
                ),
                "mean_hat = mean / (1 - self.beta1)\n                square_hat = square / (1 - self.beta2)": (
                    "corrects every step as the first",
                    "the power of beta is the number of steps",
                ),
                "mean_hat = mean / (1 - self.beta1 ** self.n_steps[i])\n                square_hat = square": (
                    "takes the bias out of m alone",
                    "s begins at 0 as well",
                ),
                "mean_hat = mean.div_(1 - self.beta1 ** self.n_steps[i])\n"
                "                square_hat = square.div_(1 - self.beta2 ** self.n_steps[i])": (
                    "goes on with the corrected averages",
                    "m̂ and ŝ are for this step; m and s go on uncorrected",
                ),
            },
            within=within,
        ),
        *instead_of(
            "(square_hat.sqrt() + self.eps)",
            {
                "(square_hat + self.eps).sqrt()": ("adds eps inside the root", "eps is added to the root: √ŝ + eps"),
                "(square_hat + self.eps)": ("forgets the root", "m̂ is divided by √ŝ + eps"),
                "((square.sqrt() + self.eps) / (1 - self.beta2 ** self.n_steps[i]) ** 0.5)": (
                    "adds eps before the bias is taken out",
                    "eps is added to √ŝ, whose bias is taken out already",
                ),
            },
            within=within,
        ),
    )


test_adam = exercise(
    reference=adam.Adam,
    cases=adam_cases,
    observe=life_of_an_optimizer,
    keep=["__init__", "zero_grad"],
    accepts=[AdamByLists],
    mistakes=[
        *mistakes_of_adams("Adam", "grad"),
        decay_in_place("Adam"),
        *instead_of(
            "grad = param.grad + self.weight_decay * param",
            {
                "grad = param.grad": ("forgets weight decay", "weight_decay * p belongs to the gradient"),
                "grad = param.grad\n                param -= self.lr * self.weight_decay * param": (
                    "decays as AdamW does",
                    "in Adam the decay is part of the gradient, and goes through the averages",
                ),
            },
            within="Adam.step",
        ),
        Mistake(
            "leaves the decay out of the square",
            "(1 - self.beta2) * grad**2",
            "(1 - self.beta2) * param.grad**2",
            why="g has the decay in it, wherever it is used",
            within="Adam.step",
        ),
        Mistake(
            "counts the steps of all parameters together",
            function=CountsForAll,
            why="a parameter that had no gradient took no step: each has its own t",
        ),
    ],
)

DECAY = "param -= self.lr * self.weight_decay * param\n"

test_adamw = exercise(
    reference=adam.AdamW,
    name="adamw",
    cases=adamw_cases,
    observe=life_of_an_optimizer,
    keep=["__init__", "zero_grad"],
    accepts=[AdamWByLists],
    mistakes=[
        *mistakes_of_adams("AdamW", "param.grad"),
        *instead_of(
            DECAY,
            {
                "param.grad = param.grad + self.weight_decay * param\n": (
                    "decays as Adam does",
                    "in AdamW the decay goes past the averages",
                ),
                "param -= self.weight_decay * param\n": (
                    "forgets the learning rate in the decay",
                    "the parameter shrinks by lr * weight_decay",
                ),
                "param += self.lr * self.weight_decay * param\n": (
                    "lets the weights grow",
                    "decay shrinks the parameter",
                ),
                "pass\n": ("forgets weight decay", "the parameter shrinks by lr * weight_decay in every step"),
            },
            within="AdamW.step",
        ),
    ],
)
