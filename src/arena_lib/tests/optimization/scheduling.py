"""Judges of schedules."""

import math
from collections.abc import Callable
from typing import Any

import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.optimizers import schedules
from arena_lib.tests.optimization.watching import require_class

__test__ = False


def curve_cases(generator: torch.Generator) -> list[Case]:
    """With and without a warm-up, a long one, several ends."""
    del generator
    settings: dict[str, tuple[float, ...]] = {
        "a warm-up of three steps": (10, 3, 0.2),
        "no warm-up": (7, 0, 0.0),
        "the default end": (9, 2),
        "one step after the warm-up": (5, 4, 0.3),
        "no way down": (6, 1, 1.0),
    }
    return [
        Case(label=label, given={"rest": rest}, call=f"step, {', '.join(map(str, rest))}")
        for label, rest in settings.items()
    ]


def curve(function: Callable[..., Any], case: Case) -> Observations:
    """The factor of each step, and of some after the end."""
    n_steps, *_ = case.given["rest"]
    factors = [function(step, *case.given["rest"]) for step in range(n_steps)]
    after = [function(n_steps + more, *case.given["rest"]) for more in (0, 1, 20)]
    return {
        "factors": torch.tensor([float(factor) for factor in factors], dtype=torch.float64),
        "after the end": torch.tensor([float(factor) for factor in after], dtype=torch.float64),
    }


def curve_by_sine(step: int, n_steps: int, n_warmup: int, final_fraction: float = 0.1) -> float:
    """With the half-angle formula, and the end first."""
    if step >= n_steps:
        return final_fraction
    if n_warmup and step + 1 <= n_warmup:
        return 1 / n_warmup * (step + 1)
    angle = math.pi / 2 * (step - n_warmup) / (n_steps - n_warmup)
    return 1 - (1 - final_fraction) * math.sin(angle) ** 2


SHARE = "min(1.0, (step - n_warmup) / (n_steps - n_warmup))"

test_warmup_cosine = exercise(
    reference=schedules.warmup_cosine,
    cases=curve_cases,
    observe=curve,
    accepts=[curve_by_sine],
    mistakes=[
        *instead_of(
            "(step + 1) / n_warmup",
            {
                "step / n_warmup": (
                    "wastes the first step",
                    "a factor of 0 learns nothing: count from 1 in the warm-up",
                ),
                "final_fraction + (1 - final_fraction) * (step + 1) / n_warmup": (
                    "begins the warm-up at the end's height",
                    "the warm-up is a line from 0",
                ),
                "1.0": ("forgets the warm-up", "in the first steps the rate grows"),
            },
        ),
        Mistake(
            "warms up one step too long",
            "if step < n_warmup:",
            "if n_warmup > 0 and step <= n_warmup:",
            why="the warm-up is the steps from 0 to n_warmup - 1",
        ),
        *instead_of(
            SHARE,
            {
                "min(1.0, step / n_steps)": (
                    "goes down from the first step on",
                    "the way down begins after the warm-up: s is 0 there",
                ),
                "step / n_steps": (
                    "goes down from the first step on",
                    "the way down begins after the warm-up: s is 0 there",
                ),
                "(step - n_warmup) / (n_steps - n_warmup)": (
                    "goes up again after the end",
                    "from step n_steps on the factor stays where it is",
                ),
                "min(1.0, (step - n_warmup) / n_steps)": (
                    "ends too high",
                    "the way down takes n_steps - n_warmup steps",
                ),
                "min(1.0, (step - n_warmup) / max(1, n_steps - n_warmup - 1))": (
                    "reaches the end one step early",
                    "s is 1 only at n_steps, after the last step",
                ),
            },
        ),
        *instead_of(
            "final_fraction + (1 - final_fraction) * (1 + math.cos(math.pi * share)) / 2",
            {
                "(1 + math.cos(math.pi * share)) / 2": ("ignores final_fraction", "the way down ends there, not at 0"),
                "final_fraction + (1 + math.cos(math.pi * share)) / 2": (
                    "begins above 1",
                    "only 1 - final_fraction is left for the cosine",
                ),
                "final_fraction + (1 - final_fraction) * math.cos(math.pi / 2 * share)": (
                    "takes a quarter of a cosine",
                    "half a cosine, from 1 to -1, moved up and halved",
                ),
                "final_fraction + (1 - final_fraction) * (1 - share)": ("goes down a straight line", "half a cosine"),
                "max(final_fraction, (1 + math.cos(math.pi * share)) / 2)": (
                    "cuts the cosine off",
                    "the cosine is squeezed between 1 and final_fraction",
                ),
            },
        ),
    ],
)


