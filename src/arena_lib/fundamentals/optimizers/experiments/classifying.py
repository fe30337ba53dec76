"""Something to train: points of two moons, a small network, and the plain loop.

Shapes:  inputs "n_examples ...", labels "n_examples"; two moons have two features.
Raises:  ConfigError for sizes that can't work; TrainingError for a loss that isn't finite.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.errors import ConfigError, TrainingError


def make_moons(
    n_points: int, noise: float = 0.1, seed: int = 0
) -> tuple[Float[Tensor, "n_points 2"], Int[Tensor, " n_points"]]:
    """Points of two half circles that reach into each other, and which half circle each belongs to, in random order.

    >>> points, labels = make_moons(100)
    >>> points.shape, labels.sum().item()
    (torch.Size([100, 2]), 50)
    """
    if n_points < 2 or noise < 0:
        raise ConfigError(f"there must be two points or more, and noise of at least 0: got {n_points} and {noise}.")
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.arange(n_points) % 2)[torch.randperm(n_points, generator=generator)]
    angle = math.pi * torch.rand(n_points, generator=generator)
    upper = torch.stack([angle.cos(), angle.sin()], dim=1)
    points = torch.where(labels[:, None] == 0, upper, torch.tensor([1.0, 0.5]) - upper)
    return points + noise * torch.randn(n_points, 2, generator=generator), labels


def make_mlp(n_inputs: int, d_hidden: int, n_classes: int, seed: int = 0) -> nn.Sequential:
    """A network with one hidden layer of relus, for inputs with any axes, whose first weights depend on the seed alone.

    The global random state is as before.

    >>> make_mlp(6, 5, 3)(torch.zeros(4, 2, 3)).shape
    torch.Size([4, 3])
    """
    if min(n_inputs, d_hidden, n_classes) < 1:
        raise ConfigError(f"sizes must be at least 1: got {n_inputs}, {d_hidden} and {n_classes}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, d_hidden), nn.ReLU(), nn.Linear(d_hidden, n_classes))


def train_for(
    model: nn.Module,
    optimizers: Any,
    inputs: Float[Tensor, "n_examples ..."],
    labels: Int[Tensor, " n_examples"],
    *,
    n_steps: int,
    batch_size: int = 64,
    seed: int = 0,
    schedules: tuple[Any, ...] = (),
    may_diverge: bool = False,
) -> list[float]:
    """Train a classifier for so many steps on random batches, and give the loss (nats) of each.

    Args:
        model: is changed.
        optimizers: one optimizer, or a list of them, each with parameters of its own.
        inputs: examples.
        labels: their classes.
        n_steps: how many batches.
        batch_size: examples in a batch, drawn with replacement.
        seed: of the batches.
        schedules: go on by one step after each batch.
        may_diverge: whether a loss that isn't finite ends the training, and counts for all steps that are left, where it
            would raise otherwise.
    """
    if n_steps < 1 or batch_size < 1:
        raise ConfigError(f"n_steps and batch_size must be at least 1: got {n_steps} and {batch_size}.")
    listed = optimizers if isinstance(optimizers, list) else [optimizers]
    generator = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    for step in range(n_steps):
        batch = torch.randint(len(labels), (batch_size,), generator=generator)
        loss = F.cross_entropy(model(inputs[batch]), labels[batch])
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            if may_diverge:
                return [*losses, *[losses[-1]] * (n_steps - len(losses))]
            raise TrainingError(f"the loss must be finite: got {losses[-1]} in step {step}. Lower the learning rate.")
        for optimizer in listed:
            optimizer.zero_grad()
        loss.backward()
        for part in (*listed, *schedules):
            part.step()
    return losses


def compute_accuracy(
    model: nn.Module, inputs: Float[Tensor, "n_examples ..."], labels: Int[Tensor, " n_examples"]
) -> float:
    """The share of examples whose class gets the largest logit."""
    with torch.inference_mode():
        return (model(inputs).argmax(dim=-1) == labels).float().mean().item()
