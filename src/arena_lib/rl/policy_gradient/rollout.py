"""Steps of several environments, side by side, as a policy gradient needs them.

Shapes:  obs, next_obs "n_envs n_steps *obs_shape"; actions, logprobs, rewards, terminated, truncated, is_real
         "n_envs n_steps"
Raises:  ConfigError for a step too many.
Source:  own derivation.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.rl.environments.stepping import Transition


class Rollout:
    """`max_steps` steps of every environment: row i is environment i, column t its step t. `n_steps` are filled."""

    obs: Float[Tensor, "n_envs max_steps ..."]
    next_obs: Float[Tensor, "n_envs max_steps ..."]
    actions: Int[Tensor, "n_envs max_steps"]
    logprobs: Float[Tensor, "n_envs max_steps"]
    rewards: Float[Tensor, "n_envs max_steps"]
    terminated: Bool[Tensor, "n_envs max_steps"]
    truncated: Bool[Tensor, "n_envs max_steps"]
    is_real: Bool[Tensor, "n_envs max_steps"]

    def __init__(self, n_envs: int, max_steps: int, obs_shape: tuple[int, ...]) -> None:
        self.n_envs, self.max_steps, self.n_steps = n_envs, max_steps, 0
        self.obs = torch.zeros(n_envs, max_steps, *obs_shape)
        self.next_obs = torch.zeros_like(self.obs)
        self.actions = torch.zeros(n_envs, max_steps, dtype=torch.int64)
        self.logprobs, self.rewards = torch.zeros(n_envs, max_steps), torch.zeros(n_envs, max_steps)
        self.terminated, self.truncated, self.is_real = torch.zeros(3, n_envs, max_steps, dtype=torch.bool)

    @property
    def done(self) -> Bool[Tensor, "n_envs max_steps"]:
        """Whether an episode ended with the step, for whatever reason."""
        return self.terminated | self.truncated

    def add_step(self, transition: Transition, logprobs: Float[Tensor, " n_envs"]) -> None:
        """Write one step of every environment into the next free column, and count it.

        `logprobs` are the log-probabilities with which the actions were drawn; they are stored detached.
        """
        if self.n_steps == self.max_steps:
            raise ConfigError(f"a rollout of {self.max_steps} steps is full: got another one. Make a new Rollout.")
        t = self.n_steps
        self.obs[:, t] = as_floats(transition.obs)
        self.next_obs[:, t] = as_floats(transition.next_obs)
        self.actions[:, t] = torch.as_tensor(transition.actions)
        self.logprobs[:, t] = logprobs.detach()
        self.rewards[:, t] = as_floats(transition.rewards)
        self.terminated[:, t] = torch.as_tensor(transition.terminated)
        self.truncated[:, t] = torch.as_tensor(transition.truncated)
        self.is_real[:, t] = torch.as_tensor(transition.is_real)
        self.n_steps += 1


def as_floats(values: np.ndarray) -> Float[Tensor, "..."]:
    """A float32 tensor of an environment's numbers, of whatever type those are."""
    return torch.as_tensor(values, dtype=torch.float32)
