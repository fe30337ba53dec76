"""Moments against numpy over everything at once; a stepper that normalises."""

import gymnasium as gym
import numpy as np
import pytest

from arena_lib.rl.environments.making import make_vector_env
from arena_lib.rl.ppo.normalization import Moments, NormalizingStepper, normalize, update_moments


def test_moments_of_parts_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    rows = rng.normal(3.0, 5.0, size=(23, 4))
    moments = Moments(rows[:6].mean(0), rows[:6].var(0), 6.0)
    for part in (rows[6:7], rows[7:20], rows[20:]):
        moments = update_moments(moments, part)
    np.testing.assert_allclose(moments.mean, rows.mean(0))
    np.testing.assert_allclose(moments.variance, rows.var(0))
    assert moments.count == 23


@pytest.mark.parametrize("mode", list(gym.vector.AutoresetMode))
def test_a_normalising_stepper_chains_observations_and_counts_raw_returns(mode):
    envs = make_vector_env("CartPole-v1", 3, mode=mode)
    stepper = NormalizingStepper(envs, 0, 0.9)
    for _ in range(60):
        before = stepper.obs
        transition = stepper.step(np.zeros(3, dtype=int))
        assert np.array_equal(transition.obs, before)
        goes_on = ~transition.done
        assert np.array_equal(transition.next_obs[goes_on], stepper.obs[goes_on])
    episodes = stepper.finished()
    assert episodes
    assert all(episode.total_reward == episode.length for episode in episodes)
    assert np.abs(stepper.obs).max() <= 10
    assert stepper.n_steps <= 180


def test_frozen_statistics_stay_and_saved_ones_come_back():
    makers = [NormalizingStepper(make_vector_env("CartPole-v1", 2), seed, 0.9) for seed in (0, 1)]
    first, second = makers
    for _ in range(20):
        first.step(np.ones(2, dtype=int))
    second.load_tensors(first.tensors())
    second.is_frozen = True
    second.step(np.ones(2, dtype=int))
    obs = np.ones((2, 4))
    assert np.array_equal(normalize(obs, first.obs_moments), normalize(obs, second.obs_moments))
    assert second.return_moments.variance == first.return_moments.variance
