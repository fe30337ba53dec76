"""Vanilla policy gradient: gather rollouts, make good actions likelier, throw the rollouts away.

    run = VPGTrainer(VPGConfig(env_id="CartPole-v1")).train()

Shapes:  obs "n_envs n_steps *obs_shape", logits "... n_actions", values "..."
Raises:  ConfigError for a configuration or spaces that can't work; TrainingError if the loss isn't finite.
Source:  Williams 1992 (REINFORCE with a baseline, section 4); Sutton and Barto 2018, section 13.4.
Differs: returns are normalised; where a rollout or a time limit cuts an episode, the baseline says what would have come.
"""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.core.configs import check_numbers, check_sizes
from arena_lib.core.seeds import check_seed, make_generator
from arena_lib.errors import ConfigError, TrainingError
from arena_lib.rl.environments.making import make_vector_env
from arena_lib.rl.environments.spaces import DISCRETE, require_actions, require_vectors
from arena_lib.rl.environments.stepping import Episode, Stepper
from arena_lib.rl.policy_gradient.agent import VPGAgent
from arena_lib.rl.policy_gradient.loss import (
    compute_importance_weights,
    compute_logprobs_and_entropy,
    compute_reinforce_loss,
)
from arena_lib.rl.policy_gradient.returns import compute_returns, normalize_returns, subtract_baseline
from arena_lib.rl.policy_gradient.rollout import Rollout, as_floats
from arena_lib.rl.training.runs import Run, TrainingRun


@dataclass(frozen=True, kw_only=True)
class VPGConfig:
    """A run of vanilla policy gradient."""

    env_id: str | Callable[[], gym.Env] = "CartPole-v1"
    """The environment, by id or as a function that makes one."""
    seed: int = 0
    """Seed of the environments, of the weights at the start and of the actions."""
    n_envs: int = 8
    """Environments side by side."""
    mode: gym.vector.AutoresetMode = gym.vector.AutoresetMode.SAME_STEP
    """How the environments start anew; all three work alike."""
    n_steps: int = 128
    """Steps of each environment in a rollout."""
    total_steps: int = 200_000
    """Environment steps of the whole run, those of all environments together."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers of both networks."""
    lr: float = 3e-3
    """Adam's learning rate at the start; it falls to zero in a straight line."""
    gamma: float = 0.99
    """Discount for each environment step."""
    n_updates: int = 1
    """Updates from one rollout; after the first, importance weights make up for the policy's change."""
    clip_coef: float | None = 0.2
    """How far importance weights may be from 1; None doesn't bound them."""
    has_baseline: bool = True
    """Whether a value network's expectation is subtracted from the returns."""
    ent_coef: float = 0.01
    """How much undecidedness is worth (Williams and Peng 1991)."""
    vf_coef: float = 0.5
    """Weight of the value network's loss."""
    max_grad_norm: float = 0.5
    """Largest norm of the gradient."""

    def __post_init__(self) -> None:
        check_seed(self.seed)
        check_sizes(self, "n_envs", "n_steps", "total_steps", "n_updates")
        check_numbers(self, "lr", "max_grad_norm")
        check_numbers(self, "ent_coef", "vf_coef", zero_works=True)
        if not 0 <= self.gamma <= 1:
            raise ConfigError(f"VPGConfig.gamma must be from 0 to 1: got {self.gamma!r}. 0.99 is usual.")
        if self.total_steps < self.n_envs * self.n_steps:
            raise ConfigError(
                f"total_steps must be enough for one rollout of {self.n_envs} x {self.n_steps} steps: got "
                f"{self.total_steps}. Pass {self.n_envs * self.n_steps} or more."
            )


