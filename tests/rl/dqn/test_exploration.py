import gymnasium as gym
import numpy as np
import pytest
import torch

from arena_lib.rl.dqn import epsilon_greedy_policy, greedy_actions, linear_schedule


class Values(torch.nn.Module):
    """Action 0 is worth the observation, action 1 its negative, action 2 nothing."""

    def forward(self, obs):
        return torch.stack([obs[:, 0], -obs[:, 0], torch.full((len(obs),), -9.0)], dim=1)


class ManyEnvs(gym.vector.VectorEnv):
    num_envs = 5000
    single_action_space = gym.spaces.Discrete(3)


ENVS, values = ManyEnvs(), Values()
OBS = np.where(np.arange(5000) % 2, 1, -1)[:, None]


@pytest.mark.parametrize(("step", "epsilon"), [(0, 1.0), (30, 0.55), (60, 0.1), (61, 0.1), (1000, 0.1)])
def test_epsilon_falls_in_a_line_and_stays(step, epsilon):
    assert linear_schedule(step, 1.0, 0.1, 0.6, 100) == pytest.approx(epsilon)


def test_without_exploration_the_best_action_is_taken():
    actions = epsilon_greedy_policy(ENVS, values, np.random.default_rng(0), OBS, 0.0)
    assert actions.dtype == np.int64
    np.testing.assert_array_equal(actions, (OBS[:, 0] < 0).astype(int))
    np.testing.assert_array_equal(actions, greedy_actions(values, OBS))


def test_each_environment_explores_by_itself_and_evenly():
    actions = epsilon_greedy_policy(ENVS, values, np.random.default_rng(0), OBS, 0.6)
    share_best = (actions == (OBS[:, 0] < 0)).mean()
    assert share_best == pytest.approx(0.4 + 0.6 / 3, abs=0.04)
    assert (actions == 2).mean() == pytest.approx(0.2, abs=0.03)
