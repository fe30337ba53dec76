"""Makes docs/rlhf_results.md and its two figures from the stored figures: no number in it is typed by hand."""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib import plots
from arena_lib.plots.saving import to_png
from arena_lib.plots.style import DASHES, MARKERS, SEQUENCE, finish
from benchmarks.studies.rlhf import preferred, rewarded

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "rlhf_results.md"
FIGURES = ROOT / "chapters" / "2_reinforcement_learning" / "figures"
PREFERENCES = "preferences"
AT_KL = 3.0
"""Nats of KL for each sample at which methods are compared: about what the best of 64 has."""
PROXY_ARMS = ("grpo, no KL", "grpo, KL 0.1", "grpo, KL 0.3")
"""Those that are drawn."""
SHOWN_AT = (20, 40, 80, 120)
"""Updates whose samples are shown."""
Seeds = Mapping[str, Mapping[str, Any]]

HEAD = """# What learning from rewards and preferences reaches

Made by `python -m benchmarks.studies.rlhf --table` from the figures in `benchmarks/results/studies/rlhf-*.json`, where every
measurement of every seed is; nothing here was typed by hand. `python -m benchmarks.studies.rlhf --seeds 0-4` runs what isn't
stored.

The policy is `tiny-llama`, which goes on from beginnings of stories with {gen_len} tokens at most. All is measured on the same 256
held-out beginnings, one sample each.

- The **proxy** counts mood words, (good - bad) / 4. The **true reward** is the share of a text's sentences that are grammatical, by
  storyworld's own frames, and not said before in it.
- **KL** is in nats for each sample: the sum of log p - log q over its tokens, averaged over samples.
- Figures are medians over seeds, with the lowest and the highest in brackets. Failures are counted.
"""


def make_document(stored: Mapping[str, Seeds]) -> str:
    """The whole document, from the seeds of each arm."""
    parts = [HEAD.format(gen_len=rewarded.GEN_LEN)]
    arms = {name: seeds for name, seeds in stored.items() if name != PREFERENCES and seeds}
    if arms:
        parts += [
            "## The proxy, optimised\n",
            "![Proxy and true reward over updates, with and without KL](../chapters/2_reinforcement_learning/figures/rlhf_proxy.png)\n",
            *_describe_arms(arms),
        ]
    if stored.get(PREFERENCES):
        parts += _describe_preferences(stored[PREFERENCES])
    return "\n".join(parts).rstrip() + "\n"


def curve(seeds: Seeds, name: str, part: Callable[[Mapping[str, Any]], Sequence[Mapping[str, Any]]]) -> np.ndarray:
    """One figure over the measurements of each seed that didn't fail: "n_seeds n_rows"."""
    return np.array([[row[name] for row in part(run)] for run in seeds.values() if "failure" not in run])


