"""Schedules: a learning rate that changes from step to step.

Raises:  ConfigError for a warm-up or a length that can't be.
Source:  Goyal et al. 2017, arXiv:1706.02677, section 2.2 (warm-up); Loshchilov and Hutter 2017, arXiv:1608.03983,
         equation 5 without restarts (cosine).
Differs: schedules are factors of the optimizer's own learning rates, as in torch.optim.lr_scheduler.LambdaLR.
"""

import math
from collections.abc import Callable
from typing import Any

from arena_lib.errors import ConfigError


def warmup_cosine(step: int, n_steps: int, n_warmup: int, final_fraction: float = 0.1) -> float:
    """The factor of the learning rate in step number `step`, counted from 0: up a straight line, then down half a cosine.

    - In the warm-up, the first `n_warmup` steps, it's (step + 1) / n_warmup: so the last of them is at the full rate.
    - After it, with s = (step - n_warmup) / (n_steps - n_warmup), it's
      final_fraction + (1 - final_fraction) * (1 + cos(π s)) / 2: 1 in the first step, and just above final_fraction in the
      last.
    - From step n_steps on it's final_fraction.

    Args:
        step: counted from 0.
        n_steps: of the whole run, the warm-up among them.
        n_warmup: 0 or more, and fewer than n_steps.
        final_fraction: where the way down ends, as a share of the full rate.

    >>> [round(warmup_cosine(step, 6, 2, 0.0), 3) for step in range(7)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    check_schedule(n_steps, n_warmup, final_fraction)
    if step < n_warmup:
        return (step + 1) / n_warmup
    share = min(1.0, (step - n_warmup) / (n_steps - n_warmup))
    return final_fraction + (1 - final_fraction) * (1 + math.cos(math.pi * share)) / 2


def check_schedule(n_steps: int, n_warmup: int, final_fraction: float) -> None:
    """Raise unless there is a step after the warm-up, and the end isn't above the peak."""
    if not 0 <= n_warmup < n_steps:
        raise ConfigError(f"n_warmup must be from 0 to n_steps - 1: got n_warmup={n_warmup} and n_steps={n_steps}.")
    if not 0 <= final_fraction <= 1:
        raise ConfigError(f"final_fraction must be from 0 to 1: got {final_fraction}.")


class Schedule:
    """Sets the learning rate of every group to its first value times a factor, which depends on the step.

    `optimizer.param_groups` has the groups, each with its "lr". The schedule remembers these rates when it is made, and sets
    each group's "lr" to that rate times `factor(0)` at once. Every call of `step()` goes on by one: after n calls each "lr" is
    the remembered rate times `factor(n)`.

    Args:
        optimizer: with `param_groups`, such as any of torch.optim.
        factor: takes the number of the step, counted from 0.
    """

    def __init__(self, optimizer: Any, factor: Callable[[int], float]) -> None:
        if not getattr(optimizer, "param_groups", None):
            raise ConfigError(
                f"optimizer must have param_groups, whose rates a schedule sets: got {type(optimizer).__name__} without any."
            )
        self.optimizer, self.factor = optimizer, factor
        self.full_rates = [group["lr"] for group in optimizer.param_groups]
        self.n_steps = 0
        self.set_rates()

    def set_rates(self) -> None:
        """Set every group's "lr" for step number `n_steps`."""
        for group, rate in zip(self.optimizer.param_groups, self.full_rates, strict=True):
            group["lr"] = rate * self.factor(self.n_steps)

    def step(self) -> None:
        """Go on to the next step."""
        self.n_steps += 1
        self.set_rates()
