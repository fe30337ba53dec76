"""What a chapter says of itself is so: its parts' minutes, and the numbers in its text."""

import ast
import dataclasses
import linecache
import re
from typing import Literal

import plotly.graph_objects as go
import pytest
import torch

from arena_lib import zoo
from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.notebooks import build_cells
from arena_lib.course.content.python_source import assigned_names, read_names
from arena_lib.interp.patching.metrics import logits_to_ave_logit_diff
from arena_lib.rl.environments.stepping import Transition
from arena_lib.rl.ppo.discrete import PPOConfig
from arena_lib.rl.ppo.rollout import Batch

IN_PARTS = ["1.1", "1.2", "1.3.1", "1.3.2", "1.3.3", "1.4.1", "1.5.4", "2.1", "2.2", "2.3"]
"""Sections whose parts each say their minutes and what one learns."""
ENDS = ["What you have learned", "What comes next", "On your own", "Reading"]
"""The headings that close a section, in this order."""


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


def read_prose(section) -> str:
    """The text of the chapter, each paragraph on a line of its own."""
    text = "\n\n".join(cell.source for cell in section.cells if cell.kind == "markdown")
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)


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


def run_solutions(
    name: str, scale: Literal["full", "tiny"] = "full", part: int | None = None, full_from: int | None = None
):
    """A section and every name of its solutions, run from top to bottom, without the judges.

    Where `part` is given, of the parts before it; from part `full_from` on at scale full.
    """
    section = load_catalog().section(name)
    names: dict = {}
    with pytest.MonkeyPatch.context() as patch, torch.enable_grad():  # which also brings back what a cell switches off
        patch.setattr(go.Figure, "show", lambda self: None)
        cells = build_cells(section, kind="solutions", scale=scale)
        end = next((i for i, cell in enumerate(cells) if f"\n## {part}. " in f"\n{cell.source}"), len(cells))
        for cell in cells[:end]:
            if full_from is not None and f"\n## {full_from}. " in f"\n{cell.source}":
                names["SCALE"] = "full"
            if cell.kind == "code":
                source = re.sub(r"^tests\.test_\w+\(.*\)$", "", cell.source, flags=re.M)
                file = f"<{name} {cell.id}>"
                linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)  # nnsight reads it
                exec(compile(source, file, "exec"), names)
    return section, names


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


def test_what_the_text_of_1_5_4_says_of_superposition_is_so():
    _, names = run_solutions("1.5.4", part=6)
    norms, interference = names["measures"]["length"], names["measures"]["interference"]
    assert names["n_stored"] == [2, 4, 4, 5, 5]
    assert (norms[1] > 0.5).tolist() == [True, True, True, False, True], "at p = 0.4 feature 3 is lost"
    assert norms[3:].min() > 1, "the pentagon's arrows are a little longer than 1"
    assert interference[3:].min() > 1.5, "and their interference more than that of arrows of length 1"
    larger = names["larger"].W[0]
    assert (names["compute_feature_norms"](larger[None])[0] > 0.5).tolist() == [True] * 5 + [False] * 15
    assert names["compute_interference"](larger[None])[0, :5].max() < 0.05
    crowded = names["compute_feature_norms"](names["crowded"][:1])[0]
    assert max(abs(length - 0.71) for length in crowded.tolist()) < 0.05
    assert min(names["cosines_of_pairs"](names["crowded"][0])) > 0.95
    stored = names["storing"].W[0].abs().sort(dim=-1, descending=True)
    assert sorted(stored.indices[:, 0].tolist()) == [0, 1, 2, 3, 4], "at p = 0.5 a neuron for each"
    assert (stored.values[:, 1] < 0.2 * stored.values[:, 0]).all()
    computed = names["computing"].W1[0]
    signs = [(int(row.abs().argmax()), bool(row[row.abs().argmax()] > 0)) for row in computed]
    assert sorted(signs) == [(feature, sign) for feature in range(4) for sign in (False, True)]
    assert names["n_computed"][0] == 4 < names["n_computed"][2]
    shares, is_in_left_half = names["shares_of_features"], (names["by_sparsity"] > 0.3) & (names["by_sparsity"] < 0.5)
    at_half = ((shares[is_in_left_half] - 0.5).abs() < 0.02).sum(dim=-1)
    assert (at_half == 16).all()
    assert ((shares[is_in_left_half] < 0.01).sum(dim=-1) == 24).all()
    assert is_in_left_half.nonzero().flatten().tolist() == [1, 2], "the second and third column"
    assert ((shares[[0, 3]] - 0.5).abs() < 0.06).sum(dim=-1).min() >= 8, "and the first and fourth nearly so"
    trained, by_theory = names["states"]
    assert (trained != by_theory).sum() <= 3, "theory misses one of 144"
    assert (trained[trained != by_theory] == 0).all(), "where all starts have got stuck, the second feature is lost"


