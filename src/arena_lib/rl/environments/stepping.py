"""Steps through vector environments without their traps.

A vector environment starts an episode anew by itself, in one of three autoreset modes, and each mode hides
something. In NEXT_STEP the step after an end is a phantom: the action is ignored and the reward is 0. In SAME_STEP
the observation that comes with an end is already the next episode's, and the true one is in `info["final_obs"]`.
In DISABLED nothing starts by itself. `Stepper` gives the same transitions in each of them: `next_obs` is what the
step led to, `terminated` and `truncated` stay apart, and a phantom says that it is one.

Shapes:  obs, next_obs "n_envs *obs_shape", actions "n_envs *action_shape", the others "n_envs"
Raises:  ConfigError for spaces that are no arrays, ShapeError and DtypeError for actions that don't fit,
         EnvError for an environment that breaks what it declares: its mode, its shapes, finite numbers.
Source:  https://farama.org/Vector-Autoreset-Mode; Pardo et al. 2018, arXiv:1712.00378 (why truncation isn't
         termination).
"""

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from arena_lib.core.seeds import check_seed
from arena_lib.errors import ConfigError, DtypeError, EnvError, ShapeError, TrainingError

ARRAY_SPACES = (gym.spaces.Box, gym.spaces.Discrete, gym.spaces.MultiDiscrete, gym.spaces.MultiBinary)
"""The spaces whose elements are arrays or numbers."""


@dataclass(frozen=True)
class Transition:
    """One step of every environment; the first axis of each array is `n_envs`."""

    obs: np.ndarray
    """What the actions were chosen for."""
    actions: np.ndarray
    """What was done."""
    rewards: np.ndarray
    """What it brought."""
    next_obs: np.ndarray
    """What the step really led to, never the first observation of the next episode."""
    terminated: np.ndarray
    """Whether the episode ended there: nothing comes after it, so its value is 0."""
    truncated: np.ndarray
    """Whether the episode was cut there: it would have gone on, so `next_obs` still has a value."""
    is_real: np.ndarray
    """False for a phantom step, which only starts a new episode: don't store, count or train on it."""

    @property
    def done(self) -> np.ndarray:
        """Whether the episode is over, for either reason."""
        return self.terminated | self.truncated


@dataclass(frozen=True)
class Episode:
    """An episode that is over."""

    env_idx: int
    total_reward: float
    """The sum of its rewards, without discount."""
    length: int
    """Its environment steps."""
    step: int
    """The stepper's `n_steps` when it ended."""


def spread_seed(seed: int, n: int) -> list[int]:
    """Make `n` seeds from one, so that runs with neighbouring seeds share none of their environments' seeds."""
    return [int(part) for part in np.random.SeedSequence(check_seed(seed)).generate_state(n)]


