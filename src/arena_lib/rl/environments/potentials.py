"""Reward shaping that leaves the best policy the best: a step is paid for what it gained in potential.

Raises:  EnvError if a potential isn't a finite number; ConfigError if gamma is outside 0 to 1.
Source:  Ng et al. 1999, "Policy invariance under reward transformations", theorem 1.
Differs: the paper's episodes end in a state that has no successor; here an end by truncation keeps its potential,
         because the episode would have gone on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import gymnasium as gym

from arena_lib.errors import ConfigError, EnvError


class PotentialShaping(gym.Wrapper):
    """An environment whose steps are also paid for what they gained in potential."""

    def __init__(self, env: gym.Env, potential: Callable[[Any], float], gamma: float):
        """`potential(obs)` says how good it is to be there; `gamma` is the discount of the agent that will learn."""
        if not 0 <= gamma <= 1:
            raise ConfigError(f"gamma must be from 0 to 1: got {gamma}. Pass the discount of the agent.")
        super().__init__(env)
        self.potential = potential
        self.gamma = gamma

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode of `self.env`, and keep the potential of its first observation for the first step.

        `seed` and `options` are handed on; the observation and the info of `self.env` are returned as they are.
        """
        obs, info = self.env.reset(seed=seed, options=options)
        self.last_potential = potential_of(self.potential, obs)
        return obs, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step of `self.env`, paid for the gain in potential as well.

        The reward r is replaced by

            r + gamma * potential(obs after the step) - potential(obs before the step)

        Where the episode has terminated, nothing can come any more: the potential after the step counts as 0. An
        episode that is only truncated would have gone on, so there the potential counts as usual. Everything else that
        the step returns stays as it is.
        """
        obs, reward, terminated, truncated, info = self.env.step(action)
        potential = 0.0 if terminated else potential_of(self.potential, obs)
        shaped = float(reward) + self.gamma * potential - self.last_potential
        self.last_potential = potential
        return obs, shaped, terminated, truncated, info


def potential_of(potential: Callable[[Any], float], obs: Any) -> float:
    """The potential of an observation, which must be a finite number."""
    value = float(potential(obs))
    if not math.isfinite(value):
        raise EnvError(f"A potential must be a finite number: got {value} for the observation {obs}.")
    return value
