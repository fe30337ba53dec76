"""CartPole with rewards of one's own: a shaping that helps, and one that gets what it asks for.

Shapes:  an observation is (cart position, cart velocity, pole angle in radians, pole angular velocity)
Source:  Ng et al. 1999, "Policy invariance under reward transformations" (what shaping may change); Barto et al. 1983
         (the cart and its pole).
"""

from typing import Any

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

MAX_SPIN = 8.0
"""Radians a second, above which spinning faster pays no more."""


class EasyCart(CartPoleEnv):
    """CartPole whose reward is larger the nearer to its aim: the middle of the track, the pole upright."""

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step of CartPole with the reward replaced.

        CartPole pays 1 for each step, wherever the cart is. EasyCart pays

            1 - (|position| / x_threshold) / 2 - (|angle| / theta_threshold_radians) / 2

        of the observation that the step led to: 1 in the middle with the pole upright, and 0 at the corner where both
        limits are reached at once. The limits are attributes: `self.x_threshold`, 2.4, and
        `self.theta_threshold_radians`, 12 degrees. The reward is never below 0. Everything else that `CartPoleEnv.step`
        returns stays as it is.
        """
        obs, _, terminated, truncated, info = super().step(action)
        position, _, angle, _ = obs
        distance = abs(position) / self.x_threshold / 2 + abs(angle) / self.theta_threshold_radians / 2
        return obs, max(0.0, 1.0 - float(distance)), terminated, truncated, info


class SpinCart(CartPoleEnv):
    """CartPole that is rewarded for spinning its pole, and that ends only at the edge of the track."""

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step of CartPole with the reward and the end replaced.

        The reward is the pole's angular speed |angular velocity| after the step, at most MAX_SPIN (8 radians a second),
        divided by MAX_SPIN; so it's from 0 to 1, and either direction counts. The episode terminates only if the cart
        has left the track: |position| > `self.x_threshold`. In that step the reward is 0. However far the pole falls, the
        episode goes on. `CartPoleEnv.step` warns if it's called after an end that it saw itself, so set
        `self.steps_beyond_terminated = None` after each call. The observation and the rest of what it returns stay.
        """
        obs, _, _, truncated, info = super().step(action)
        self.steps_beyond_terminated = None
        terminated = bool(abs(obs[0]) > self.x_threshold)
        reward = 0.0 if terminated else min(abs(float(obs[3])), MAX_SPIN) / MAX_SPIN
        return obs, reward, terminated, truncated, info


class ProgressCart(CartPoleEnv):
    """CartPole that pays for progress: for each step that brings the pole nearer to upright, as much as it does so.

    It sounds like the same task. But what the pole loses on its way out costs nothing, so an agent earns most by
    rocking the pole out and back, again and again: what was asked for isn't what was meant.
    """

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step of CartPole; the reward is max(0, |angle before| - |angle after|), times 50."""
        before = abs(float(self.state[2]))  # type: ignore[index]
        obs, _, terminated, truncated, info = super().step(action)
        return obs, 50.0 * max(0.0, before - abs(float(obs[2]))), terminated, truncated, info
