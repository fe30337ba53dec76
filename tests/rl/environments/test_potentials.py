"""Potential-based shaping: what is added telescopes, and an agent that plans optimally does as before."""

import gymnasium as gym
import numpy as np
import pytest

from arena_lib.errors import ConfigError, EnvError
from arena_lib.rl.environments.potentials import PotentialShaping


def upright(obs):
    return -5.0 * abs(float(obs[2]))


def episode(env, seed):
    """The observations, the rewards and how the episode ended, under random actions."""
    obs, _ = env.reset(seed=seed)
    actions, observations, rewards = np.random.default_rng(seed), [obs], []
    while True:
        obs, reward, terminated, truncated, _ = env.step(int(actions.integers(2)))
        observations.append(obs)
        rewards.append(reward)
        if terminated or truncated:
            return observations, np.array(rewards), terminated


@pytest.mark.parametrize(("limit", "ends"), [(500, True), (7, False)])
def test_what_shaping_adds_to_a_discounted_return_depends_on_its_ends_alone(limit, ends):
    gamma = 0.9
    for seed in range(4):
        plain, shaped = (gym.make("CartPole-v1", max_episode_steps=limit) for _ in range(2))
        _, rewards, _ = episode(plain, seed)
        observations, with_shaping, terminated = episode(PotentialShaping(shaped, upright, gamma), seed)
        assert terminated == ends
        discounts = gamma ** np.arange(len(rewards))
        last = 0.0 if terminated else gamma ** len(rewards) * upright(observations[-1])
        added = ((with_shaping - rewards) * discounts).sum()
        assert added == pytest.approx(last - upright(observations[0]), abs=1e-9)


def test_the_best_policy_stays_the_best_on_a_chain_that_is_solved_exactly():
    # States 0 to 4; left and right; the right end pays 1 and the left one 0.2, and both terminate.
    gamma, potentials = 0.8, np.random.default_rng(0).normal(size=5) * 10

    def best(shaping):
        values = np.zeros(5)
        for _ in range(200):
            q = np.zeros((5, 2))
            for state in (1, 2, 3):
                for action, after in ((0, state - 1), (1, state + 1)):
                    ends = after in (0, 4)
                    reward = {0: 0.2, 4: 1.0}.get(after, 0.0)
                    gain = gamma * (0.0 if ends else potentials[after]) - potentials[state]
                    q[state, action] = reward + shaping * gain + gamma * values[after] * (not ends)
            values = q.max(axis=1)
        return q

    plain, shaped = best(0), best(1)
    assert (plain.argmax(axis=1) == shaped.argmax(axis=1)).all()
    np.testing.assert_allclose(shaped[1:4] - plain[1:4], -np.repeat(potentials[1:4, None], 2, axis=1), atol=1e-9)


def test_bad_input_is_refused_by_name():
    env = gym.make("CartPole-v1")
    with pytest.raises(ConfigError, match=r"gamma must be from 0 to 1: got 1\.5"):
        PotentialShaping(env, upright, 1.5)
    with pytest.raises(EnvError, match=r"must be a finite number: got nan"):
        PotentialShaping(env, lambda obs: float("nan"), 0.9).reset(seed=0)
