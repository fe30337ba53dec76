"""`arena rl`, as it is used outside notebooks."""

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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "pop"], "no algorithm is called 'pop'. Did you mean 'ppo'"),
        (["train", "ppo", "--env", "Cartpole-v1"], "Did you mean 'CartPole-v1'"),
        (["train", "ppo", "--set", "lr"], "must be written name=value"),
        (["train", "ppo-continuous", "--env", "CartPole-v1"], "PPO take"),
        (["watch", "nowhere"], "a checkpoint must hold"),
    ],
)
def test_wrong_use_is_said(arena, quiet, words, message):
    done = arena("rl", *words)
    assert done.code == 2
    assert message in done.err
