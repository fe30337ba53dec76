"""An environment that counts, so that a wrong transition shows in its numbers.

The observation is 100 x episode + t, and the reward of every step is 1. Episodes end by termination and by
truncation in turn. So `next_obs` must always be `obs` + 1: anything else is the next episode's observation, or a
phantom step.

Source:  own derivation.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from arena_lib.errors import ConfigError


class CountingEnv(gym.Env):
    """Observation 100 x episode + t, reward 1; episodes 0, 2, 4 ... terminate and episodes 1, 3, 5 ... are truncated.

    `lengths` are the episodes' lengths in turn, each from 1 to 99. Actions do nothing: 0 or 1, or one number
    between -1 and 1 where `is_continuous`. A reset starts the next episode, one with a seed starts from episode 0.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  # gymnasium's own form

    def __init__(
        self, lengths: Sequence[int] = (3, 4), *, is_continuous: bool = False, render_mode: str | None = None
    ) -> None:
        if not lengths or not all(1 <= length <= 99 for length in lengths):
            raise ConfigError(f"lengths must be one or more numbers from 1 to 99: got {tuple(lengths)}. Try (3, 4).")
        self.lengths = tuple(lengths)
        self.render_mode = render_mode
        self.observation_space = gym.spaces.Box(0.0, 1e6, (1,), np.float32)
        self.action_space: gym.Space = gym.spaces.Discrete(2)
        if is_continuous:
            self.action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.episode, self.t = -1, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start the next episode; with a seed, the first one."""
        super().reset(seed=seed)
        self.episode = 0 if seed is not None else self.episode + 1
        self.t = 0
        return self._obs(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Count one step on."""
        self.t += 1
        is_over = self.t >= self.lengths[self.episode % len(self.lengths)]
        terminates = self.episode % 2 == 0
        return self._obs(), 1.0, is_over and terminates, is_over and not terminates, {}

    def _obs(self) -> np.ndarray:
        return np.array([100.0 * self.episode + self.t], dtype=np.float32)
