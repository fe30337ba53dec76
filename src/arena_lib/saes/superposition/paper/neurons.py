"""Figures of neurons: features stored in them, and absolute values computed with them.

Source:  Elhage et al. 2022, arXiv:2209.10652, sections "Superposition in a Privileged Basis" and "Computation in
         Superposition".
Differs: a higher learning rate with a cosine schedule and fewer updates; 60 features in 24 neurons for absolute values,
         not 100 in 40.
"""

import plotly.graph_objects as go
import torch

from arena_lib.plots.superposition.stacked import stacked_weights
from arena_lib.saes.superposition.model import ToyModelConfig
from arena_lib.saes.superposition.neurons import NeuronComputationModel, NeuronModel
from arena_lib.saes.superposition.paper.geometry import name_by_sparsity, train_by_density


def draw_neurons(n_feats: int = 10, d_hidden: int = 5, n_steps: int = 10_000, seed: int = 0) -> go.Figure:
    """Ten features in five neurons: from a neuron for each feature to neurons that several share."""
    probability = 1 - torch.tensor([0.0, 0.5, 0.8, 0.9, 0.97])
    cfg = ToyModelConfig(n_inst=len(probability), n_feats=n_feats, d_hidden=d_hidden)
    importance = 0.75 ** torch.arange(n_feats)
    model = train_by_density(NeuronModel, cfg, probability, importance, n_steps, seed)
    title = f"{n_feats} features stored in {d_hidden} neurons (blue: one feature, orange: several)"
    return stacked_weights(name_by_sparsity(probability, model.W), title=title)


def draw_absolute_values(n_feats: int = 60, d_hidden: int = 24, n_steps: int = 3_000, seed: int = 0) -> go.Figure:
    """Absolute values: two neurons for each feature while dense, shared ones when sparse."""
    probability = 1 - torch.tensor([0.0, 0.8, 0.95, 0.99])
    cfg = ToyModelConfig(n_inst=len(probability), n_feats=n_feats, d_hidden=d_hidden)
    importance = 0.8 ** torch.arange(n_feats)
    model = train_by_density(NeuronComputationModel, cfg, probability, importance, n_steps, seed)
    title = (
        f"Absolute values of {n_feats} features by {d_hidden} neurons: weights W1 (blue: one feature, orange: several)"
    )
    return stacked_weights(name_by_sparsity(probability, model.W1), title=title)
