"""What a chapter says of itself is so: its parts' minutes, and the numbers in its text."""

import ast
import dataclasses
import re

import pytest
from tests.chapter_runs import read_prose, run_solutions

from arena_lib import zoo
from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.python_source import assigned_names, read_names
from arena_lib.interp.patching.metrics import logits_to_ave_logit_diff
from arena_lib.rl.environments.stepping import Transition
from arena_lib.rl.ppo.discrete import PPOConfig
from arena_lib.rl.ppo.rollout import Batch

IN_PARTS = [
    "0.0",
    "0.1",
    "0.2",
    "0.3",
    "0.4",
    "0.5",
    "0.6",
    "1.1",
    "1.2",
    "1.3.1",
    "1.3.2",
    "1.3.3",
    "1.4.1",
    "1.5.4",
    "2.1",
    "2.2",
    "2.3",
    "2.4",
]
"""Sections whose parts each say their minutes and what one learns."""
ENDS = ["What you have learned", "What comes next", "On your own", "Reading"]
"""The headings that close a section, in this order."""


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


def sum_minutes_by_part(section) -> dict[str, int]:
    """The minutes of each numbered part's exercises, by its heading."""
    minutes: dict[str, int] = {}
    for cell in section.cells:
        if cell.kind == "markdown":
            minutes |= dict.fromkeys(re.findall(r"^## (\d+\. .*)$", cell.source, re.M), 0)
        elif cell.exercise is not None:
            minutes[list(minutes)[-1]] += cell.exercise.minutes
    return minutes


@pytest.mark.parametrize("name", IN_PARTS)
def test_every_part_says_its_minutes_and_what_one_learns(catalog, name):
    section = catalog.section(name)
    minutes = sum_minutes_by_part(section)
    text = "\n".join(cell.source for cell in section.cells if cell.kind == "markdown")
    openings = dict(
        re.findall(r"^## (\d+\. .*)\n\n\*((?:About \d+ minutes of exercises|No exercises)\b)[^*]*\bYou ", text, re.M)
    )
    assert openings == {
        part: f"About {total} minutes of exercises" if total else "No exercises" for part, total in minutes.items()
    }
    assert sum(minutes.values()) <= section.minutes


@pytest.mark.parametrize("name", IN_PARTS)
def test_what_later_cells_need_is_defined_before_a_result_cell_can_fail(catalog, name):
    """Where an exercise is skipped, the next result stops at its first call: no function may be lost by that."""
    cells = [cell for cell in catalog.section(name).cells if cell.kind != "markdown"]
    lost = []
    for cell in (cell for cell in cells if cell.kind == "result"):
        statements = ast.parse(cell.source).body
        is_call = [
            not isinstance(node, ast.FunctionDef) and any(isinstance(part, ast.Call) for part in ast.walk(node))
            for node in statements
        ]
        after = statements[is_call.index(True) :] if True in is_call else []
        functions = {node.name for node in after if isinstance(node, ast.FunctionDef)}
        others = [read_names(other.source) - assigned_names(other.source) for other in cells if other is not cell]
        lost += [(cell.line, function) for function in functions if any(function in names for names in others)]
    assert lost == []


@pytest.mark.parametrize("name", IN_PARTS)
def test_the_list_of_parts_at_the_top_is_that_of_the_chapter(catalog, name):
    section = catalog.section(name)
    rows = re.findall(r"^\| (\d+\. .*?) \| (\d+) \|$", section.cells[0].source, re.M)
    assert rows == [(part, str(total)) for part, total in sum_minutes_by_part(section).items()]


@pytest.mark.parametrize("name", IN_PARTS)
def test_a_section_ends_with_what_was_learned_what_comes_and_how_to_go_on(catalog, name):
    last = catalog.section(name).cells[-1].source
    assert re.findall(r"^## (.*)$", last, re.M) == ENDS
    projects, reading = last.partition("## On your own")[2].split("## Reading")
    assert len(re.findall(r"^- \*\*", projects, re.M)) == 3
    assert "**Replicate a paper.**" in projects
    assert "https://arxiv.org/abs/" in projects
    entries = re.split(r"^- ", reading, flags=re.M)[1:]
    assert entries
    assert all("](https://" in entry for entry in entries)


