"""The small classifier whose landscape is looked at, and its training.

Shapes:  inputs "batch d_in", logits "batch n_classes"; W_in "d_in d_hidden", W_out "d_hidden n_classes".
Raises:  ConfigError for sizes or settings that can't work; TrainingError for a loss that isn't finite or doesn't get there.
Source:  own; initial weights as in He et al. 2015, arXiv:1502.01852, section 2.2, times `gain`.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.errors import ConfigError, TrainingError
from arena_lib.fundamentals.landscapes.inputs import check_above_zero, check_counts

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh}


class TwoLayers(nn.Module):
    """One hidden layer: inputs @ W_in + b_in, an activation, @ W_out + b_out. In float64.

    >>> TwoLayers(4, 3, 2)(torch.zeros(5, 4, dtype=torch.float64)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        d_in: int,
        d_hidden: int,
        n_classes: int,
        activation: Literal["relu", "tanh"] = "relu",
        gain: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if min(d_in, d_hidden, n_classes) < 1:
            raise ConfigError(f"every layer must have at least one unit: got {d_in}, {d_hidden} and {n_classes}.")
        if activation not in ACTIVATIONS:
            raise ConfigError(f"activation must be 'relu' or 'tanh': got {activation!r}.")
        self.activation = activation
        generator = torch.Generator().manual_seed(seed)

        def draw(n_in: int, n_out: int) -> nn.Parameter:
            weights = torch.randn(n_in, n_out, generator=generator, dtype=torch.float64)
            return nn.Parameter(weights * gain * (2 / n_in) ** 0.5)

        self.W_in, self.b_in = draw(d_in, d_hidden), nn.Parameter(torch.zeros(d_hidden, dtype=torch.float64))
        self.W_out, self.b_out = draw(d_hidden, n_classes), nn.Parameter(torch.zeros(n_classes, dtype=torch.float64))

    def forward(self, x: Float[Tensor, "batch d_in"]) -> Float[Tensor, "batch n_classes"]:
        """The logits."""
        hidden = ACTIVATIONS[self.activation](x @ self.W_in + self.b_in)
        logits: Tensor = hidden @ self.W_out + self.b_out
        return logits


def train_to_loss(
    model: nn.Module,
    inputs: Float[Tensor, "batch d_in"],
    labels: Int[Tensor, " batch"],
    goal: float,
    *,
    lr: float = 0.01,
    max_steps: int = 5000,
) -> int:
    """Adam on all examples at once, until the mean cross-entropy is at most `goal` nats; returns the number of steps.

    Networks that are compared afterwards have learned their examples equally well.
    """
    check_above_zero(goal=goal, lr=lr)
    check_counts(max_steps=max_steps)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for step in range(max_steps):
        loss = nn.functional.cross_entropy(model(inputs), labels)
        if not loss.isfinite():
            raise TrainingError(f"the loss must be finite: got {loss.item()} in step {step}. Lower the learning rate.")
        if loss.item() <= goal:
            return step
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    raise TrainingError(f"the loss must reach {goal} within {max_steps} steps: got {loss.item():.3g}. Raise max_steps.")


def compute_accuracy(model: nn.Module, inputs: Float[Tensor, "batch d_in"], labels: Int[Tensor, " batch"]) -> float:
    """The share of examples whose class is right."""
    with torch.no_grad():
        return (model(inputs).argmax(dim=-1) == labels).double().mean().item()


def shrink_images(images: Float[Tensor, "batch height width"], factor: int = 2) -> Float[Tensor, "batch d_in"]:
    """Pictures made coarser: squares of `factor` by `factor` pixels become their mean, and each picture one row.

    >>> shrink_images(torch.ones(3, 14, 14)).shape
    torch.Size([3, 49])
    """
    return nn.functional.avg_pool2d(images[:, None], factor).flatten(1)
