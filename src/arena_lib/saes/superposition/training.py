"""Training toy models: all instances in one step, fresh examples each time.

Shapes:  losses "n_logged n_inst"
Raises:  ConfigError for a configuration that can't work; TrainingError for a loss that isn't finite.
Source:  Elhage et al. 2022, arXiv:2209.10652 (Adam on fresh batches); Loshchilov and Hutter 2017, arXiv:1608.03983,
         equation 5 without restarts (cosine).
Differs: 256 examples for each step rather than 1,024; docs/superposition_figures.md says how they compare.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.core.configs import check_numbers, check_sizes
from arena_lib.core.progress import progress
from arena_lib.core.seeds import check_seed, make_generator
from arena_lib.errors import TrainingError

Schedule = Callable[[int, int], float]


def constant_lr(step: int, n_steps: int) -> float:
    """The share of the learning rate that update `step` (from 0) of `n_steps` uses: always 1."""
    return 1.0


def linear_lr(step: int, n_steps: int) -> float:
    """A share that falls from 1 at step 0 in equal steps, and would reach 0 at step `n_steps`.

    >>> [linear_lr(step, 4) for step in range(4)]
    [1.0, 0.75, 0.5, 0.25]
    """
    return 1 - step / n_steps


def cosine_lr(step: int, n_steps: int) -> float:
    """A share that falls from 1 at step 0 as half a cosine, and would reach 0 at step `n_steps`.

    >>> [round(cosine_lr(step, 4), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    """
    return (1 + math.cos(math.pi * step / n_steps)) / 2


@dataclass(frozen=True, kw_only=True)
class ToyTrainingConfig:
    """How to train a toy model."""

    n_steps: int = 5_000
    """Updates of the weights."""
    batch_size: int = 256
    """Fresh examples for each update, in each instance."""
    lr: float = 1e-3
    """Adam's learning rate at its highest."""
    schedule: Schedule = constant_lr
    """The share of `lr` at each update: `constant_lr`, `linear_lr`, `cosine_lr`, or a function of your own."""
    log_every: int = 100
    """Updates between two rows of the history."""
    seed: int = 0
    """Decides which examples are drawn."""

    def __post_init__(self) -> None:
        check_sizes(self, "n_steps", "batch_size", "log_every")
        check_numbers(self, "lr")
        check_seed(self.seed)


@dataclass(frozen=True)
class ToyHistory:
    """How the losses fell; each row is a mean over the updates since the row before."""

    steps: Int[Tensor, " n_logged"]
    """Updates made when the row was written."""
    losses: Float[Tensor, "n_logged n_inst"]
    """Each instance's loss."""


class Trainable(Protocol):
    """What `train_toy_model` needs: a module with these, such as `ToyModel` or one that a learner wrote."""

    def __call__(self, features: Float[Tensor, "batch n_inst n_feats"]) -> Float[Tensor, "batch n_inst n_feats"]:
        """The features as the model gives them back."""

    def generate_batch(self, batch_size: int, generator: torch.Generator) -> Float[Tensor, "batch n_inst n_feats"]:
        """Fresh examples."""

    def calculate_losses(
        self, out: Float[Tensor, "batch n_inst n_feats"], batch: Float[Tensor, "batch n_inst n_feats"]
    ) -> Float[Tensor, " n_inst"]:
        """One loss for each instance."""


def make_adam(parameters: list[nn.Parameter], lr: float) -> torch.optim.Adam:
    """Adam over the parameters that require gradients, in torch's fused form where there is one."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    is_fused = all(parameter.device.type in ("cpu", "cuda", "mps") for parameter in trained)
    return torch.optim.Adam(trained, lr=lr, fused=is_fused)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Let the next update use this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def require_finite(losses: Float[Tensor, " n_inst"], step: int, lr: float) -> None:
    """Raise TrainingError unless each instance's loss is finite."""
    if not losses.isfinite().all():
        worst = int((~losses.isfinite()).nonzero()[0])
        raise TrainingError(
            f"every loss must stay finite: got {losses[worst].item()} in instance {worst} by step {step}. "
            f"Lower lr (now {lr:g}), and look for NaN in the weights."
        )


def take_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, batch: Float[Tensor, "batch n_inst n_feats"]
) -> Float[Tensor, " n_inst"]:
    """Make one update of all instances on these examples, and return each instance's loss before it.

    `model.calculate_losses(model(batch), batch)` gives a loss for each instance. Their sum is differentiated, and nothing
    is left of the gradients of an earlier update. What is returned carries no gradient ("n_inst").
    """
    toy: Trainable = model  # type: ignore[assignment]  # a Module that has these methods
    losses = toy.calculate_losses(toy(batch), batch)
    optimizer.zero_grad()
    losses.sum().backward()
    optimizer.step()
    return losses.detach()


def train_toy_model(model: nn.Module, config: ToyTrainingConfig | None = None) -> ToyHistory:
    """Train every instance of `model` on fresh examples, and return how its losses fell.

    `model` is changed in place. Beside `parameters()` it needs `generate_batch(batch_size, generator)`, `forward`, and
    `calculate_losses(out, batch)`, one loss for each instance; their sum is what is differentiated.
    """
    config = config or ToyTrainingConfig()
    toy: Trainable = model  # type: ignore[assignment]  # a Module that has these methods
    device = next(model.parameters()).device
    generator = make_generator(config.seed, device)
    optimizer = make_adam(list(model.parameters()), config.lr)
    steps, rows = [], []
    summed, n_summed = torch.zeros((), device=device), 0
    with progress(config.n_steps, "training") as bar:
        for step in range(config.n_steps):
            set_lr(optimizer, config.lr * config.schedule(step, config.n_steps))
            losses = take_step(model, optimizer, toy.generate_batch(config.batch_size, generator))
            summed, n_summed = summed + losses, n_summed + 1
            bar.update()
            if (step + 1) % config.log_every == 0 or step + 1 == config.n_steps:
                require_finite(summed, step + 1, config.lr)
                steps.append(step + 1)
                rows.append(summed / n_summed)
                bar.set_postfix(loss=f"{rows[-1].mean().item():.4g}")
                summed, n_summed = torch.zeros((), device=device), 0
    return ToyHistory(torch.tensor(steps), torch.stack(rows).cpu())


@torch.no_grad()
def evaluate_losses(
    model: nn.Module, n_examples: int, generator: torch.Generator, batch_size: int = 1_024
) -> Float[Tensor, " n_inst"]:
    """Each instance's mean loss over at least `n_examples` fresh examples, in whole batches."""
    toy: Trainable = model  # type: ignore[assignment]
    n_batches = -(-n_examples // batch_size)
    losses = []
    for _ in range(n_batches):
        batch = toy.generate_batch(batch_size, generator)
        losses.append(toy.calculate_losses(toy(batch), batch))
    return torch.stack(losses).mean(dim=0)