def test_the_settings_and_fields_that_2_3_lists_are_those_that_there_are(catalog):
    text = "\n".join(cell.source for cell in catalog.section("2.3").cells if cell.kind == "markdown")
    listed = dict(re.findall(r"^\| `(\w+)` \| ([^`|]+) \|", text, re.M))
    defaults = {field.name: field.default for field in dataclasses.fields(PPOConfig)}
    assert set(defaults) - set(listed) == {"env_id", "seed"}
    assert listed == {
        name: f"{defaults[name]:,}" if name == "total_timesteps" else str(defaults[name]) for name in listed
    }
    batch = text.partition("What comes out is a `Batch`.")[2].partition("`len(batch)`")[0]
    assert re.findall(r"`(\w+)`", batch) == [field.name for field in dataclasses.fields(Batch)]
    rows = re.findall(r'^\| ([^|]+) \| `"n_envs', text, re.M)
    assert re.findall(r"`(\w+)`", " ".join(rows)) == [field.name for field in dataclasses.fields(Transition)]


@pytest.fixture(scope="module")
def heads_section():
    return run_solutions("1.2")


@pytest.fixture(scope="module")
def probes_section():
    return run_solutions("1.3.1")


@pytest.fixture(scope="module")
def vectors_section():
    return run_solutions("1.3.2")


@pytest.fixture(scope="module")
def ioi_section():
    return run_solutions("1.4.1")


def test_what_the_text_of_0_0_says_of_its_pictures_is_so():
    _, names = run_solutions("0.0", "tiny")
    cosines = names["cos_sim_matrix"]((names["ink"] > 0).float().flatten(1)).fill_diagonal_(0)
    assert sorted(divmod(int(cosines.argmax()), 10)) == [3, 8], "the digits that share most of their ink"
    assert names["plan"].n_steps == names["n_done"] == 12
    scores = names["attention_scores"](names["vectors_of_banana"], names["vectors_of_banana"])[0, 0]
    assert scores[1].nonzero().flatten().tolist() == [1, 3, 5], "each a finds the other two, and itself"
    throws = names["count_values"](names["two_dice"], 13)
    assert throws.argmax() == 7


def test_the_numbers_of_1_2_are_those_that_its_cells_make(heads_section):
    section, names = heads_section
    prose = read_prose(section)
    zero, mean = names["by_kind"]["zero"], names["by_kind"]["mean"]
    gpt_zero = names["gpt_by_kind"]["zero"]
    copied, in_one_direction = names["accuracies"]["all tokens"], names["measures"]["in one direction"]
    before, after = names["scores_before"], names["scores_after"]
    through_all = names["through_all"].values()
    sentences = [
        f"1.0 costs {zero[8]:.1f} nats at zero and {mean[8]:.1f} at its mean",
        f"0.2 costs {gpt_zero[2]:.2f} nats at zero, and nothing at its mean",
        f"copying scores of at least {min(names['measures']['copying score']):.2f}",
        f"on top for only {copied[5]:.0%} of the tokens".replace("%", " %"),
        f"{in_one_direction[5]:.0%} of its squared norm".replace("%", " %"),
        f"against {in_one_direction[4]:.0%} for 1.4".replace("%", " %"),
        f"K-composition, {min(through_all) * 100:.0f} to {max(through_all) * 100:.0f} %",
        f"A lead of more than {int(names['lead'].sum())} in the score",
        f"at most {after['K'].max():.2f} where chance gives {names['chance'].mean():.2f}",
        f"with means of {after['Q'].mean():.3f} and {after['V'].mean():.3f}",
        *(f"had {scores.mean():.3f} for all three" for scores in before.values()),
        f"not to {names['left']['q'][0]:.2f}",
    ]
    assert [sentence for sentence in sentences if sentence not in prose] == []


def test_what_the_text_of_1_2_says_of_its_figures_is_so(heads_section):
    _, names = heads_section
    zero, mean = names["by_kind"]["zero"], names["by_kind"]["mean"]
    needed = [8, 9, 12]
    others = [head for head in range(16) if head not in needed]
    assert (mean[needed] < zero[needed]).all(), "with the mean each of the three costs less"
    assert max(zero[others].abs().max(), mean[others].abs().max()) < 0.03
    assert names["gpt_by_kind"]["mean"][2].abs() < 0.01
    losses, half = names["losses"], names["N"]
    assert max(losses[name][half + 1] for name in ("attn-only-2l", "tiny-gpt")) < 1
    assert losses["tiny-llama"][half + 1 : half + 3].min() > 4
    assert losses["tiny-llama"][half + 3] < 1
    assert names["through_one"].max() < 0.5
    assert max(map(abs, names["before_training"])) < 0.1
    assert names["induction_scores"]["untrained"].max() < 0.05
    chance = names["chance"].mean()
    assert all((scores < chance).float().mean() > 0.8 for kind, scores in names["scores_after"].items() if kind != "K")
    assert (names["scores_after"]["K"] > chance).all()


