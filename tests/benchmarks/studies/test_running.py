import dataclasses
import json

import numpy as np
import pytest
from benchmarks.studies import running
from benchmarks.studies.declaring import Study
from benchmarks.studies.running import choose_study, find_studies, read_record, read_seeds, run_study

from arena_lib.errors import ConfigError, TrainingError, UnknownNameError
from arena_lib.rl.training import TrainingRun

trained = []


def right(obs):
    return np.ones(len(obs), dtype=int)


def train(seed, watch):
    trained.append(seed)
    if seed == 2:
        raise TrainingError("the loss must stay finite")
    for step in range(10, 101, 10):
        watch(step, right)
    return TrainingRun([(50, 1.234, 50), (100, 2.0, 50)], [], 100, True, 1.0, None), right


STUDY = Study(
    name="toy",
    title="Toy",
    env_id="arena/Probe4-v0",
    settings={"lr": 0.1},
    train=train,
    threshold=1.0,
    evaluate_every=25,
    n_evaluated=3,
)


@pytest.fixture(autouse=True)
def forget():
    trained.clear()


def test_every_seed_is_kept_and_trained_once(tmp_path):
    run_study(STUDY, [0, 1], tmp_path)
    run_study(STUDY, [1, 3], tmp_path)
    assert trained == [0, 1, 3]
    record = read_record("toy", tmp_path)
    assert list(record["seeds"]) == ["0", "1", "3"]
    assert record["settings"] == {"lr": 0.1}
    seed = record["seeds"]["0"]
    assert seed["episodes"] == [[50, 1.23, 50], [100, 2.0, 50]]
    assert seed["evaluations"] == [[30, 1.0], [50, 1.0], [80, 1.0], [100, 1.0]]
    assert seed["final_greedy"] == [1.0, 1.0, 1.0]
    assert {"commit", "versions", "cpu_seconds", "seconds"} <= seed.keys()


def test_a_study_that_is_stopped_keeps_what_is_finished(tmp_path, monkeypatch):
    def stop(study, seed):
        if seed == 1:
            raise KeyboardInterrupt
        return {"n_steps": seed}

    monkeypatch.setattr(running, "run_seed", stop)
    with pytest.raises(KeyboardInterrupt):
        run_study(STUDY, [0, 1], tmp_path)
    assert list(read_record("toy", tmp_path)["seeds"]) == ["0"]


def test_seeds_of_other_settings_are_not_mixed_in(tmp_path):
    run_study(STUDY, [0], tmp_path)
    other = dataclasses.replace(STUDY, settings={"lr": 0.2})
    with pytest.raises(ConfigError, match=r"must have the same settings: .*'lr': 0\.1.*declared are .*'lr': 0\.2"):
        run_study(other, [1], tmp_path)


def test_a_training_that_fails_is_a_result(tmp_path):
    record = run_study(STUDY, [2, 3], tmp_path)
    assert record["seeds"]["2"]["failure"] == "the loss must stay finite"
    assert "failure" not in record["seeds"]["3"]


def test_the_file_has_a_line_for_each_seed(tmp_path):
    run_study(STUDY, [11, 3], tmp_path)
    lines = (tmp_path / "toy.json").read_text().splitlines()
    assert [line[:4] for line in lines[1:-1]] == ['"3":', '"11"']
    json.loads((tmp_path / "toy.json").read_text())


@pytest.mark.parametrize(("text", "seeds"), [("0-2", [0, 1, 2]), ("4", [4]), ("0,5-6", [0, 5, 6])])
def test_seeds_are_read(text, seeds):
    assert read_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "1-", "-3", "1..3"])
def test_seeds_that_can_not_be_read(text):
    with pytest.raises(ConfigError, match="--seeds must be numbers and ranges"):
        read_seeds(text)


def test_studies_are_declared_under_their_names():
    studies = find_studies()
    assert {"ppo-cartpole"} <= studies.keys()
    with pytest.raises(UnknownNameError, match=r"no study is called 'ppo-cartpol'\. Did you mean 'ppo-cartpole'"):
        choose_study("ppo-cartpol", studies)
