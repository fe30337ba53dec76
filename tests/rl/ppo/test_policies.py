"""A policy apart from its trainer: the same actions, in two files that hold everything."""

import json
import re

import numpy as np
import pytest
import torch

from arena_lib.errors import CheckpointError
from arena_lib.rl.ppo.continuous import PPOContinuousConfig, PPOTrainerCts
from arena_lib.rl.ppo.discrete import PPOConfig, PPOTrainer
from arena_lib.rl.ppo.networks import get_actor_and_critic_atari
from arena_lib.rl.ppo.policies import PolicyConfig, PPOPolicy, PPOPolicyCts, load_policy, make_policy, save_policy

SMALL = {"total_timesteps": 128, "n_envs": 2, "n_steps": 32, "n_minibatches": 2, "lr": 1e-2, "seed": 3}
TRAINERS = {
    "CartPole-v1": (PPOTrainer, PPOConfig),
    "MinAtar/Breakout-v1": (PPOTrainer, PPOConfig),
    "Pendulum-v1": (PPOTrainerCts, PPOContinuousConfig),
}


def train(env_id: str) -> PPOTrainer:
    trainer_class, config_class = TRAINERS[env_id]
    trainer = trainer_class(config_class(env_id=env_id, **SMALL))
    trainer.train()
    return trainer


def draw_obs(trainer: PPOTrainer, n: int = 7) -> np.ndarray:
    """Raw observations, some far from any that training saw."""
    shape = trainer.stepper.envs.single_observation_space.shape
    return np.random.default_rng(0).normal(scale=3.0, size=(n, *shape)).astype(np.float32)


@pytest.mark.parametrize("env_id", TRAINERS)
def test_it_acts_as_its_trainer_says_before_and_after_saving(env_id, tmp_path):
    trainer = train(env_id)
    obs = draw_obs(trainer)
    saved = make_policy(trainer)
    loaded = load_policy(save_policy(saved, tmp_path / "new" / "policy"))
    assert loaded.config.env_id == loaded.env_id == env_id
    assert type(loaded) is type(saved)
    assert isinstance(loaded, PPOPolicyCts) == isinstance(trainer, PPOTrainerCts)
    assert not loaded.training
    # Where weights lie in memory decides how a product is summed, and so the last digit.
    for policy in (saved, loaded):
        np.testing.assert_allclose(policy(obs), trainer.policy()(obs), rtol=1e-5, atol=1e-6)
    drawn = trainer.policy(greedy=False)(obs)
    np.testing.assert_allclose(saved(obs, greedy=False), drawn, rtol=1e-5, atol=1e-6)
    assert not np.allclose(saved(obs, greedy=False), drawn), "each call draws anew"


def test_what_the_networks_see_is_normalised_where_training_was_so():
    trainer = train("Pendulum-v1")
    obs, policy = draw_obs(trainer), make_policy(trainer)
    moments = trainer.stepper.obs_moments
    expected = np.clip((obs - moments.mean) / np.sqrt(moments.variance), -10, 10)
    np.testing.assert_allclose(policy.see(obs).numpy(), expected, rtol=1e-4, atol=1e-5)
    cartpole = train("CartPole-v1")
    assert np.array_equal(make_policy(cartpole).see(draw_obs(cartpole)).numpy(), draw_obs(cartpole))


def test_values_are_in_the_environments_own_rewards():
    trainer = train("Pendulum-v1")
    obs, policy = draw_obs(trainer), make_policy(trainer)
    scale = np.sqrt(trainer.stepper.return_moments.variance)
    assert scale > 2, "a Pendulum's rewards are scaled down"
    with torch.no_grad():
        expected = trainer.critic(policy.see(obs))[:, 0].numpy() * scale
    np.testing.assert_allclose(policy.value(obs), expected, rtol=1e-5)
    cartpole = train("CartPole-v1")
    with torch.no_grad():
        expected = cartpole.critic(torch.tensor(draw_obs(cartpole)))[:, 0].numpy()
    np.testing.assert_allclose(make_policy(cartpole).value(draw_obs(cartpole)), expected, rtol=1e-5)


def test_continuous_actions_keep_within_their_bounds(tmp_path):
    policy = load_policy(save_policy(make_policy(train("Pendulum-v1")), tmp_path))
    actions = policy(np.zeros((300, 3), dtype=np.float32), greedy=False)
    assert np.abs(actions).max() == 2.0
    assert actions.dtype == np.float32


def test_everything_saved_comes_back_exactly(tmp_path):
    policy = make_policy(train("Pendulum-v1"))
    loaded = load_policy(save_policy(policy, tmp_path))
    assert all(torch.equal(weight, policy.state_dict()[name]) for name, weight in loaded.state_dict().items())
    config, expected = loaded.config, policy.config
    assert np.array_equal(config.obs_moments.mean, expected.obs_moments.mean)
    assert np.array_equal(config.obs_moments.variance, expected.obs_moments.variance)
    assert config.obs_moments.count == expected.obs_moments.count
    assert (config.low, config.high, config.reward_scale) == ((-2.0,), (2.0,), expected.reward_scale)
    assert json.loads((tmp_path / "config.json").read_text())["env_id"] == "Pendulum-v1"


def test_networks_that_share_a_trunk_are_saved_too(tmp_path):
    config = PolicyConfig(env_id="ALE/Pong-v5", obs_shape=(4, 36, 40), n_actions=6)
    policy = PPOPolicy(config, *get_actor_and_critic_atari((4, 36, 40), 6))
    loaded = load_policy(save_policy(policy, tmp_path))
    obs = np.random.default_rng(0).integers(0, 256, (3, 4, 36, 40), dtype=np.uint8)
    assert loaded.actor[0] is loaded.critic[0]
    np.testing.assert_allclose(loaded.value(obs), policy.value(obs), rtol=1e-5, atol=1e-6)


def test_hooks_see_inside_and_gradients_reach_what_is_seen():
    trainer = train("CartPole-v1")
    policy, obs, seen = make_policy(trainer), draw_obs(trainer), {}
    policy.actor[1].register_forward_hook(lambda module, inputs, output: seen.update(hidden=output))
    before = policy(obs)
    assert seen["hidden"].shape == (7, 64)
    handle = policy.actor[3].register_forward_hook(lambda module, inputs, output: output * 0)
    assert len(set(policy(obs).tolist())) == 1, "without its hidden layer all observations look alike"
    handle.remove()
    assert np.array_equal(policy(obs), before)
    inputs = policy.see(obs).clone().requires_grad_()
    policy.actor(inputs)[:, 0].sum().backward()
    assert inputs.grad.abs().min() > 0


def test_loading_leaves_the_global_random_state_alone(tmp_path):
    save_policy(make_policy(train("CartPole-v1")), tmp_path)
    state = torch.get_rng_state()
    load_policy(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_folder_without_a_policy_is_said(tmp_path):
    with pytest.raises(CheckpointError, match=r"a policy must have a readable config.json and model.safetensors"):
        load_policy(tmp_path)
    save_policy(make_policy(train("CartPole-v1")), tmp_path)
    config = tmp_path / "config.json"
    fields = json.loads(config.read_text())
    config.write_text(json.dumps(fields | {"n_actions": 5}))
    with pytest.raises(CheckpointError, match=rf"the weights in {re.escape(str(tmp_path))} must fit its config.json"):
        load_policy(tmp_path)
    for broken in ("{", json.dumps(fields | {"colour": 1}), json.dumps({"env_id": "CartPole-v1"})):
        config.write_text(broken)
        with pytest.raises(CheckpointError, match=r"must have a readable config\.json"):
            load_policy(tmp_path)
