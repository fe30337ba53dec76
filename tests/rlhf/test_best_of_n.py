"""The divergence against its integral and an exact discrete one; the estimate against all subsets."""

import itertools
import math

import numpy as np
import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.rlhf.best_of_n import best_of_n_kl, estimate_best_of_n, pick_best


@pytest.mark.parametrize("n", [1, 2, 5, 64])
def test_the_divergence_is_that_of_the_largest_of_n_uniform_numbers(n):
    """Ranks of answers are uniform, and the best one's has the density n u^(n-1)."""
    u = (np.arange(200_000) + 0.5) / 200_000
    density = n * u ** (n - 1)
    integral = np.mean(density * np.log(np.maximum(density, 1e-300)))
    assert best_of_n_kl(n) == pytest.approx(integral, abs=1e-4)


def test_few_answers_diverge_less_and_many_as_said():
    def exact(n_answers, n):
        chances = (np.arange(1, n_answers + 1) / n_answers) ** n
        best = np.diff(chances, prepend=0.0)
        return float((best * np.log(best * n_answers)).sum())

    gaps = [best_of_n_kl(8) - exact(n_answers, 8) for n_answers in (1, 4, 50, 5_000)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] == pytest.approx(best_of_n_kl(8))
    assert 0 < gaps[-1] < 1e-3


@pytest.mark.parametrize("rewards", [[0.3, -1.0, 2.0, 0.7, 5.0], [1.0, 1.0, 0.0, 2.0, 2.0], [3.0] * 5])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_the_estimate_is_the_mean_over_all_choices_of_n(rewards, n):
    values = [0.1, 0.5, -2.0, 4.0, 1.5]
    totals, worth = [], []
    for subset in itertools.combinations(range(5), n):
        best = max(rewards[i] for i in subset)
        tied = [values[i] for i in subset if rewards[i] == best]
        totals.append(best)
        worth.append(sum(tied) / len(tied))
    r, v = torch.tensor(rewards, dtype=torch.float64), torch.tensor(values, dtype=torch.float64)
    assert float(estimate_best_of_n(r, n)) == pytest.approx(np.mean(totals), abs=1e-12)
    assert float(estimate_best_of_n(r, n, torch.ones_like(r))) == pytest.approx(1.0, abs=1e-12)
    if len(set(rewards)) == 5 or len(set(rewards)) == 1:
        assert float(estimate_best_of_n(r, n, v)) == pytest.approx(np.mean(worth), abs=1e-12)


def test_ties_share_alike():
    rewards = torch.tensor([1.0, 0.0, 1.0, 1.0]).expand(4, 4)
    shares = estimate_best_of_n(rewards, 2, torch.eye(4, dtype=torch.float64))
    assert torch.allclose(shares, torch.tensor([1 / 3, 0.0, 1 / 3, 1 / 3], dtype=torch.float64), atol=1e-12)


def test_the_estimate_has_no_bias():
    """Over many sets of 6 answers, the estimate for 3 is the known mean of the largest of 3 uniform numbers."""
    rewards = torch.rand(40_000, 6, generator=torch.Generator().manual_seed(0))
    estimates = estimate_best_of_n(rewards, 3)
    assert estimates.shape == (40_000,)
    error = float(estimates.std()) / 200
    assert abs(float(estimates.mean()) - 3 / 4) < 4 * error


def test_many_answers_stay_exact():
    rewards = torch.arange(1000, dtype=torch.float64)
    assert float(estimate_best_of_n(rewards, 1)) == pytest.approx(499.5, rel=1e-10)
    # of n from 1 ... N without putting back, the largest is on average n (N + 1) / (n + 1)
    assert float(estimate_best_of_n(rewards + 1, 500)) == pytest.approx(500 * 1001 / 501, rel=1e-9)
    assert float(estimate_best_of_n(rewards, 1000)) == pytest.approx(999, rel=1e-10)


def test_the_best_is_picked_and_of_ties_the_first():
    assert pick_best(torch.tensor([[1.0, 4.0, 4.0], [-1.0, -2.0, -3.0]])).tolist() == [1, 0]


def test_what_cannot_work_is_refused():
    rewards = torch.randn(3, 4)
    for n in (0, 5):
        with pytest.raises(ConfigError, match=f"n must be from 1 to the number of answers, 4: got {n}"):
            estimate_best_of_n(rewards, n)
    with pytest.raises(ConfigError, match="n must be at least 1: got 0"):
        best_of_n_kl(0)


def test_values_of_another_shape_are_refused(without_types):
    with pytest.raises(ShapeError, match=r"the shape of rewards, \(3, 4\): got \(3,\)"):
        estimate_best_of_n(torch.randn(3, 4), 2, torch.randn(3))


def test_one_answer_keeps_the_policy():
    assert best_of_n_kl(1) == 0
    assert best_of_n_kl(4) == pytest.approx(math.log(4) - 0.75)


def test_whole_numbers_as_rewards_lose_no_fraction(without_types):
    assert estimate_best_of_n(torch.tensor([1, 2, 3]), 2).item() == pytest.approx(8 / 3)
