"""Rewards of several steps at once: returns over n steps, and a writer that makes them from a stream of steps.

Shapes:  rewards, done "n_steps" -> returns, n_ahead "n_steps"
Raises:  ConfigError if n isn't a whole number of at least 1.
Source:  Sutton and Barto 2018, equation 7.1; Hessel et al. 2018, arXiv:1710.02298, section "Multi-step learning".
Differs: windows that an episode's end cuts short are kept, with the number of steps that they hold.
"""

from collections import deque

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.rl.dqn.replay import ReplayBuffer
from arena_lib.rl.environments.stepping import Transition


def compute_n_step_returns(
    rewards: Float[Tensor, " n_steps"], done: Bool[Tensor, " n_steps"], gamma: float, n: int
) -> tuple[Float[Tensor, " n_steps"], Int[Tensor, " n_steps"]]:
    """For each step the discounted sum of the next n rewards, its own first, and how many were summed.

    returns[t] = rewards[t] + gamma * rewards[t + 1] + ... + gamma^(n - 1) * rewards[t + n - 1]

    Fewer are summed where the episode ends sooner (`done[k]`: the step k was its last, and its reward still counts),
    and where the steps run out. n_ahead[t], an int64, is their number. The value of the state where the sum stops
    isn't in it: the TD target adds it, multiplied with gamma^n_ahead.

    >>> compute_n_step_returns(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([False, True, False]), 0.5, 2)
    (tensor([2., 2., 4.]), tensor([2, 1, 1]))
    """
    returns, n_ahead = torch.zeros_like(rewards), torch.zeros(len(rewards), dtype=torch.int64)
    for t in range(len(rewards)):
        for k in range(t, min(t + n, len(rewards))):
            returns[t] += gamma ** (k - t) * rewards[k]
            n_ahead[t] += 1
            if done[k]:
                break
    return returns, n_ahead


class NStepWriter:
    """Stands before a replay buffer and makes n-step transitions of the single steps that it's given.

    A transition leaves when its n rewards are there, or when its episode ends. Each environment has a queue of its own.
    """

    def __init__(self, buffer: ReplayBuffer, n_envs: int, n: int, gamma: float) -> None:
        if not isinstance(n, int) or n < 1:
            raise ConfigError(f"n-step returns need a whole number of steps of at least 1: got {n!r}. Give 1 or more.")
        self.buffer, self.n, self.gamma = buffer, n, gamma
        self._queues: list[deque[tuple[np.ndarray, np.ndarray, float]]] = [deque() for _ in range(n_envs)]

    def add(self, transition: Transition) -> None:
        """Take one step of every environment; phantom steps are left out."""
        rows: list[tuple[np.ndarray, np.ndarray, float, bool, np.ndarray, int]] = []
        for env_idx in np.flatnonzero(transition.is_real):
            queue = self._queues[env_idx]
            queue.append((transition.obs[env_idx], transition.actions[env_idx], float(transition.rewards[env_idx])))
            end = bool(transition.terminated[env_idx]), transition.next_obs[env_idx]
            is_last = bool(transition.done[env_idx])
            while queue and (is_last or len(queue) == self.n):
                obs, action, _ = queue[0]
                summed = sum(self.gamma**k * reward for k, (_, _, reward) in enumerate(queue))
                rows.append((obs, action, summed, *end, len(queue)))
                queue.popleft()
        if rows:
            obs, actions, rewards, terminated, next_obs, n_ahead = (
                np.stack(column) for column in zip(*rows, strict=True)
            )
            self.buffer.store(obs, actions, rewards, terminated, next_obs, n_ahead)
