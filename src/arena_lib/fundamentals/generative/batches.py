"""Pictures in batches, in an order of its own each time, and losses that must be numbers.

Raises:  ConfigError for a batch of less than one picture; TrainingError for a loss that isn't finite.
"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Shaped
from torch import Tensor

from arena_lib.errors import ConfigError, TrainingError


def minibatches(
    images: Shaped[Tensor, "n ..."], batch_size: int, generator: torch.Generator | None = None
) -> Iterator[Shaped[Tensor, "batch ..."]]:
    """Every picture (or whatever the first axis counts) once, in a random order, in batches of `batch_size`; what is left at the end is a smaller batch.

    >>> [len(batch) for batch in minibatches(torch.zeros(5, 1, 2, 2), 2)]
    [2, 2, 1]
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1: got {batch_size}.")
    order = torch.randperm(len(images), generator=generator)
    for start in range(0, len(images), batch_size):
        yield images[order[start : start + batch_size]]


def check_loss(loss: Tensor | float) -> float:
    """The loss as a float; it must be finite.

    >>> check_loss(torch.tensor(0.5))
    0.5
    """
    value = float(loss)
    if not math.isfinite(value):
        raise TrainingError(f"the loss must be finite: got {value}. Lower the learning rate.")
    return value
