"""Proximal policy optimisation for a choice among actions: from CartPole to pictures.

In turns, PPO acts for a while with the policy held still (the rollout phase), and learns from just those steps, a few
times over (the learning phase). The clipped objective keeps the policy near the one that acted.

Shapes:  obs "n_envs *obs_shape", actions "n_envs"
Raises:  ConfigError for settings or spaces that cannot work; EnvError for an environment that breaks what it declares;
         TrainingError for a loss that isn't finite.
Source:  Schulman et al. 2017, arXiv:1707.06347, algorithm 1; details as Huang et al. 2022, "The 37 implementation details
         of proximal policy optimization", counts them; Jang et al. 2017, arXiv:1611.01144, equation 1 (drawing with
         Gumbel noise).
Differs: see `rollout.py` and `advantages.py`: values are computed once for each rollout, and a truncated episode is
         bootstrapped from the observation that it really ended with.
"""

import math
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution

from arena_lib.core.configs import check_numbers, check_sizes
from arena_lib.core.seeds import check_seed, make_generator
from arena_lib.errors import ConfigError, TrainingError
from arena_lib.rl.environments.making import make_vector_env
from arena_lib.rl.environments.spaces import DISCRETE, require_actions
from arena_lib.rl.environments.stepping import Stepper, Transition
from arena_lib.rl.networks.joined import JoinedAdam
from arena_lib.rl.networks.perceptrons import quicken
from arena_lib.rl.ppo.networks import get_actor_and_critic
from arena_lib.rl.ppo.objectives import (
    calc_clipped_surrogate_objective,
    calc_clipped_value_function_loss,
    calc_entropy_bonus,
    calc_value_function_loss,
    compute_approx_kl,
)
from arena_lib.rl.ppo.rollout import Batch, Rollout, finish_rollout, get_minibatch_indices
from arena_lib.rl.ppo.scheduling import PPOScheduler
from arena_lib.rl.training.runs import Run, TrainingRun

ADAM_EPS = 1e-5
"""Adam's epsilon in the implementation that came with the paper, not torch's 1e-8 (Huang et al. 2022, detail 3)."""