@pytest.fixture(scope="module")
def toy_saes_section():
    return run_solutions("1.5.4", "tiny", full_from=6)


def test_the_numbers_of_1_5_4_on_autoencoders_are_those_that_its_cells_make(toy_saes_section):
    """Counts of a run that training decides may differ by a few between machines."""
    section, names = toy_saes_section
    prose, n_complete = read_prose(section), names["n_complete"]
    counts = {
        "Four of sixteen found all five features": (4, n_complete["none"]),
        "From four of sixteen to fifteen. Both ways do equally well here": (15, n_complete["simple"]),
        "The healthy one has fifteen": (15, n_complete["advanced"]),
        "in our run all sixteen found every feature": (16, n_complete["JumpReLU"]),
        "From the start, only nine of sixteen found every feature": (9, n_complete["from the start"]),
        "all sixteen keep what they found": (16, n_complete["going on"]),
    }
    assert [sentence for sentence in counts if sentence not in prose] == []
    assert max(abs(said - counted) for said, counted in counts.values()) <= 3, counts
    lengths = {name: names["measure"](names["saes"][name])["length"] for name in ("gated", "advanced")}
    assert "has 99 % of its length now, where L1 left 73 %" in prose
    assert (lengths["gated"], lengths["advanced"]) == pytest.approx((0.99, 0.73), abs=0.03)
    weights = names["saes"]["JumpReLU"].cfg.sparsity_coef, names["saes"]["from the start"].cfg.sparsity_coef
    needed = [(2 * weight * 2) ** 0.5 for weight in weights]
    sentences = [
        f"{2 * names['halves']:.2f} instead of 1, as you computed in part 6",
        f"$d_{{in}} = 2$ that's {(weights[0] * 2) ** 0.5:.2f}",
        f"with a weight of {weights[1]:g} from {needed[1]:.2f} on",
        f"with {weights[0]:g} only from {needed[0]:.2f} on",
    ]
    assert [sentence for sentence in sentences if sentence not in prose] == []


def test_what_the_text_of_1_5_4_says_of_the_losses_and_dead_latents_of_its_autoencoders_is_so(toy_saes_section):
    _, names = toy_saes_section
    losses, histories = names["plain_history"].terms["loss"], names["histories"]
    is_complete = names["find_complete"](names["plain"])
    assert losses[-1][is_complete].max() < losses[-1][~is_complete].min(), "those that are right have the lowest"
    assert is_complete[names["shown"][0]], "in the first of the film each latent meets a feature"
    assert losses.mean(dim=1)[7] < 1.1 * losses.mean(dim=1)[-1] < losses.mean(dim=1)[0], "the first few hundred updates"
    n_dead = {name: (history.frac_active == 0).sum(dim=(1, 2)) for name, history in histories.items()}
    assert n_dead["none"][5] > n_dead["none"][-1] / 2 > 2 * n_dead["advanced"][-1], "most of them die early"
    is_stuck = ~names["find_complete"](names["saes"]["advanced"])
    assert (histories["advanced"].frac_active[-1][is_stuck] > 0).all(), "stuck without a dead latent"
    for history, is_wrong in (
        (histories["advanced"], is_stuck),
        (histories["JumpReLU"], ~names["find_complete"](names["saes"]["JumpReLU"])),
    ):
        at_end = history.terms["loss"][-5:].mean(dim=0)
        assert not is_wrong.any() or at_end[is_wrong].min() > at_end[~is_wrong].median(), "their losses say so"