class VPGTrainer:
    """Trains a policy; `train` runs the whole, `learn` gathers one rollout and learns from it."""

    def __init__(self, config: VPGConfig) -> None:
        self.config = config
        self.stepper = Stepper(make_vector_env(config.env_id, config.n_envs, mode=config.mode), config.seed)
        require_actions(self.stepper.envs, DISCRETE, "VPG")
        d_obs = require_vectors(self.stepper.envs, "VPG")
        n_actions = int(self.stepper.envs.single_action_space.n)  # type: ignore[attr-defined]
        self.d_obs = d_obs
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.policy_network = make_mlp(d_obs, config.hidden_sizes, n_actions)
            self.value_network = make_mlp(d_obs, config.hidden_sizes, 1)
        self.parameters = [*self.policy_network.parameters(), *self.value_network.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=config.lr, fused=True)
        self.generator = make_generator(config.seed)
        self.agent = VPGAgent(self.stepper, self.policy_network, self.generator)

    def train(
        self,
        *,
        folder: str | os.PathLike[str] | None = None,
        resume: bool = True,
        trackers: Sequence[str] = (),
        max_seconds: float | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> TrainingRun:
        """Train for `total_steps` environment steps, going on from the checkpoint in `folder` if there is one.

        `on_step` is called after each rollout, with the number of environment steps so far.
        """
        config = self.config
        with Run(
            self, algorithm="vpg", env_id=config.env_id, config=config, n_steps=config.total_steps, folder=folder,
            resume=resume, trackers=trackers, max_seconds=max_seconds,
        ) as run:  # fmt: skip
            while not run.is_over:
                metrics, episodes = self.learn()
                run.advance(metrics, episodes)
                if on_step is not None:
                    on_step(self.stepper.n_steps)
        return run.result()

    def learn(self) -> tuple[dict[str, float], list[Episode]]:
        """Gather a rollout and learn from it: what was measured at the last update, and the episodes that ended."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * max(1 - self.stepper.n_steps / self.config.total_steps, 0.0)
        rollout, episodes = self.agent.gen_rollout(Rollout(self.config.n_envs, self.config.n_steps, (self.d_obs,)))
        for _ in range(self.config.n_updates):
            loss, metrics = self.compute_loss(rollout)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters, self.config.max_grad_norm)
            self.optimizer.step()
        if not math.isfinite(metrics["loss"]):
            raise TrainingError(f"the loss must be finite: got {metrics['loss']}. Lower lr or max_grad_norm.")
        return metrics, episodes

    def compute_loss(self, tau: Rollout) -> tuple[Float[Tensor, ""], dict[str, float]]:
        """The loss of a rollout, phantom steps left out, and its parts."""
        real, config = tau.is_real, self.config
        logprobs, entropy = compute_logprobs_and_entropy(tau, self.policy_network)
        weights = compute_importance_weights(logprobs, tau, config.clip_coef)
        returns = compute_returns(self._bootstrapped_rewards(tau), tau.done, config.gamma)
        value_loss = returns.new_zeros(())
        if config.has_baseline:
            values = self.value_network(tau.obs).squeeze(-1)
            advantages, value_loss = subtract_baseline(returns[real], values[real])
        else:
            advantages = returns[real]
        policy_loss = compute_reinforce_loss(normalize_returns(advantages), logprobs[real], weights[real])
        mean_entropy = entropy[real].mean()
        loss = policy_loss + config.vf_coef * value_loss - config.ent_coef * mean_entropy
        parts = {"loss": loss, "policy_loss": policy_loss, "value_loss": value_loss, "entropy": mean_entropy}
        return loss, {name: part.item() for name, part in parts.items()}

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that a run needs to go on, but the environments."""
        tensors = {f"{i}": parameter for i, parameter in enumerate(self.parameters)}
        for i, parameter in enumerate(self.parameters):
            tensors |= {f"adam.{i}.{key}": value for key, value in self.optimizer.state[parameter].items()}
        return tensors | {"generator": self.generator.get_state()}, {}

    @torch.no_grad()
    def set_state(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go back to what `get_state` returned."""
        for i, parameter in enumerate(self.parameters):
            parameter.copy_(tensors[f"{i}"])
            prefix = f"adam.{i}."
            if kept := {key.removeprefix(prefix): tensors[key] for key in tensors if key.startswith(prefix)}:
                self.optimizer.state[parameter] = kept
        self.generator.set_state(tensors["generator"])

    @torch.no_grad()
    def _bootstrapped_rewards(self, tau: Rollout) -> Float[Tensor, "n_envs n_steps"]:
        """Rewards, with the discounted value of what would have come added where an episode was cut, not ended."""
        if not self.config.has_baseline:
            return tau.rewards
        is_cut = tau.truncated.clone()
        is_cut[:, -1] = tau.is_real[:, -1]
        is_cut &= ~tau.terminated
        rewards = tau.rewards.clone()
        rewards[is_cut] += self.config.gamma * self.value_network(tau.next_obs[is_cut]).squeeze(-1)
        return rewards

    def policy(self, greedy: bool = True) -> Callable[[np.ndarray], np.ndarray]:
        """What to do for observations: the likeliest action, or one drawn as in training where not `greedy`."""

        def likeliest(obs: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                actions: np.ndarray = self.policy_network(as_floats(obs)).argmax(dim=-1).numpy()
            return actions

        return likeliest if greedy else lambda obs: self.agent.get_actions(obs)[0]


def make_mlp(d_in: int, hidden_sizes: Sequence[int], d_out: int) -> nn.Sequential:
    """Linear layers with a tanh between them."""
    sizes = [d_in, *hidden_sizes, d_out]
    parts: list[nn.Module] = []
    for before, after in pairwise(sizes):
        parts += [nn.Linear(before, after), nn.Tanh()]
    return nn.Sequential(*parts[:-1])
