"""Bandits as gymnasium environments: one state, several arms, and no end.

Source:  Sutton and Barto 2018, section 2.3 (the ten-armed testbed).
Raises:  ConfigError for fewer than two arms.
"""

from typing import Any

import gymnasium as gym
import numpy as np

from arena_lib.errors import ConfigError


class MultiArmedBandit(gym.Env[Any, Any]):
    """Arms with normal rewards of deviation 1, whose means are drawn from a normal distribution at each reset.

    `info["best_arm"]` of each step says which arm has the largest mean: for agents that cheat.
    """

    def __init__(self, n_arms: int = 10, mean: float = 0.0) -> None:
        """`mean` is that of the distribution from which the arms' means are drawn."""
        if n_arms < 2:
            raise ConfigError(f"n_arms must be at least 2, or there is nothing to choose: got {n_arms}.")
        self.n_arms, self.mean = n_arms, mean
        self.observation_space = gym.spaces.Discrete(1)
        self.action_space = gym.spaces.Discrete(n_arms)
        self.means = np.zeros(n_arms)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """New arms."""
        super().reset(seed=seed)
        self.means = self._draw_means()
        self.best_arm = int(self.means.argmax())
        return 0, {}

    def step(self, action: int | np.integer) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """The reward of one arm; the episode never ends."""
        return 0, self._draw_reward(int(action)), False, False, {"best_arm": self.best_arm}

    def _draw_means(self) -> np.ndarray:
        return self.np_random.normal(self.mean, 1.0, self.n_arms)

    def _draw_reward(self, action: int) -> float:
        return float(self.means[action] + self.np_random.standard_normal())


class BernoulliBandit(MultiArmedBandit):
    """Arms that win (1) or lose (0); each arm's chance of winning is drawn evenly from 0 to 1 at each reset."""

    def _draw_means(self) -> np.ndarray:
        return self.np_random.random(self.n_arms)

    def _draw_reward(self, action: int) -> float:
        return float(self.np_random.random() < self.means[action])
