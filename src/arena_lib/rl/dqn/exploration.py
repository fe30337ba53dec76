"""Trying things out: how often, and what.

Shapes:  obs "n_envs *obs_shape" -> actions "n_envs"
Source:  Mnih et al. 2015, Nature 518, methods (epsilon annealed linearly, then fixed).
Differs: each environment decides for itself whether it explores.
"""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from arena_lib.rl.networks.perceptrons import QuickPerceptron


def linear_schedule(
    current_step: int, start_e: float, end_e: float, exploration_fraction: float, total_timesteps: int
) -> float:
    """Epsilon, the probability of a random action, at a step: it goes in a straight line from start_e to end_e.

    At step 0 it is start_e. At step exploration_fraction * total_timesteps (which is above 0) it reaches end_e, and from
    then on it stays there. It may rise as well as fall: end_e can be larger than start_e.

    >>> [round(linear_schedule(step, 1.0, 0.2, 0.5, 100), 3) for step in (0, 25, 50, 100)]
    [1.0, 0.6, 0.2, 0.2]
    """
    share_done = min(current_step / (exploration_fraction * total_timesteps), 1.0)
    return start_e + share_done * (end_e - start_e)


def epsilon_greedy_policy(
    envs: gym.vector.VectorEnv,
    q_network: Callable[[Tensor], Tensor],
    rng: np.random.Generator,
    obs: np.ndarray,
    epsilon: float,
) -> np.ndarray:
    """An action for each environment: with probability epsilon a random one, else the one with the largest value.

    Each environment decides for itself. So that equal seeds give equal actions, `rng` draws in this order, at every
    call: `rng.random(n_envs)`, whose entries below epsilon say which environments explore, then
    `rng.integers(n_actions, size=n_envs)`, the random actions (those of the other environments are thrown away).

    Args:
        envs: the environments; `envs.num_envs` is n_envs, `envs.single_action_space.n` is n_actions.
        q_network: maps a float32 tensor "n_envs *obs_shape" to action values "n_envs n_actions".
        rng: numpy's generator, which makes all random choices.
        obs: what the environments show, a numpy array "n_envs *obs_shape" of any number type.
        epsilon: the probability of a random action.

    Returns:
        A numpy array of int64, "n_envs". No gradients are recorded.
    """
    n_actions = int(envs.single_action_space.n)  # type: ignore[attr-defined]
    explores = rng.random(envs.num_envs) < epsilon
    random_actions = rng.integers(n_actions, size=envs.num_envs)
    return np.where(explores, random_actions, greedy_actions(q_network, obs))


def greedy_actions(q_network: Callable[[Tensor], Tensor], obs: np.ndarray) -> np.ndarray:
    """The action with the largest value for each observation; no gradients are recorded."""
    if isinstance(q_network, QuickPerceptron):
        return q_network.on_arrays(np.asarray(obs, dtype=np.float32)).argmax(axis=-1)
    with torch.no_grad():
        q_values: Any = q_network(torch.as_tensor(obs, dtype=torch.float32))
    actions: np.ndarray = q_values.argmax(dim=-1).numpy()
    return actions
