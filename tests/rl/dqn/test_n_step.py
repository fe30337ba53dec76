import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from arena_lib.errors import ConfigError
from arena_lib.rl.dqn import NStepWriter, ReplayBuffer, compute_n_step_returns
from arena_lib.rl.environments.counting import CountingEnv
from arena_lib.rl.environments.stepping import Stepper, Transition


def test_rewards_are_summed_up_to_the_end_of_the_episode():
    rewards = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    done = torch.tensor([False, False, True, False, False])
    returns, n_ahead = compute_n_step_returns(rewards, done, 0.1, 3)
    torch.testing.assert_close(returns, torch.tensor([1.23, 2.3, 3.0, 4.5, 5.0]))
    assert n_ahead.tolist() == [3, 2, 1, 2, 1]


def test_with_one_step_it_is_the_reward():
    rewards = torch.randn(6)
    returns, n_ahead = compute_n_step_returns(rewards, torch.zeros(6, dtype=torch.bool), 0.9, 1)
    torch.testing.assert_close(returns, rewards)
    assert (n_ahead == 1).all()


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_the_writer_agrees_with_the_pure_function(n):
    generator = np.random.default_rng(n)
    rewards, done = generator.normal(size=60), generator.random(60) < 0.2
    terminated = done & (generator.random(60) < 0.5)
    done[-1] = True
    buffer = ReplayBuffer(100, (1,))
    writer = NStepWriter(buffer, 1, n, 0.8)
    for t in range(60):
        obs = np.array([[float(t)]])
        row = slice(t, t + 1)
        truncated = done[row] & ~terminated[row]
        writer.add(
            Transition(obs, np.array([t % 3]), rewards[row], obs + 1, terminated[row], truncated, np.array([True]))
        )
    returns, n_ahead = compute_n_step_returns(torch.tensor(rewards).float(), torch.tensor(done), 0.8, n)
    batch = buffer.read(torch.arange(60))
    assert len(buffer) == 60
    torch.testing.assert_close(batch.obs[:, 0], torch.arange(60.0))
    torch.testing.assert_close(batch.rewards, returns)
    torch.testing.assert_close(batch.n_ahead, n_ahead)
    torch.testing.assert_close(batch.next_obs[:, 0], torch.arange(60) + n_ahead.float())
    last = torch.arange(60) + n_ahead - 1
    assert batch.terminated.tolist() == terminated[last].tolist()


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_of_a_counting_environment_no_window_crosses_an_end(mode):
    envs = gym.vector.SyncVectorEnv([CountingEnv, lambda: CountingEnv((2, 5))], autoreset_mode=mode)
    stepper, buffer = Stepper(envs, seed=0), ReplayBuffer(1000, (1,))
    writer = NStepWriter(buffer, 2, 3, 1.0)
    for _ in range(40):
        writer.add(stepper.step(np.array([0, 1])))
    batch = buffer.read(torch.arange(len(buffer)))
    torch.testing.assert_close(batch.next_obs[:, 0], batch.obs[:, 0] + batch.n_ahead)
    torch.testing.assert_close(batch.rewards, batch.n_ahead.float())
    assert set(batch.n_ahead.tolist()) == {1, 2, 3}


def test_a_number_of_steps_that_cant_be_is_refused():
    with pytest.raises(ConfigError, match="at least 1: got 0"):
        NStepWriter(ReplayBuffer(3, (1,)), 1, 0, 0.9)
