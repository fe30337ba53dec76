"""What the agent has seen since the last update, and what learning makes of it.

Shapes:  fields of a Rollout "n_steps n_envs" and tail; of a Batch "batch" and tail
Raises:  ShapeError for a step more than there is room for.
Source:  Schulman et al. 2017, arXiv:1707.06347, algorithm 1.
Differs: values and log-probabilities are computed once, after the rollout, since neither network changes during it.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import NDArray
from torch import Tensor

from arena_lib.errors import ShapeError
from arena_lib.rl.ppo.advantages import compute_advantages_by_scan, compute_next_values


class Rollout:
    """Room for `n_steps` steps of `n_envs` environments, allocated once and filled again and again.

    `add` writes one step of all environments; `n_filled` says how many there are; `clear` begins anew. The fields are
    tensors that share the memory which `add` writes to.
    """

    def __init__(
        self,
        n_steps: int,
        n_envs: int,
        obs_shape: tuple[int, ...],
        action_shape: tuple[int, ...] = (),
        obs_dtype: Any = np.float32,
        action_dtype: Any = np.int64,
    ) -> None:
        shape = (n_steps, n_envs)
        self.n_steps, self.n_envs, self.n_filled = n_steps, n_envs, 0
        self._arrays: dict[str, NDArray[Any]] = {
            "obs": np.zeros((*shape, *obs_shape), obs_dtype),
            "actions": np.zeros((*shape, *action_shape), action_dtype),
            "rewards": np.zeros(shape, np.float32),
            "next_obs": np.zeros((*shape, *obs_shape), obs_dtype),
            "terminated": np.zeros(shape, bool),
            "truncated": np.zeros(shape, bool),
            "is_real": np.ones(shape, bool),
        }
        tensors = {name: torch.from_numpy(array) for name, array in self._arrays.items()}
        self.obs: Shaped[Tensor, " n_steps n_envs *obs_shape"] = tensors["obs"]
        self.actions: Shaped[Tensor, " n_steps n_envs *action_shape"] = tensors["actions"]
        self.rewards: Float[Tensor, "n_steps n_envs"] = tensors["rewards"]
        self.next_obs: Shaped[Tensor, " n_steps n_envs *obs_shape"] = tensors["next_obs"]
        self.terminated: Bool[Tensor, "n_steps n_envs"] = tensors["terminated"]
        self.truncated: Bool[Tensor, "n_steps n_envs"] = tensors["truncated"]
        self.is_real: Bool[Tensor, "n_steps n_envs"] = tensors["is_real"]

    @property
    def is_full(self) -> bool:
        """Whether there is room for no more."""
        return self.n_filled == self.n_steps

    def clear(self) -> None:
        """Begin anew: the next step is written to row 0."""
        self.n_filled = 0

    def add(
        self, *, obs: Any, actions: Any, rewards: Any, next_obs: Any, terminated: Any, truncated: Any, is_real: Any
    ) -> None:
        """Write one step of all environments: arrays whose first axis is n_envs."""
        if self.is_full:
            raise ShapeError(
                f"a rollout must have room for each step: all {self.n_steps} are taken. Call clear() first."
            )
        step = (obs, actions, rewards, next_obs, terminated, truncated, is_real)
        for array, value in zip(self._arrays.values(), step, strict=True):
            array[self.n_filled] = value
        self.n_filled += 1


@dataclass(frozen=True)
class Batch:
    """Every real step of a rollout, ready to learn from. `batch[idx]` picks some of them: a minibatch."""

    obs: Shaped[Tensor, " batch *obs_shape"]
    actions: Shaped[Tensor, " batch *action_shape"]
    logprobs: Float[Tensor, " batch"]
    """What the acting policy gave each action."""
    advantages: Float[Tensor, " batch"]
    returns: Float[Tensor, " batch"]
    """What the critic should have said."""
    values: Float[Tensor, " batch"]
    """What it said."""

    def __len__(self) -> int:
        return len(self.actions)

    def __getitem__(self, idx: Any) -> "Batch":
        chosen = torch.as_tensor(idx)
        return Batch(*(getattr(self, field.name)[chosen] for field in fields(self)))


@torch.no_grad()
def finish_rollout(
    rollout: Rollout,
    critic: Callable[[Tensor], Tensor],
    compute_logprobs: Callable[[Tensor, Tensor], Tensor],
    gamma: float,
    gae_lambda: float,
) -> Batch:
    """Turn a full rollout into a batch of single steps.

    `critic` takes observations, "batch *obs_shape", in the dtype that the rollout has, and gives "batch 1".
    `compute_logprobs` takes observations and actions, "batch *action_shape", and gives "batch". Ask them about all steps
    at once or one after another, as you like; phantom steps too.

    1. values: the critic's, of all of rollout.obs; next_values by `compute_next_values`
    2. advantages, of all steps, by `compute_advantages` (or `compute_advantages_by_scan`: the same without
       your loop)
    3. returns = advantages + values: what the critic should have said
    4. logprobs of the actions taken

    The result has one entry for each step that is real (`rollout.is_real`), all fields in the same order: by step, then by
    environment. No gradients are recorded, and the rollout isn't changed: the batch is a copy, which shares no memory with it.
    """
    shape = rollout.rewards.shape
    obs, actions = rollout.obs.flatten(0, 1), rollout.actions.flatten(0, 1)
    values = critic(obs).reshape(shape)
    ends = rollout.terminated, rollout.truncated
    next_values = compute_next_values(critic, values, rollout.next_obs, *ends)
    advantages = compute_advantages_by_scan(next_values, rollout.rewards, values, *ends, gamma, gae_lambda)
    is_real = rollout.is_real.flatten()
    return Batch(
        obs=obs[is_real],
        actions=actions[is_real],
        logprobs=compute_logprobs(obs, actions)[is_real],
        advantages=advantages.flatten()[is_real],
        returns=(advantages + values).flatten()[is_real],
        values=values.flatten()[is_real],
    )


def get_minibatch_indices(
    rng: np.random.Generator, batch_size: int, minibatch_size: int
) -> list[Int[np.ndarray, " minibatch"]]:
    """Deal the numbers 0 to batch_size - 1 at random into minibatches of minibatch_size: a list of arrays.

    No number comes twice. If the sizes don't divide, the few that are left over are dealt to nobody. Each call shuffles
    anew, by one call of `rng.permutation(batch_size)`; the first minibatch_size numbers are the first minibatch, and so on.

    >>> [len(idx) for idx in get_minibatch_indices(np.random.default_rng(0), 7, 3)]
    [3, 3]
    """
    n_minibatches = batch_size // minibatch_size
    order = rng.permutation(batch_size)[: n_minibatches * minibatch_size]
    return list(order.reshape(n_minibatches, minibatch_size))
