"""What a study declares: what is trained for a seed, when it counts as solved, and every setting that was tried.

Study(
name="ppo-cartpole",
title="PPO, CartPole-v1",
threshold=475.0,
train=lambda seed, watch: PPOTrainer(PPOConfig(seed=seed)) ...,
)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from arena_lib.rl.training.evaluation import Policy
from arena_lib.rl.training.runs import TrainingRun

Watch = Callable[[int, Policy], None]
"""Takes the step and the greedy policy, as often as training likes; it evaluates when that is due."""
Train = Callable[[int, Watch], tuple[TrainingRun, Policy]]
"""Trains with a seed; returns the run and the greedy policy at its end."""

SEEDS = tuple(range(10))
"""What is reported; settings are chosen on others."""


@dataclass(frozen=True)
class Trial:
    """One setting that was tried before the reported one was chosen."""

    settings: str
    """How it differs from the reported one."""
    seeds: str
    """The seeds that it was tried on."""
    outcome: str
    """What it reached there."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """One row of the results."""

    name: str
    """What the command calls it, and the name of its file."""
    title: str
    """Algorithm and environment, for the table."""
    env_id: str
    """Where the greedy policy is evaluated."""
    settings: Mapping[str, Any]
    """What differs from the defaults of the configuration."""
    train: Train
    """What is done for each seed."""
    threshold: float | None = None
    """The mean return from which it counts as solved."""
    evaluate_every: int | None = None
    """Environment steps between greedy evaluations; None judges by the returns of training."""
    n_evaluated: int = 20
    """Episodes of each evaluation, on seeds apart from training."""
    last_steps: int = 20_000
    """Where returns of training are judged, the last so many steps are the score."""
    published: str = ""
    """Others' figure, with its source and what differs."""
    note: str = ""
    """What a reader must know besides."""
    trials: tuple[Trial, ...] = field(default=())
    """Every setting that was tried."""
