import sys

import pytest

from arena_lib.errors import ConfigError, MissingDependencyError
from arena_lib.fundamentals.optimizers.experiments import (
    TrackedTrainingArgs,
    make_sweep_config,
    run_search,
    sample_parameters,
    update_args,
)


def test_optuna_draws_what_the_configuration_says_and_a_search_finds_the_best():
    config = make_sweep_config()

    def objective(trial):
        sampled = sample_parameters(config, trial)
        assert 1e-4 <= sampled["learning_rate"] <= 1e-1
        assert sampled["batch_size"] in (32, 64, 128, 256)
        assert 1e-4 <= sampled["weight_decay"] <= 1e-2
        args = update_args(TrackedTrainingArgs(), sampled)
        assert (args.weight_decay == 0) == (not sampled["weight_decay_bool"])
        return -abs(args.learning_rate - 0.01)

    for is_guided in (True, False):
        study, again = (run_search(objective, n_trials=25, seed=1, is_guided=is_guided) for _ in range(2))
        assert [trial.params for trial in study.trials] == [trial.params for trial in again.trials]
        assert study.best_value == max(trial.value for trial in study.trials)
        drawn = [trial.params["learning_rate"] for trial in study.trials]
        assert min(drawn) < 1e-2 < max(drawn)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ConfigError, match="for 'width'"):
        sample_parameters({"parameters": {"width": {"distribution": "normal"}}}, None)
    with pytest.raises(ConfigError, match="got 0"):
        run_search(lambda trial: 0.0, n_trials=0)


def test_a_search_without_optuna_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingDependencyError, match=r"arena-lib\[notebook\]"):
        run_search(lambda trial: 0.0, n_trials=1)
