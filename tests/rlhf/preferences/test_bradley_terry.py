"""Loss, accuracy and calibration against plain counts and worlds whose probabilities are known."""

import math

import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.rlhf.preferences.bradley_terry import bradley_terry_loss, compute_calibration, pairwise_accuracy


def test_the_loss_is_the_surprise_at_who_won():
    chosen, rejected = torch.randn(2, 7, dtype=torch.float64)
    expected = sum(math.log(1 + math.exp(float(r - c))) for c, r in zip(chosen, rejected, strict=True)) / 7
    assert float(bradley_terry_loss(chosen, rejected)) == pytest.approx(expected, abs=1e-12)
    assert float(bradley_terry_loss(chosen + 5, rejected + 5)) == pytest.approx(expected, abs=1e-12)


def test_the_gradient_is_how_surprised_it_was():
    chosen, rejected = torch.randn(2, 7, dtype=torch.float64).requires_grad_()
    gradient = torch.autograd.grad(bradley_terry_loss(chosen, rejected), (chosen, rejected))
    surprise = torch.sigmoid(rejected - chosen) / 7
    assert torch.allclose(gradient[0], -surprise)
    assert torch.allclose(gradient[1], surprise)


def test_large_differences_overflow_nothing():
    far = torch.tensor([1e4, -1e4])
    assert torch.equal(bradley_terry_loss(far, -far), torch.tensor(1e4))


def test_accuracy_counts_ties_half():
    chosen, rejected = torch.tensor([1.0, 0.0, 2.0, -1.0]), torch.tensor([0.0, 1.0, 2.0, -2.0])
    assert float(pairwise_accuracy(chosen, rejected)) == (1 + 0 + 0.5 + 1) / 4


def test_a_model_with_the_true_rewards_is_calibrated_and_a_bolder_one_is_not():
    generator = torch.Generator().manual_seed(0)
    gaps = torch.randn(60_000, generator=generator, dtype=torch.float64) * 1.5
    first_wins = torch.rand(60_000, generator=generator, dtype=torch.float64) < gaps.sigmoid()
    signed = torch.where(first_wins, gaps, -gaps)
    true = compute_calibration(signed, torch.zeros_like(signed), n_bins=8)
    error = (true.accuracy * (1 - true.accuracy) / true.n_pairs).sqrt()
    assert ((true.accuracy - true.confidence).abs() < 4.5 * error).all()
    assert true.expected_error < 0.01
    bold = compute_calibration(3 * signed, torch.zeros_like(signed), n_bins=8)
    assert bold.expected_error > 0.1
    assert (bold.accuracy < bold.confidence).all()
    assert int(true.n_pairs.sum()) == 60_000


def test_bins_part_the_confidence_from_a_half_to_one():
    gaps = torch.tensor([0.0, 1e-3, -4.0, 4.0, 50.0])
    curve = compute_calibration(gaps, torch.zeros(5), n_bins=4)
    assert curve.n_pairs.tolist() == [2, 0, 0, 3]
    assert float(curve.accuracy[0]) == pytest.approx((0.5 + 1) / 2)
    assert float(curve.accuracy[3]) == pytest.approx(2 / 3)
    assert curve.accuracy[1:3].isnan().all()
    assert float(curve.confidence[3]) == pytest.approx((2 / (1 + math.exp(-4)) + 1) / 3, abs=1e-6)
    gap = [abs(float(curve.accuracy[i] - curve.confidence[i])) for i in (0, 3)]
    assert curve.expected_error == pytest.approx((2 * gap[0] + 3 * gap[1]) / 5)


def test_no_bins_are_refused():
    with pytest.raises(ConfigError, match="n_bins must be at least 1: got 0"):
        compute_calibration(torch.zeros(2), torch.zeros(2), 0)