class Stepper:
    """Steps through `envs`, in whichever autoreset mode it declares.

    `obs` holds the observations that the next actions are for; `n_steps` counts the real steps of all
    environments together. The environments are reset at once, each with a seed made from `seed`.

    >>> stepper = Stepper(gym.make_vec("CartPole-v1", num_envs=3, vectorization_mode="sync"), seed=0)
    >>> stepper.step(np.array([0, 1, 0])).next_obs.shape
    (3, 4)
    """

    def __init__(self, envs: gym.vector.VectorEnv, seed: int) -> None:
        self.envs = envs
        self.mode = get_autoreset_mode(envs)
        self.n_envs = int(envs.num_envs)
        self.n_steps = 0
        _require_arrays(envs)
        self._obs_shape = (self.n_envs, *_shape_of(envs.single_observation_space))
        self._action_shape = (self.n_envs, *_shape_of(envs.single_action_space))
        self._has_integer_actions = not isinstance(envs.single_action_space, gym.spaces.Box)
        self._finished: list[Episode] = []
        self.restart(seed)

    def restart(self, seed: int) -> None:
        """Begin a new episode in every environment, seeded anew; what was going on is dropped, the count goes on."""
        self._is_phantom = np.zeros(self.n_envs, dtype=bool)
        self._totals = np.zeros(self.n_envs)
        self._lengths = np.zeros(self.n_envs, dtype=np.int64)
        self.obs = self._checked(reset_with(self.envs, seed))

    def step(self, actions: np.ndarray) -> Transition:
        """Do one action in each environment."""
        actions = self._checked_actions(actions)
        obs, phantom = self.obs, self._is_phantom
        try:
            after, rewards, terminated, truncated, info = self.envs.step(actions)
        except ValueError as error:
            raise EnvError(f"{self._name} must be able to step: got {error}. Look at the shapes it returns.") from error
        after, done = self._checked(after), terminated | truncated
        self._check_rewards(rewards)
        self._totals += rewards
        self._lengths += 1
        self.n_steps += self.n_envs
        if n_phantoms := int(np.count_nonzero(phantom)):
            self._check_phantoms(rewards, done)
            self._lengths[phantom] = 0
            self.n_steps -= n_phantoms
        next_obs = after
        if np.count_nonzero(done):
            next_obs, after = self._end(after, done, info)
        if self.mode is AutoresetMode.NEXT_STEP:
            self._is_phantom = done
        self.obs = after
        return Transition(obs, actions, rewards, next_obs, terminated, truncated, is_real=~phantom)

    def finished(self) -> list[Episode]:
        """Return the episodes that ended since the last call."""
        finished, self._finished = self._finished, []
        return finished

    @property
    def _name(self) -> str:
        return name_of(self.envs)

    def _end(self, after: np.ndarray, done: np.ndarray, info: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Note the episodes that ended; return what the step led to, and what the next actions are for."""
        for env_idx in np.flatnonzero(done):
            total, length = float(self._totals[env_idx]), int(self._lengths[env_idx])
            self._finished.append(Episode(int(env_idx), total, length, self.n_steps))
            self._totals[env_idx] = self._lengths[env_idx] = 0
        has_final = "final_obs" in info
        if has_final != (self.mode is AutoresetMode.SAME_STEP):
            given = "info['final_obs'] at an end" if has_final else "no info['final_obs'] at an end"
            raise EnvError(
                f"{self._name} must do what its autoreset mode says, {self.mode.name}: it gave {given}. "
                "Correct metadata['autoreset_mode']: only SAME_STEP gives final_obs."
            )
        if self.mode is AutoresetMode.NEXT_STEP:
            return after, after
        if self.mode is AutoresetMode.DISABLED:
            return after, self._reset(after, done)
        next_obs = after.copy()
        for env_idx in np.flatnonzero(done):
            next_obs[env_idx] = info["final_obs"][env_idx]
        return self._checked(next_obs), after

    def _reset(self, after: np.ndarray, done: np.ndarray) -> np.ndarray:
        """Start anew the episodes that are over, and no others."""
        obs, _ = self.envs.reset(options={"reset_mask": done})
        obs = self._checked(obs)
        if not np.array_equal(obs[~done], after[~done]):
            raise EnvError(
                f"{self._name} must reset only what options['reset_mask'] names: it reset other environments too. "
                "Use another autoreset mode with it."
            )
        return obs

    def _check_phantoms(self, rewards: np.ndarray, done: np.ndarray) -> None:
        if rewards[self._is_phantom].any() or done[self._is_phantom].any():
            raise EnvError(
                f"{self._name} must only reset in the step after an end, as its autoreset mode NEXT_STEP says: "
                f"got the rewards {rewards[self._is_phantom]} there. Correct metadata['autoreset_mode']."
            )

    def _checked(self, obs: Any) -> np.ndarray:
        """Copy the observations, which the environment may write over, and raise unless they are what it declares."""
        obs = np.array(obs)
        if obs.shape != self._obs_shape:
            raise EnvError(
                f"{self._name} must give observations of shape {self._obs_shape}: got {obs.shape}. "
                "Correct its observation_space, or what it returns."
            )
        if obs.dtype.kind == "f" and not _is_finite(obs):
            env_idx = int(np.argwhere(~np.isfinite(obs))[0, 0])
            raise EnvError(
                f"{self._name} must give finite observations: got {obs[env_idx]} in environment {env_idx} "
                f"after {self.n_steps} steps. Look for a division by zero or an action out of bounds."
            )
        return obs

    def _check_rewards(self, rewards: np.ndarray) -> None:
        if rewards.shape != (self.n_envs,) or not _is_finite(rewards):
            raise EnvError(
                f"{self._name} must give {self.n_envs} finite rewards: got {rewards} after {self.n_steps} steps. "
                "Correct what it returns."
            )

    def _checked_actions(self, actions: Any) -> np.ndarray:
        actions = np.asarray(actions)
        if actions.shape != self._action_shape:
            raise ShapeError(
                f"actions for {self._name} must have shape {self._action_shape}: got {actions.shape}. "
                "Give one action for each environment."
            )
        if self._has_integer_actions and actions.dtype.kind not in "iu":
            raise DtypeError(
                f"actions for {self._name} must be whole numbers: got dtype {actions.dtype}. "
                "Take the action's index, for instance with argmax."
            )
        if not self._has_integer_actions and not _is_finite(actions):
            raise TrainingError(
                f"actions for {self._name} must be finite: got {actions} after {self.n_steps} steps. "
                "The policy's weights have become NaN: lower the learning rate or clip the gradient."
            )
        return actions


def get_autoreset_mode(envs: gym.vector.VectorEnv) -> AutoresetMode:
    """Return the autoreset mode that `envs` declares."""
    mode = envs.metadata.get("autoreset_mode")
    try:
        return AutoresetMode(mode)
    except ValueError as error:
        raise EnvError(
            f"{name_of(envs)} must declare its autoreset mode in metadata['autoreset_mode']: got {mode!r}. "
            f"Set it to one of {', '.join(f'AutoresetMode.{mode.name}' for mode in AutoresetMode)}."
        ) from error


def reset_with(envs: gym.vector.VectorEnv, seed: int) -> Any:
    """Reset every environment with a seed of its own, made from `seed`, and return the observations."""
    takes_list = isinstance(envs.unwrapped, gym.vector.SyncVectorEnv | gym.vector.AsyncVectorEnv)
    seeds: Any = spread_seed(seed, envs.num_envs) if takes_list else spread_seed(seed, 1)[0]
    obs, _ = envs.reset(seed=seeds)
    return obs


def name_of(envs: gym.vector.VectorEnv) -> str:
    """Say which environment this is, for messages."""
    first = getattr(envs.unwrapped, "envs", [envs.unwrapped])[0]
    spec = getattr(envs, "spec", None) or getattr(first, "spec", None)
    return type(first.unwrapped).__name__ if spec is None else str(spec.id)


def _require_arrays(envs: gym.vector.VectorEnv) -> None:
    for kind, space in (("observation", envs.single_observation_space), ("action", envs.single_action_space)):
        if not isinstance(space, ARRAY_SPACES):
            raise ConfigError(
                f"the {kind} space must be one of {', '.join(known.__name__ for known in ARRAY_SPACES)}: "
                f"{name_of(envs)} has {space}. Wrap it, for instance in gymnasium.wrappers.FlattenObservation."
            )


def _is_finite(array: np.ndarray) -> bool:
    """Whether all numbers are; to count is several times as fast as `all` on small arrays, and each step asks."""
    return bool(np.count_nonzero(np.isfinite(array)) == array.size)


def _shape_of(space: gym.Space) -> tuple[int, ...]:
    return tuple(space.shape or ())
