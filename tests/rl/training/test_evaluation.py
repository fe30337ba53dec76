import gymnasium as gym
import numpy as np
import pytest

from arena_lib.errors import ConfigError, EnvError, ShapeError
from arena_lib.rl.environments import CountingEnv, spread_seed
from arena_lib.rl.training import evaluate, make_random_policy
from arena_lib.rl.training import evaluation as module


def push_under_the_pole(obs):
    return (obs[:, 2] + obs[:, 3] > 0).astype(np.int64)


def test_each_episode_is_the_one_of_its_seed():
    """Against the same episodes played one by one."""
    expected = []
    for seed in spread_seed(7, 5):
        env = gym.make("CartPole-v1")
        obs, _ = env.reset(seed=seed)
        total, is_over = 0.0, False
        while not is_over:
            obs, reward, terminated, truncated, _ = env.step(int(push_under_the_pole(obs[None])[0]))
            total, is_over = total + reward, terminated or truncated
        expected.append(total)
    reached = evaluate(push_under_the_pole, "CartPole-v1", n_episodes=5, seed=7)
    assert reached.returns == tuple(expected)
    assert reached.lengths == tuple(map(int, expected))
    assert reached.mean == pytest.approx(np.mean(expected))


def test_short_episodes_are_not_favoured():
    """Environments whose episodes are 2 and 9 long give one episode each, not five short ones."""
    lengths = iter([2, 9, 2, 9])
    reached = evaluate(lambda obs: np.zeros(len(obs), int), lambda: CountingEnv((next(lengths),)), n_episodes=4)
    assert reached.lengths == (2, 9, 2, 9)


def test_the_policy_sees_only_the_environments_that_go_on():
    sizes = []

    def policy(obs):
        sizes.append(len(obs))
        return np.zeros(len(obs), int)

    lengths = iter([1, 3, 2])
    evaluate(policy, lambda: CountingEnv((next(lengths),)), n_episodes=3)
    assert sizes == [3, 2, 1]


def test_wrappers_are_put_around():
    reached = evaluate(
        push_under_the_pole, "CartPole-v1", n_episodes=2, wrappers=[lambda env: gym.wrappers.TimeLimit(env, 4)]
    )
    assert reached.lengths == (4, 4)


def test_what_can_not_be_evaluated(monkeypatch):
    with pytest.raises(ConfigError, match="n_episodes must be at least 1: got 0"):
        evaluate(push_under_the_pole, "CartPole-v1", n_episodes=0)
    with pytest.raises(ShapeError, match="one action for each of 20 observations: got 1"):
        evaluate(lambda obs: np.zeros(1, int), "CartPole-v1")
    monkeypatch.setattr(module, "MAX_STEPS", 50)
    with pytest.raises(EnvError, match=r"an episode must end: .* went on for 50 steps"):
        evaluate(lambda obs: np.zeros(len(obs), int), lambda: CountingEnv((99,)), n_episodes=1)


def test_a_random_policy_draws_from_the_environments_space_and_repeats_with_its_seed():
    obs = np.zeros((200, 4))
    first, again, other = (make_random_policy("CartPole-v1", seed)(obs) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert abs(first.mean() - 0.5) < 0.2  # 5.7 standard deviations
    policy = make_random_policy("Pendulum-v1")
    torques = policy(obs)
    assert (torques.shape, torques.dtype) == ((200, 1), np.float32)
    assert 1.5 < np.abs(torques).max() <= 2.0
    assert not np.array_equal(policy(obs), torques)
