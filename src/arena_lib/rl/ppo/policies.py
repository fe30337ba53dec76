"""A policy that PPO has trained, apart from its trainer: what acts, in two files that hold all it needs.

    policy = make_policy(trainer)
    policy(obs)                              what it does: raw observations of any number of environments -> actions
    policy.actor, policy.critic              its networks, for hooks; policy.see(obs) is what both are given
    save_policy(policy, folder)              model.safetensors has the weights, config.json everything else
    load_policy(folder)                      the same policy; no environment is made, and its package isn't needed

Shapes:  obs "n_envs *obs_shape", actions "n_envs", or "n_envs n_actions" for continuous ones, values "n_envs"
Raises:  CheckpointError for a folder without a policy, or whose files don't fit each other.
Source:  own derivation; what acts is as in `discrete.py` and `continuous.py`.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import safetensors.torch
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor, nn

from arena_lib.core.seeds import make_generator
from arena_lib.errors import CheckpointError
from arena_lib.rl.ppo.continuous import PPOTrainerCts
from arena_lib.rl.ppo.discrete import PPOTrainer, draw_gumbel_noise
from arena_lib.rl.ppo.networks import Actor, Critic, get_actor_and_critic
from arena_lib.rl.ppo.normalization import EPS, Moments, NormalizingStepper, normalize

WEIGHTS, CONFIG = "model.safetensors", "config.json"


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """What a policy is beside its weights: `config.json`."""

    env_id: str
    """The environment that it was trained in."""
    obs_shape: tuple[int, ...]
    """Of one observation. With n_actions it decides the networks."""
    n_actions: int
    """Actions to choose from, or entries of a continuous one."""
    low: tuple[float, ...] | None = None
    """The least value of each entry of a continuous action; None for a choice among actions."""
    high: tuple[float, ...] | None = None
    """The largest value of each entry."""
    obs_moments: Moments | None = None
    """What observations are normalised by; None leaves them as they are."""
    reward_scale: float = 1.0
    """What rewards were divided by in training: the critic's values times this are in the environment's rewards."""


class PPOPolicy(nn.Module):
    """Chooses among actions: the likeliest, or, with greedy=False, one that is drawn."""

    is_continuous: ClassVar[bool] = False

    def __init__(self, config: PolicyConfig, actor: nn.Module, critic: nn.Module, seed: int = 0) -> None:
        super().__init__()
        self.config, self.actor, self.critic = config, actor, critic
        self.generator = make_generator(seed)

    @property
    def env_id(self) -> str:
        """The environment that it was trained in."""
        return self.config.env_id

    def see(self, obs: np.ndarray) -> Float[Tensor, " n_envs *obs_shape"]:
        """What actor and critic are given for raw observations: float32, and normalised if they were in training."""
        moments = self.config.obs_moments
        return torch.as_tensor(obs if moments is None else normalize(obs, moments), dtype=torch.float32)

    @torch.no_grad()
    def forward(self, obs: np.ndarray, greedy: bool = True) -> np.ndarray:
        """An action for each environment."""
        logits = self.actor(self.see(obs))
        if not greedy:
            logits = logits + draw_gumbel_noise(self.generator, *logits.shape)
        actions: np.ndarray = logits.argmax(dim=-1).numpy()
        return actions

    @torch.no_grad()
    def value(self, obs: np.ndarray) -> np.ndarray:
        """What the critic expects from here on, discounted, in the environment's own rewards."""
        values: np.ndarray = self.critic(self.see(obs)).squeeze(-1).numpy()
        return values * self.config.reward_scale


