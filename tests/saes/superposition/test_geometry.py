"""Dimensionality of shapes that are known, interference, and the theory against simulation."""

import math

import pytest
import torch

from arena_lib.core.seeds import make_generator
from arena_lib.saes.superposition.geometry import (
    DIMENSIONALITIES,
    compute_dimensionality,
    compute_dimensions_per_feature,
    compute_feature_norms,
    compute_interference,
    two_feature_losses,
)
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig


def polygon(n_feats: int) -> torch.Tensor:
    angles = torch.arange(n_feats) * 2 * math.pi / n_feats
    return torch.stack([angles.cos(), angles.sin()])


def square_antiprism() -> torch.Tensor:
    """Two squares, one turned by 45 degrees, at the heights that make the eight directions a tight frame."""
    height = math.sqrt(1 / 3)
    squares = [math.sqrt(1 - height**2) * torch.roll(polygon(8), 0)[:, start::2] for start in (0, 1)]
    return torch.cat([torch.cat([squares[0], squares[1]], dim=1), torch.tensor([[height] * 4 + [-height] * 4])])


TETRAHEDRON = torch.tensor([[1.0, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]) / math.sqrt(3)


@pytest.mark.parametrize(
    ("name", "W"),
    [
        ("one feature in one dimension", torch.eye(3)),
        ("tetrahedron", TETRAHEDRON),
        ("triangle", polygon(3)),
        ("antipodal pair", torch.tensor([[1.0, -1.0]])),
        ("pentagon", polygon(5)),
        ("square antiprism", square_antiprism()),
    ],
)
def test_known_shapes_have_their_dimensionality_at_any_scale(name, W):
    result = compute_dimensionality(torch.stack([W, 0.3 * W]))
    torch.testing.assert_close(result, torch.full_like(result, DIMENSIONALITIES[name]))


def test_dimensionalities_of_independent_features_sum_to_the_rank():
    W = torch.zeros(1, 5, 7)
    W[0, :2, :5], W[0, 2:, 5] = polygon(5), torch.tensor([3.0, 0.0, 4.0])
    result = compute_dimensionality(W)
    torch.testing.assert_close(result, torch.tensor([[0.4] * 5 + [1.0, 0.0]]))


def test_interference_and_norms_by_hand():
    W = torch.tensor([[[1.0, -0.5, 0.0], [0.0, 0.0, 0.0]]])
    assert compute_feature_norms(W).tolist() == [[1.0, 0.5, 0.0]]
    assert compute_interference(W).tolist() == [[0.25, 1.0, 0.0]]
    assert compute_dimensions_per_feature(W).tolist() == pytest.approx([2 / 1.25])


def test_the_theory_of_two_features_agrees_with_simulated_losses():
    p, importance = 0.6, 0.7
    model = ToyModel(ToyModelConfig(n_inst=3, n_feats=2, d_hidden=1), p, torch.tensor([1.0, importance]))
    with torch.no_grad():
        model.W.copy_(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, -1.0]]]))
        model.b_final.copy_(torch.tensor([[0.0, p / 2], [p / 2, 0.0], [0.0, 0.0]]))
        batch = model.generate_batch(400_000, make_generator(0))
        simulated = 2 * model.calculate_losses(model(batch), batch)  # a mean over two features
    torch.testing.assert_close(
        two_feature_losses(torch.tensor(p), torch.tensor(importance)), simulated, rtol=0.01, atol=0
    )


def test_theory_prefers_superposition_when_sparse_and_the_important_feature_when_dense():
    losses = two_feature_losses(torch.tensor([0.01, 1.0, 1.0]), torch.tensor([1.0, 0.1, 10.0]))
    assert losses.argmin(dim=-1).tolist() == [2, 0, 1]
