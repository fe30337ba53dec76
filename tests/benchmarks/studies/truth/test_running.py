import dataclasses

import pytest
from benchmarks.studies.truth import running
from benchmarks.studies.truth.declaring import Setting, resid
from benchmarks.studies.truth.running import Study, read_record, run_settings, train

from arena_lib.errors import ConfigError
from arena_lib.saes.truth import TruthConfig, probe

WORLDS = TruthConfig(
    seed=1, n_fit=30, n_validation=20, n_test=30, seq=32, min_positive=10, variables=("full stop", "mood word")
)
TINY = {"d_sae": 40, "own": {"k": 3}, "n_steps": 3, "batch_size": 32}
SETTINGS = (
    Setting(name="topk", hook=resid(1), why="is it there?", **TINY),
    Setting(name="random", hook=resid(1), variant="random", **TINY),
    Setting(
        name="transcoder",
        hook="blocks.1.ln2.hook_normalized",
        hook_out="blocks.1.hook_mlp_out",
        variant="topk-skip-transcoder",
        **TINY,
    ),
)


@pytest.fixture(scope="module")
def study():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "MIN_STEPS", 40)
        patch.setattr(running, "EVALUATION_ROWS", 2)
        yield Study(WORLDS, n_rows=20)


def test_every_setting_is_scored_once_beside_what_needs_no_training(study, tmp_path, monkeypatch):
    record = run_settings("search", SETTINGS, [0, 1], study, tmp_path)["search"]
    assert list(record["settings"]) == ["topk", "random", "transcoder"]
    assert list(record["hooks"]) == [resid(1), "blocks.1.ln2.hook_normalized"]
    for hook in record["hooks"].values():
        labels = {label[0] for label in hook["labels"]}
        assert "full stop" in labels
        assert set(hook["baselines"]) == {"neurons", "residual basis"}
        assert all(set(scores) == labels for scores in hook["baselines"].values())
    for kept in record["settings"].values():
        assert list(kept["seeds"]) == ["0", "1"]
        for figures in kept["seeds"].values():
            assert figures["l0"] == pytest.approx(3, abs=0.2)
            assert all(0 <= rates[0] <= rates[3] + 0.2 <= 1.2 for rates in figures["scores"].values())
    monkeypatch.setattr(Study, "run", None)  # nothing is run again
    assert run_settings("search", SETTINGS, [0, 1], study, tmp_path) == read_record(tmp_path)


def test_a_setting_under_a_name_that_is_stored_must_be_the_same(study, tmp_path):
    run_settings("search", SETTINGS[:1], [0], study, tmp_path)
    other = dataclasses.replace(SETTINGS[0], n_steps=4)
    with pytest.raises(ConfigError, match=r"a setting that is stored must stay as it was: topk is stored"):
        run_settings("search", [other], [0], study, tmp_path)


def test_what_is_finished_is_kept_where_a_study_is_stopped(study, tmp_path, monkeypatch):
    def stop(self, setting, seed):
        if seed == 1:
            raise KeyboardInterrupt
        return {"l0": 3.0}

    monkeypatch.setattr(running.Study, "run", stop)
    monkeypatch.setattr(running.Study, "describe", lambda self, hook: {})
    with pytest.raises(KeyboardInterrupt):
        run_settings("final", SETTINGS[:1], [0, 1], study, tmp_path)
    assert read_record(tmp_path)["final"]["settings"]["topk"]["seeds"] == {"0": {"l0": 3.0}}


def test_the_random_autoencoder_has_directions_of_equal_length_and_the_mean_as_bias(study):
    sae = train(SETTINGS[1], study.pool, seed=0)
    lengths = sae.W_dec.norm(dim=-1)
    assert lengths.max() / lengths.min() == pytest.approx(1, abs=1e-4)
    acts = study.pool.acts[resid(1)].float()
    assert (sae.b_dec - acts.mean(0)).norm() < 0.5 * acts.std(0).norm()
    assert sae.cfg.k == 3
