"""Deep Q-learning: play, remember, draw a batch, move the action values towards their targets.

    trainer = DQNTrainer(DQNConfig(env_id="CartPole-v1", total_steps=50_000))
    run = trainer.train()
    policy = trainer.policy()          # greedy actions for observations

Shapes:  obs "n_envs *obs_shape", action values "batch n_actions"
Raises:  ConfigError for a configuration or an action space that can't work; TrainingError if the loss isn't finite.
Source:  Mnih et al. 2015, Nature 518, algorithm 1; each improvement's paper stands beside its field of DQNConfig.
Differs: Adam instead of RMSProp; squared errors; the network is small.
"""

import copy
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.core.configs import check_numbers, check_sizes
from arena_lib.core.seeds import check_seed, make_generator
from arena_lib.errors import ConfigError, TrainingError
from arena_lib.rl.dqn.agent import DQNAgent
from arena_lib.rl.dqn.exploration import greedy_actions
from arena_lib.rl.dqn.n_step import NStepWriter
from arena_lib.rl.dqn.networks import ConvQNetwork, DuelingQNetwork, QNetwork
from arena_lib.rl.dqn.prioritized import PrioritizedReplayBuffer
from arena_lib.rl.dqn.replay import ReplayBatch, ReplayBuffer
from arena_lib.rl.dqn.targets import (
    compute_double_td_target,
    compute_td_loss,
    compute_td_target,
    update_target_network_at_once,
)
from arena_lib.rl.environments.making import make_vector_env
from arena_lib.rl.environments.spaces import DISCRETE, require_actions, require_vectors
from arena_lib.rl.environments.stepping import Episode, Stepper
from arena_lib.rl.networks.joined import JoinedAdam
from arena_lib.rl.networks.perceptrons import quicken
from arena_lib.rl.training.runs import Run, TrainingRun


@dataclass(frozen=True, kw_only=True)
class DQNConfig:
    """A run of deep Q-learning; the defaults are usual for small tasks, and not tuned for any."""

    env_id: str | Callable[[], gym.Env] = "CartPole-v1"
    """The environment, by id or as a function that makes one."""
    seed: int = 0
    """Seed of the environments, of the weights at the start, of exploration and of the batches."""
    n_envs: int = 1
    """Environments side by side."""
    mode: gym.vector.AutoresetMode = gym.vector.AutoresetMode.SAME_STEP
    """How the environments start anew; all three work alike."""
    total_steps: int = 100_000
    """Environment steps of the whole run, those of all environments together."""
    hidden_sizes: tuple[int, ...] = (120, 84)
    """Widths of the hidden layers."""
    lr: float = 1e-3
    """Adam's learning rate at the start."""
    final_lr_fraction: float = 0.0
    """The learning rate falls in a straight line to this share of itself; 1 keeps it."""
    gamma: float = 0.99
    """Discount for each environment step."""
    batch_size: int = 128
    """Transitions in each update."""
    buffer_size: int = 50_000
    """Transitions that are remembered."""
    learning_starts: int = 1_000
    """Environment steps before the first update."""
    train_every: int = 4
    """Environment steps between two updates."""
    target_every: int = 1
    """Updates between two changes of the target network (Mnih et al. 2015)."""
    tau: float = 0.005
    """How far the target network moves towards the trained one at each change (Lillicrap et al. 2016); 1 copies."""
    start_e: float = 1.0
    """Share of random actions at the start."""
    end_e: float = 0.05
    """Share of random actions once exploration has fallen."""
    exploration_fraction: float = 0.2
    """Share of the run in which exploration falls."""
    max_grad_norm: float = 10.0
    """Largest norm of the gradient (Wang et al. 2016, section 4.2)."""
    n_step: int = 3
    """Rewards summed before the value of what follows; 1 is plain Q-learning (Hessel et al. 2018, figure 3)."""
    is_double: bool = True
    """Whether the trained network chooses the action that the target network values (van Hasselt et al. 2016)."""
    is_dueling: bool = False
    """Whether the network has separate heads for the state and for the actions (Wang et al. 2016)."""
    is_prioritized: bool = False
    """Whether surprising transitions are drawn more often (Schaul et al. 2016)."""
    alpha: float = 0.6
    """How strongly priorities follow errors."""
    beta: float = 0.4
    """How far weights make up for priorities at the start; it grows to 1 by the end."""

    def __post_init__(self) -> None:
        check_seed(self.seed)
        check_sizes(self, "n_envs", "total_steps", "batch_size", "buffer_size", "train_every", "target_every", "n_step")
        check_sizes(self, "learning_starts", least=0)
        check_numbers(self, "lr", "max_grad_norm", "exploration_fraction")
        for name in ("gamma", "tau", "start_e", "end_e", "final_lr_fraction", "alpha", "beta"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"DQNConfig.{name} must be from 0 to 1: got {getattr(self, name)!r}. Change it.")
        if self.train_every % self.n_envs:
            raise ConfigError(
                f"train_every must be a multiple of n_envs, for all environments step at once: got "
                f"{self.train_every} and {self.n_envs}. Pass train_every={self.n_envs}."
            )


