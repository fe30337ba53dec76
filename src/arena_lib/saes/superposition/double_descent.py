"""Toy models trained on few examples again and again: they memorise examples first, and learn features later.

With little data a model gives each example a direction of its own; with much, each feature. Between the two, the loss on
fresh examples is worst: double descent.

Shapes:  points "n_points n_feats"; W "n_inst d_hidden n_feats"; hidden "n_inst d_hidden n_points"
Raises:  ConfigError for a configuration that can't work; TrainingError for a loss that isn't finite.
Source:  Henighan et al. 2023, "Superposition, Memorization, and Double Descent", Transformer Circuits Thread.
Differs: fewer features and updates, and a higher learning rate.
"""

import math
from dataclasses import dataclass

import einops
import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.core.configs import check_numbers, check_sizes
from arena_lib.core.progress import progress
from arena_lib.core.seeds import check_seed, make_generator
from arena_lib.errors import ConfigError
from arena_lib.saes.superposition.features import draw_uniform, independent_presence, sparse_features
from arena_lib.saes.superposition.geometry import TINY
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig, compress
from arena_lib.saes.superposition.training import require_finite, set_lr


@dataclass(frozen=True, kw_only=True)
class DoubleDescentConfig:
    """One model's data, sizes and training."""

    n_points: int
    """Examples that it sees, all of them at every update."""
    n_feats: int = 1_000
    """Features; the paper has 10,000."""
    d_hidden: int = 2
    """Hidden dimensions."""
    feature_probability: float = 0.01
    """How often a feature is present; as in the paper, ten are in an example on average."""
    n_inst: int = 1
    """Models trained on the same examples from different starts."""
    n_steps: int = 3_000
    """Updates of the weights; the paper has 50,000."""
    lr: float = 1e-2
    """AdamW's learning rate at its highest; the paper has 1e-3."""
    warmup: int = 150
    """Updates in which the learning rate grows to its highest; then it falls as half a cosine to 0."""
    weight_decay: float = 1e-2
    """AdamW's weight decay, as in the paper."""
    seed: int = 0
    """Decides examples and starts."""

    def __post_init__(self) -> None:
        check_sizes(self, "n_points", "n_feats", "d_hidden", "n_inst", "n_steps")
        check_sizes(self, "warmup", least=0)
        check_numbers(self, "lr", "feature_probability")
        check_numbers(self, "weight_decay", zero_works=True)
        check_seed(self.seed)
        if self.warmup >= self.n_steps:
            raise ConfigError(f"warmup must be below n_steps = {self.n_steps}: got {self.warmup}. Lower it.")


@dataclass(frozen=True)
class DoubleDescentRun:
    """What models of one configuration came to."""

    n_points: int
    """Examples that they saw."""
    train_losses: Float[Tensor, " n_inst"]
    """Mean over those examples of the squared error, summed over features."""
    test_losses: Float[Tensor, " n_inst"]
    """The same over fresh examples."""
    W: Float[Tensor, "n_inst d_hidden n_feats"]
    """Each feature's direction."""
    hidden: Float[Tensor, "n_inst d_hidden n_points"]
    """Each example's hidden state."""


def draw_points(
    n_points: int, n_feats: int, feature_probability: float, generator: torch.Generator
) -> Float[Tensor, "n_points n_feats"]:
    """Draw sparse examples, each of length 1 (an example without any feature stays zero)."""
    shape = (n_points, 1, n_feats)
    probability = torch.full((1, n_feats), feature_probability)
    is_present = independent_presence(draw_uniform(shape, generator), probability)
    return normalize_points(sparse_features(is_present, draw_uniform(shape, generator))[:, 0])


def normalize_points(points: Float[Tensor, "n_points n_feats"]) -> Float[Tensor, "n_points n_feats"]:
    """Give each example length 1; one of zeros stays as it is."""
    return points / points.norm(dim=-1, keepdim=True).clamp(min=TINY)


def warmup_cosine(step: int, n_steps: int, warmup: int) -> float:
    """The share of the learning rate: it grows for `warmup` updates, then falls as half a cosine to 0.

    >>> [round(warmup_cosine(step, 6, 2), 3) for step in range(6)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    if step < warmup:
        return (step + 1) / warmup
    return (1 + math.cos(math.pi * (step - warmup) / (n_steps - warmup))) / 2


def summed_losses(model: ToyModel, points: Float[Tensor, "n_points n_feats"]) -> Float[Tensor, " n_inst"]:
    """Each instance's mean over examples of the squared error, summed over features."""
    batch = einops.repeat(points, "n_points n_feats -> n_points n_inst n_feats", n_inst=model.cfg.n_inst)
    return (model(batch) - batch).pow(2).sum(dim=-1).mean(dim=0)


def train_on_points(config: DoubleDescentConfig, n_test: int = 2_000) -> DoubleDescentRun:
    """Draw `n_points` examples, train on all of them at every update, and test on `n_test` fresh ones."""
    generator = make_generator(config.seed)
    points = draw_points(config.n_points, config.n_feats, config.feature_probability, generator)
    cfg = ToyModelConfig(n_inst=config.n_inst, n_feats=config.n_feats, d_hidden=config.d_hidden)
    model = ToyModel(cfg, config.feature_probability, generator=generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    with progress(config.n_steps, f"{config.n_points} points") as bar:
        for step in range(config.n_steps):
            set_lr(optimizer, config.lr * warmup_cosine(step, config.n_steps, config.warmup))
            losses = summed_losses(model, points)
            optimizer.zero_grad()
            losses.sum().backward()
            optimizer.step()
            bar.update()
    require_finite(losses.detach(), config.n_steps, config.lr)
    fresh = draw_points(n_test, config.n_feats, config.feature_probability, generator)
    with torch.no_grad():
        batch = einops.repeat(points, "n_points n_feats -> n_points n_inst n_feats", n_inst=config.n_inst)
        hidden = einops.rearrange(compress(batch, model.W), "n_points n_inst d_hidden -> n_inst d_hidden n_points")
        return DoubleDescentRun(
            config.n_points, summed_losses(model, points), summed_losses(model, fresh), model.W.detach(), hidden
        )
