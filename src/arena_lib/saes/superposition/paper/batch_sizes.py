"""A study of our own: do small batches come to the same as large ones?

Shapes:  losses "n_densities n_seeds"
Source:  own derivation; the model is that of Elhage et al. 2022, arXiv:2209.10652.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import einops
import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.core.seeds import make_generator
from arena_lib.plots.lines import lines
from arena_lib.saes.superposition.geometry import compute_feature_norms
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig
from arena_lib.saes.superposition.paper.geometry import densities
from arena_lib.saes.superposition.training import ToyHistory, ToyTrainingConfig, evaluate_losses, train_toy_model


@dataclass(frozen=True)
class BatchSizeRun:
    """What training with one batch size came to."""

    batch_size: int
    """Examples for each update."""
    densities: Float[Tensor, " n_densities"]
    """The feature probability of each row."""
    losses: Float[Tensor, "n_densities n_seeds"]
    """Loss on the same fresh examples for every batch size."""
    n_represented: Float[Tensor, "n_densities n_seeds"]
    """How many features have a length above 1/2."""
    history: ToyHistory
    """How the losses fell; instances are ordered by density, then by seed."""


def train_by_batch_size(
    batch_sizes: Sequence[int] = (64, 256, 1_024),
    n_densities: int = 6,
    n_seeds: int = 8,
    n_steps: int = 5_000,
    n_examples: int = 65_536,
    seed: int = 0,
) -> list[BatchSizeRun]:
    """Train the same starts with each batch size: five features of falling importance in two dimensions."""
    probability = densities(n_densities, 0.02)
    cfg = ToyModelConfig(n_inst=n_densities * n_seeds, n_feats=5, d_hidden=2)
    repeated = einops.repeat(probability, "n_densities -> (n_densities n_seeds) 1", n_seeds=n_seeds)
    runs = []
    for batch_size in batch_sizes:
        model = ToyModel(cfg, repeated, 0.9 ** torch.arange(5), make_generator(seed))
        history = train_toy_model(model, ToyTrainingConfig(n_steps=n_steps, batch_size=batch_size, seed=seed))
        losses = evaluate_losses(model, n_examples, make_generator(seed + 1))
        n_represented = (compute_feature_norms(model.W) > 0.5).float().sum(dim=-1)
        by_seed = [values.reshape(n_densities, n_seeds) for values in (losses, n_represented)]
        runs.append(BatchSizeRun(batch_size, probability, by_seed[0], by_seed[1], history))
    return runs


def draw_batch_sizes(seed: int = 0, **settings: int | Sequence[int]) -> list[go.Figure]:
    """Loss while training, and after it by sparsity; `settings` are those of `train_by_batch_size`."""
    runs = train_by_batch_size(seed=seed, **settings)  # type: ignore[arg-type]  # checked there
    curves = {f"batch {run.batch_size}": run.history.losses.mean(dim=1) for run in runs}
    final = {f"batch {run.batch_size}": run.losses.mean(dim=1) for run in runs}
    training = lines(
        curves,
        x=runs[0].history.steps,
        y_title="loss, mean over instances",
        title="The same models trained with three batch sizes",
    )
    by_sparsity = lines(
        final,
        x=1 / runs[0].densities,
        x_title="1 / (1 - S), sparser to the right",
        y_title="loss on fresh examples",
        title="After training: mean over seeds",
    )
    log = {"type": "log"}
    return [training.update_yaxes(log), by_sparsity.update_xaxes(log).update_yaxes(log)]
