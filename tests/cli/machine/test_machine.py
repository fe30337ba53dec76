"""`arena doctor`, `zoo`, `python -m arena_lib`: what concerns the machine."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from arena_lib import zoo
from arena_lib.cli import VERBS
from arena_lib.cli.support.output import exit_code
from arena_lib.course import health
from arena_lib.errors import (
    ArenaError,
    CheckpointError,
    ConfigError,
    DiskError,
    FetchError,
    HashError,
    MissingDependencyError,
    MissingDeviceError,
    ProgressError,
    UnknownNameError,
)
from arena_lib.saes.autoencoders.topk import TopKSAE, TopKSAEConfig
from arena_lib.saes.formats.saelens import save_sae
from arena_lib.zoo.recipes.saes import sae_tiny_llama_jumprelu


def test_doctor_finds_this_machine_well(arena):
    done = arena("doctor", "--json")
    assert done.code == 0, done.out
    assert done.json["ok"] is True
    names = [finding["name"] for finding in done.json["findings"]]
    assert {"Python", "packages", "torch", "GPU", "course", "models", "disk", "cache", "progress"} <= set(names)
    assert set(done.json["findings"][0]) == {"ok", "name", "detail", "fix"}


def test_doctor_says_what_is_wrong_and_the_one_fix(arena, home, monkeypatch):
    home.write_text("a file, where a folder should be")
    monkeypatch.setattr(health, "_LOOK_AT_TORCH", "raise OSError('libtorch.so: cannot open')")
    monkeypatch.setattr(health, "OLDEST_PYTHON", (4, 0))
    monkeypatch.setattr(
        health, "requires", lambda name: ["torch>=99", "no-such-package-here>=1; extra == 'x'", "nope>=2"]
    )
    monkeypatch.setattr(health, "LEAST_FREE_BYTES", 10**20)
    done = arena("doctor")
    assert done.code == 3
    for text in (
        "✗ Python",
        "✗ torch: it can't compute (OSError: libtorch.so: cannot open",
        "✗ torch: 2",
        "pip install 'torch>=99'",
        "✗ nope: missing",
        "✗ disk",
        "✗ progress: ",
        "Set ARENA_HOME to a folder of yours.",
    ):
        assert text in done.out
    assert "no-such-package-here" not in done.out


def test_zoo_lists_and_describes(arena):
    models = arena("zoo", "list", "--json").json["models"]
    assert "smollm2" in [model["name"] for model in models]
    assert all(isinstance(model["available"], bool) for model in models)
    assert "smollm2" in arena("zoo", "list").out
    card = arena("zoo", "info", "smollm2", "--json").json
    assert card["form"] == "llama"
    assert "licence: " in arena("zoo", "info", "smollm2").out


def test_zoo_says_which_texts_are_not_free_for_every_use(arena):
    (row,) = [line for line in arena("zoo", "list").out.splitlines() if line.startswith("sae-probes")]
    assert "4 of 8 sets aren't free: 1 non-commercial, 3 unknown licence" in row
    card = arena("zoo", "info", "sae-probes").out
    assert "licence: CC BY-NC 3.0 (not for commercial use)" in card
    assert card.count("its source states none") == 3
    sets = arena("zoo", "info", "sae-probes", "--json").json["sets"]
    assert (sets["spam"]["restriction"], sets["grammar"]["restriction"]) == (None, "unknown licence")


def test_zoo_lists_and_describes_policies(arena):
    (row,) = [line for line in arena("zoo", "list").out.splitlines() if line.startswith("ppo-cartpole")]
    assert row.split() == ["ppo-cartpole", "policy", "9.2k", "bundled", "MIT", "here"]
    card = arena("zoo", "info", "ppo-cartpole").out
    for text in (
        "environment: CartPole-v1",
        "settings: env_id CartPole-v1, total_timesteps 100000, n_envs 8",
        "returns: 500, 500, 500",
        "evaluation_seed: 20000",
        "Draw it with zoo.plot_curve.",
    ):
        assert text in card
    facts = arena("zoo", "info", "ppo-cartpole", "--json").json["policy"]
    assert len(facts["curve"]) > 30


def test_a_policy_is_trained_by_its_own_recipe(arena, monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "1")
    done = arena("zoo", "train", "ppo-cartpole", "--steps", "256", "--json")
    assert done.code == 0, done.err
    assert set(done.json["reached"]) == {"mean_return", "lowest_return", "highest_return", "random_mean_return"}
    assert Path("output/zoo/ppo-cartpole/model/config.json").exists()


def test_zoo_lists_and_describes_autoencoders(arena):
    (row,) = [line for line in arena("zoo", "list").out.splitlines() if line.startswith("sae-tiny-llama-topk")]
    assert row.split() == ["sae-tiny-llama-topk", "sae", "263.3k", "bundled", "MIT", "here"]
    card = arena("zoo", "info", "sae-tiny-llama-topk").out
    assert "hook: blocks.2.hook_resid_post\n" in card
    assert "settings: d_sae 1024, k 8" in card
    assert arena("zoo", "info", "sae-tiny-llama-topk", "--json").json["sae"]["settings"]["k"] == 8


def test_an_autoencoder_is_trained_by_its_own_recipe(arena, monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "1")
    monkeypatch.setattr(sae_tiny_llama_jumprelu, "RECIPE", replace(sae_tiny_llama_jumprelu.RECIPE, evaluation_rows=2))
    done = arena("zoo", "train", "sae-tiny-llama-jumprelu", "--steps", "3", "--json")
    assert done.code == 0, done.err
    assert {"added_loss", "dead_share", "l0"} <= done.json["reached"].keys()
    assert Path("output/zoo/sae-tiny-llama-jumprelu/model/cfg.json").exists()


def test_what_does_not_ship_is_kept_once_its_whole_recipe_has_run(arena, monkeypatch, tmp_path):
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path / "cache"))
    toy = SimpleNamespace(train=lambda folder, steps, **options: make_sae_folder(folder / "model"))
    monkeypatch.setitem(sys.modules, "arena_lib.zoo.recipes.saes.sae_smollm2_l12", toy)
    assert "arena zoo train sae-smollm2-l12" in arena("zoo", "list").out
    short = arena("zoo", "train", "sae-smollm2-l12", "--steps", "2")
    assert short.code == 0, short.err
    assert short.out.splitlines()[-1] == "sae-smollm2-l12 is in output/zoo/sae-smollm2-l12."
    assert not zoo.is_available("sae-smollm2-l12")
    done = arena("zoo", "train", "sae-smollm2-l12", "--json")
    assert done.json["path"] == str(tmp_path / "cache" / "zoo" / "sae-smollm2-l12")
    assert zoo.load_sae("sae-smollm2-l12").cfg.d_sae == 6


def make_sae_folder(folder):
    """What a recipe leaves."""
    save_sae(TopKSAE(TopKSAEConfig(d_in=4, d_sae=6, k=2)), folder)
    return {"l0": 2.0}


@pytest.mark.parametrize("words", [("info", "tiny-gtp"), ("fetch", "smollm"), ("train", "nothing")])
def test_an_unknown_model_is_a_wrong_use(arena, words):
    done = arena("zoo", *words)
    assert done.code == 2
    assert f"no model is called '{words[1]}'" in done.err


def test_a_fetched_model_is_not_trained(arena):
    done = arena("zoo", "train", "smollm2")
    assert (done.code, "arena zoo fetch smollm2" in done.err) == (2, True)


@pytest.mark.parametrize("words", [("--folder", "file"), ("--device", "abacus")])
def test_training_looks_at_folder_and_device_before_it_begins(arena, monkeypatch, words):
    Path("file").touch()
    monkeypatch.setattr("arena_lib.zoo.recipes.tiny_gpt.train", lambda *_, **__: pytest.fail("it began"))
    done = arena("zoo", "train", "tiny-gpt", *words, "--json")
    assert done.code == 2
    assert {"file": "--folder must be in", "abacus": "a device must be one of"}[words[1]] in done.json["error"]


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "arena_lib", "--help"], capture_output=True, text=True, check=True)
    for verb in VERBS:
        assert verb in done.stdout or verb == "demo"


def test_an_unknown_verb_is_a_wrong_use(arena):
    assert arena("learn").code == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("start",), "  1.2    Intro to mechanistic interpretability"),
        (("hint", "mlp", "--tier", "x"), "--tier"),
        (("check", "--nonsense"), "--nonsense"),
        (("zoo", "info"), "NAME"),
        (("learn",), "learn"),
    ],
)
def test_a_wrong_use_is_json_too_where_that_was_asked_for(arena, words, told):
    done = arena(*words, "--json")
    assert done.code == 2
    assert set(done.json) == {"error", "kind"}
    assert done.json["kind"] == "UsageError"
    assert told in done.json["error"]
    assert done.json["error"] in done.err
    assert arena(*words).out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ArenaError("x"), 1),
        (ConfigError("x"), 2),
        (CheckpointError("x"), 2),
        (MissingDeviceError("x"), 3),
        (DiskError("x"), 3),
        (HashError("x"), 3),
        (ProgressError("x"), 3),
        (UnknownNameError("model", "x", []), 2),
        (FetchError("x"), 3),
        (MissingDependencyError("jupyterlab", "notebook", "x"), 3),
    ],
)
def test_exit_codes(error, code):
    assert exit_code(error) == code
