"""Proximal policy optimisation for actions that are vectors: MuJoCo's robots.

It's the same algorithm as in `discrete.py`. What differs: the policy is a normal distribution, the log-probability of an
action is a sum over its entries, the environment gets actions clipped to its bounds while learning keeps those that were
drawn, and observations and rewards are normalised.

Shapes:  obs "n_envs d_obs", actions "n_envs n_actions"
Raises:  ConfigError for spaces that this cannot take; else as `discrete.py`.
Source:  Schulman et al. 2017, arXiv:1707.06347, section 6.1 and table 3 (settings for MuJoCo); Huang et al. 2022, "The 37
         implementation details of proximal policy optimization", details for continuous actions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Normal

from arena_lib.core.seeds import make_generator
from arena_lib.rl.environments.spaces import CONTINUOUS, require_actions, require_vectors
from arena_lib.rl.environments.stepping import Stepper, Transition
from arena_lib.rl.ppo.discrete import PPOAgent, PPOConfig, PPOTrainer
from arena_lib.rl.ppo.networks import Actor, Critic
from arena_lib.rl.ppo.normalization import NormalizingStepper, normalize
from arena_lib.rl.ppo.objectives import (
    calc_clipped_surrogate_objective_cts,
    calc_clipped_value_function_loss,
    calc_entropy_bonus_cts,
    calc_value_function_loss,
)
from arena_lib.rl.ppo.rollout import Batch, Rollout


@dataclass(frozen=True, kw_only=True)
class PPOContinuousConfig(PPOConfig):
    """How to train with continuous actions; the defaults are the paper's for MuJoCo (table 3)."""

    env_id: str = "HalfCheetah-v5"
    """Which environment."""
    total_timesteps: int = 1_000_000
    """Environment steps in all."""
    n_envs: int = 1
    """Environments that are stepped together."""
    n_steps: int = 2048
    """Steps of each environment in a rollout."""
    n_epochs: int = 10
    """How often each rollout is learned from."""
    n_minibatches: int = 32
    """Minibatches of 64 steps."""
    lr: float = 3e-4
    """Adam's learning rate at the start."""
    ent_coef: float = 0.0
    """No entropy bonus: the standard deviation is learned."""


class PPOAgentCts(PPOAgent):
    """As `PPOAgent`, for continuous actions: `actor` gives a mean, a standard deviation and their `Normal`.

    `noise` "n_steps n_envs n_actions" is standard normal noise for one whole rollout.
    """

    def __init__(self, actor: nn.Module, stepper: Stepper, rollout: Rollout, generator: torch.Generator) -> None:
        self.low, self.high = stepper.envs.single_action_space.low, stepper.envs.single_action_space.high  # type: ignore[attr-defined]
        super().__init__(actor, stepper, rollout, generator)

    def start_rollout(self) -> None:
        """Clear the rollout, and draw the noise for the next one."""
        self.rollout.clear()
        self.noise = torch.randn(self.rollout.actions.shape, generator=self.generator)

    @torch.no_grad()
    def play_step(self) -> Transition:
        """Do one step in every environment, write it to the rollout, and return the transition.

        As `PPOAgent.play_step`, but for two things. The action is mu + sigma * noise, with this step's noise,
        `self.noise[self.rollout.n_filled]`. And the environment gets the action clipped to its bounds, from `self.low`
        to `self.high`, while the rollout keeps the one that was drawn: that is the one whose probability is known. The
        transition is returned as the stepper gave it, so its `actions` are the clipped ones.
        """
        mu, sigma, _ = self.actor(torch.as_tensor(self.stepper.obs, dtype=torch.float32))
        actions = (mu + sigma * self.noise[self.rollout.n_filled]).numpy()
        transition = self.stepper.step(np.clip(actions, self.low, self.high))
        self.rollout.add(
            obs=transition.obs,
            actions=actions,
            rewards=transition.rewards,
            next_obs=transition.next_obs,
            terminated=transition.terminated,
            truncated=transition.truncated,
            is_real=transition.is_real,
        )
        return transition


