"""Makes docs/sae_truth.md and its figure from the stored figures: no number in it is typed by hand.

A variable's F1 is the mean over its labels, a tier's the mean over the tier's labels; settings are ordered by the mean
over the three tiers.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.plots import bars
from arena_lib.saes.truth import TruthConfig
from benchmarks.studies.truth.declaring import SEARCH_SEED, resid
from benchmarks.studies.truth.running import RATES
from benchmarks.studies.truth.settings import END_TO_END, LAYER, LAYERS, TRANSCODER, WIDE
from benchmarks.studies.truth.text import HEAD, MEANING

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "sae_truth.md"
FIGURE = ROOT / "chapters" / "1_interpretability" / "figures" / "sae_truth.png"
ALWAYS, PROBE = "always yes", "probe"
QUOTED = {
    "names": "name", "moods": "mood word", "stop": "full stop", "answer": "the next word is an answer", "kind": "kind of text",
}  # fmt: skip
FEATURES = {
    "topk": "topk", "narrow": "matryoshka", "wide": WIDE, "neurons": "neurons", "random": "random", "probe": PROBE,
    "basis": "residual basis",
}  # fmt: skip
"""What the document's words call variables and features."""
RECOVERED = 0.8
"""An F1 above it counts as recovered."""
TIERS = ("token", "local", "carried")
MIN_F1 = TruthConfig().min_f1
MOST_LISTED = 12
"""Labels of a variable that are left out one by one."""
Scores = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Hook:
    """What is stored of a hook: labels with what a probe reaches, and features that need no training."""

    name: str
    stored: Mapping[str, Any]

    def group(self, by: str) -> dict[str, list[str]]:
        """The labels of each tier or of each variable."""
        place = {"tier": 1, "variable": 2}[by]
        groups: dict[str, list[str]] = {}
        for label in self.stored["labels"]:
            groups.setdefault(label[place], []).append(label[0])
        return groups

    @property
    def untrained(self) -> dict[str, Scores]:
        """Columns that need no seeds: always yes, the residual basis, neurons of both signs, the probe."""
        always = {label[0]: _f1_alone(label[5]) for label in self.stored["labels"]}
        probe = {label[0]: _f1_alone(label[4]) for label in self.stored["labels"]}
        return {ALWAYS: always, **self.stored["baselines"], PROBE: probe}


def _f1_alone(f1: float) -> list[float]:
    """Rates of what has no detectors: its F1 stands for the union's, too."""
    return [f1 if rate.endswith("f1") else math.nan for rate in RATES]


@dataclass(frozen=True)
class Row:
    """What features reach for groups of labels: one array for each group, with a number for each seed."""

    name: str
    hook: str
    seeds: Sequence[Mapping[str, Any]]

    def reach(self, labels: Sequence[str], rate: str = "f1") -> np.ndarray:
        """The mean over labels, for each seed."""
        place = RATES.index(rate)
        return np.array([np.mean([seed["scores"][label][place] for label in labels]) for seed in self.seeds])

    def mean(self, field: str) -> str:
        """Of what was measured beside the labels; empty for features that were not measured so."""
        return f"{np.mean([seed[field] for seed in self.seeds]):.3g}" if field in self.seeds[0] else ""


def list_rows(part: Mapping[str, Any], hook: Hook) -> tuple[list[Row], list[Row]]:
    """Features without training, and trained settings in the order of what they reach."""
    plain = [Row(name, hook.name, [{"scores": scores}]) for name, scores in hook.untrained.items()]
    trained = []
    for name, kept in part["settings"].items():
        if kept["setting"]["hook"] != hook.name or not kept["seeds"]:
            continue
        row = Row(name, hook.name, list(kept["seeds"].values()))
        (plain if kept["setting"]["variant"] == "random" else trained).append(row)
    tiers = hook.group("tier").values()
    trained.sort(key=lambda row: -np.mean([row.reach(labels).mean() for labels in tiers]))
    return plain, trained


def make_document(record: Mapping[str, Any]) -> str:
    """The whole document."""
    final, search = record["final"], record["search"]
    hooks = [Hook(name, stored) for name, stored in final["hooks"].items()]
    numbers = find_numbers(record)
    lines = [HEAD.format(**numbers), f"![F1 by variable](../{FIGURE.relative_to(ROOT).as_posix()})", ""]
    lines.append(MEANING.format(**numbers))
    for hook in hooks:
        lines += ["", f"## `{hook.name}`", "", *describe_hook(final, hook)]
    lines += ["", "## Every setting that was tried", "", *_search_table(search), ""]
    return "\n".join(lines)


