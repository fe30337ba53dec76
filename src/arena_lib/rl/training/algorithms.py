"""Algorithms by name: for commands, and to load an agent from the folder of its run.

    trainer = make_trainer("ppo", make_config("ppo", {"env_id": "CartPole-v1", "seed": 3}))
    trainer, config = load_trainer("output/rl/ppo-CartPole-v1-3")
    policy = trainer.policy()

Raises:  UnknownNameError for an algorithm or a setting that isn't there; ConfigError for a setting of the wrong kind;
         CheckpointError for a folder without a run.
"""

import dataclasses
import enum
import os
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from arena_lib.core import configs
from arena_lib.core.checkpoints import restoring
from arena_lib.errors import UnknownNameError
from arena_lib.rl.training.runs import read_run


@dataclass(frozen=True)
class Algorithm:
    """Where an algorithm is, as "module:name", loaded when it is asked for."""

    config: str
    trainer: str
    steps: str
    """The field of the configuration that says how many environment steps to train for."""


ALGORITHMS = {
    "dqn": Algorithm("arena_lib.rl.dqn.training:DQNConfig", "arena_lib.rl.dqn.training:DQNTrainer", "total_steps"),
    "vpg": Algorithm(
        "arena_lib.rl.policy_gradient.training:VPGConfig",
        "arena_lib.rl.policy_gradient.training:VPGTrainer",
        "total_steps",
    ),
    "ppo": Algorithm("arena_lib.rl.ppo.discrete:PPOConfig", "arena_lib.rl.ppo.discrete:PPOTrainer", "total_timesteps"),
    "ppo-continuous": Algorithm(
        "arena_lib.rl.ppo.continuous:PPOContinuousConfig",
        "arena_lib.rl.ppo.continuous:PPOTrainerCts",
        "total_timesteps",
    ),
}


def get_algorithm(name: str) -> Algorithm:
    """The algorithm of this name."""
    if name not in ALGORITHMS:
        raise UnknownNameError("algorithm", name, ALGORITHMS)
    return ALGORITHMS[name]


def make_config(name: str, settings: Mapping[str, Any]) -> Any:
    """Make the configuration of an algorithm with these fields."""
    config_class = pkgutil.resolve_name(get_algorithm(name).config)
    known = [field.name for field in dataclasses.fields(config_class)]
    for setting in settings:
        if setting not in known:
            raise UnknownNameError(f"setting of {name}", setting, known)
    return config_class(**settings)


def make_trainer(name: str, config: Any) -> Any:
    """Make the trainer of an algorithm."""
    return pkgutil.resolve_name(get_algorithm(name).trainer)(config)


def read_settings(name: str, texts: Sequence[str]) -> dict[str, Any]:
    """Read settings as they are written on the command line, each "name=value".

    >>> read_settings("ppo", ["lr=1e-3", "clip_values=True"])
    {'lr': 0.001, 'clip_values': True}
    """
    config_class = pkgutil.resolve_name(get_algorithm(name).config)
    kinds = {field.name: field.type for field in dataclasses.fields(config_class)}
    return configs.read_settings(texts, kinds, f"setting of {name}")


def load_trainer(folder: str | os.PathLike[str]) -> tuple[Any, Any]:
    """Return the trainer of the run in `folder`, with the weights of its checkpoint, and its configuration."""
    description, tensors, state = read_run(folder)
    name = description["algorithm"]
    fields = dataclasses.fields(pkgutil.resolve_name(get_algorithm(name).config))
    settings = {
        field.name: _from_json(description["config"][field.name], field.default)
        for field in fields
        if field.name in description["config"] and not isinstance(field.default, enum.Enum)
    }
    config = make_config(name, settings)
    trainer = make_trainer(name, config)
    with restoring(folder):
        trainer.set_state(tensors, state)
    return trainer, config


def _from_json(value: Any, default: Any) -> Any:
    return tuple(value) if isinstance(default, tuple) and isinstance(value, list) else value
