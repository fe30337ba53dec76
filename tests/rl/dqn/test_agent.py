import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from arena_lib.rl.dqn import DQNAgent, QNetwork, ReplayBuffer
from arena_lib.rl.environments.counting import CountingEnv
from arena_lib.rl.environments.stepping import Stepper


def make_agent(mode, *, total_steps=50, seed=0):
    envs = gym.vector.SyncVectorEnv([CountingEnv, lambda: CountingEnv((2, 5))], autoreset_mode=mode)
    torch.manual_seed(0)
    stepper, buffer = Stepper(envs, seed), ReplayBuffer(500, (1,))
    return DQNAgent(stepper, buffer, QNetwork((1,), 2), 1.0, 0.1, 0.5, total_steps, np.random.default_rng(seed))


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_what_happens_is_remembered_and_phantoms_are_not(mode):
    agent = make_agent(mode)
    episodes = [episode for _ in range(30) for episode in agent.play_step()]
    batch = agent.buffer.read(torch.arange(len(agent.buffer)))
    assert len(agent.buffer) == agent.stepper.n_steps
    torch.testing.assert_close(batch.next_obs, batch.obs + 1)
    assert {(episode.env_idx, episode.length) for episode in episodes} == {(0, 3), (0, 4), (1, 2), (1, 5)}


def test_epsilon_follows_the_real_steps():
    agent = make_agent(AutoresetMode.SAME_STEP)
    agent.get_actions(agent.stepper.obs)
    assert agent.epsilon == 1.0
    for _ in range(6):
        agent.play_step()
    assert agent.epsilon == pytest.approx(1.0 - 0.9 * 10 / 25)


def test_equal_seeds_play_alike():
    first, second = make_agent(AutoresetMode.SAME_STEP), make_agent(AutoresetMode.SAME_STEP)
    for agent in (first, second):
        for _ in range(20):
            agent.play_step()
    torch.testing.assert_close(first.buffer.storage, second.buffer.storage)
