"""Makes docs/sae_truth.md and its figure from the stored figures: no number in it is typed by hand.

A variable's F1 is the mean over its labels, a tier's the mean over the tier's labels; settings are ordered by the mean
over the three tiers.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.plots import bars
from benchmarks.studies.truth.declaring import SEARCH_SEED
from benchmarks.studies.truth.running import RATES
from benchmarks.studies.truth.text import ENDING, HEAD, MEANING

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "sae_truth.md"
FIGURE = ROOT / "chapters" / "1_interpretability" / "figures" / "sae_truth.png"
TIERS = ("token", "local", "carried")
ALWAYS, PROBE = "always yes", "probe"
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
        always = {label[0]: [label[5], 0, 0, label[5]] for label in self.stored["labels"]}
        probe = {label[0]: [label[4], 0, 0, label[4]] for label in self.stored["labels"]}
        return {ALWAYS: always, **self.stored["baselines"], PROBE: probe}


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
    lines = [HEAD, f"![F1 by variable](../{FIGURE.relative_to(ROOT).as_posix()})", "", MEANING.format(**numbers(record))]
    for hook in hooks:
        lines += ["", f"## `{hook.name}`", "", *describe_hook(final, hook)]
    lines += ["", "## Every setting that was tried", "", *_search_table(search), "", ENDING]
    return "\n".join(lines)


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
    """Labels that are not linearly there, and those that are too rare."""
    rare = Counter(label[2] for label in hook.stored["left_out"] if label[4] >= 0.8)
    absent = [label for label in hook.stored["left_out"] if label[4] < 0.8]
    yield "Not linearly there, with the probe's F1 and the tokens of the test set at which it holds: " + (
        "; ".join(f"{name} {probe:.2f} ({n:,})" for name, _, _, n, probe, _ in absent) or "none"
    ) + "."
    if rare:
        yield ""
        yield "Read by the probe, yet too rare to be scored: " + ", ".join(f"{n} of {name}" for name, n in rare.items()) + "."


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
        cells = [
            f"{_reach(row, labels, spread=False)} ({_reach(neurons, labels, spread=False)})"
            for labels in hook.group("tier").values()
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
