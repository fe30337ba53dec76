"""The toy model by hand, its batches, and what it refuses."""

import pytest
import torch

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError, ShapeError
from arena_lib.saes.superposition.model import (
    ToyModel,
    ToyModelConfig,
    compress,
    importance_weighted_losses,
    reconstruct,
    xavier_normal,
)

MIXED = ToyModelConfig(n_inst=2, n_feats=7, d_hidden=3, n_correlated_pairs=1, n_anticorrelated_pairs=2)


def test_an_antipodal_pair_by_hand():
    W = torch.tensor([[[1.0, -1.0]], [[2.0, 0.0]]])
    features = torch.tensor([[0.75, 0.25], [0.5, 0.5]])
    hidden = compress(features, W)
    assert hidden.tolist() == [[0.5], [1.0]]
    assert reconstruct(hidden, W, torch.tensor([[0.0, 0.0], [-1.5, 0.25]])).tolist() == [[0.5, 0.0], [0.5, 0.25]]


def test_forward_agrees_with_one_matrix_product_for_each_instance():
    model = ToyModel(MIXED, 0.3, generator=make_generator(3))
    with torch.no_grad():
        model.b_final.copy_(torch.randn(2, 7, generator=make_generator(4)))
    features = torch.rand(5, 4, 2, 7, generator=make_generator(5))
    out = model(features)
    for inst in range(2):
        expected = torch.relu(features[..., inst, :] @ model.W[inst].T @ model.W[inst] + model.b_final[inst])
        torch.testing.assert_close(out[..., inst, :], expected)
    torch.testing.assert_close(model(features[0, 0]), out[0, 0])


def test_the_loss_by_hand_is_a_mean_for_each_instance_and_their_sum():
    out, batch = torch.tensor([[[1.0, 0.0], [2.0, 2.0]]]), torch.tensor([[[0.0, 2.0], [2.0, 1.0]]])
    importance = torch.tensor([[1.0, 0.5], [1.0, 3.0]])
    assert importance_weighted_losses(out, batch, importance).tolist() == [(1.0 + 0.5 * 4.0) / 2, 3.0 / 2]
    model = ToyModel(ToyModelConfig(n_inst=2, n_feats=2, d_hidden=1), 0.5, importance)
    assert model.calculate_loss(out, batch).item() == 3.0


def test_batches_have_correlated_then_anticorrelated_then_uncorrelated_features():
    model = ToyModel(MIXED, torch.tensor([0.4, 0.4, 0.5, 0.5, 0.2, 0.6, 0.3]), generator=make_generator(0))
    batch = model.generate_batch(20_000, make_generator(1))
    assert batch.shape == (20_000, 2, 7)
    present = batch > 0
    assert torch.equal(present[..., 0], present[..., 1])
    assert not torch.equal(batch[..., 0], batch[..., 1])  # together, but with values of their own
    assert not (present[..., [2, 4]] & present[..., [3, 5]]).any()
    assert (present.float().mean(dim=(0, 1)) - model.feature_probability[0]).abs().max() < 0.02
    assert batch.max() <= 1.0
    assert (batch[present].mean() - 0.5).abs() < 0.01


def test_pairs_take_the_probabilities_of_their_own_features():
    model = ToyModel(MIXED, torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0]))
    generator = make_generator(1)
    correlated = model.generate_correlated_features(50, 1, generator) > 0
    anticorrelated = model.generate_anticorrelated_features(50, 2, generator) > 0
    uncorrelated = model.generate_uncorrelated_features(50, 1, generator) > 0
    assert correlated.float().mean(dim=(0, 1)).tolist() == pytest.approx([1.0, 1.0])
    assert anticorrelated.float().mean(dim=(0, 1)).tolist() == pytest.approx([0.0, 1.0, 1.0, 0.0])
    assert not uncorrelated.any()


def test_magnitudes_lie_between_their_bounds():
    model = ToyModel(ToyModelConfig(n_feats=3, magnitude_low=1.0, magnitude_high=2.0), 0.5)
    batch = model.generate_batch(1_000, make_generator(0))
    assert batch[batch > 0].min() >= 1.0
    assert batch.max() < 2.0
    assert (batch == 0).any()


def test_equal_generators_give_equal_batches_and_the_global_state_is_left_alone():
    model = ToyModel(MIXED, 0.3)
    before = torch.get_rng_state()
    first, second = (model.generate_batch(9, make_generator(6)) for _ in range(2))
    generator = make_generator(6)
    third, fourth = (model.generate_batch(9, generator) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(first, third)
    assert not torch.equal(third, fourth)
    assert torch.equal(before, torch.get_rng_state())


def test_an_instance_gets_the_gradient_that_it_would_get_alone():
    model = ToyModel(ToyModelConfig(n_inst=3, n_feats=5, d_hidden=2), 0.5, generator=make_generator(2))
    batch = model.generate_batch(11, make_generator(3))
    model.calculate_loss(model(batch), batch).backward()
    alone = ToyModel(ToyModelConfig(n_inst=1, n_feats=5, d_hidden=2), 0.5)
    with torch.no_grad():
        alone.W.copy_(model.W[1:2])
    alone.calculate_loss(alone(batch[:, 1:2]), batch[:, 1:2]).backward()
    torch.testing.assert_close(model.W.grad[1:2], alone.W.grad)


def test_weights_have_xaviers_variance_whatever_the_number_of_instances():
    weights = xavier_normal(400, 3, 17, generator=make_generator(0))
    assert weights.var().item() == pytest.approx(2 / 20, rel=0.05)


def test_numbers_spread_over_features_or_instances():
    model = ToyModel(ToyModelConfig(n_inst=2, n_feats=3), torch.tensor([[0.1], [0.2]]), torch.tensor([1.0, 2.0, 3.0]))
    assert model.feature_probability[1].tolist() == pytest.approx([0.2] * 3)
    assert model.importance[1].tolist() == [1.0, 2.0, 3.0]


def test_bad_sizes_and_probabilities_are_refused():
    with pytest.raises(ConfigError, match="n_feats must hold two features for each pair: got 3 for 2 pairs"):
        ToyModelConfig(n_feats=3, n_correlated_pairs=1, n_anticorrelated_pairs=1)
    with pytest.raises(ConfigError, match="magnitude_low must be at most"):
        ToyModelConfig(magnitude_low=2.0)
    with pytest.raises(ShapeError, match=r"importance must broadcast to .* \(1, 5\): got shape \(4,\)"):
        ToyModel(ToyModelConfig(), 0.1, torch.ones(4))
    with pytest.raises(ConfigError, match="sum to at most 1"):
        ToyModel(ToyModelConfig(n_anticorrelated_pairs=1), 0.6)
    with pytest.raises(ConfigError, match="same feature_probability"):
        ToyModel(ToyModelConfig(n_correlated_pairs=1), torch.tensor([0.1, 0.2, 0.1, 0.1, 0.1]))
    with pytest.raises(ConfigError, match="sum to at most 1"):
        ToyModel(ToyModelConfig(), 0.6).generate_anticorrelated_features(5, 2, make_generator(0))