def test_the_numbers_of_1_3_1_are_those_that_its_cells_make(probes_section):
    section, names = probes_section
    prose = read_prose(section)
    plain, iid, rows = names["plain_and_iid"]["plain"], names["plain_and_iid"]["iid"], names["rows"]
    logistic, mean = rows["logistic/trained"], rows["mass-mean/trained"]
    women, men, people, theta = names["women"], names["men"], names["people"], names["theta"][2]
    start, up, down = (names["pronoun_difference"](people.texts, sign * theta, 2) for sign in (0, 1, -1))
    moods = names["mood_accuracies"]
    sentences = [
        f"{plain[0]:.2f} becomes {iid[0]:.2f}. Elsewhere it takes the probe from {plain[1]:.2f} to {iid[1]:.2f}",
        f"from {plain[2]:.2f} to about {iid[2]:.1f} on who got something",
        f"over ten draws of labels it gets {logistic.control_accuracy:.2f}",
        f"memorises less ({mean.control_accuracy:.2f})",
        f"more selective ({mean.selectivity:+.2f} against {logistic.selectivity:+.2f})",
        f'" She" after women by {start[women].mean():.1f} nats',
        f'" He" after men by {-start[men].mean():.1f}',
        f"women up by {(up - start)[women].mean():.1f} nats and men by {(up - start)[men].mean():.1f}",
        f"women down by {(start - down)[women].mean():.1f} and men by {(start - down)[men].mean():.1f}",
        f"last token ({moods['last']:.2f})",
        f"The mean ({moods['mean']:.2f})",
        f"attention probe ({moods['attention']:.2f})",
    ]
    assert [sentence for sentence in sentences if sentence not in prose] == []
    assert sum((up[men] < 0).tolist()) + sum((down[women] > 0).tolist()) == 1, "all but one change the pronoun"


def test_what_the_text_of_1_3_1_says_of_its_figures_is_so(probes_section):
    _, names = probes_section
    for model in ("trained", "untrained"):
        rows = [names["rows"][f"{probe}/{model}"] for probe in ("mass-mean", "logistic")]
        assert (max(row.selectivity for row in rows) > 0.1) is (model == "trained")
    assert names["turned"]["random"] == [0.0] * 4
    assert names["turned"]["mass-mean"][:2] == names["turned"]["logistic"][:2] == [0.0, 0.0]
    scores = (names["scores"][names["is_spoken"]] - names["typical"]).tolist()
    by_word = dict(zip(names["spoken"], scores, strict=True))
    assert round(by_word[" sailor"], 1) == 5.5
    assert max(abs(by_word[" Elena"]), abs(by_word[" Bernard"])) < 1
    stops = [score for word, score in zip(names["spoken"], scores, strict=True) if word == "."]
    assert (round(min(stops), 1), round(max(stops), 1)) == (-5.6, -4.6)


def test_the_numbers_of_1_3_2_are_those_that_its_cells_make(vectors_section):
    section, names = vectors_section
    prose = read_prose(section)
    lifted, control, by_readers = names["lifted"], names["control"].values(), names["by_readers"]
    old = ("old", 1, names["vectors"]["opposite"], "<|endoftext|> {x}:", 1)
    assert names["intervene_with_fn_vector"](names["model"], *old) == (" old: older", " old: young")
    sentences = [
        f"raises all comparatives above all plain forms ({names['comparative']:+.1f} against {names['plain_form']:.1f})",
        f"{min(by_readers):.2f} to {max(by_readers):.2f} of the answers are right",
        f"lists of *equal* words makes the model say the opposite, too ({names['opposites']:.2f})",
        f"beyond {max(sum(scores) / 3 for scores in control):.2f} on average",
    ]
    assert [sentence for sentence in sentences if sentence not in prose] == []
    assert lifted["comparative"][3] == 1.0
    assert max(lifted["opposite"][3], lifted["same"][3]) < 0.55
    assert min(names["after"][i] - names["before"][i] for i in range(12)) > 0, (
        "every one of the twelve becomes likelier"
    )
    assert names["effects"]["comparative"].abs().max() < 0.2 < 1 < names["largest"]
    assert max(names["counts"][f"after layer {layer}"][3] for layer in range(3)) <= 1 / 26


