import importlib.util

import numpy as np
import pytest
from benchmarks.paths._ppo_peers import SingleLoop
from benchmarks.studies import peers

from arena_lib.rl.ppo.discrete import PPOConfig

needs_stable_baselines = pytest.mark.skipif(
    importlib.util.find_spec("stable_baselines3") is None, reason="stable-baselines3 is not installed"
)
PPO_SETTINGS = {"total_timesteps": 512, "n_envs": 4, "n_steps": 32, "n_minibatches": 2}
DQN_SETTINGS = {"total_steps": 300, "learning_starts": 100, "n_envs": 1, "train_every": 1}


def check(train):
    steps = []
    run, policy = train(0, lambda step, _: steps.append(step))
    assert run.episodes, "episodes must be recorded"
    assert all(before <= after for (before, *_), (after, *_) in zip(run.episodes, run.episodes[1:], strict=False))
    assert all(total == length for _, total, length in run.episodes)  # CartPole pays 1 a step
    assert policy(np.zeros((3, 4), "float32")).shape == (3,)
    return run, steps


def test_the_single_loop_records_its_episodes(monkeypatch):
    monkeypatch.setattr(peers.ppo_cartpole, "SETTINGS", PPO_SETTINGS)
    run, _ = check(peers.train_single_loop)
    assert run.n_steps == 512


def test_the_single_loop_learns_with_our_learning_rate():
    loop = SingleLoop(PPOConfig(seed=0, **PPO_SETTINGS))
    n_updates = [loop.train_phase() for _ in range(2)]
    assert n_updates == [8, 8]
    assert loop.optimizer.param_groups[0]["lr"] == pytest.approx(2.5e-4 * 0.75)


@needs_stable_baselines
@pytest.mark.parametrize("train", [peers.train_stable_baselines_ppo, peers.train_stable_baselines_dqn])
def test_stable_baselines_records_episodes_and_shows_its_policy(monkeypatch, train):
    monkeypatch.setattr(peers.ppo_cartpole, "SETTINGS", PPO_SETTINGS)
    monkeypatch.setattr(peers, "DQN_SETTINGS", DQN_SETTINGS)
    run, steps = check(train)
    assert steps[-1] == run.n_steps >= 300
