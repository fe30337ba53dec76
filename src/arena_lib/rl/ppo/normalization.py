"""Observations and rewards brought to one size while an agent learns, with statistics that are saved beside it.

Shapes:  obs "n_envs d_obs", rewards "n_envs", moments "d_obs" or ""
Source:  Chan et al. 1979, "Updating formulae and a pairwise algorithm for computing sample variances" (moments of two
         parts from the moments of each); Engstrom et al. 2020, arXiv:2005.12729, section 3 (scaling rewards by the
         spread of discounted returns; clipping both to 10).
Differs: the observation that ends an episode is normalised by the same moments as its neighbours; rewards are only
         scaled, so that their sign stays.
"""

from dataclasses import dataclass, replace

import gymnasium as gym
import numpy as np
from jaxtyping import Float
from torch import Tensor, from_numpy

from arena_lib.rl.environments.stepping import Stepper, Transition

CLIP = 10.0
"""Normalised observations and rewards stay within this, on both sides."""
EPS = 1e-8


@dataclass(frozen=True)
class Moments:
    """The mean and the variance (divided by the count) of everything that was seen, and how much that was."""

    mean: np.ndarray | np.floating
    variance: np.ndarray | np.floating
    count: float


def no_moments(shape: tuple[int, ...] = ()) -> Moments:
    """What is known before anything was seen: mean 0 and variance 1, with a weight that soon doesn't matter."""
    return Moments(np.zeros(shape), np.ones(shape), 1e-4)


def update_moments(moments: Moments, batch: Float[np.ndarray, " batch *shape"]) -> Moments:
    """The moments of all that was seen before and of `batch`, a row for each new observation, at least one.

    `Moments(mean, variance, count)` has these three fields: the mean and the variance of all rows, and how many there were.

    With n rows seen before and m new ones, and delta = (mean of batch) - (mean before):

        mean     = mean before + delta * m / (n + m)
        variance = (n * variance before + m * variance of batch) / (n + m) + delta^2 * n * m / (n + m)^2

    A variance is the mean squared distance from the mean: it's divided by the count, not by the count minus one. The
    result's `count` is n + m. `moments` and `batch` are not changed.

    >>> update_moments(Moments(np.array(1.0), np.array(0.0), 2.0), np.array([4.0, 4.0])).mean.item()
    2.5
    """
    n, m = moments.count, len(batch)
    delta = batch.mean(axis=0) - moments.mean
    mean = moments.mean + delta * m / (n + m)
    within = (n * moments.variance + m * batch.var(axis=0)) / (n + m)
    return Moments(mean, within + delta**2 * n * m / (n + m) ** 2, n + m)


def normalize(obs: np.ndarray, moments: Moments) -> np.ndarray:
    """(obs - mean) / standard deviation, within -10 and 10, as float32."""
    scaled = (obs - moments.mean) / np.sqrt(moments.variance + EPS)
    return np.clip(scaled, -CLIP, CLIP).astype(np.float32)


class NormalizingStepper(Stepper):
    """A `Stepper` whose observations and rewards are normalised; episodes are counted in raw rewards.

    Moments of observations grow with each observation that actions are chosen for; rewards are divided by the standard
    deviation of their discounted running sum. `is_frozen` stops both from moving.
    """

    def __init__(self, envs: gym.vector.VectorEnv, seed: int, gamma: float) -> None:
        self._gamma = gamma
        self._running = np.zeros(envs.num_envs)
        self.is_frozen = False
        self.return_moments = no_moments()
        self.obs_moments = no_moments(envs.single_observation_space.shape or ())
        super().__init__(envs, seed)

    def restart(self, seed: int) -> None:
        """Begin new episodes in every environment, from `seed`."""
        super().restart(seed)
        self._running[:] = 0.0
        if not self.is_frozen:
            self.obs_moments = update_moments(self.obs_moments, self.obs)
        self.obs = normalize(self.obs, self.obs_moments)

    def step(self, actions: np.ndarray) -> Transition:
        """As `Stepper.step`, normalised."""
        raw = super().step(actions)  # its obs are those of before, which were normalised then; self.obs are raw now
        self._running = self._running * self._gamma + raw.rewards
        if not self.is_frozen:
            self.obs_moments = update_moments(self.obs_moments, self.obs)
            if raw.is_real.any():
                self.return_moments = update_moments(self.return_moments, self._running[raw.is_real])
        self._running[raw.done] = 0.0
        self.obs = normalize(self.obs, self.obs_moments)
        rewards = raw.rewards / np.sqrt(self.return_moments.variance + EPS)
        return replace(raw, rewards=np.clip(rewards, -CLIP, CLIP), next_obs=normalize(raw.next_obs, self.obs_moments))

    def tensors(self) -> dict[str, Tensor]:
        """The statistics, to be saved beside the weights."""
        known = {"obs": self.obs_moments, "returns": self.return_moments}
        return {
            f"moments.{name}.{field}": from_numpy(np.array(getattr(moments, field), dtype=np.float64))
            for name, moments in known.items()
            for field in ("mean", "variance", "count")
        }

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over statistics that `tensors` gave."""
        self.obs_moments, self.return_moments = (moments_from(tensors, name) for name in ("obs", "returns"))


def moments_from(tensors: dict[str, Tensor], name: str) -> Moments:
    """One set of saved statistics."""
    mean, variance, count = (tensors[f"moments.{name}.{field}"].numpy() for field in ("mean", "variance", "count"))
    return Moments(mean, variance, float(count))
