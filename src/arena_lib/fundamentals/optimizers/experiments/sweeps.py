"""A search for settings: what may be tried, how a trial draws from it, and what it does to a run's arguments.

Raises:  ConfigError for a configuration that can't be drawn from; MissingDependencyError without Optuna.
Source:  Bergstra and Bengio 2012, "Random search for hyper-parameter optimization" (why rates are drawn on a logarithmic scale);
         Akiba et al. 2019, arXiv:1907.10902 (Optuna).
Differs: the configuration is a dictionary in the form of Weights & Biases' sweeps, of which the distributions here are known.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from arena_lib.errors import ConfigError, MissingDependencyError


@dataclass(frozen=True, kw_only=True)
class TrackedTrainingArgs:
    """What a run is told."""

    learning_rate: float = 1e-3
    """Of AdamW."""
    batch_size: int = 64
    """Examples in one step."""
    weight_decay: float = 0.0
    """Of AdamW."""
    n_epochs: int = 3
    """How often every example is seen."""
    seed: int = 0
    """Of the examples' order."""


def make_sweep_config() -> dict[str, Any]:
    """What a search may try, as a dictionary in the form of Weights & Biases' sweeps.

    - "method": "random",
    - "metric": {"name": "accuracy", "goal": "maximize"},
    - "parameters": a dictionary with four entries:
      - "learning_rate": from 1e-4 to 1e-1, evenly on a logarithmic scale:
        {"distribution": "log_uniform_values", "min": ..., "max": ...},
      - "batch_size": one of 32, 64, 128 and 256: {"values": [...]},
      - "weight_decay": from 1e-4 to 1e-2, evenly on a logarithmic scale,
      - "weight_decay_bool": True or False: whether there is any decay at all, which a logarithmic scale can't say.
    """
    return {
        "method": "random",
        "metric": {"name": "accuracy", "goal": "maximize"},
        "parameters": {
            "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1},
            "batch_size": {"values": [32, 64, 128, 256]},
            "weight_decay": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
            "weight_decay_bool": {"values": [True, False]},
        },
    }


def sample_parameters(sweep_config: Mapping[str, Any], trial: Any) -> dict[str, Any]:
    """Draw a value for each entry of sweep_config["parameters"], by asking a trial of Optuna.

    - {"values": [...]}: trial.suggest_categorical(name, values)
    - {"distribution": "log_uniform_values", "min": a, "max": b}: trial.suggest_float(name, a, b, log=True)
    - {"distribution": "uniform", "min": a, "max": b}: trial.suggest_float(name, a, b)

    Returns:
        The value of each, by name. ConfigError for any other entry.
    """
    sampled = {}
    for name, options in sweep_config["parameters"].items():
        if "values" in options:
            sampled[name] = trial.suggest_categorical(name, options["values"])
        elif options.get("distribution") in ("log_uniform_values", "uniform"):
            is_log = options["distribution"] == "log_uniform_values"
            sampled[name] = trial.suggest_float(name, options["min"], options["max"], log=is_log)
        else:
            raise ConfigError(
                f"an entry must have values, or a distribution of log_uniform_values or uniform: got {dict(options)} for {name!r}."
            )
    return sampled


def update_args(args: TrackedTrainingArgs, sampled_parameters: Mapping[str, Any]) -> TrackedTrainingArgs:
    """New arguments in which a search's values stand.

    "learning_rate" and "batch_size" go into the fields of these names; "weight_decay" as well, if "weight_decay_bool" is true,
    else it's 0.

    Args:
        args: stay as they are; fields that aren't searched for are taken from them.
        sampled_parameters: as `sample_parameters` gives them for `make_sweep_config()`.

    >>> drawn = {"learning_rate": 0.01, "batch_size": 32, "weight_decay": 0.005, "weight_decay_bool": False}
    >>> update_args(TrackedTrainingArgs(n_epochs=2), drawn)
    TrackedTrainingArgs(learning_rate=0.01, batch_size=32, weight_decay=0.0, n_epochs=2, seed=0)
    """
    return replace(
        args,
        learning_rate=sampled_parameters["learning_rate"],
        batch_size=sampled_parameters["batch_size"],
        weight_decay=sampled_parameters["weight_decay"] if sampled_parameters["weight_decay_bool"] else 0.0,
    )


def run_search(objective: Callable[[Any], float], *, n_trials: int, seed: int = 0, is_guided: bool = True) -> Any:
    """Call an objective with one trial of Optuna after another, to find where it's largest; the study, with all trials.

    Args:
        objective: takes a trial, which suggests settings, and gives a score.
        n_trials: how many.
        seed: of what is suggested.
        is_guided: whether suggestions learn from earlier trials (Optuna's TPE); otherwise they're random.
    """
    if n_trials < 1:
        raise ConfigError(f"n_trials must be at least 1: got {n_trials}.")
    try:
        import optuna
    except ImportError:
        raise MissingDependencyError("optuna", "notebook", "A search for settings") from None
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        sampler = optuna.samplers.TPESampler(seed=seed) if is_guided else optuna.samplers.RandomSampler(seed=seed)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.optimize(objective, n_trials=n_trials)
    finally:
        optuna.logging.set_verbosity(before)
    return study
