"""`arena rl`, as it is used outside notebooks."""

import dataclasses
from pathlib import Path

import pytest
from PIL import Image

from arena_lib.rl.ppo.discrete import PPOConfig

SMALL = ["--steps", "256", "--set", "n_steps=32", "--set", "n_minibatches=2", "--seed", "3"]


@pytest.fixture
def quiet(monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "1")


def test_an_agent_is_trained_and_watched(arena, quiet, tmp_path):
    done = arena("rl", "train", "ppo", "--env", "MinAtar/Breakout-v1", *SMALL)
    assert done.code == 0, done.err
    assert "256 steps" in done.out
    assert "Next: arena rl watch output/rl/ppo-MinAtar-Breakout-v1-3" in done.out
    lost = arena("rl", "watch", "nowhere")
    assert lost.code == 2
    assert lost.err.endswith("Runs here: output/rl/ppo-MinAtar-Breakout-v1-3.\n")
    seen = arena("rl", "watch", "output/rl/ppo-MinAtar-Breakout-v1-3", "--video", tmp_path / "seen.gif", "--json")
    assert seen.code == 0, seen.err
    assert len(seen.json["returns"]) == 1
    with Image.open(tmp_path / "seen.gif") as image:
        assert image.n_frames > 1


def test_a_run_goes_on_unless_it_is_to_begin_again(arena, quiet, tmp_path):
    words = ["rl", "train", "ppo", *SMALL, "--folder", tmp_path / "run", "--json"]
    first = arena(*words).json
    assert first["steps"] == 256
    assert len(first["greedy_returns"]) == 20
    assert arena(*words).json == first
    assert arena(*words, "--fresh").json == first


def test_a_shipped_policy_is_watched_by_its_name(arena, quiet):
    done = arena("rl", "watch", "ppo-minatar-breakout", "--json")
    assert done.code == 0, done.err
    assert done.json["video"] == str(Path("output/rl/ppo-minatar-breakout/watch.webp"))
    with Image.open(done.json["video"]) as image:
        assert image.n_frames == done.json["frames"] > 10


def test_a_run_in_a_folder_goes_before_a_policy_of_the_same_name(arena, quiet):
    arena("rl", "train", "ppo", *SMALL, "--folder", "ppo-minatar-breakout")
    done = arena("rl", "watch", "ppo-minatar-breakout", "--json")
    assert done.json["video"] == str(Path("ppo-minatar-breakout/watch.webp"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "pop"], "no algorithm is called 'pop'. Did you mean 'ppo'"),
        (["train", "ppo", "--env", "Cartpole-v1"], "Did you mean 'CartPole-v1'"),
        (["train", "ppo", "--set", "lr"], "must be written name=value"),
        (["train", "ppo-continuous", "--env", "CartPole-v1"], "PPO take"),
        (["watch", "nowhere"], "ppo-minatar-breakout: got 'nowhere', which holds no run. Train one"),
        (["watch", "tiny-gpt"], "must be the folder of a run, or one of ppo-cartpole, ppo-hopper"),
        (["watch", "."], "got '.', which holds no run. Train one"),
    ],
)
def test_wrong_use_is_said(arena, quiet, words, message):
    done = arena("rl", *words)
    assert done.code == 2
    assert message in done.err


def test_an_unknown_setting_lists_all_with_their_defaults(arena, quiet):
    done = arena("rl", "train", "ppo", "--set", "learning_rate=1e-3")
    assert done.code == 2
    listed = arena("rl", "train", "ppo", "--set", "help")
    assert listed.code == 0
    assert done.err.endswith(f"There are, with their defaults:\n{listed.out}")
    names = {line.partition("=")[0].strip() for line in listed.out.splitlines()}
    assert names == {field.name for field in dataclasses.fields(PPOConfig)}
    assert f"  lr={PPOConfig().lr}\n" in listed.out


def test_steps_that_make_no_whole_rollouts_are_said(arena, quiet, tmp_path):
    words = ["rl", "train", "ppo", "--set", "n_steps=32", "--set", "n_minibatches=2", "--folder", tmp_path / "run"]
    assert "256 steps of 300, in whole rollouts of 128, " in arena(*words, "--steps", "300").out
