import numpy as np
import pytest

from arena_lib.rl.bandits.choosing import (
    compute_regret,
    epsilon_greedy_action,
    gradient_bandit_step,
    thompson_action,
    update_average,
)


def test_epsilon_greedy_explores_with_its_share():
    """Of 4000 choices the share of the best arm is off by five standard errors less than once in a million."""
    rng, values = np.random.default_rng(0), np.array([0.0, 3.0, 1.0, 3.0])
    counts = np.bincount([epsilon_greedy_action(values, 0.4, rng) for _ in range(4000)], minlength=4) / 4000
    expected = np.array([0.1, 0.7, 0.1, 0.1])
    assert (abs(counts - expected) < 5 * np.sqrt(expected * (1 - expected) / 4000)).all()


def test_epsilon_greedy_draws_no_more_than_it_says():
    rng, twin = np.random.default_rng(1), np.random.default_rng(1)
    epsilon_greedy_action(np.zeros(5), 0.0, rng)
    twin.random()
    assert rng.random() == twin.random()
    assert epsilon_greedy_action(np.zeros(5), 1.0, rng) == (twin.random(), twin.integers(5))[1]


def test_averages_are_those_of_the_list():
    rewards = np.random.default_rng(0).normal(size=20)
    averages, counts = np.full(3, 99.0), np.zeros(3, dtype=int)
    for reward in rewards:
        update_average(averages, counts, 1, float(reward))
    assert averages == pytest.approx([99.0, rewards.mean(), 99.0])
    assert counts.tolist() == [0, 20, 0]


def test_gradient_step_is_the_gradient_of_the_expected_reward_in_the_mean():
    """Sutton and Barto 2018, section 2.8: over actions drawn from the softmax the mean step is lr times the gradient."""
    preferences, means, lr = np.array([0.3, -1.0, 0.7]), np.array([1.0, 5.0, -2.0]), 0.1
    p = np.exp(preferences) / np.exp(preferences).sum()
    steps = [gradient_bandit_step(preferences, a, means[a], 0.4, lr) - preferences for a in range(3)]
    gradient = p * (means - p @ means)
    assert p @ np.array(steps) == pytest.approx(lr * gradient)


def test_gradient_step_takes_large_preferences_and_leaves_the_old_ones():
    preferences = np.array([1000.0, 1001.0])
    new = gradient_bandit_step(preferences, 0, 1.0, 0.0, 1.0)
    assert np.isfinite(new).all()
    assert preferences.tolist() == [1000.0, 1001.0]
    assert new.sum() == pytest.approx(2001.0)


def test_thompson_takes_an_arm_as_often_as_it_is_likely_to_be_the_best():
    """Two arms, one with a win and one with a loss: Beta(2, 1) beats Beta(1, 2) with probability 5/6."""
    rng = np.random.default_rng(0)
    wins, losses = np.array([0, 1]), np.array([1, 0])
    share = np.mean([thompson_action(wins, losses, rng) for _ in range(4000)])
    assert abs(share - 5 / 6) < 5 * np.sqrt(5 / 36 / 4000)


def test_regret_never_falls_and_is_zero_for_the_best_arm():
    means = np.array([0.5, 2.0, -1.0])
    assert compute_regret(means, np.array([1, 1, 1])).tolist() == [0.0, 0.0, 0.0]
    assert compute_regret(means, np.array([2, 1, 0, 2])).tolist() == [3.0, 3.0, 4.5, 7.5]
