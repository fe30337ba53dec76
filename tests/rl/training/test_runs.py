"""A run around a trainer so small that its weights can be told by hand."""

import json
import os
import signal
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from arena_lib.core.checkpoints import load_checkpoint, save_checkpoint
from arena_lib.core.manifest import read_manifest
from arena_lib.core.metrics import read_metrics
from arena_lib.errors import CheckpointError, ConfigError, UnknownNameError
from arena_lib.rl.environments import CountingEnv, Stepper, make_vector_env
from arena_lib.rl.training import Run, TrainingRun, read_run
from arena_lib.rl.training.runs import seed_after


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    env_id: object = "CartPole-v1"
    seed: int = 0
    lr: float = 0.5


class Toy:
    """Its weight is a running mean of the first number that it observed, with noise from its generator."""

    def __init__(self, **settings):
        self.config = ToyConfig(**settings)
        self.stepper = Stepper(make_vector_env(self.config.env_id, 2), self.config.seed)
        self.weight = torch.zeros(1)
        self.generator = torch.Generator().manual_seed(self.config.seed)

    def get_state(self):
        return {"weight": self.weight, "generator": self.generator.get_state()}, {"note": "toy"}

    def set_state(self, tensors, state):
        assert state == {"note": "toy"}
        self.weight = tensors["weight"]
        self.generator.set_state(tensors["generator"])

    def phase(self):
        for _ in range(5):
            step = self.stepper.step(np.array([0, 1]))
        self.weight += self.config.lr * (float(step.obs[0, 0]) + torch.randn(1, generator=self.generator) - self.weight)
        return {"weight": float(self.weight)}

    def train(self, n_steps=200, stop_after=None, **options):
        with Run(
            self, algorithm="toy", env_id=self.config.env_id, config=self.config, n_steps=n_steps, **options
        ) as run:
            while not run.is_over:
                run.advance(self.phase())
                if stop_after is not None and run.step >= stop_after:
                    os.kill(os.getpid(), signal.SIGINT)
        return run.result()


def test_a_run_keeps_its_curve():
    run = Toy(env_id=lambda: CountingEnv((4,))).train(n_steps=40)
    assert run.n_steps == 40
    assert run.is_finished
    assert run.folder is None
    assert run.episodes == [(8 * k, 4.0, 4) for k in range(1, 6) for _ in range(2)]
    assert [row["step"] for row in run.metrics] == [10, 20, 30, 40]
    assert run.metrics[-1]["return"] == 4.0
    assert run.steps_per_second > 0


def test_the_same_seed_gives_the_same_curve():
    first, second, other = (Toy(seed=seed).train() for seed in (3, 3, 4))
    assert (first.episodes, first.metrics) == (second.episodes, second.metrics)
    assert first.metrics != other.metrics


def test_the_folder_holds_metrics_manifest_and_checkpoint(tmp_path):
    trainer = Toy(seed=3)
    run = trainer.train(folder=tmp_path)
    rows = read_metrics(tmp_path / "metrics.csv")
    assert [row["step"] for row in rows] == [row["step"] for row in run.metrics]
    assert rows[-1]["steps_per_second"] > 0
    manifest = read_manifest(tmp_path)
    assert (manifest["seed"], manifest["config"]["env_id"]) == (3, "CartPole-v1")
    description, tensors, state = read_run(tmp_path)
    assert description == {
        "algorithm": "toy",
        "env_id": "CartPole-v1",
        "config": {"env_id": "CartPole-v1", "seed": 3, "lr": 0.5},
        "step": 200,
    }
    assert torch.equal(tensors["weight"], trainer.weight)
    assert state == {"note": "toy"}


def test_ctrl_c_ends_the_phase_and_keeps_the_checkpoint(tmp_path):
    with pytest.raises(KeyboardInterrupt, match=rf"after 60 of 200 steps; the checkpoint is in {tmp_path}"):
        Toy().train(folder=tmp_path, stop_after=60)
    assert read_run(tmp_path)[0]["step"] == 60
    with pytest.raises(KeyboardInterrupt, match="no checkpoint was kept"):
        Toy().train(stop_after=60)


