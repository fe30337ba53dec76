"""Figures of features that go together, or never do.

Source:  Elhage et al. 2022, arXiv:2209.10652, section "The Geometry of Superposition" (correlated and anticorrelated
         features).
Differs: of many starts those with the lowest losses are kept, for many others end in a worse arrangement.
"""

from dataclasses import replace

import plotly.graph_objects as go
from jaxtyping import Float
from torch import Tensor

from arena_lib.core.seeds import make_generator
from arena_lib.plots.superposition.directions import feature_directions
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig
from arena_lib.saes.superposition.paper.geometry import LR
from arena_lib.saes.superposition.training import ToyTrainingConfig, cosine_lr, evaluate_losses, train_toy_model

SETS = {
    "correlated": ToyModelConfig(n_feats=4, n_correlated_pairs=2),
    "anticorrelated": ToyModelConfig(n_feats=4, n_anticorrelated_pairs=2),
    "three pairs": ToyModelConfig(n_feats=6, n_correlated_pairs=3),
}
"""What the paper trains in two dimensions."""


def train_set(
    cfg: ToyModelConfig, feature_probability: float, n_kept: int, n_steps: int, seed: int
) -> Float[Tensor, "n_kept d_hidden n_feats"]:
    """Train the instances of one set, equally important features, and return the matrices with the lowest losses."""
    model = ToyModel(cfg, feature_probability, generator=make_generator(seed))
    train_toy_model(model, ToyTrainingConfig(n_steps=n_steps, lr=LR, schedule=cosine_lr, seed=seed))
    losses = evaluate_losses(model, 16_384, make_generator(seed + 1))
    return model.W.detach()[losses.argsort()[:n_kept]]


def draw_sets(
    n_kept: int = 5, n_starts: int = 20, feature_probability: float = 0.1, n_steps: int = 2_000, seed: int = 0
) -> go.Figure:
    """A row for each kind of set, the best of its starts; the features of a pair have one colour."""
    panels: dict[str, Float[Tensor, "d_hidden n_feats"]] = {}
    for name, cfg in SETS.items():
        matrices = train_set(replace(cfg, n_inst=n_starts), feature_probability, n_kept, n_steps, seed)
        panels |= {f"{name} {i}": W for i, W in enumerate(matrices, start=1)}
    title = f"Features in pairs, two hidden dimensions: the best {n_kept} of {n_starts} starts"
    return feature_directions(panels, groups=[0, 0, 1, 1, 2, 2], columns=n_kept, title=title)