def test_what_the_text_of_1_1_says_of_tiny_gpt_is_so(catalog):
    prose = read_prose(catalog.section("1.1"))
    model = zoo.load("tiny-gpt")
    tokens = model.to_tokens("Once Molly and Theo reached the garden, Molly handed a green lamp to")
    _, cache = model.run_with_cache(tokens, remove_batch_dim=True)
    last_row = cache["pattern", 1][:, -1]
    words = model.to_str_tokens(tokens)
    assert [words[key] for key in last_row[:2].argmax(dim=-1)] == [" Theo", " Molly"]
    n_texts = f"{round(model.cfg.d_vocab**3, -8) // 10**6} million"
    assert f"with a vocabulary of {model.cfg.d_vocab} tokens there are {n_texts} texts of three tokens" in prose


def test_the_numbers_of_1_4_1_are_those_that_its_cells_make(ioi_section):
    section, names = ioi_section
    prose = " ".join(read_prose(section).split())
    whole, classes = float(names["differences"]["IOI"]), names["real_measures"].attention
    five = float(logits_to_ave_logit_diff(names["alone"]["both"], names["answer_tokens"]))
    worst, real_worst, faith = names["worst"], names["real_worst"], list(names["real_faith"].values())
    sentences = [
        f"its logit difference is {whole:.1f}",
        f"of {-float(names['to_queries'][1, 2]) * 100:.0f} in a hundred, where the path to the logits carries "
        f"{-float(names['direct'][1, 2]) * 100:.0f}",
        f"reach {five:.1f}, *more* than the whole model, {whole:.1f}",
        f"takes the circuit from {five:.1f} down to {names['of_circuit']:.1f}",
        f"the circuit falls to {worst.circuit:.2f}, the model only to {worst.model:.2f}",
        f"The gap of {worst.model - worst.circuit:.1f} is a fifth",
        f"3.2 is worth {names['minimality'][3, 2]:.2f}",
        f"at the IO with {classes['end->IO'][1, 0]:.2f} and {classes['end->IO'][1, 2]:.2f}, at the subject with "
        f"{classes['end->S1'][1, 0]:.2f} and {classes['end->S1'][1, 2]:.2f}",
        f"carries the most of all ({names['real_measures'].to_logits.mean(dim=0)[1, 1]:.2f})",
        f"reach {faith[0].circuit:.2f}, more than the model's {faith[0].full:.2f}",
        f"makes it worse, {faith[1].circuit:.2f}",
        f"the circuit keeps {real_worst.circuit:.2f}, and the model only {real_worst.model:.2f}",
        f"Each head is worth {min(names['worth'].values()):.2f} or more",
    ]
    assert [sentence for sentence in sentences if sentence not in prose] == []


def test_what_the_text_of_1_4_1_says_of_its_circuits_is_so(ioi_section):
    _, names = ioi_section
    minimality = names["minimality"]
    assert all(0.3 < minimality[2, head] < 0.36 for head in range(4)), "each name mover is worth about a third"
    assert max(minimality[3, head] for head in range(4)) < 0.1
    assert {(node.layer, node.head) for node in names["worst"].knocked_out} == {(2, 1), (2, 2), (3, 1), (3, 2)}
    assert names["classes"]["S-inhibition"] == names["classes"]["S suppression"] == [(1, 2)]
    assert ((names["attention_back"] >= 0.15).tolist()) == [False, True, True, True]
    assert {(node.layer, node.head) for node in names["real_worst"].knocked_out} == {(0, 0), (0, 3)}


def test_what_the_text_of_2_1_says_of_its_worlds_is_so():
    _, names = run_solutions("2.1", "tiny")
    steps = {epsilon: len(way) - 1 for epsilon, way in names["steady"].items()}
    assert steps == {0.1: 15, 0.01: 15, 0.007: 13}
    assert [len(names["best_way"](epsilon)) - 1 for epsilon in (0.0075, 0.008)] == [13, 15]
    assert len(names["greedy_path"](names["windy"], names["best"])) - 1 == 15
    assert max(names["errors"][k] / names["errors"][0] / 0.9**k for k in range(30)) <= 1 + 1e-9
    regret = {name: run.regret[:, -1].mean() for name, run in names["runs"].items()}
    assert min(regret, key=regret.__getitem__) == "told the best"
    assert 1.4 < regret["random"] / 200 < 1.6
    for name in ("UCB, c = 2", "optimistic, greedy"):
        shares = names["explorers"][name].mean(axis=0)
        assert shares[:13].argmax() == 10, "the peak of the first steps"
    last = {name: losses[:, -1].mean() for name, losses in names["losses"].items()}
    assert max(last, key=last.__getitem__) == "UCB, c = 1"
    assert last["UCB, c = 0.3"] < last["Thompson"] < last["epsilon 0.1"]
