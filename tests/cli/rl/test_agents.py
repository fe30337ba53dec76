"""`arena rl`, as it is used outside notebooks."""

from pathlib import Path

import pytest
from PIL import Image

SMALL = ["--steps", "256", "--set", "n_steps=32", "--set", "n_minibatches=2", "--seed", "3"]


@pytest.fixture
def quiet(monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "1")


def test_an_agent_is_trained_and_watched(arena, quiet, tmp_path):
    done = arena("rl", "train", "ppo", "--env", "MinAtar/Breakout-v1", *SMALL)
    assert done.code == 0, done.err
    assert "256 steps" in done.out
    assert "Next: arena rl watch output/rl/ppo-MinAtar-Breakout-v1-3" in done.out
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
        (["watch", "nowhere"], "ppo-minatar-breakout: got 'nowhere', and no such folder is here. Train one"),
        (["watch", "tiny-gpt"], "must be the folder of a run, or one of ppo-cartpole, ppo-minatar-breakout"),
        (["watch", "."], "a checkpoint must hold"),
    ],
)
def test_wrong_use_is_said(arena, quiet, words, message):
    done = arena("rl", *words)
    assert done.code == 2
    assert message in done.err
