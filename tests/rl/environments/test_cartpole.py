import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from arena_lib.errors import ConfigError
from arena_lib.rl.environments import Stepper, make_vector_env
from arena_lib.rl.environments.cartpole import LIMIT, VectorCartPole, step_cartpole


def test_it_moves_as_gymnasiums():
    env = gym.make("CartPole-v1").unwrapped
    generator = np.random.default_rng(0)
    for _ in range(200):
        env.reset()
        start, action = generator.uniform(-0.2, 0.2, 4), int(generator.integers(2))
        env.state = start
        env.step(action)
        assert step_cartpole(start[:, None], np.array([action]))[:, 0] == pytest.approx(np.array(env.state), rel=1e-12)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_episodes_end_where_gymnasiums_do(mode):
    """Its states, given to gymnasium's CartPole step by step, end there in the same step."""
    stepper = Stepper(make_vector_env("arena/CartPole-v1", 3, mode=mode), seed=2)
    single = gym.make("CartPole-v1").unwrapped
    generator = np.random.default_rng(0)
    n_ends = 0
    for _ in range(150):
        state = stepper.envs._state.copy()
        actions = generator.integers(2, size=3)
        step = stepper.step(actions)
        for env_idx in np.flatnonzero(step.is_real):
            single.reset()
            single.state = state[:, env_idx]
            obs, reward, terminated, _, _ = single.step(int(actions[env_idx]))
            assert np.allclose(obs, step.next_obs[env_idx], atol=1e-6)
            assert (reward, terminated) == (step.rewards[env_idx], step.terminated[env_idx])
            n_ends += int(terminated)
    assert n_ends > 10
    assert sum(episode.length for episode in stepper.finished()) > 100


def balance(obs):
    return (obs[:, 2] + obs[:, 3] + 0.01 * obs[:, 1] > 0).astype(np.int64)


def test_it_is_truncated_after_five_hundred_steps():
    stepper = Stepper(make_vector_env("arena/CartPole-v1", 5), seed=0)
    steps = [stepper.step(balance(stepper.obs)) for _ in range(LIMIT)]
    assert steps[-1].truncated.any()
    assert not any(step.truncated.any() for step in steps[:-1])
    assert max(episode.length for episode in stepper.finished()) == LIMIT


def test_the_seed_decides():
    first, second, other = (VectorCartPole(3).reset(seed=seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_what_it_can_not_be():
    with pytest.raises(ConfigError, match="num_envs must be at least 1"):
        VectorCartPole(0)
    with pytest.raises(ConfigError, match=r"wrappers must be empty for arena/CartPole-v1.* Use CartPole-v1"):
        make_vector_env("arena/CartPole-v1", 2, wrappers=[gym.Wrapper])