def test_what_the_text_of_1_5_4_says_of_the_six_runs_is_so(toy_saes_section):
    _, names = toy_saes_section
    by_cause = {cause: letter for letter, cause in names["truth"].items()}
    L0 = {cause: names["curves"]["L0"][letter] for cause, letter in by_cause.items()}
    errors = {cause: names["curves"]["reconstruction"][letter] for cause, letter in by_cause.items()}
    n_dead = {cause: names["n_dead"][letter] for cause, letter in by_cause.items()}
    assert abs(L0["healthy"][-1] - 0.25) < 0.04 > abs(L0["no resampling"][-1] - 0.25)
    assert n_dead["no resampling"] > 4 * n_dead["healthy"]
    assert L0["too much sparsity"][-1] < 0.05
    assert errors["too much sparsity"][-1] > 4 * errors["healthy"][-1]
    assert L0["too little sparsity"][-1] > 0.4
    assert errors["too little sparsity"][-1] < 0.001
    assert max(n_dead, key=n_dead.__getitem__) == "learning rate too high"
    assert (errors["learning rate too low"].diff() < 0).float().mean() > 0.8, "the curve still falls"
    assert errors["learning rate too low"][-1] < 0.95 * errors["learning rate too low"][-6]
    n_whole = {cause: int((found == 5).sum()) for cause, found in names["n_found"].items()}
    assert n_whole["too little sparsity"] == 0
    assert max(n_whole, key=n_whole.__getitem__) == "healthy"


def test_what_the_text_of_1_5_4_says_of_shrinkage_gates_and_thresholds_is_so(toy_saes_section):
    _, names = toy_saes_section
    strengths, answers, saes = names["STRENGTHS"], names["answers"], names["saes"]
    strong = strengths > 0.9
    torch.testing.assert_close(answers["L1"][strong], answers["predicted for L1"][strong], rtol=0, atol=0.04)
    middle = (strengths > 0.35) & (strengths < 0.6)
    assert (answers["L1"] < answers["predicted for L1"])[middle].all(), "weak features are hit harder"
    gated, jump = names["respond"](saes["gated"]), names["respond"](saes["JumpReLU"])
    assert gated[strengths < 0.25].max() == 0
    assert (strengths - gated)[strengths > 0.45].abs().max() < 0.06
    assert jump[strengths < 0.55].max() == 0
    assert (strengths - jump)[strengths > 0.85].abs().max() < 0.1
    assert (names["thresholds"] - 0.63).abs().max() < 0.12, "thresholds as predicted"
    swept = names["swept"]
    assert swept["JumpReLU"][2]["L0"] < 0.25 / 2, "more than half of the times nobody answers"
    assert swept["JumpReLU"][0]["L0"] > swept["JumpReLU"][1]["L0"] > swept["JumpReLU"][2]["L0"]
    is_wrong = ~names["found_all"]
    assert (names["n_answers"][is_wrong] >= 2).any(dim=1).all(), "two latents or more answer to one feature"
    assert (names["n_answers"][~is_wrong] == 1).all()
    n_gated = {coef: int(names["find_complete"](names["at_hand"]["gated", coef]).sum()) for coef in (0.2, 0.3)}
    assert n_gated[0.3] > n_gated[0.2], "with 0.3 more of the sixteen find everything"


def test_both_newer_kinds_of_1_5_4_leave_a_third_of_the_error_at_equal_l0(toy_saes_section):
    _, names = toy_saes_section
    sparse, medium, dense = (
        torch.tensor([point["L0"], point["squared error"]]) for point in names["swept"]["L1"][::-1]
    )
    compared = dict.fromkeys(("gated", "JumpReLU"), 0)
    for kind in compared:
        for point in names["swept"][kind]:
            for (left, high), (right, low) in ((sparse, medium), (medium, dense)):
                if left <= point["L0"] <= right:
                    share = (point["L0"] - left) / (right - left)
                    assert point["squared error"] < 0.4 * high * (low / high) ** share  # L1's curve bends downwards
                    compared[kind] += 1
    assert min(compared.values()) >= 2