class Optimizer:
    """Groups with rates, and nothing else."""

    def __init__(self, rates: tuple[float, ...]) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": [], "lr": rate, "momentum": 0.9} for rate in rates]


def schedule_cases(generator: torch.Generator) -> list[Case]:
    """One group and several, factors that fall and rise."""
    del generator
    factors: dict[str, tuple[tuple[float, ...], Callable[[int], float]]] = {
        "one group": ((0.8,), lambda step: 1 / (step + 1)),
        "groups with rates of their own": ((0.1, 0.5, 0.02), lambda step: 0.5**step),
        "a factor that begins below 1": ((0.4, 0.2), lambda step: (step + 1) / 4),
        "a factor of 0 in between": ((0.3,), lambda step: abs(step - 1.0)),
    }
    return [
        Case(label=label, given={"rates": rates, "factor": factor}, call=f"optimizer with the rates {rates}, factor")
        for label, (rates, factor) in factors.items()
    ]


def rates_over_time(cls: Any, case: Case) -> Observations:
    """The rates when the schedule is made and after each step; what else is in the groups."""
    require_class(cls)
    optimizer = Optimizer(case.given["rates"])
    groups = optimizer.param_groups
    schedule = cls(optimizer, case.given["factor"])
    rates = [[group["lr"] for group in optimizer.param_groups]]
    for _ in range(4):
        schedule.step()
        rates.append([group["lr"] for group in optimizer.param_groups])
    return {
        "rates at first": torch.tensor(rates[0], dtype=torch.float64),
        "rates after each step": torch.tensor(rates[1:], dtype=torch.float64),
        "the groups are the same": optimizer.param_groups is groups
        and all(group["momentum"] == 0.9 for group in groups),
    }


class ScheduleByPairs:
    """With pairs of groups and rates, and a counter."""

    def __init__(self, optimizer: Any, factor: Callable[[int], float]) -> None:
        self.pairs = [(group, group["lr"]) for group in optimizer.param_groups]
        self.factor = factor
        self.count = -1
        self.step()

    def step(self) -> None:
        self.count += 1
        for group, rate in self.pairs:
            group.update(lr=rate * self.factor(self.count))


test_schedule = exercise(
    reference=schedules.Schedule,
    cases=schedule_cases,
    observe=rates_over_time,
    accepts=[ScheduleByPairs],
    mistakes=[
        *instead_of(
            'group["lr"] = rate * self.factor(self.n_steps)',
            {
                'group["lr"] *= self.factor(self.n_steps)': (
                    "multiplies the last rate",
                    "each rate is the first one times the factor: otherwise factors pile up",
                ),
                'group["lr"] = self.factor(self.n_steps)': (
                    "takes the factor for the rate",
                    "it multiplies the first rate",
                ),
                'group["lr"] = self.full_rates[0] * self.factor(self.n_steps)': (
                    "takes the first group's rate for all",
                    "each group's own rate is remembered",
                ),
            },
            within="Schedule.set_rates",
        ),
        *instead_of(
            "zip(self.optimizer.param_groups, self.full_rates, strict=True):",
            {
                "zip(self.optimizer.param_groups[:1], self.full_rates):": (
                    "sets the first group's rate alone",
                    "every group's rate is set",
                ),
            },
            within="Schedule.set_rates",
        ),
        *instead_of(
            "self.n_steps += 1\n        self.set_rates()",
            {
                "self.set_rates()\n        self.n_steps += 1": (
                    "lags behind by one step",
                    "after n calls it's factor(n)",
                ),
                "self.n_steps += 1": ("sets nothing in step", "step sets the rates for the step that comes next"),
            },
            within="Schedule.step",
        ),
        *instead_of(
            "self.n_steps = 0\n        self.set_rates()",
            {
                "self.n_steps = 0": ("leaves the first step at the full rate", "the rates for step 0 are set at once"),
                "self.n_steps = 1\n        self.set_rates()": ("counts from 1", "the first step is number 0"),
            },
            within="Schedule.__init__",
        ),
    ],
)
