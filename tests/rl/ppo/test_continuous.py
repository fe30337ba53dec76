"""Continuous actions: probes in each autoreset mode, clipping, and state."""

from functools import partial

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from arena_lib.errors import ConfigError
from arena_lib.rl.environments.making import make_vector_env
from arena_lib.rl.environments.probes import ContinuousProbe4, ContinuousProbe5
from arena_lib.rl.ppo.continuous import PPOContinuousConfig, PPOTrainerCts


def small(**changed) -> PPOContinuousConfig:
    settings = {"env_id": "Pendulum-v1", "total_timesteps": 256, "n_steps": 64, "n_minibatches": 2, "n_envs": 2}
    return PPOContinuousConfig(**{**settings, **changed})


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("probe", [ContinuousProbe4, ContinuousProbe5])
def test_each_probe_is_learned_in_each_autoreset_mode(probe, mode):
    name = f"arena/{probe.__name__}-v0"
    cfg = small(env_id=name, total_timesteps=3840, n_envs=8, n_steps=16, n_epochs=10, n_minibatches=1, lr=1e-2)
    trainer = PPOTrainerCts(cfg, partial(make_vector_env, name, 8, mode=mode))
    trainer.train()
    for obs, action in probe.best_actions().items():
        assert trainer.policy()(np.array([[obs]])).item() == pytest.approx(action, abs=0.15)


def test_the_environment_gets_clipped_actions_and_the_rollout_those_that_were_drawn():
    trainer = PPOTrainerCts(small(seed=1))
    sent = []
    step = trainer.stepper.step
    trainer.agent.stepper.step = lambda actions: (sent.append(actions), step(actions))[1]
    batch = trainer.rollout_phase()
    drawn = trainer.agent.rollout.actions
    assert drawn.abs().max() > 2.0, "some action must need clipping"
    assert np.abs(sent).max() <= 2.0
    assert np.array_equal(np.clip(drawn.numpy(), -2.0, 2.0), np.array(sent))
    torch.testing.assert_close(batch.logprobs, trainer.compute_logprobs(batch.obs, drawn.flatten(0, 1)))


def test_the_policy_keeps_to_the_bounds_whatever_class_the_agent_has():
    trainer = PPOTrainerCts(small())
    trainer.agent = object()  # a learner's agent needn't be one of ours
    actions = trainer.policy(greedy=False)(np.zeros((50, 3), dtype=np.float32))
    assert np.abs(actions).max() == 2.0


def test_the_same_seed_gives_the_same_curve_and_state_comes_back_with_its_statistics():
    first, second = PPOTrainerCts(small()), PPOTrainerCts(small())
    assert first.train().metrics == second.train().metrics
    third = PPOTrainerCts(small(seed=1))
    third.set_state(*first.get_state())
    obs = np.random.default_rng(0).normal(size=(5, 3))
    assert np.array_equal(first.policy()(obs), third.policy()(obs))


def test_discrete_actions_are_refused():
    with pytest.raises(ConfigError, match="must have continuous actions"):
        PPOTrainerCts(small(env_id="CartPole-v1"))