def own_rows(run: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The measurements of an arm's run."""
    rows: Sequence[Mapping[str, Any]] = run["rows"]
    return rows


def spread(values: Sequence[float] | np.ndarray, form: str = ".2f") -> str:
    """The median, and the lowest and highest.

    >>> spread([0.5, 0.25, 1.0])
    '0.50 (0.25 to 1.00)'
    """
    return f"{np.median(values):{form}} ({np.min(values):{form}} to {np.max(values):{form}})"


def in_words(settings: Mapping[str, Any]) -> str:
    """Settings as a document gives them.

    >>> in_words({"lr": 5e-4, "n_epochs": 2})
    'lr 0.0005, n_epochs 2'
    """
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _describe_arms(arms: Mapping[str, Seeds]) -> Iterator[str]:
    yield (
        f"{rewarded.N_UPDATES['grpo'] // 2} phases of 64 samples in each arm, which are learned from twice. GRPO: {in_words(rewarded.GRPO)}. "
        f"PPO: {in_words(rewarded.PPO)}, rewards normalised, the KL in the reward.\n"
    )
    yield "| arm | seeds | failed | proxy at the end | true at its peak | true after 40 phases | true at the end | end / peak | KL at the end | seconds of a core |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for name, seeds in arms.items():
        true, rows = curve(seeds, "true", own_rows), next(iter(seeds.values()))["rows"]
        middle = len(rows) * 2 // 3
        cells = [
            name, str(len(seeds)), str(sum("failure" in run for run in seeds.values())),
            spread(curve(seeds, "proxy", own_rows)[:, -1]), spread(true.max(axis=1)), spread(true[:, middle]), spread(true[:, -1]),
            spread(true[:, -1] / true.max(axis=1)), spread(curve(seeds, "kl", own_rows)[:, -1], ".1f"),
            f"{np.median([run['cpu_seconds'] for run in seeds.values()]):.0f}",
        ]  # fmt: skip
        yield f"| {' | '.join(cells)} |"
    yield "\nWhat it writes, seed 0, after the same beginning:\n"
    for name, seeds in arms.items():
        for row in seeds["0"]["rows"]:
            if row["update"] in SHOWN_AT:
                text = textwrap.shorten(row["samples"][0], 150, placeholder=" ...")
                yield f"- {name}, update {row['update']} (proxy {row['proxy']:.2f}, true {row['true']:.2f}): *{text}*"
    yield ""


def _describe_preferences(seeds: Seeds) -> Iterator[str]:
    runs = [run for run in seeds.values() if "failure" not in run]
    models = [model for run in runs for model in run["reward models"]]
    yield "## Comparisons\n"
    yield (
        f"A labeller compares answers of the untrained policy, and prefers the one with more true reward, with a noise of "
        f"{preferred.NOISE}: {runs[0]['labels']['n_pairs']} pairs of answers to {preferred.N_PROMPTS} beginnings. All methods learn from the "
        f"same pairs, {len(seeds)} seeds. A reward model that saw every pair once prefers as the labeller does in "
        f"{spread([100 * model['accuracy'] for model in models], '.0f')} % of the pairs of other beginnings; its calibration error is "
        f"{spread([model['calibration_error'] for model in models])}.\n"
    )
    yield "![True reward over KL for each method](../chapters/2_reinforcement_learning/figures/rlhf_over_kl.png)\n"
    yield f"| method | true at {AT_KL:g} nats | true at its peak | KL there | true at the end | KL at the end |"
    yield "|---|---|---|---|---|---|"
    for name, curves in list_curves(runs).items():
        peaks = [int(np.argmax(true)) for _, true in curves]
        reached = [at_kl(kl, true) for kl, true in curves if kl.max() >= AT_KL]
        cells = [
            name,
            spread(reached) if len(reached) == len(curves) else "doesn't go there",
            spread([true[peak] for (_, true), peak in zip(curves, peaks, strict=True)]),
            spread([kl[peak] for (kl, _), peak in zip(curves, peaks, strict=True)], ".1f"),
            spread([true[-1] for _, true in curves]),
            spread([kl[-1] for kl, _ in curves], ".1f"),
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield from _describe_stopping(runs)


def _describe_stopping(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What it gives to stop where a second reward model, which isn't optimised, is highest."""
    stopped, ended, best = [], [], []
    for run in runs:
        rows = run["ppo, no KL"]["rows"]
        chosen = max(rows, key=lambda row: row["second"])
        stopped.append(chosen["true"])
        ended.append(rows[-1]["true"])
        best.append(max(row["true"] for row in rows))
    yield (
        "**Early stopping.** PPO without KL, stopped where a second reward model, which it doesn't optimise, rates it highest, has a true "
        f"reward of {spread(stopped)}; at the end it has {spread(ended)}, and at the best measurement {spread(best)}.\n"
    )


def list_curves(runs: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """KL and true reward over each method's measurements, for each seed."""
    curves: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for run in runs:
        for name in run["best of n"]:
            curves.setdefault(f"best of n, {name}", []).append(_kl_and_true(run["best of n"][name]))
        for name in ("ppo, no KL", "ppo, KL 0.1", "ppo, worst case", "dpo", "ipo"):
            curves.setdefault(name, []).append(_kl_and_true(run[name]["rows"]))
    return curves


def _kl_and_true(rows: Sequence[Mapping[str, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([row["kl"] for row in rows]), np.array([row["true"] for row in rows])


def at_kl(kl: np.ndarray, true: np.ndarray, nats: float = AT_KL) -> float:
    """The true reward where a curve first reaches so many nats, between its measurements in a straight line.

    >>> round(at_kl(np.array([0.0, 2.0, 4.0, 3.0]), np.array([0.0, 1.0, 2.0, 9.0])), 3)
    1.5
    """
    after = int(np.argmax(kl >= nats))
    return float(np.interp(nats, kl[after - 1 : after + 1], true[after - 1 : after + 1])) if after else float(true[0])


def draw_proxy(arms: Mapping[str, Seeds]) -> go.Figure:
    """Medians of proxy and true reward over GRPO's updates, with and without KL."""
    series, updates = {}, None
    for name in PROXY_ARMS:
        updates = [row["update"] for row in next(iter(arms[name].values()))["rows"]]
        for reward in ("proxy", "true"):
            series[f"{reward}: {name.removeprefix('grpo, ')}"] = np.median(curve(arms[name], reward, own_rows), axis=0)
    return plots.lines(
        series, x=updates, x_title="update", y_title="reward", title="GRPO on the proxy: medians over seeds"
    )


def draw_over_kl(seeds: Seeds) -> go.Figure:
    """True reward over KL, a curve for each method, whose points are medians over seeds."""
    figure = go.Figure()
    runs = [run for run in seeds.values() if "failure" not in run]
    for i, (name, curves) in enumerate(list_curves(runs).items()):
        kl, true = (np.median([one[part] for one in curves], axis=0) for part in (0, 1))
        look = {
            "line": {"color": SEQUENCE[i % len(SEQUENCE)], "dash": DASHES[i % len(DASHES)]},
            "marker": {"symbol": MARKERS[i % len(MARKERS)]},
        }
        figure.add_trace(go.Scatter(x=kl, y=true, name=name, mode="lines+markers", **look))
    figure.update_xaxes(title_text="KL from the reference (nats for each sample)")
    figure.update_yaxes(title_text="true reward")
    return finish(figure, "True reward over KL, by method", width=760, height=460)


def write(stored: Mapping[str, Seeds]) -> None:
    """The document and both figures, as far as their studies are stored."""
    DOCUMENT.write_text(make_document(stored), encoding="utf-8")
    if stored.keys() >= set(PROXY_ARMS):
        to_png(draw_proxy(stored), FIGURES / "rlhf_proxy.png")
    if stored.get(PREFERENCES):
        to_png(draw_over_kl(stored[PREFERENCES]), FIGURES / "rlhf_over_kl.png")
