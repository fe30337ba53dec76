"""What the text of 2.4 says of its settings, its pictures and its runs is so."""

import dataclasses
import json
import re
import statistics
from pathlib import Path

import pytest
from tests.chapter_runs import read_prose, run_solutions

from arena_lib.course.content.catalog import load_catalog
from arena_lib.rlhf.ppo import RLHFConfig

STUDIES = Path(__file__).parents[1] / "benchmarks" / "results" / "studies"


def test_the_settings_that_2_4_lists_are_those_that_there_are():
    text = "\n".join(cell.source for cell in load_catalog().section("2.4").cells if cell.kind == "markdown")
    listed = dict(re.findall(r"^\| `(\w+)` \| ([^`|]+) \|", text, re.M))
    defaults = {field.name: str(field.default) for field in dataclasses.fields(RLHFConfig)}
    assert len(listed) > 10
    assert listed == {name: defaults[name] for name in listed}


@pytest.fixture(scope="module")
def measures_section():
    return run_solutions("2.4", "tiny", part=4)


def test_what_2_4_says_of_the_three_estimators_is_so(measures_section):
    _, names = measures_section
    kl, biases, spreads = names["true_kl"], names["biases"], names["spreads"]
    assert max(abs(bias) for name in ("k1", "k3") for bias in biases[name]) < 1e-6
    assert min(biases["k2"]) < 0 < biases["k2"][-1], "k2 is off one way and then the other"
    near = [i for i, distance in enumerate(kl) if 0 < distance < 0.3]
    far = [i for i, distance in enumerate(kl) if distance > 0.45]
    assert all(spreads["k3"][i] < spreads["k1"][i] for i in near)
    assert all(spreads["k3"][i] > spreads["k1"][i] for i in far)
    least = [min(spreads, key=lambda name: spreads[name][i]) for i in range(1, len(kl))]
    assert least.count("k2") > len(least) / 2


def test_what_2_4_says_of_the_model_and_its_rewards_is_so(measures_section):
    section, names = measures_section
    assert "about a fifth of its sentences" in "\n".join(cell.source for cell in section.cells)
    model, prompts = names["model"], names["make_story_prompts"](256, seed=0, split="test")
    assert 0.15 < 1 - names["reward_fn_new_sentences"](names["write_stories"](model, prompts)).mean() < 0.25
    assert model.cfg.d_vocab == 929
    assert "all 929 are equally likely" in read_prose(section)


def test_a_reward_is_hacked_in_2_4_and_held_by_its_penalty():
    _, names = run_solutions("2.4", "tiny", part=7, full_from=5, edits={"else 60  # updates": "else 44  # updates"})
    unheld, held = names["unheld"].phases, names["held"].phases
    first, last = unheld[0], unheld[-1]
    assert last["reward"] > 1.5, "the proxy was optimised"
    assert last["true"] < 0.6 * first["true"], "and the truth was paid for it"
    assert held[-1]["true"] > 0.8 * first["true"]
    assert 0.1 < held[-1]["reward"] < 0.5 * last["reward"]
    assert held[-1]["kl"] < 15 < last["kl"]


def read_study(arm):
    path = STUDIES / f"rlhf-{arm}.json"
    return list(json.loads(path.read_text(encoding="utf-8"))["seeds"].values())


@pytest.mark.skipif(not STUDIES.is_dir(), reason="the files of a checkout are not here")
def test_what_2_4_says_of_runs_over_seeds_is_what_the_studies_stored():
    prose = read_prose(load_catalog().section("2.4"))
    curves = {
        arm: [[row["true"] for row in seed["rows"]] for seed in read_study(f"grpo-{arm}")]
        for arm in ("no-kl", "kl-0.1", "kl-0.3")
    }
    kept = {arm: [curve[-1] / max(curve) for curve in seeds] for arm, seeds in curves.items()}
    after_40 = [curve[8] / max(curve) for curve in curves["no-kl"]]
    proxies = {
        arm: statistics.median(seed["rows"][-1]["proxy"] for seed in read_study(f"grpo-{arm}"))
        for arm in ("kl-0.1", "kl-0.3")
    }
    learned = {
        name: sorted(seed[f"ppo, {name}"]["rows"][-1]["true"] for seed in read_study("preferences"))
        for name in ("no KL", "KL 0.1")
    }
    sentences = [
        f"in the median, to {statistics.median(after_40):.0%} of its peak after 40 phases",
        f"ended at {statistics.median(kept['kl-0.1']):.0%} of its peak in the median",
        f"one of the five seeds slid to {min(kept['kl-0.1']):.0%}",
        f"At 0.3 it kept {statistics.median(kept['kl-0.3']):.0%}",
        f"the truth rose to {learned['no KL'][1]:.2f} with one seed, and fell to {learned['no KL'][0]:.2f} with the other",
    ]
    assert [text for text in (sentence.replace("%", " %") for sentence in sentences) if text not in prose] == []
    assert {len(seeds) for seeds in curves.values()} == {5}
    assert proxies["kl-0.3"] < proxies["kl-0.1"] / 3
    assert len(learned["KL 0.1"]) == 2
    assert min(learned["KL 0.1"]) >= 0.95