def find_numbers(record: Mapping[str, Any]) -> dict[str, str]:
    """What the document's words quote: F1 by variable and features, of the final worlds and of the search."""
    final, search = record["final"], record["search"]
    hook = Hook(resid(LAYER), final["hooks"][resid(LAYER)])
    rows = {row.name: row for group in list_rows(final, hook) for row in group}
    variables = hook.group("variable")
    numbers = {
        "n_names": str(len(variables["name"])),
        "n_seeds": str(min(len(row.seeds) for row in list_rows(final, hook)[1])),
    }
    for (said, variable), (features, name), rate in itertools.product(QUOTED.items(), FEATURES.items(), RATES):
        numbers[f"{said}_{features}_{rate}"] = f"{rows[name].reach(variables[variable], rate).mean():.2f}"
    for features in ("narrow", "wide"):
        f1, precision, recall = _by_seed(rows[FEATURES[features]], variables["name"])
        numbers[f"n_recovered_{features}"] = f"{(f1 > RECOVERED).sum(0).mean():.0f}"
        numbers[f"n_shared_{features}"] = f"{((precision < 0.5) & (recall >= 0.5)).sum(0).mean():.0f}"
    for layer in (0, 1, 2):
        at = Hook(resid(layer), search["hooks"][resid(layer)])
        names = at.group("variable")["name"]
        numbers[f"names_layer_{layer}"] = f"{_find_trial(search, LAYERS[layer].name).reach(names).mean():.2f}"
        for plain in ("neurons", PROBE):
            numbers[f"names_{plain}_{layer}"] = (
                f"{Row('', '', [{'scores': at.untrained[plain]}]).reach(names).mean():.2f}"
            )
    before, after = _find_trial(search, LAYERS[1].name), _find_trial(search, END_TO_END.name)
    return numbers | {
        "end_to_end_steps": str(END_TO_END.end_to_end_steps),
        "loss_before": before.mean("added_loss"),
        "loss_after": after.mean("added_loss"),
        "names_end_to_end": f"{after.reach(variables['name']).mean():.2f}",
        **_find_transcoders_numbers(search),
    }


def _by_seed(row: Row, labels: Sequence[str]) -> tuple[np.ndarray, ...]:
    """F1, precision and recall of single features: labels by seeds."""
    return tuple(np.array([row.reach([label], rate) for label in labels]) for rate in ("f1", "precision", "recall"))


def _find_transcoders_numbers(search: Mapping[str, Any]) -> dict[str, str]:
    at = Hook(TRANSCODER.hook, search["hooks"][TRANSCODER.hook])
    row, variables = _find_trial(search, TRANSCODER.name), at.group("variable")
    neurons = Row("", "", [{"scores": at.untrained["neurons"]}])
    return {
        "answer_transcoder": f"{row.reach(variables[QUOTED['answer']]).mean():.2f}",
        "answer_transcoder_neurons": f"{neurons.reach(variables[QUOTED['answer']]).mean():.2f}",
        "names_transcoder": f"{row.reach(variables[QUOTED['names']]).mean():.2f}",
    }


def _find_trial(search: Mapping[str, Any], name: str) -> Row:
    return Row(name, "", list(search["settings"][name]["seeds"].values()))


def describe_hook(part: Mapping[str, Any], hook: Hook) -> list[str]:
    """A hook's tables, and what is not in them."""
    tables = (_tier_table(part, hook), _variable_table(part, hook), _rates_table(part, hook), _left_out(hook))
    return [line for table in tables for line in (*table, "")][:-1]


def _tier_table(part: Mapping[str, Any], hook: Hook) -> Iterator[str]:
    """Features by tier, with what the autoencoder costs the model."""
    tiers = hook.group("tier")
    yield "By tier: mean over labels of the best single feature, its standard deviation over seeds, and the union of five."
    yield ""
    yield _cells(
        "features", "seeds", "L0", "added loss", "FVU", "dead", *(f"{tier} ({len(tiers[tier])})" for tier in tiers)
    )
    yield _line(6 + len(tiers))
    plain, trained = list_rows(part, hook)
    for row in (*plain, *trained):
        cost = [row.mean(field) for field in ("l0", "added_loss", "fvu", "dead_share")]
        n_seeds = str(len(row.seeds)) if row.mean("l0") else ""
        yield _cells(row.name, n_seeds, *cost, *(_reach(row, labels) for labels in tiers.values()))