def test_a_run_goes_on_where_it_stopped(tmp_path):
    whole = Toy()
    with pytest.raises(KeyboardInterrupt):
        whole.train(folder=tmp_path, stop_after=60)
    resumed = Toy()
    run = resumed.train(folder=tmp_path)
    assert run.n_steps == 200
    assert [row["step"] for row in run.metrics] == list(range(10, 201, 10))
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.csv")] == list(range(10, 201, 10))
    assert max(step for step, *_ in run.episodes) > 60
    assert read_manifest(tmp_path)["resumed"][0]["step"] == 60


def test_going_on_is_the_same_whenever_it_is_repeated(tmp_path):
    runs = []
    for name in ("a", "b"):
        with pytest.raises(KeyboardInterrupt):
            Toy().train(folder=tmp_path / name, stop_after=60)
        runs.append(Toy().train(folder=tmp_path / name))
    assert runs[0].metrics == runs[1].metrics
    assert seed_after(0, 60) != seed_after(0, 70)


def test_resume_false_begins_again(tmp_path):
    first = Toy().train(folder=tmp_path, n_steps=100)
    again = Toy().train(folder=tmp_path, n_steps=100, resume=False)
    assert again.metrics == first.metrics
    assert "resumed" not in read_manifest(tmp_path)


def test_time_can_be_limited(tmp_path):
    run = Toy().train(n_steps=10**9, folder=tmp_path, max_seconds=0.05)
    assert not run.is_finished
    assert read_run(tmp_path)[0]["step"] == run.n_steps


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"env_id": "Acrobot-v1"}, "env_id is 'CartPole-v1' there and 'Acrobot-v1' here"),
        ({"lr": 0.25}, r"lr is 0\.5 there and 0\.25 here"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, settings, message):
    Toy().train(folder=tmp_path, n_steps=20)
    with pytest.raises(CheckpointError, match=message):
        Toy(**settings).train(folder=tmp_path, n_steps=20)


@pytest.mark.parametrize("name", ["weight", "generator"])
def test_a_checkpoint_of_another_version_is_refused_by_the_name_of_what_it_lacks(tmp_path, name):
    Toy().train(folder=tmp_path, n_steps=20)
    tensors, state = load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, tensors={key: tensors[key] for key in tensors if key != name}, state=state)
    with pytest.raises(CheckpointError, match=f"goes on from: KeyError\\('{name}'\\).*resume=False"):
        Toy().train(folder=tmp_path, n_steps=20)


def test_another_kind_of_checkpoint_is_refused(tmp_path):
    save_checkpoint(tmp_path, tensors={"w": torch.zeros(1)}, state={"step": 3})
    with pytest.raises(CheckpointError, match="must hold a run of reinforcement learning"):
        read_run(tmp_path)


def test_settings_that_can_not_work_are_refused():
    with pytest.raises(ConfigError, match="n_steps must be at least 1: got 0"):
        Toy().train(n_steps=0)
    with pytest.raises(UnknownNameError, match="no tracker is called 'tensorbord'"):
        Toy().train(trackers=["tensorbord"])


def test_environments_made_by_a_function_have_its_name(tmp_path):
    Toy(env_id=CountingEnv).train(folder=tmp_path, n_steps=20)
    assert read_run(tmp_path)[0]["env_id"] == "CountingEnv"
    json.loads((tmp_path / "state.json").read_text())


def test_figures_of_a_curve():
    episodes = [(10 * (k + 1), float(k), 1) for k in range(6)]
    run = TrainingRun(episodes, [], 60, True, 2.0, None)
    assert run.mean_return(last_steps=20) == 4.5
    assert np.isnan(TrainingRun([], [], 60, True, 2.0, None).mean_return(20))
    assert run.first_step_over(2.5, n_episodes=2) == 40
    assert run.first_step_over(9, n_episodes=2) is None
    assert run.steps_per_second == 30
