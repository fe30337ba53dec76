"""A memory of transitions, from which batches are drawn at random.

Shapes:  obs, next_obs "buffer_size d_obs" (flattened); actions, rewards, terminated, n_ahead "buffer_size"
Raises:  ConfigError for a size that can't work, or a batch from an empty memory.
Source:  Lin 1992 (experience replay); Mnih et al. 2015, Nature 518, algorithm 1.
Differs: a transition is one row of one tensor, so that a batch is a single gather.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.rl.environments.stepping import Transition

N_SCALARS = 4
"""Columns of a row beside the two observations: action, reward, terminated, n_ahead."""


@dataclass(frozen=True)
class ReplayBatch:
    """Transitions side by side."""

    obs: Float[Tensor, "batch ..."]
    actions: Int[Tensor, " batch"]
    rewards: Float[Tensor, " batch"]
    terminated: Bool[Tensor, " batch"]
    next_obs: Float[Tensor, "batch ..."]
    n_ahead: Int[Tensor, " batch"]
    """Environment steps from obs to next_obs: 1, or more with n-step returns."""
    rows: Int[Tensor, " batch"]
    """Where each transition lies in the buffer."""
    weights: Float[Tensor, " batch"] | None = None
    """Importance weights, where transitions weren't drawn with equal probability."""


class ReplayBuffer:
    """The last `buffer_size` transitions; a new one takes the place of the oldest."""

    def __init__(self, buffer_size: int, obs_shape: tuple[int, ...]) -> None:
        if not isinstance(buffer_size, int) or buffer_size < 1:
            raise ConfigError(
                f"a replay buffer must hold at least 1 transition: got {buffer_size!r}. Give a larger size."
            )
        self.buffer_size, self.obs_shape, self.d_obs = buffer_size, tuple(obs_shape), math.prod(obs_shape)
        self.storage = torch.zeros(buffer_size, 2 * self.d_obs + N_SCALARS)
        self._written = self.storage.numpy()
        self.n_added = 0

    def __len__(self) -> int:
        return min(self.n_added, self.buffer_size)

    def add(self, transition: Transition) -> np.ndarray:
        """Store the real steps of a transition, phantom ones left out; returns the rows that they lie in."""
        return self.store(*keep_real_steps(transition), 1)

    def store(
        self,
        obs: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        terminated: np.ndarray,
        next_obs: np.ndarray,
        n_ahead: np.ndarray | int,
    ) -> np.ndarray:
        """Store transitions, one for each entry of the first axis; returns the rows that they lie in."""
        n_new, d_obs = len(obs), self.d_obs
        rows = ring_rows(self.n_added, n_new, self.buffer_size)
        new = np.empty((n_new, self.storage.shape[1]), dtype=np.float32)
        new[:, :d_obs], new[:, d_obs : 2 * d_obs] = obs.reshape(n_new, d_obs), next_obs.reshape(n_new, d_obs)
        new[:, -4], new[:, -3], new[:, -2], new[:, -1] = actions, rewards, terminated, n_ahead
        self._written[rows] = new
        self.n_added += n_new
        return rows

    def sample(self, batch_size: int, generator: torch.Generator) -> ReplayBatch:
        """Draw transitions with equal probability, with replacement."""
        return self.read(sample_rows(self.n_added, batch_size, self.buffer_size, generator))

    def get_tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps, beside `n_added`."""
        return {"buffer.storage": self.storage[: len(self)]}

    def set_tensors(self, tensors: dict[str, Tensor], n_added: int) -> None:
        """Go back to what `get_tensors` returned."""
        self.n_added = n_added
        self.storage[: len(self)] = tensors["buffer.storage"]

    def read(self, rows: Int[Tensor, " batch"]) -> ReplayBatch:
        """The transitions that lie in these rows: one gather, then views."""
        taken, d_obs = self.storage.index_select(0, rows), self.d_obs
        return ReplayBatch(
            obs=taken[:, :d_obs].unflatten(1, self.obs_shape),
            next_obs=taken[:, d_obs : 2 * d_obs].unflatten(1, self.obs_shape),
            actions=taken[:, -4].long(),
            rewards=taken[:, -3],
            terminated=taken[:, -2].bool(),
            n_ahead=taken[:, -1].long(),
            rows=rows,
        )


def keep_real_steps(transition: Transition) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What a memory needs of one step of every environment: (obs, actions, rewards, terminated, next_obs).

    Phantom steps, where `transition.is_real` is False, are left out of all five: nothing happened in them, the
    environment only started a new episode. The others stay in their order. `terminated`, and not `done`, is what a
    target needs: a truncated episode would have gone on, so the value of its next_obs still counts.
    """
    real = transition.is_real
    obs, actions, rewards = transition.obs[real], transition.actions[real], transition.rewards[real]
    return obs, actions, rewards, transition.terminated[real], transition.next_obs[real]


def ring_rows(n_added: int, n_new: int, buffer_size: int) -> np.ndarray:
    """The rows into which `n_new` transitions go, after `n_added` in all have been stored before.

    Rows are filled from 0 on. After the last row, buffer_size - 1, comes row 0 again, where the oldest lies. The result
    is an int64 array of length n_new, the first transition's row first; n_new is at most buffer_size.

    >>> ring_rows(3, 4, 5)
    array([3, 4, 0, 1])
    """
    return (n_added + np.arange(n_new)) % buffer_size


def sample_rows(
    n_added: int, batch_size: int, buffer_size: int, generator: torch.Generator
) -> Int[Tensor, " batch_size"]:
    """Draw `batch_size` rows of a replay buffer at random: every row that holds a transition is equally likely.

    A row may be drawn more than once. `n_added` counts all transitions that were ever added. Where it is smaller than
    `buffer_size`, only the first `n_added` rows hold one; else all do. One call of `torch.randint` with the generator
    draws the whole batch.
    """
    if n_added == 0:
        raise ConfigError("a batch can't be drawn from an empty replay buffer. Add transitions first.")
    return torch.randint(min(n_added, buffer_size), (batch_size,), generator=generator)
