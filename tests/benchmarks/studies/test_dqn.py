import pytest
from benchmarks.studies.dqn import STUDIES, _train

from arena_lib.rl.dqn import DQNConfig


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_settings_make_a_configuration(study):
    assert DQNConfig(**study.settings).total_steps >= 4 * study.evaluate_every


def test_the_greedy_policy_is_shown_at_every_step():
    steps = []
    run, _ = _train({"total_steps": 24, "n_envs": 8, "train_every": 8})(0, lambda step, _: steps.append(step))
    assert steps == [8, 16, 24]
    assert run.n_steps == 24
