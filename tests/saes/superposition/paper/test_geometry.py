"""The figures of geometry hold what was trained."""

import torch

from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig
from arena_lib.saes.superposition.paper.geometry import (
    densities,
    draw_dimensionality,
    draw_five_features,
    draw_gram_matrices,
    name_by_sparsity,
    train_by_density,
)


def test_densities_fall_by_equal_factors():
    torch.testing.assert_close(densities(3, 0.01), torch.tensor([1.0, 0.1, 0.01]))
    torch.testing.assert_close(densities(1, 0.2), torch.tensor([0.2]))


def test_each_instance_has_its_density_and_all_have_the_importances():
    cfg = ToyModelConfig(n_inst=2, n_feats=3, d_hidden=2)
    model = train_by_density(ToyModel, cfg, densities(2, 0.1), torch.tensor([3.0, 2.0, 1.0]), 2, 0)
    torch.testing.assert_close(model.feature_probability, torch.tensor([[1.0] * 3, [0.1] * 3]))
    assert model.importance[1].tolist() == [3.0, 2.0, 1.0]
    assert not model.W.requires_grad


def test_panels_are_named_by_sparsity():
    assert list(name_by_sparsity(torch.tensor([1.0, 0.03]), torch.zeros(2, 1, 1))) == ["S = 0", "S = 0.97"]


def test_figures_have_a_panel_for_each_instance():
    five = draw_five_features(n_inst=3, n_steps=2)
    assert [annotation.text for annotation in five.layout.annotations] == ["S = 0", "S = 0.859", "S = 0.98"]
    gram = draw_gram_matrices(n_feats=4, d_hidden=2, n_steps=2)
    assert sum(trace.type == "heatmap" for trace in gram.data) == 5
    shares = draw_dimensionality(n_feats=6, d_hidden=2, n_inst=3, n_steps=2)
    assert len(shares.data[0].y) == 18
    assert abs(shares.data[1].x[-1] - 20) < 1e-3
