"""Replay that draws surprising transitions more often, and a sum tree that makes it fast.

Shapes:  priorities, probabilities "n_stored"; rows, weights "batch"
Raises:  ConfigError for exponents outside their range.
Source:  Schaul et al. 2016, arXiv:1511.05952: equation 1, section 3.3 (proportional), section 3.4 (weights), B.2.1.
Differs: a batch's draws are stratified as in B.2.1; weights are divided by the largest of the batch.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.rl.dqn.replay import ReplayBatch, ReplayBuffer


def compute_priorities(td_errors: Float[Tensor, " batch"], alpha: float, eps: float) -> Float[Tensor, " batch"]:
    """How often a transition should come again: (|error| + eps)^alpha.

    With alpha = 0 all are alike, with 1 the priority grows as the error does. eps keeps a transition without any error
    from never coming again. The sign of the error doesn't matter.

    >>> compute_priorities(torch.tensor([-3.0, 0.0]), alpha=0.5, eps=1.0)
    tensor([2., 1.])
    """
    return (td_errors.abs() + eps) ** alpha


def sample_by_priority(
    priorities: Float[Tensor, " n_stored"], batch_size: int, generator: torch.Generator
) -> Int[Tensor, " batch_size"]:
    """Draw rows, each with a probability in proportion to its priority, one from each of batch_size equal parts.

    Lay the priorities end to end on a line and cut the line into batch_size parts of equal length. In each part choose
    one point at random: part k's is (k + u[k]) / batch_size of the whole line, where u is one
    `torch.rand(batch_size, generator=generator)`. The result holds for each point, in order, the row on whose piece
    of the line it falls (the row i for which the sum of all priorities before i is at most the point, and the sum with
    i is above it): an int64 tensor. A row of priority 0 is never drawn.
    """
    sums = priorities.cumsum(dim=0)
    shares = (torch.arange(batch_size) + torch.rand(batch_size, generator=generator)) / batch_size
    rows = torch.searchsorted(sums, shares * sums[-1], right=True)
    return rows.clamp(max=len(priorities) - 1)


def compute_replay_weights(probabilities: Float[Tensor, " batch"], beta: float) -> Float[Tensor, " batch"]:
    """How much each transition of a batch counts, since some were drawn more often than others.

    weight = (1 / probability)^beta, divided by the largest weight of the batch

    `probabilities` are those with which the batch's transitions were drawn. With beta = 1 the draw is made up for in
    full, with 0 not at all. The division keeps the largest step as large as it was; in it the paper's factor, the
    number of stored transitions, cancels.

    >>> compute_replay_weights(torch.tensor([0.25, 0.5]), beta=1.0)
    tensor([1.0000, 0.5000])
    """
    weights = probabilities**-beta
    return weights / weights.max()


class SumTree:
    """Numbers at the leaves, and above each pair its sum: changing one and finding a point takes log2(size) steps.

    `tree[1]` is the sum of all. Node i has the children 2i and 2i + 1; leaf j is node n_leaves + j.
    """

    def __init__(self, size: int) -> None:
        self.n_leaves = 1 << max(size - 1, 0).bit_length()
        self.size = size
        self.tree = np.zeros(2 * self.n_leaves)

    @property
    def total(self) -> float:
        """The sum of all leaves."""
        return float(self.tree[1])

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        leaves: np.ndarray = self.tree[self.n_leaves + rows]
        return leaves

    def set(self, rows: np.ndarray, values: np.ndarray | float) -> None:
        """Change leaves, and every sum above them; of a row that comes twice the last value stays."""
        nodes = self.n_leaves + rows
        self.tree[nodes] = values
        while nodes[0] > 1:
            nodes = np.unique(nodes // 2)
            self.tree[nodes] = self.tree[2 * nodes] + self.tree[2 * nodes + 1]

    def find(self, points: np.ndarray) -> np.ndarray:
        """The leaf on whose piece of the line each point falls, as `sample_by_priority` says it."""
        nodes, points = np.ones(len(points), dtype=np.int64), points.copy()
        while nodes[0] < self.n_leaves:
            left = self.tree[2 * nodes]
            goes_right = (points >= left) & (self.tree[2 * nodes + 1] > 0)
            points = np.where(goes_right, points - left, points)
            nodes = 2 * nodes + goes_right
        return nodes - self.n_leaves


class PrioritizedReplayBuffer(ReplayBuffer):
    """A replay buffer that draws by priority; `beta` may be changed as training goes on.

    A new transition gets the largest priority so far, so that each comes soon; then `update` sets what its error asks.
    """

    def __init__(
        self, buffer_size: int, obs_shape: tuple[int, ...], alpha: float = 0.6, beta: float = 0.4, eps: float = 1e-6
    ) -> None:
        super().__init__(buffer_size, obs_shape)
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not 0 <= value <= 1:
                raise ConfigError(f"{name} must be from 0 to 1: got {value!r}. Schaul et al. use 0.6 and 0.4.")
        self.alpha, self.beta, self.eps = alpha, beta, eps
        self.sums = SumTree(buffer_size)
        self.largest = 1.0

    def store(
        self,
        obs: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        terminated: np.ndarray,
        next_obs: np.ndarray,
        n_ahead: np.ndarray | int,
    ) -> np.ndarray:
        """Store transitions with the largest priority so far."""
        rows = super().store(obs, actions, rewards, terminated, next_obs, n_ahead)
        if len(rows):
            self.sums.set(rows, self.largest)
        return rows

    def sample(self, batch_size: int, generator: torch.Generator) -> ReplayBatch:
        """Draw transitions by priority; the batch has weights."""
        if not len(self):
            raise ConfigError("a batch can't be drawn from an empty replay buffer. Add transitions first.")
        drawn = torch.rand(batch_size, generator=generator, dtype=torch.float64).numpy()
        rows = self.sums.find((np.arange(batch_size) + drawn) / batch_size * self.sums.total)
        probabilities = torch.from_numpy(self.sums[rows] / self.sums.total).float()
        batch = self.read(torch.from_numpy(rows))
        weights = compute_replay_weights(probabilities, self.beta)
        return ReplayBatch(**{**vars(batch), "weights": weights})

    def get_tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps: the priorities too."""
        priorities = torch.from_numpy(self.sums[np.arange(self.buffer_size)])
        return {**super().get_tensors(), "buffer.priorities": priorities, "buffer.largest": torch.tensor(self.largest)}

    def set_tensors(self, tensors: dict[str, Tensor], n_added: int) -> None:
        """Go back to what `get_tensors` returned."""
        super().set_tensors(tensors, n_added)
        self.sums.set(np.arange(self.buffer_size), tensors["buffer.priorities"].numpy())
        self.largest = tensors["buffer.largest"].item()

    def update(self, rows: Int[Tensor, " batch"], td_errors: Float[Tensor, " batch"]) -> None:
        """Set the priorities of rows that a batch came from."""
        priorities = compute_priorities(td_errors, self.alpha, self.eps).double().numpy()
        self.largest = max(self.largest, float(priorities.max()))
        self.sums.set(rows.numpy(), priorities)
