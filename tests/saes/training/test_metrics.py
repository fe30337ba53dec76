"""Each metric by hand, and by what must not change it."""

import pytest
import torch

from arena_lib.core.seeds import make_generator
from arena_lib.saes.training import metrics

LATENTS = torch.tensor([[0.0, 2.0, 0.0, 0.5], [0.0, 1.0, 0.0, 0.0], [0.0, 3.0, 0.1, 0.0]])
ACTS = torch.tensor([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]])
RECON = torch.tensor([[3.0, 3.0], [0.0, 1.0], [2.0, 0.0]])


def draw(n=200, d=5, seed=0):
    return torch.randn(n, d, generator=make_generator(seed), dtype=torch.float64)


def test_what_is_active_is_counted_by_row_and_by_latent():
    assert metrics.compute_l0(LATENTS).item() == pytest.approx(5 / 3)
    frequencies = metrics.compute_frequencies(LATENTS)
    assert frequencies.tolist() == pytest.approx([0, 1, 1 / 3, 1 / 3])
    assert frequencies.sum().item() == pytest.approx(metrics.compute_l0(LATENTS).item())
    assert metrics.compute_dead_share(frequencies).item() == 0.25
    assert metrics.compute_dense_share(frequencies).item() == 0.75
    assert metrics.compute_dense_share(frequencies, threshold=0.5).item() == 0.25


def test_unexplained_variance_by_hand():
    mean = torch.tensor([4 / 3, 2.0])
    variance = (ACTS - mean).square().sum()
    assert metrics.compute_fvu(ACTS, RECON).item() == pytest.approx(3 / variance.item())


def test_the_mean_explains_nothing_and_the_truth_everything():
    acts = draw()
    assert metrics.compute_fvu(acts, acts).item() == 0
    assert metrics.compute_fvu(acts, acts.mean(dim=0).expand_as(acts)).item() == pytest.approx(1)
    assert metrics.compute_fvu(3 * acts + 1, 3 * acts * 0.9 + 1).item() == pytest.approx(
        metrics.compute_fvu(acts, 0.9 * acts).item()
    )


def test_cosine_and_norms_by_hand():
    cosines = [(9 + 12) / (5 * 18**0.5), 1.0, 1.0]
    assert metrics.compute_cosine(ACTS, RECON).item() == pytest.approx(sum(cosines) / 3)
    assert metrics.compute_norm_ratio(ACTS, RECON).item() == pytest.approx((18**0.5 + 1 + 2) / (5 + 2 + 1))
    assert metrics.compute_cosine(ACTS, 2 * RECON).item() == pytest.approx(metrics.compute_cosine(ACTS, RECON).item())


def test_the_relative_bias_is_the_best_divisor():
    acts = draw()
    recon = 0.6 * acts + 0.2 * draw(seed=1)
    gamma = metrics.compute_relative_bias(acts, recon)
    errors = [(recon / (gamma * factor) - acts).square().sum() for factor in (0.99, 1.0, 1.01)]
    assert errors[1] < min(errors[0], errors[2])
    assert metrics.compute_relative_bias(acts, 0.6 * acts).item() == pytest.approx(0.6)


def test_a_reconstruction_that_only_misses_something_is_short_and_not_biased():
    acts = draw(20_000, 6)
    recon = acts.clone()
    recon[:, 3:] = 0
    assert metrics.compute_norm_ratio(acts, recon).item() < 0.8
    assert metrics.compute_relative_bias(acts, recon).item() == pytest.approx(1)


def test_loss_recovered_goes_from_the_ablation_to_the_models_own_loss():
    assert metrics.compute_loss_recovered(clean=2.0, spliced=2.0, ablated=7.0) == 1
    assert metrics.compute_loss_recovered(clean=2.0, spliced=7.0, ablated=7.0) == 0
    assert metrics.compute_loss_recovered(clean=2.0, spliced=2.5, ablated=7.0) == pytest.approx(0.9)