class DQNTrainer:
    """Trains a Q-network; `train` runs the whole, `play_and_learn` one step of every environment."""

    def __init__(self, config: DQNConfig) -> None:
        self.config = config
        self.stepper = Stepper(make_vector_env(config.env_id, config.n_envs, mode=config.mode), config.seed)
        require_actions(self.stepper.envs, DISCRETE, "DQN")
        obs_shape = tuple(self.stepper.envs.single_observation_space.shape or ())
        if len(obs_shape) != 3:
            require_vectors(self.stepper.envs, "DQN")
        n_actions = int(self.stepper.envs.single_action_space.n)  # type: ignore[attr-defined]
        self.q_network = make_q_network(config, obs_shape, n_actions)
        self.target_network = copy.deepcopy(self.q_network).requires_grad_(False)
        self.parameters = list(self.q_network.parameters())
        self.optimizer = JoinedAdam(self.parameters, lr=config.lr)
        self.generator = make_generator(config.seed)
        self.buffer = (
            PrioritizedReplayBuffer(config.buffer_size, obs_shape, config.alpha, config.beta)
            if config.is_prioritized
            else ReplayBuffer(config.buffer_size, obs_shape)
        )
        memory = (
            NStepWriter(self.buffer, config.n_envs, config.n_step, config.gamma) if config.n_step > 1 else self.buffer
        )
        rng = np.random.default_rng(config.seed)
        actor = quicken(self.q_network.layers if type(self.q_network) is QNetwork else self.q_network)
        exploration = config.start_e, config.end_e, config.exploration_fraction, config.total_steps
        self.agent = DQNAgent(self.stepper, memory, actor, *exploration, rng)
        self.n_updates = 0

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

        `on_step` is called after each step of the environments, with the number of steps so far.
        """
        config = self.config
        with Run(
            self, algorithm="dqn", env_id=config.env_id, config=config, n_steps=config.total_steps, folder=folder,
            resume=resume, trackers=trackers, max_seconds=max_seconds,
        ) as run:  # fmt: skip
            while not run.is_over:
                episodes, loss = self.play_and_learn()
                values = {} if loss is None else {"loss": loss, "epsilon": self.agent.epsilon}
                run.advance(values, episodes)
                if on_step is not None:
                    on_step(self.stepper.n_steps)
        return run.result()

    def play_and_learn(self) -> tuple[list[Episode], float | None]:
        """Step every environment once, and update where it's time: the episodes that ended, and an update's loss."""
        steps_before = self.stepper.n_steps
        episodes = self.agent.play_step()
        now, every = self.stepper.n_steps, self.config.train_every
        is_time = now // every > steps_before // every
        if not is_time or now < self.config.learning_starts or not len(self.buffer):
            return episodes, None
        return episodes, self.training_step()

    def training_step(self) -> float:
        """One update: draw a batch, compute its targets, move the values, and let the target network follow."""
        self._anneal()
        batch = self.buffer.sample(self.config.batch_size, self.generator)
        loss, errors = self._train_on_batch(batch)
        if isinstance(self.buffer, PrioritizedReplayBuffer):
            self.buffer.update(batch.rows, errors)
        self.n_updates += 1
        if self.n_updates % self.config.target_every == 0:
            update_target_network_at_once(self.target_network, self.q_network, self.config.tau)
        if not math.isfinite(value := loss.item()):
            raise TrainingError(
                f"the loss must be finite: got {value} after {self.stepper.n_steps} steps. Lower lr or max_grad_norm."
            )
        return value

    def _train_on_batch(self, batch: ReplayBatch) -> tuple[Float[Tensor, ""], Float[Tensor, " batch"]]:
        """What `train_on_batch` does, with the optimizer's own way to clip."""
        targets = self.compute_targets(batch)
        loss, errors = compute_td_loss(self.q_network(batch.obs), batch.actions, targets, batch.weights)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.clip_gradient(self.config.max_grad_norm)
        self.optimizer.step()
        return loss.detach(), errors

    @torch.no_grad()
    def compute_targets(self, batch: ReplayBatch) -> Float[Tensor, " batch"]:
        """The TD targets of a batch, double where the configuration says so."""
        gammas = self.config.gamma if self.config.n_step == 1 else self.config.gamma**batch.n_ahead
        next_q = self.target_network(batch.next_obs)
        if not self.config.is_double:
            return compute_td_target(next_q, batch.rewards, batch.terminated, gammas)
        online = self.q_network(batch.next_obs)
        return compute_double_td_target(online, next_q, batch.rewards, batch.terminated, gammas)

    def policy(self, greedy: bool = True) -> Callable[[np.ndarray], np.ndarray]:
        """What to do for observations: the most valuable action, or as in training where not `greedy`."""
        return (lambda obs: greedy_actions(self.q_network, obs)) if greedy else self.agent.get_actions

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that a run needs to go on, but the environments."""
        networks = {"q_network": self.q_network, "target_network": self.target_network}
        tensors = {f"{name}.{key}": value for name, net in networks.items() for key, value in net.state_dict().items()}
        tensors |= {f"adam.{key}": value for key, value in self.optimizer.state[self.optimizer.joined].items()}
        tensors |= {"generator": self.generator.get_state(), **self.buffer.get_tensors()}
        state = {"n_updates": self.n_updates, "n_added": self.buffer.n_added, "rng": self.agent.rng.bit_generator.state}
        return tensors, state

    def set_state(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go back to what `get_state` returned; steps that an n-step writer still held are lost."""
        for name, network in (("q_network", self.q_network), ("target_network", self.target_network)):
            network.load_state_dict(_below(name, tensors))
        if kept := _below("adam", tensors):
            self.optimizer.state[self.optimizer.joined] = kept
        self.generator.set_state(tensors["generator"])
        self.buffer.set_tensors(tensors, state["n_added"])
        self.n_updates = state["n_updates"]
        self.agent.rng.bit_generator.state = state["rng"]

    def _anneal(self) -> None:
        share_done = min(self.stepper.n_steps / self.config.total_steps, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * (1 - share_done * (1 - self.config.final_lr_fraction))
        if isinstance(self.buffer, PrioritizedReplayBuffer):
            self.buffer.beta = self.config.beta + share_done * (1 - self.config.beta)


def train_on_batch(
    q_network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: ReplayBatch,
    targets: Float[Tensor, " batch"],
    max_grad_norm: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, " batch"]]:
    """One update of q_network on a batch; returns the loss before it and the errors, both without a graph.

    Compute the values of `batch.obs`, and with `compute_td_loss` the loss and errors for `batch.actions`, the targets
    and `batch.weights` (which may be None). Clear old gradients, compute new ones, scale them down to max_grad_norm if
    their norm, over all parameters together, is larger (`nn.utils.clip_grad_norm_`), and let the optimizer take a step.
    """
    loss, errors = compute_td_loss(q_network(batch.obs), batch.actions, targets, batch.weights)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(q_network.parameters(), max_grad_norm)
    optimizer.step()
    return loss.detach(), errors


def _below(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `name` and a dot, without these."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def make_q_network(config: DQNConfig, obs_shape: tuple[int, ...], n_actions: int) -> nn.Module:
    """The network for these observations, with weights that the seed decides."""
    kind = ConvQNetwork if len(obs_shape) == 3 else DuelingQNetwork if config.is_dueling else QNetwork
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network: nn.Module = kind(obs_shape, n_actions, config.hidden_sizes)
    return network
