"""Figures of how features lie: five in two dimensions, twenty in five, two hundred in twenty.

Source:  Elhage et al. 2022, arXiv:2209.10652, sections "Demonstrating Superposition" and "The Geometry of Superposition".
Differs: a higher learning rate with a cosine schedule and far fewer updates; 200 features in 20 dimensions rather than
         400 in 30.
"""

from typing import TypeVar

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.core.seeds import make_generator
from arena_lib.plots.superposition.dimensionality import dimensionality
from arena_lib.plots.superposition.directions import feature_directions
from arena_lib.plots.superposition.gram import gram_matrices
from arena_lib.saes.superposition.geometry import (
    DIMENSIONALITIES,
    compute_dimensionality,
    compute_dimensions_per_feature,
)
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig
from arena_lib.saes.superposition.training import ToyTrainingConfig, cosine_lr, train_toy_model

Model = TypeVar("Model", bound=ToyModel)

LR = 1e-2
"""Peak learning rate: with a cosine, a fifth of the updates that 1e-3 needs."""


def densities(n_inst: int, lowest: float) -> Float[Tensor, " n_inst"]:
    """Feature probabilities from 1 down to `lowest`, each the same factor below the one before."""
    return torch.logspace(0, 1, n_inst, base=lowest) if n_inst > 1 else torch.tensor([lowest])


def train_by_density(
    model_class: type[Model],
    cfg: ToyModelConfig,
    feature_probability: Float[Tensor, " n_inst"],
    importance: Float[Tensor, " n_feats"],
    n_steps: int,
    seed: int,
) -> Model:
    """Train one instance for each density, all with the same importances."""
    model = model_class(cfg, feature_probability[:, None], importance, make_generator(seed))
    train_toy_model(model, ToyTrainingConfig(n_steps=n_steps, lr=LR, schedule=cosine_lr, seed=seed))
    return model.requires_grad_(False)


def name_by_sparsity(
    feature_probability: Float[Tensor, " n_inst"], W: Float[Tensor, "n_inst d_hidden n_feats"]
) -> dict[str, Float[Tensor, "d_hidden n_feats"]]:
    """Each instance's matrix by its sparsity S = 1 - feature_probability."""
    return {f"S = {1 - p:.3g}": matrix for p, matrix in zip(feature_probability.tolist(), W, strict=True)}


def draw_five_features(n_inst: int = 10, n_steps: int = 2_000, seed: int = 0) -> go.Figure:
    """Five features of falling importance in two dimensions, from dense to sparse."""
    probability, importance = densities(n_inst, 0.02), 0.9 ** torch.arange(5)
    cfg = ToyModelConfig(n_inst=n_inst, n_feats=5, d_hidden=2)
    model = train_by_density(ToyModel, cfg, probability, importance, n_steps, seed)
    title = "Five features in two dimensions, the more important the darker"
    return feature_directions(name_by_sparsity(probability, model.W), weights=importance, title=title)


def draw_gram_matrices(n_feats: int = 20, d_hidden: int = 5, n_steps: int = 3_000, seed: int = 0) -> go.Figure:
    """Twenty features in five dimensions: which are represented, and which share."""
    probability = 1 - torch.tensor([0.0, 0.7, 0.9, 0.97, 0.99])
    importance = 0.7 ** torch.arange(n_feats)
    cfg = ToyModelConfig(n_inst=len(probability), n_feats=n_feats, d_hidden=d_hidden)
    model = train_by_density(ToyModel, cfg, probability, importance, n_steps, seed)
    title = f"{n_feats} features in {d_hidden} dimensions, the most important first"
    return gram_matrices(name_by_sparsity(probability, model.W), title=title)


def draw_dimensionality(
    n_feats: int = 200, d_hidden: int = 20, n_inst: int = 20, n_steps: int = 5_000, seed: int = 0
) -> go.Figure:
    """Equally important features, from dense to sparse: each one's share of a dimension sits at few levels."""
    probability = densities(n_inst, 0.05)
    cfg = ToyModelConfig(n_inst=n_inst, n_feats=n_feats, d_hidden=d_hidden)
    model = train_by_density(ToyModel, cfg, probability, torch.ones(n_feats), n_steps, seed)
    return dimensionality(
        1 / probability,
        compute_dimensionality(model.W),
        per_feature=compute_dimensions_per_feature(model.W),
        levels=DIMENSIONALITIES,
        title=f"{n_feats} equally important features in {d_hidden} dimensions",
    )
