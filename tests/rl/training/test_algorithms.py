import pkgutil
from dataclasses import fields

import numpy as np
import pytest
import torch

from arena_lib.errors import CheckpointError, ConfigError, UnknownNameError
from arena_lib.rl.training import load_trainer, make_config, make_trainer
from arena_lib.rl.training.algorithms import ALGORITHMS, read_settings

PPO = {"total_timesteps": 256, "n_envs": 2, "n_steps": 64, "n_minibatches": 2, "n_epochs": 1}
SMALL = {
    "dqn": {"total_steps": 400, "learning_starts": 100, "batch_size": 16, "hidden_sizes": (8, 6)},
    "vpg": {"total_steps": 256, "n_envs": 2, "n_steps": 64},
    "ppo": PPO,
    "ppo-continuous": {**PPO, "env_id": "Pendulum-v1"},
}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_is_where_the_table_says(name):
    algorithm = ALGORITHMS[name]
    assert algorithm.steps in {field.name for field in fields(pkgutil.resolve_name(algorithm.config))}
    assert callable(pkgutil.resolve_name(algorithm.trainer))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_agent_is_loaded_as_it_was_saved(tmp_path, name):
    settings = {**SMALL[name], "seed": 4}
    trainer = make_trainer(name, make_config(name, settings))
    trainer.train(folder=tmp_path)
    loaded, config = load_trainer(tmp_path)
    assert {field: getattr(config, field) for field in settings} == settings
    obs = np.random.default_rng(0).normal(size=(5, *trainer.stepper.obs.shape[1:])).astype(np.float32)
    assert np.array_equal(loaded.policy()(obs), trainer.policy()(obs))
    (tensors, _), (others, _) = trainer.get_state(), loaded.get_state()
    assert all(torch.equal(tensors[key], others[key]) for key in tensors)


def test_settings_are_read_from_text():
    given = ["lr=1e-3", "n_envs=8", "clip_values=True", "target_kl=1", "env_id=Acrobot-v1"]
    assert read_settings("ppo", given) == {
        "lr": 1e-3,
        "n_envs": 8,
        "clip_values": True,
        "target_kl": 1.0,
        "env_id": "Acrobot-v1",
    }


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("lr", ConfigError, "must be written name=value: got 'lr'"),
        ("lr=fast", ConfigError, "lr must be a number, True, False, None or a tuple: got 'fast'"),
        ("learning_rate=1", UnknownNameError, "no setting of ppo is called 'learning_rate'"),
    ],
)
def test_settings_that_can_not_be_read(text, kind, message):
    with pytest.raises(kind, match=message):
        read_settings("ppo", [text])


def test_names_that_are_not_there(tmp_path):
    with pytest.raises(UnknownNameError, match=r"no algorithm is called 'a2c'"):
        make_config("a2c", {})
    with pytest.raises(UnknownNameError, match=r"no setting of ppo is called 'gama'. Did you mean 'gamma'"):
        make_config("ppo", {"gama": 0.9})
    with pytest.raises(CheckpointError):
        load_trainer(tmp_path)
