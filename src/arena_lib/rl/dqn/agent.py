"""The agent that plays: it chooses actions, does them, and remembers what happened.

Shapes:  obs "n_envs *obs_shape" -> actions "n_envs"
Source:  Mnih et al. 2015, Nature 518, algorithm 1 (the part that acts).
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from arena_lib.rl.dqn.exploration import epsilon_greedy_policy, linear_schedule
from arena_lib.rl.environments.stepping import Episode, Stepper, Transition


@runtime_checkable
class Memory(Protocol):
    """What takes the steps that an agent does: a replay buffer, or an n-step writer before it."""

    def add(self, transition: Transition) -> object:
        """Take one step of every environment."""


class DQNAgent:
    """Plays in `stepper`'s environments and puts what happens into `buffer`.

    `epsilon` is the share of random actions at the last choice; before the first choice it is `start_e`.
    """

    def __init__(
        self,
        stepper: Stepper,
        buffer: Memory,
        q_network: Callable[[Tensor], Tensor],
        start_e: float,
        end_e: float,
        exploration_fraction: float,
        total_timesteps: int,
        rng: np.random.Generator,
    ) -> None:
        self.stepper, self.buffer, self.q_network, self.rng = stepper, buffer, q_network, rng
        self.start_e, self.end_e = start_e, end_e
        self.exploration_fraction, self.total_timesteps = exploration_fraction, total_timesteps
        self.epsilon = start_e

    def get_actions(self, obs: np.ndarray) -> np.ndarray:
        """Set `self.epsilon` by `linear_schedule`, for the real steps so far, and choose actions with it.

        `self.stepper.n_steps` counts the real steps. The actions are `epsilon_greedy_policy`'s, for
        `self.stepper.envs` and with `self.rng`.
        """
        self.epsilon = linear_schedule(
            self.stepper.n_steps, self.start_e, self.end_e, self.exploration_fraction, self.total_timesteps
        )
        return epsilon_greedy_policy(self.stepper.envs, self.q_network, self.rng, obs, self.epsilon)

    def play_step(self) -> list[Episode]:
        """Do one step in every environment and remember it; returns `self.stepper.finished()`, the episodes that ended.

        Get actions for `self.stepper.obs`, the observations that wait for them. Do them with
        `self.stepper.step(actions)`, and add the transition that comes back by `self.buffer.add(transition)`.
        """
        transition = self.stepper.step(self.get_actions(self.stepper.obs))
        self.buffer.add(transition)
        return self.stepper.finished()
