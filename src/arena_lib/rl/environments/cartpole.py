"""CartPole, many at once: one step of all environments is one step of arrays.

    make_vector_env("arena/CartPole-v1", 64)

It moves as gymnasium's CartPole-v1, step by step, to the last digits of a float. With 64 environments it is about
ten times as fast as one after another. It can be in each of the three autoreset modes, which gymnasium's own
CartPoleVectorEnv can't.

Shapes:  obs "n_envs 4", the others "n_envs"
Raises:  ConfigError for a number of environments below 1.
Source:  Barto, Sutton and Anderson 1983; Florian 2007, "Correct equations for the dynamics of the cart-pole system"
         (equations 23 and 24, without friction).
Differs: first states are drawn from one generator for all environments.
"""

import math
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from arena_lib.errors import ConfigError

GRAVITY, CART_MASS, POLE_MASS, HALF_LENGTH, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
"""Metres, kilograms, newtons, seconds, as in gymnasium."""
FARTHEST, STEEPEST = 2.4, math.radians(12)
"""How far from the middle and from upright it may be."""
START = 0.05
"""First states are drawn evenly from minus this to this."""
LIMIT = 500
"""After so many steps an episode is truncated."""


class VectorCartPole(gym.vector.VectorEnv):
    """`num_envs` CartPoles that step together."""

    def __init__(self, num_envs: int, *, autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP) -> None:
        if num_envs < 1:
            raise ConfigError(f"num_envs must be at least 1: got {num_envs}. Pass for example 64.")
        self.num_envs, self.mode = num_envs, AutoresetMode(autoreset_mode)
        self.metadata = {"autoreset_mode": self.mode}
        high = np.array([2 * FARTHEST, np.inf, 2 * STEEPEST, np.inf], dtype=np.float32)
        self.single_observation_space = gym.spaces.Box(-high, high, dtype=np.float32)
        self.single_action_space = gym.spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._state = np.zeros((4, num_envs))
        self._t = np.zeros(num_envs, dtype=np.int64)
        self._is_over = np.zeros(num_envs, dtype=bool)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin anew in every environment, or only in those of `options["reset_mask"]`."""
        super().reset(seed=seed)
        self._restart((options or {}).get("reset_mask", np.ones(self.num_envs, dtype=bool)))
        return self._obs(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Push every cart: action 0 to the left, 1 to the right."""
        phantom = self._is_over if self.mode is AutoresetMode.NEXT_STEP else np.zeros_like(self._is_over)
        self._state = step_cartpole(self._state, actions)
        self._t += 1
        x, _, angle, _ = self._state
        terminated = (np.abs(x) > FARTHEST) | (np.abs(angle) > STEEPEST)
        truncated = self._t >= LIMIT
        rewards = np.ones(self.num_envs)
        if phantom.any():
            self._restart(phantom)
            terminated, truncated = terminated & ~phantom, truncated & ~phantom
            rewards[phantom] = 0.0
        self._is_over = terminated | truncated
        info: dict[str, Any] = {}
        if self.mode is AutoresetMode.SAME_STEP and self._is_over.any():
            info = {"final_obs": self._obs(), "_final_obs": self._is_over}
            self._restart(self._is_over)
        return self._obs(), rewards, terminated, truncated, info

    def _restart(self, which: np.ndarray) -> None:
        self._state[:, which] = self.np_random.uniform(-START, START, (4, int(which.sum())))
        self._t[which] = 0

    def _obs(self) -> np.ndarray:
        return self._state.T.astype(np.float32)


def step_cartpole(state: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Return the states "4 n_envs" (place, speed, angle, angular speed) 0.02 seconds later (Euler's method)."""
    _, speed, angle, turning = state
    mass, pole_moment = CART_MASS + POLE_MASS, POLE_MASS * HALF_LENGTH
    cos, sin = np.cos(angle), np.sin(angle)
    push = (np.where(actions == 1, FORCE, -FORCE) + pole_moment * turning**2 * sin) / mass
    turning_rate = (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * cos**2 / mass))
    acceleration = push - pole_moment * turning_rate * cos / mass
    return state + SECONDS * np.stack([speed, acceleration, turning, turning_rate])
