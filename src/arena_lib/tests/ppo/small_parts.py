"""Small networks and scripted environments that the judges of section 2.3 share."""

from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from arena_lib.rl.environments.stepping import Transition
from arena_lib.rl.ppo.rollout import Rollout

__test__ = False

ROLLOUT_FIELDS = ("obs", "actions", "rewards", "next_obs", "terminated", "truncated", "is_real")
"""What a transition and a rollout both have."""


class Linear(nn.Module):
    """A linear map with given weights, which counts how often it ran and whether gradients were recorded."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.n_calls_with_gradient = 0

    def forward(self, obs: Tensor) -> Tensor:
        """The product of obs and weight, or an error for another dtype, as a real layer raises it."""
        self.n_calls_with_gradient += torch.is_grad_enabled()
        return obs @ self.weight


class GaussianActor(nn.Module):
    """A mean that is linear in the observation, and a standard deviation for each entry."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.mean = Linear(weight)

    @property
    def n_calls_with_gradient(self) -> int:
        """How often it ran while gradients were recorded."""
        return self.mean.n_calls_with_gradient

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor, torch.distributions.Normal]:
        """Mean, standard deviation and their Normal."""
        mu = self.mean(obs)
        sigma = torch.linspace(0.5, 1.5, mu.shape[-1]).expand_as(mu)
        return mu, sigma, torch.distributions.Normal(mu, sigma)


class ScriptedStepper:
    """Stands for a Stepper: what it gives was drawn before, some episodes end, and it keeps the actions it gets."""

    def __init__(self, n_steps: int, n_envs: int, d_obs: int, space: gym.Space, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.envs = SimpleNamespace(single_action_space=space)
        self.n_envs, self.t = n_envs, 0
        self.all_obs = rng.normal(size=(n_steps + 1, n_envs, d_obs))
        self.rewards = rng.normal(size=(n_steps, n_envs))
        self.terminated = rng.random((n_steps, n_envs)) < 0.3
        self.truncated = ~self.terminated & (rng.random((n_steps, n_envs)) < 0.4)
        self.is_real = rng.random((n_steps, n_envs)) < 0.8
        done = (self.terminated | self.truncated)[..., None]
        self.next_obs = np.where(done, rng.normal(size=(n_steps, n_envs, d_obs)), self.all_obs[1:])
        self.actions: list[Any] = []

    @property
    def obs(self) -> np.ndarray:
        """What the next actions are for."""
        return self.all_obs[self.t]

    def step(self, actions: Any) -> Transition:
        """The next step of the script, whatever the actions."""
        self.actions.append(actions)
        t, self.t = self.t, self.t + 1
        ends = self.terminated[t], self.truncated[t]
        kept = np.asarray(actions).astype(np.float64)
        return Transition(self.all_obs[t], kept, self.rewards[t], self.next_obs[t], *ends, self.is_real[t])


def filled_rollout(generator: torch.Generator, n_steps: int, n_envs: int, *, share_real: float = 1.0) -> Rollout:
    """A rollout of random steps with observations of two numbers; some episodes end in either way."""
    rollout = Rollout(n_steps, n_envs, (2,))
    shape = (n_steps, n_envs)
    rollout.obs.copy_(torch.randn(*shape, 2, generator=generator))
    rollout.next_obs.copy_(torch.randn(*shape, 2, generator=generator))
    rollout.rewards.copy_(torch.randn(shape, generator=generator))
    rollout.actions.copy_(torch.randint(0, 3, shape, generator=generator))
    rollout.terminated.copy_(torch.rand(shape, generator=generator) < 0.2)
    rollout.truncated.copy_(torch.rand(shape, generator=generator) < 0.2)
    rollout.is_real.copy_(torch.rand(shape, generator=generator) < share_real)
    rollout.n_filled = n_steps
    return rollout
