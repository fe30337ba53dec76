"""`arena saes train` and `arena saes evaluate`, as they are used outside notebooks."""

import csv

import pytest

from arena_lib.saes.formats.saelens import load_sae

SMALL = ["--steps", "6", "--d-sae", "40", "--set", "batch_size=256", "--set", "chunk_batches=2", "--set", "log_every=3"]


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "1")


def test_an_autoencoder_is_trained_and_measured(arena):
    done = arena("saes", "train", *SMALL, "--set", "k=4")
    assert done.code == 0, done.err
    folder = "output/saes/tiny-llama-blocks.2.hook_resid_post-topk-40-0"
    assert f"The run is in {folder}. Next: arena saes evaluate {folder}" in done.out
    measured = arena("saes", "evaluate", folder, "--rows", "4", "--json")
    assert measured.code == 0, measured.err
    assert measured.json["model"] == "tiny-llama"
    assert measured.json["reached"]["n_positions"] == 4 * 128
    assert measured.json["reached"]["l0"] == pytest.approx(4, abs=0.01)
    assert 0 < measured.json["reached"]["added_loss"] < 10


def test_a_run_goes_on_unless_it_is_to_begin_again(arena, tmp_path):
    words = ["saes", "train", *SMALL, "--variant", "jumprelu", "--folder", tmp_path / "run", "--json"]
    first = arena(*words).json
    assert first["steps"] == 6
    assert arena(*words).json == first
    assert arena(*words, "--fresh").json == first
    with (tmp_path / "run" / "metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert float(rows[0]["sparsity_scale"]) == 1  # a quarter of six updates is one
    assert [row["step"] for row in rows] == ["3", "6"]
    assert rows[-1]["eval_added_loss"]


def test_a_transcoder_reads_and_writes_at_two_hooks(arena, tmp_path):
    hooks = ["--hook", "blocks.0.hook_resid_mid", "--hook-out", "blocks.0.hook_mlp_out"]
    done = arena("saes", "train", *SMALL, *hooks, "--variant", "skip-transcoder", "--folder", tmp_path / "run")
    assert done.code == 0, done.err
    sae = load_sae(tmp_path / "run" / "sae")
    assert type(sae).__name__ == "SkipTranscoder"
    assert (sae.cfg.hook_name, sae.cfg.hook_name_out, sae.cfg.model_name) == (hooks[1], hooks[3], "tiny-llama")


def test_texts_are_read_from_a_file(arena, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("\n\n".join(f"Mary gave the {thing} to John." for thing in ("ball", "book", "red cup")) + "\n")
    done = arena("saes", "train", *SMALL, "--texts", file, "--folder", tmp_path / "run", "--json")
    assert done.code == 0, done.err
    measured = arena("saes", "evaluate", tmp_path / "run", "--texts", file, "--json")
    assert measured.json["reached"]["n_positions"] == 8  # the first text and the token before it


def test_a_shipped_autoencoder_is_measured_by_its_name(arena):
    measured = arena("saes", "evaluate", "sae-tiny-llama-topk", "--rows", "4", "--json")
    assert measured.code == 0, measured.err
    assert measured.json["reached"]["added_loss"] < 0.3
    assert measured.json["path"] == "sae-tiny-llama-topk"


def test_settings_are_listed_with_their_defaults(arena):
    listed = arena("saes", "train", "--variant", "gated", "--set", "help", "--json").json
    assert listed["lr"] == "0.001"
    assert {"l1_coef", "dead_window", "batch_size", "sparsity_warmup"} <= listed.keys()
    assert "k" not in listed
    assert "  k=12\n" in arena("saes", "train", "--set", "help").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--variant", "topkk"], "no variant is called 'topkk'. Did you mean 'topk'"),
        (["train", "--set", "lr"], "must be written name=value"),
        (["train", "--set", "kk=3"], "no setting of topk is called 'kk'"),
        (["train", "--set", "k=600"], "k must be at most d_sae"),
        (["train", "--hook", "blocks.2.hook_resid"], "no hook is called 'blocks.2.hook_resid'"),
        (["train", "--variant", "transcoder"], "must know how wide its target is"),
        (["train", "--model", "tiny-lama"], "Did you mean 'tiny-llama'"),
        (["evaluate", "nowhere"], "must be the config of an SAE"),
    ],
)
def test_wrong_use_is_said(arena, words, message):
    done = arena("saes", *words)
    assert done.code in (2, 3)
    assert message in done.err