def _variable_table(part: Mapping[str, Any], hook: Hook) -> Iterator[str]:
    """Variables by features: single and union."""
    plain, trained = list_rows(part, hook)
    rows = [*plain, *trained]
    yield "By variable: the best single feature / the union of up to five, mean over the variable's labels and over seeds."
    yield ""
    yield _cells("variable", "labels", *(row.name for row in rows))
    yield _line(2 + len(rows))
    for variable, labels in hook.group("variable").items():
        yield _cells(variable, str(len(labels)), *(_reach(row, labels, spread=False) for row in rows))


def _rates_table(part: Mapping[str, Any], hook: Hook) -> Iterator[str]:
    """What fails, precision or recall, of the best trained setting."""
    row = list_rows(part, hook)[1][0]
    yield f"What fails, for {row.name}: precision and recall of the best latent, and of the union, mean over labels and seeds."
    yield ""
    yield _cells("variable", "precision", "recall", "precision of the union", "recall of the union")
    yield _line(5)
    for variable, labels in hook.group("variable").items():
        rates = ("precision", "recall", "union_precision", "union_recall")
        yield _cells(variable, *(f"{row.reach(labels, rate).mean():.2f}" for rate in rates))


def _left_out(hook: Hook) -> Iterator[str]:
    """Labels that are not linearly there, and those that are too rare; a variable with many of them in one line."""
    yield "Not linearly there, with the probe's F1 and the tokens of the test set at which it holds:"
    yield ""
    absent, rare = [], Counter[str]()
    for label in hook.stored["left_out"]:
        if label[4] < MIN_F1:
            absent.append(label)
        else:
            rare[label[2]] += 1
    for variable, group in itertools.groupby(absent, key=lambda label: label[2]):
        labels = list(group)
        if len(labels) > MOST_LISTED:
            f1 = [label[4] for label in labels]
            yield f"- {variable}, {len(labels)} labels: {min(f1):.2f} to {max(f1):.2f}, {np.mean(f1):.2f} in the mean"
        else:
            yield "- " + "; ".join(f"{name} {f1:.2f} ({n_positive:,})" for name, _, _, n_positive, f1, _ in labels)
    for variable, n_labels in rare.items():
        yield f"- read by the probe, yet too rare to be scored: {n_labels} of {variable}"


def _search_table(search: Mapping[str, Any]) -> Iterator[str]:
    """Every trial beside the neurons of its layer."""
    yield f"On worlds of their own, with seed {SEARCH_SEED}: the best single feature / the union, and neurons in brackets."
    yield ""
    yield _cells("setting", "asked", "L0", "added loss", "dead", *TIERS)
    yield _line(5 + len(TIERS))
    for name, kept in search["settings"].items():
        hook = Hook(kept["setting"]["hook"], search["hooks"][kept["setting"]["hook"]])
        row = Row(name, hook.name, list(kept["seeds"].values()))
        neurons = Row("neurons", hook.name, [{"scores": hook.stored["baselines"]["neurons"]}])
        tiers = hook.group("tier")
        cells = [
            f"{_reach(row, tiers[tier], spread=False)} ({_reach(neurons, tiers[tier], spread=False)})"
            if tier in tiers
            else ""
            for tier in TIERS
        ]
        cost = [row.mean(field) for field in ("l0", "added_loss", "dead_share")]
        yield _cells(name, kept["setting"]["why"], *cost, *cells)


def make_figure(record: Mapping[str, Any]) -> go.Figure:
    """Bars by variable at the first hook of the final table: features without training, the best setting, the probe."""
    final = record["final"]
    name = next(iter(final["hooks"]))
    hook = Hook(name, final["hooks"][name])
    plain, trained = list_rows(final, hook)
    best, variables = trained[0], hook.group("variable")
    by_name = {row.name: row for row in plain}
    probe = by_name.pop(PROBE)
    series = {row.name: [row.reach(labels).mean() for labels in variables.values()] for row in by_name.values()}
    series[best.name] = [best.reach(labels).mean() for labels in variables.values()]
    series[f"{best.name}, up to five"] = [best.reach(labels, "union_f1").mean() for labels in variables.values()]
    series[PROBE] = [probe.reach(labels).mean() for labels in variables.values()]
    names = [f"{variable} ({len(labels)})" for variable, labels in variables.items()]
    return bars(series, names, y_title="F1 on new worlds", title=f"What is recovered at {hook.name}")


def _reach(row: Row, labels: Sequence[str], *, spread: bool = True) -> str:
    single, union = row.reach(labels), row.reach(labels, "union_f1")
    deviation = f" ± {single.std(ddof=1):.2f}" if spread and len(single) > 1 else ""
    return f"{single.mean():.2f}{deviation} / {union.mean():.2f}"


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _line(n_cells: int) -> str:
    return "|" + "---|" * n_cells