class PPOPolicyCts(PPOPolicy):
    """As `PPOPolicy`, for continuous actions: the mean, or one that is drawn, within the bounds."""

    is_continuous: ClassVar[bool] = True

    @torch.no_grad()
    def forward(self, obs: np.ndarray, greedy: bool = True) -> np.ndarray:
        """An action for each environment."""
        mu, sigma, _ = self.actor(self.see(obs))
        actions = mu if greedy else mu + sigma * torch.randn(mu.shape, generator=self.generator)
        bounds = (np.array(bound, dtype=np.float32) for bound in (self.config.low, self.config.high))
        return np.clip(actions.numpy(), *bounds)


def make_policy(trainer: PPOTrainer) -> PPOPolicy:
    """The policy of a trainer as it is now; it shares the trainer's networks."""
    envs, stepper = trainer.stepper.envs, trainer.stepper
    known: dict[str, Any] = {"env_id": trainer.cfg.env_id, "obs_shape": envs.single_observation_space.shape or ()}
    if not isinstance(trainer, PPOTrainerCts):
        config = PolicyConfig(n_actions=int(envs.single_action_space.n), **known)  # type: ignore[attr-defined]
        return PPOPolicy(config, trainer.actor, trainer.critic, trainer.cfg.seed)
    space = envs.single_action_space
    assert isinstance(space, gym.spaces.Box)
    assert isinstance(stepper, NormalizingStepper)
    config = PolicyConfig(
        n_actions=space.shape[0],
        low=tuple(space.low.tolist()),
        high=tuple(space.high.tolist()),
        obs_moments=stepper.obs_moments,
        reward_scale=float(np.sqrt(stepper.return_moments.variance + EPS)),
        **known,
    )
    return PPOPolicyCts(config, trainer.actor, trainer.critic, trainer.cfg.seed)


def save_policy(policy: PPOPolicy, folder: Path | str) -> Path:
    """Write a policy's two files into `folder`, and return the folder."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.detach().clone() for name, weight in policy.state_dict().items()}
    (path / WEIGHTS).write_bytes(safetensors.torch.save(weights))
    fields = {name: value for name, value in asdict(policy.config).items() if value is not None}
    text = json.dumps({"algorithm": "ppo", "is_continuous": policy.is_continuous, **fields}, default=_as_list, indent=1)
    (path / CONFIG).write_text(text + "\n", encoding="utf-8")
    return path


def load_policy(folder: Path | str) -> PPOPolicy:
    """The policy in `folder`."""
    path = Path(folder)
    try:
        fields = json.loads((path / CONFIG).read_text(encoding="utf-8"))
        is_continuous, config = fields["is_continuous"], _read_config(fields)
        weights = safetensors.torch.load_file(path / WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(
            f"a policy must have a readable {CONFIG} and {WEIGHTS} in its folder: got {error!r} for {path}. "
            "Give the folder that save_policy wrote."
        ) from error
    with torch.random.fork_rng(devices=[]):  # the first weights are replaced at once
        policy = _make_untrained(config, is_continuous)
    try:
        policy.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"the weights in {path} must fit its {CONFIG}: {error}. Take both files from one save_policy."
        ) from error
    return policy.eval()


def _make_untrained(config: PolicyConfig, is_continuous: bool) -> PPOPolicy:
    if is_continuous:
        (d_obs,) = config.obs_shape
        return PPOPolicyCts(config, Actor(d_obs, config.n_actions), Critic(d_obs))
    return PPOPolicy(config, *get_actor_and_critic(config.obs_shape, config.n_actions))


def _read_config(fields: dict[str, Any]) -> PolicyConfig:
    """A configuration as `config.json` has it: tuples are lists there, and so are arrays."""
    known = {name: value for name, value in fields.items() if name not in ("algorithm", "is_continuous")}
    for name in {"obs_shape", "low", "high"} & known.keys():
        known[name] = tuple(known[name])
    if moments := known.get("obs_moments"):
        mean, variance = np.array(moments["mean"]), np.array(moments["variance"])
        known["obs_moments"] = Moments(mean, variance, float(moments["count"]))
    return PolicyConfig(**known)


def _as_list(value: np.ndarray) -> Any:
    return value.tolist()
