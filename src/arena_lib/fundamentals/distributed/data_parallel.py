"""Training on several processes at once: each takes a part of every batch, and gradients are averaged.

Shapes:  a batch "batch ...", labels "batch"; each rank's part has batch / world_size examples.
Raises:  ConfigError for a batch that can't be cut into equal parts, and settings that can't work; TrainingError for a loss that
         isn't finite.
Source:  Goyal et al. 2017, arXiv:1706.02677, section 3.
Differs: one message chain for all gradients, after the backward pass; PyTorch's DistributedDataParallel sends them in parts while
         it's still going on.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.distributed.collectives import all_reduce, broadcast
from arena_lib.fundamentals.distributed.point_to_point import check_world
from arena_lib.fundamentals.distributed.ring import ring_all_reduce


def shard(batch: Tensor, rank: int, world_size: int) -> Tensor:
    """The part of a batch that is this rank's: the examples are cut into `world_size` equal pieces, in order.

    Args:
        batch: any tensor whose first axis counts examples. It stays as it is.
        rank: of this process, which gets piece number `rank`.
        world_size: how many processes there are. It must divide the number of examples, or else the mean of the parts' losses
            wouldn't be the loss of the batch: ConfigError.

    >>> shard(torch.arange(6), 1, 3)
    tensor([2, 3])
    """
    check_world(rank, world_size)
    if len(batch) % world_size:
        raise ConfigError(
            f"a batch must have equal parts for all {world_size} processes: got {len(batch)} examples. Drop the last "
            f"{len(batch) % world_size}."
        )
    size = len(batch) // world_size
    return batch[rank * size : (rank + 1) * size]


def average_gradients(params: Iterable[Tensor], rank: int, world_size: int) -> None:
    """Replace every gradient by its mean over all ranks.

    One message costs the same wait whether it's small or large. So all gradients are laid end to end in one vector, that goes through
    one `ring_all_reduce` with the mean, and its pieces are copied back into the gradients, in place.

    Args:
        params: the parameters of this rank's model, in the same order on every rank. Those whose `grad` is None are left out;
            they are the same on all ranks.
        rank: of this process.
        world_size: how many processes there are.
    """
    check_world(rank, world_size)
    grads = [param.grad for param in params if param.grad is not None]
    flat = torch.cat([grad.flatten() for grad in grads])
    ring_all_reduce(flat, rank, world_size, "mean")
    for grad, piece in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
        grad.copy_(piece.reshape(grad.shape))


@dataclass(frozen=True, kw_only=True)
class DistTrainingConfig:
    """How to train on several processes."""

    n_epochs: int = 2
    """How often every example is seen."""
    batch_size: int = 64
    """Examples in one step, of all processes together."""
    lr: float = 0.1
    """Learning rate of SGD."""
    momentum: float = 0.9
    """Its momentum."""
    seed: int = 0
    """Of the examples' order, which is the same on all ranks."""

    def __post_init__(self) -> None:
        if self.n_epochs < 1 or self.batch_size < 1:
            raise ConfigError(f"n_epochs and batch_size must be at least 1: got {self.n_epochs} and {self.batch_size}.")


class DistTrainer:
    """Trains one model on `world_size` processes, so that the result is that of one process with the whole batches.

    Args:
        config: how to train.
        rank: of this process.
        world_size: how many processes there are.
        model: of this process. Its first weights may differ from other ranks': `pre_training_setup` makes them equal.
        train_set: inputs and labels, the same on all ranks.
        test_set: inputs and labels, the same on all ranks.
    """

    def __init__(
        self,
        config: DistTrainingConfig,
        rank: int,
        world_size: int,
        model: nn.Module,
        train_set: tuple[Tensor, Tensor],
        test_set: tuple[Tensor, Tensor],
    ) -> None:
        check_world(rank, world_size)
        self.config, self.rank, self.world_size, self.model = config, rank, world_size, model
        self.train_set, self.test_set = train_set, test_set

    def pre_training_setup(self) -> None:
        """Broadcast every parameter of rank 0 (its data, in the order of `model.parameters()`), and make `self.optimizer`.

        The optimizer is torch.optim.SGD with the config's lr and momentum.
        """
        for param in self.model.parameters():
            broadcast(param.data, self.rank, self.world_size, 0)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=self.config.lr, momentum=self.config.momentum)

    def training_step(self, imgs: Float[Tensor, "batch ..."], labels: Int[Tensor, " batch"]) -> Tensor:
        """One step on a whole batch, of which this rank works on its own `shard`.

        zero_grad, the mean cross-entropy of the model's logits for the shard, backward, `average_gradients`, step.

        Returns:
            The loss of the whole batch before the step, the same on all ranks: the mean of the ranks' losses, a tensor without
            axes that needs no gradient.
        """
        self.optimizer.zero_grad()
        logits = self.model(shard(imgs, self.rank, self.world_size))
        loss = F.cross_entropy(logits, shard(labels, self.rank, self.world_size))
        loss.backward()
        average_gradients(self.model.parameters(), self.rank, self.world_size)
        self.optimizer.step()
        mean_loss = loss.detach().clone()
        all_reduce(mean_loss, self.rank, self.world_size, "mean")
        return mean_loss

    @torch.no_grad()
    def evaluate(self) -> float:
        """The share of the test set whose label gets the largest logit: each rank counts in its shard, and counts are added up.

        Meanwhile the model is in evaluation mode (`self.model.eval()`); after it the model is in training mode again.
        """
        inputs, labels = self.test_set
        self.model.eval()
        predicted = self.model(shard(inputs, self.rank, self.world_size)).argmax(dim=-1)
        self.model.train()
        n_right = (predicted == shard(labels, self.rank, self.world_size)).sum().float()
        all_reduce(n_right, self.rank, self.world_size, "sum")
        return n_right.item() / len(labels)

    def train(self) -> list[float]:
        """Set up, then train: in each epoch all examples in a new order, whole batches alone; the loss of each step.

        The orders are `torch.randperm`'s, one for each epoch, from one generator with the config's seed.
        """
        self.pre_training_setup()
        inputs, labels = self.train_set
        generator = torch.Generator().manual_seed(self.config.seed)
        losses = []
        for _ in range(self.config.n_epochs):
            order = torch.randperm(len(labels), generator=generator)
            for batch in order.split(self.config.batch_size):
                if len(batch) == self.config.batch_size:
                    losses.append(self.training_step(inputs[batch], labels[batch]).item())
        return losses