class PPOTrainerCts(PPOTrainer):
    """As `PPOTrainer`, for continuous actions."""

    name: ClassVar[str] = "ppo-continuous"

    def __init__(self, cfg: PPOContinuousConfig, make_envs: Callable[[], VectorEnv] | None = None) -> None:
        super().__init__(cfg, make_envs)

    def _make_stepper(self, envs: VectorEnv) -> Stepper:
        require_actions(envs, CONTINUOUS, "PPO for continuous actions")
        require_vectors(envs, "PPO for continuous actions")
        return NormalizingStepper(envs, self.cfg.seed, self.cfg.gamma)

    def _make_networks(self, envs: VectorEnv) -> tuple[nn.Module, nn.Module]:
        (d_obs,), (n_actions,) = envs.single_observation_space.shape, envs.single_action_space.shape  # type: ignore[misc]
        return Actor(d_obs, n_actions), Critic(d_obs)

    def _make_agent(self, envs: VectorEnv) -> PPOAgent:
        obs_shape, action_shape = envs.single_observation_space.shape, envs.single_action_space.shape
        assert obs_shape is not None
        assert action_shape is not None
        rollout = Rollout(self.cfg.n_steps, envs.num_envs, obs_shape, action_shape, action_dtype=np.float32)
        return PPOAgentCts(self.actor, self.stepper, rollout, self.generator)

    def get_dist(self, obs: Tensor) -> Normal:
        """The policy's distribution for each entry of an action."""
        dist: Normal = self.actor(obs)[2]
        return dist

    def compute_logprobs(self, obs: Tensor, actions: Tensor) -> Float[Tensor, " batch"]:
        """The log-density of each whole action."""
        return self.get_dist(obs).log_prob(actions).sum(dim=-1)

    def compute_ppo_objective(self, minibatch: Batch) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """As for discrete actions, with sums over the entries of an action."""
        cfg = self.cfg
        dist = self.get_dist(minibatch.obs)
        values = self.critic(minibatch.obs).squeeze(-1)
        surrogate = calc_clipped_surrogate_objective_cts(
            dist, minibatch.actions, minibatch.advantages, minibatch.logprobs, cfg.clip_coef
        )
        if cfg.clip_values:
            value_loss = calc_clipped_value_function_loss(
                values, minibatch.values, minibatch.returns, cfg.clip_coef, cfg.vf_coef
            )
        else:
            value_loss = calc_value_function_loss(values, minibatch.returns, cfg.vf_coef)
        entropy = calc_entropy_bonus_cts(dist, cfg.ent_coef)
        figures = {"surrogate": surrogate.detach(), "value_loss": value_loss.detach(), "entropy": entropy.detach()}
        return surrogate - value_loss + entropy, figures

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """As for discrete actions, with the statistics of observations and rewards."""
        tensors, state = super().get_state()
        return {**tensors, **self._normalizer.tensors()}, state

    def set_state(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go back to what `get_state` returned."""
        super().set_state(tensors, state)
        self._normalizer.load_tensors(tensors)

    @property
    def _normalizer(self) -> NormalizingStepper:
        assert isinstance(self.stepper, NormalizingStepper)
        return self.stepper

    def policy(self, greedy: bool = True) -> Callable[[np.ndarray], np.ndarray]:
        """What the agent does with raw observations: the mean action or a drawn one, within the bounds."""
        generator = make_generator(self.cfg.seed)
        space, stepper = self.stepper.envs.single_action_space, self._normalizer
        assert isinstance(space, gym.spaces.Box)

        @torch.no_grad()
        def act(obs: np.ndarray) -> np.ndarray:
            mu, sigma, _ = self.actor(torch.from_numpy(normalize(obs, stepper.obs_moments)))
            actions = mu if greedy else mu + sigma * torch.randn(mu.shape, generator=generator)
            return np.clip(actions.numpy(), space.low, space.high)

        return act