@dataclass(frozen=True, kw_only=True)
class PPOConfig:
    """How to train. The defaults are the paper's for Atari, with sizes for a laptop."""

    env_id: str = "CartPole-v1"
    """Which environment, as gymnasium or `arena_lib.rl.environments.making` names it."""
    seed: int = 0
    """Seed of the weights, the environments, the actions and the minibatches."""
    total_timesteps: int = 500_000
    """Environment steps in all; what doesn't fill a phase at the end is left out."""
    n_envs: int = 4
    """Environments that are stepped together."""
    n_steps: int = 128
    """Steps of each environment in a rollout (table 5)."""
    n_epochs: int = 4
    """How often each rollout is learned from; table 5 has 3."""
    n_minibatches: int = 4
    """Parts that a rollout is dealt into, anew in each epoch."""
    lr: float = 2.5e-4
    """Adam's learning rate at the start (table 5)."""
    end_lr: float = 0.0
    """Learning rate that is reached at the end, in a straight line (table 5); as large as `lr` it stays constant."""
    gamma: float = 0.99
    """Discount for each step."""
    gae_lambda: float = 0.95
    """How far advantages look before they trust the critic: 0 one step, 1 to the end (Schulman et al. 2016)."""
    clip_coef: float = 0.2
    """How far the probability of an action may move, as a share, before its gradient stops; table 5 has 0.1."""
    ent_coef: float = 0.01
    """Weight of the entropy bonus (table 5)."""
    vf_coef: float = 0.5
    """Weight of the critic's loss, which has a half of its own."""
    max_grad_norm: float = 0.5
    """The largest norm of the gradient of all weights together; longer ones are scaled down."""
    clip_values: bool = False
    """Whether the critic's change is clipped too. Off: it doesn't help (Andrychowicz et al. 2021, section 3.2)."""
    target_kl: float | None = None
    """A phase ends after an epoch in which the policy moved further than this, in nats; None never ends one early."""

    def __post_init__(self) -> None:
        check_seed(self.seed)
        check_sizes(self, "total_timesteps", "n_envs", "n_steps", "n_epochs", "n_minibatches")
        check_numbers(self, "lr", "max_grad_norm", "clip_coef")
        check_numbers(self, "end_lr", "ent_coef", "vf_coef", zero_works=True)
        for name in ("gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"PPOConfig.{name} must be from 0 to 1: got {getattr(self, name)!r}. Try 0.95.")
        if self.batch_size % self.n_minibatches or self.batch_size // self.n_minibatches < 2:
            raise ConfigError(
                "n_envs * n_steps must divide into n_minibatches equal parts of at least two steps: got "
                f"{self.n_envs} * {self.n_steps} = {self.batch_size} for {self.n_minibatches}. Change one of the three."
            )
        if self.total_timesteps < self.batch_size:
            raise ConfigError(
                f"total_timesteps must be enough for one rollout of {self.n_envs} * {self.n_steps} steps: got "
                f"{self.total_timesteps}. Pass {self.batch_size} or more."
            )

    @property
    def batch_size(self) -> int:
        """Steps in a rollout, of all environments together."""
        return self.n_envs * self.n_steps

    @property
    def total_phases(self) -> int:
        """How often a rollout is made and learned from."""
        return self.total_timesteps // self.batch_size


def draw_gumbel_noise(generator: torch.Generator, *shape: int) -> Float[Tensor, "..."]:
    """Noise with which the largest of logits plus noise is a draw from their softmax: -log of exponential numbers."""
    return -torch.empty(shape).exponential_(generator=generator).clamp_min(1e-20).log()


class PPOAgent:
    """Acts in the environments of `stepper`, and keeps what happens in `rollout`.

    `actor` maps observations "n_envs *obs_shape" to logits "n_envs n_actions". `noise` "n_steps n_envs n_actions" is Gumbel
    noise for one whole rollout; `start_rollout` draws it from `generator`, and clears the rollout.
    """

    def __init__(
        self, actor: Callable[[Tensor], Tensor], stepper: Stepper, rollout: Rollout, generator: torch.Generator
    ) -> None:
        self.actor = actor
        self.stepper = stepper
        self.rollout = rollout
        self.generator = generator
        self.n_actions = int(getattr(stepper.envs.single_action_space, "n", 0))
        self.start_rollout()

    def start_rollout(self) -> None:
        """Clear the rollout, and draw the noise for the next one."""
        self.rollout.clear()
        self.noise = draw_gumbel_noise(self.generator, self.rollout.n_steps, self.rollout.n_envs, self.n_actions)

    @torch.no_grad()
    def play_step(self) -> Transition:
        """Do one step in every environment, write it to the rollout, and return it.

        1. The observations to act on are `self.stepper.obs`, a numpy array. Give them to the actor as floats
           (torch.float32), whatever their dtype is: it returns the logits.
        2. Draw the actions: add this step's noise, `self.noise[self.rollout.n_filled]`, and take the place of the largest.
        3. `self.stepper.step(actions)`, with a numpy array, gives a Transition.
        4. `self.rollout.add(obs=, actions=, rewards=, next_obs=, terminated=, truncated=, is_real=)` with the transition's
           fields of these names. Its next_obs is what the step really led to; after it `stepper.obs` may already be the
           first observation of the next episode.

        No gradients are recorded.
        """
        logits = self.actor(torch.as_tensor(self.stepper.obs, dtype=torch.float32))
        actions = (logits + self.noise[self.rollout.n_filled]).argmax(dim=-1)
        transition = self.stepper.step(actions.numpy())
        self.rollout.add(
            obs=transition.obs,
            actions=transition.actions,
            rewards=transition.rewards,
            next_obs=transition.next_obs,
            terminated=transition.terminated,
            truncated=transition.truncated,
            is_real=transition.is_real,
        )
        return transition


class PPOTrainer:
    """Trains an actor and a critic by PPO; `train` does the whole, the phases can be called by hand.

    `make_envs` makes the vector environment in place of `cfg.env_id`.
    """

    name: ClassVar[str] = "ppo"

    def __init__(self, cfg: PPOConfig, make_envs: Callable[[], VectorEnv] | None = None) -> None:
        self.cfg = cfg
        envs = make_vector_env(cfg.env_id, cfg.n_envs) if make_envs is None else make_envs()
        self.stepper = self._make_stepper(envs)
        self.generator = make_generator(cfg.seed)
        self.rng = np.random.default_rng(cfg.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(cfg.seed)
            self.actor, self.critic = self._make_networks(envs)
        self.parameters = list(dict.fromkeys([*self.actor.parameters(), *self.critic.parameters()]))
        self.optimizer = JoinedAdam(self.parameters, lr=cfg.lr, eps=ADAM_EPS)
        self.scheduler = PPOScheduler(self.optimizer, cfg.lr, cfg.end_lr, cfg.total_phases)
        self.agent = self._make_agent(envs)

    def _make_stepper(self, envs: VectorEnv) -> Stepper:
        require_actions(envs, DISCRETE, "PPO")
        return Stepper(envs, self.cfg.seed)

    def _make_networks(self, envs: VectorEnv) -> tuple[nn.Module, nn.Module]:
        shape = envs.single_observation_space.shape or ()
        return get_actor_and_critic(shape, int(envs.single_action_space.n))  # type: ignore[attr-defined]

    def _make_agent(self, envs: VectorEnv) -> PPOAgent:
        space = envs.single_observation_space
        dtype = space.dtype if space.dtype == np.uint8 else np.float32
        rollout = Rollout(self.cfg.n_steps, envs.num_envs, space.shape or (), obs_dtype=dtype)
        return PPOAgent(quicken(self.actor), self.stepper, rollout, self.generator)

    def get_dist(self, obs: Tensor) -> Distribution:
        """The policy's distribution over actions for observations "batch *obs_shape"."""
        return Categorical(logits=self.actor(obs), validate_args=False)

    def compute_logprobs(self, obs: Tensor, actions: Tensor) -> Float[Tensor, " batch"]:
        """The log-probability of each action."""
        return self.get_dist(obs).log_prob(actions)

    def rollout_phase(self) -> Batch:
        """Act until the rollout is full, and make it ready to learn from.

        Start a rollout, play cfg.n_steps steps with the agent, and return what `finish_rollout` makes of
        `self.agent.rollout` with this trainer's `critic`, `compute_logprobs`, and the discounts of `cfg`.
        """
        self.agent.start_rollout()
        for _ in range(self.cfg.n_steps):
            self.agent.play_step()
        rollout = self.agent.rollout
        return finish_rollout(rollout, self.critic, self.compute_logprobs, self.cfg.gamma, self.cfg.gae_lambda)

    def compute_ppo_objective(self, minibatch: Batch) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """What is to be made large, surrogate objective - critic's loss + entropy bonus, and figures to log.

        This is equation 9 of Schulman et al. 2017.

        Both networks are evaluated on the minibatch's observations. If `cfg.clip_values`, the critic's loss is the clipped
        one; `minibatch.values` are what it said then. The figures are a dictionary of single numbers without gradients,
        under names of your choice; here they are the three terms "surrogate", "value_loss" and "entropy".
        """
        cfg = self.cfg
        dist = self.get_dist(minibatch.obs)
        values = self.critic(minibatch.obs).squeeze(-1)
        surrogate = calc_clipped_surrogate_objective(
            dist, minibatch.actions, minibatch.advantages, minibatch.logprobs, cfg.clip_coef
        )
        if cfg.clip_values:
            value_loss = calc_clipped_value_function_loss(
                values, minibatch.values, minibatch.returns, cfg.clip_coef, cfg.vf_coef
            )
        else:
            value_loss = calc_value_function_loss(values, minibatch.returns, cfg.vf_coef)
        entropy = calc_entropy_bonus(dist, cfg.ent_coef)
        figures = {"surrogate": surrogate.detach(), "value_loss": value_loss.detach(), "entropy": entropy.detach()}
        return surrogate - value_loss + entropy, figures

    def learning_phase(self, batch: Batch) -> dict[str, float]:
        """Learn from one rollout, cfg.n_epochs times over.

        In each epoch the batch is dealt anew (`get_minibatch_indices` with `self.rng`) into exactly cfg.n_minibatches
        minibatches of len(batch) // cfg.n_minibatches steps. For each, one step up the gradient of the objective, whose norm
        is clipped to cfg.max_grad_norm: `_ascend` does that. After each whole epoch, if there is a cfg.target_kl, no more
        epochs follow once `measure_kl(batch)` is above it. Last, in any case, the scheduler makes one step.

        Returns numbers: under the name of each figure of `compute_ppo_objective` its mean over all minibatches of the phase,
        and under "epochs" how many epochs were made.
        """
        figures: defaultdict[str, list[Tensor]] = defaultdict(list)
        n_epochs = 0
        for _ in range(self.cfg.n_epochs):
            n_epochs += 1
            dealt = get_minibatch_indices(self.rng, len(batch), len(batch) // self.cfg.n_minibatches)
            for idx in dealt[: self.cfg.n_minibatches]:
                objective, seen = self.compute_ppo_objective(batch[idx])
                self._ascend(objective)
                for name, value in seen.items():
                    figures[name].append(value)
            if self.cfg.target_kl is not None and self.measure_kl(batch) > self.cfg.target_kl:
                break
        self.scheduler.step()
        means = {name: float(torch.stack(values).mean()) for name, values in figures.items()}
        return {**means, "epochs": float(n_epochs)}

    def _ascend(self, objective: Float[Tensor, ""]) -> None:
        """One step up the gradient, clipped by its norm."""
        self.optimizer.zero_grad()
        (-objective).backward()
        self.optimizer.clip_gradient(self.cfg.max_grad_norm)
        self.optimizer.step()

    @torch.no_grad()
    def measure_kl(self, batch: Batch) -> float:
        """How far the policy has moved from the one that acted, in nats."""
        return float(compute_approx_kl(self.compute_logprobs(batch.obs, batch.actions), batch.logprobs))

    def train_phase(self) -> dict[str, float]:
        """One rollout and what is learned from it; returns the figures of the phase."""
        lr = self.optimizer.param_groups[0]["lr"]
        batch = self.rollout_phase()
        if len(batch) < 2 * self.cfg.n_minibatches:
            raise TrainingError(
                f"a rollout must have two real steps for each of the {self.cfg.n_minibatches} minibatches: got {len(batch)}, "
                "as steps that only start an episode anew don't count. Raise n_steps, or take the mode SAME_STEP."
            )
        row = self.learning_phase(batch)
        if not all(math.isfinite(value) for value in row.values()):
            raise TrainingError(
                f"every loss must stay finite: got {row} after {self.stepper.n_steps} steps. Lower lr (now "
                f"{self.cfg.lr}) or max_grad_norm (now {self.cfg.max_grad_norm})."
            )
        explained = 1.0 - float((batch.returns - batch.values).var() / batch.returns.var().clamp_min(1e-8))
        return {**row, "lr": lr, "kl": self.measure_kl(batch), "explained_variance": explained}

    def train(
        self, folder: str | os.PathLike[str] | None = None, *, resume: bool = True, max_seconds: float | None = None
    ) -> TrainingRun:
        """Train to the last phase, going on from the checkpoint in `folder` if there is one."""
        with Run(
            self,
            algorithm=self.name,
            env_id=self.cfg.env_id,
            config=self.cfg,
            n_steps=self.cfg.total_phases * self.cfg.batch_size,
            folder=folder,
            resume=resume,
            max_seconds=max_seconds,
        ) as run:
            while not run.is_over:
                run.advance(self.train_phase())
        return run.result()

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights, optimizer and generator as tensors; counters and the minibatches' generator beside them."""
        tensors = {f"actor.{name}": tensor for name, tensor in self.actor.state_dict().items()}
        tensors |= {f"critic.{name}": tensor for name, tensor in self.critic.state_dict().items()}
        moments = self.optimizer.state[self.optimizer.joined]
        tensors |= {f"optimizer.{key}": torch.as_tensor(value) for key, value in moments.items()}
        tensors["generator"] = self.generator.get_state()
        lr = self.optimizer.param_groups[0]["lr"]
        return tensors, {"phases": self.scheduler.n_step_calls, "lr": lr, "rng": self.rng.bit_generator.state}

    def set_state(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go back to what `get_state` returned."""
        for name, network in (("actor.", self.actor), ("critic.", self.critic)):
            network.load_state_dict({k.removeprefix(name): v for k, v in tensors.items() if k.startswith(name)})
        moments = {k.removeprefix("optimizer."): v.clone() for k, v in tensors.items() if k.startswith("optimizer.")}
        self.optimizer.state[self.optimizer.joined] = moments
        self.generator.set_state(tensors["generator"])
        self.rng.bit_generator.state = state["rng"]
        self.scheduler.n_step_calls = state["phases"]
        for group in self.optimizer.param_groups:
            group["lr"] = state["lr"]

    def policy(self, greedy: bool = True) -> Callable[[np.ndarray], np.ndarray]:
        """What the agent does: observations of any number of environments -> actions, the likeliest or drawn."""
        generator = make_generator(self.cfg.seed)

        @torch.no_grad()
        def act(obs: np.ndarray) -> np.ndarray:
            logits = self.actor(torch.as_tensor(obs, dtype=torch.float32))
            if not greedy:
                logits = logits + draw_gumbel_noise(generator, *logits.shape)
            return logits.argmax(dim=-1).numpy()

        return act
