import json

import pytest
from benchmarks.studies.rlhf import __main__ as command
from benchmarks.studies.rlhf import held_out, preferred, rewarded, table


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(held_out, "N_HELD_OUT", 4)
    for name, value in (("N_PROMPTS", 64), ("N_UPDATES", {"grpo": 2, "ppo": 4}), ("EVERY", {"grpo": 1, "ppo": 2})):
        monkeypatch.setattr(rewarded, name, value)
    sizes = {
        "N_PROMPTS": 16,
        "N_ANSWERS": 4,
        "BATCH_SIZE": 8,
        "N_TESTED": 4,
        "MOST": 8,
        "N_UPDATES": 4,
        "EVERY_PAIRS": 2,
    }
    for name, value in sizes.items():
        monkeypatch.setattr(preferred, name, value)


@pytest.mark.usefixtures("small")
def test_each_arm_is_measured_before_and_after_and_run_once(tmp_path, capsys):
    command.main(["--arms", "grpo, no KL", "--seeds", "0", "--folder", str(tmp_path)])
    file = command.find_file("grpo, no KL", tmp_path)
    first = json.loads(file.read_text())["seeds"]["0"]
    assert [row["update"] for row in first["rows"]] == [0, 1, 2]
    assert abs(first["rows"][0]["kl"]) < 1e-4
    assert first["rows"][2]["kl"] != first["rows"][0]["kl"]
    command.main(["--arms", "grpo, no KL", "--seeds", "0-1", "--folder", str(tmp_path)])
    both = json.loads(file.read_text())["seeds"]
    assert both["0"] == first
    assert both.keys() == {"0", "1"}
    assert "| grpo, no KL | 2 | 0 |" in capsys.readouterr().out


@pytest.mark.usefixtures("small")
def test_all_methods_learn_from_the_same_pairs(tmp_path, capsys):
    command.main(["--arms", "preferences", "--seeds", "3", "--folder", str(tmp_path)])
    run = json.loads(command.find_file("preferences", tmp_path).read_text())["seeds"]["3"]
    assert len(run["reward models"]) == preferred.N_MODELS
    assert [row["n"] for row in run["best of n"]["one"]] == [1, 2, 4, 8]
    assert all(len(run[name]["rows"]) == 3 for name in ("ppo, no KL", "ppo, KL 0.1", "ppo, worst case"))
    assert len(run["dpo"]["rows"]) == len(run["ipo"]["rows"]) > 1
    assert "| best of n, worst case |" in capsys.readouterr().out


def test_a_training_that_breaks_off_is_kept_and_counted(tmp_path, monkeypatch):
    def fail(name, seed):
        raise command.TrainingError("the loss must be finite")

    monkeypatch.setattr(rewarded, "run_arm", fail)
    command.run_missing({"ppo, no KL": command.find_arms()["ppo, no KL"]}, [0], tmp_path)
    assert command.read_stored(tmp_path) == {"ppo, no KL": {"0": {"failure": "the loss must be finite"}}}


def test_the_document_is_what_is_stored():
    assert table.DOCUMENT.read_text(encoding="utf-8") == table.make_document(command.read_stored())


@pytest.fixture(scope="module")
def kept():
    """The share of its peak that the true reward has after 40 phases and at the end, for each GRPO arm and seed."""
    stored = command.read_stored()
    shares = {}
    for name in ("no KL", "KL 0.1", "KL 0.3"):
        curves = [run["rows"] for run in stored[f"grpo, {name}"].values()]
        assert len(curves) == 5
        so_far = [[row["true"] for row in rows if row["update"] <= 80] for rows in curves]
        whole = [[row["true"] for row in rows] for rows in curves]
        shares[name] = [sorted(true[-1] / max(true) for true in part) for part in (so_far, whole)]
    return shares


def test_hacking_is_provoked_without_kl_and_held_with_it(kept):
    """Medians of five seeds: without KL below half its peak after 40 phases, with KL 0.3 within 10 % of its peak at the end."""
    assert kept["no KL"][0][2] < 0.5
    assert kept["KL 0.3"][1][2] >= 0.9
