"""Makes docs/rl_results.md from the stored figures: nothing in it is typed by hand.

score      where a study evaluates: the mean of the last greedy evaluation; else the mean return of the last steps
solved     the first step whose evaluation, or whose mean over 20 episodes of training, reaches the threshold
afterwards the worst of what was measured in the same way after that
until then the processor time of that seed times the share of its steps until it was solved
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arena_lib.rl.training.curves import bootstrap_interval, interquartile_mean, sample_curve
from benchmarks.studies.declaring import Study
from benchmarks.studies.running import STORED, read_record

DOCUMENT = Path(__file__).parents[2] / "docs" / "rl_results.md"
N_RECENT = 20
HEAD = """# What the agents reach

Made by `python -m benchmarks study --table` from the figures in `benchmarks/results/studies/`, where every seed's
episodes, evaluations and cost are; nothing here was typed by hand. `python -m benchmarks study NAME --seeds 0-9` trains
what isn't stored.

- **Score**: the interquartile mean over seeds, with its 95 % bootstrap interval (Agarwal et al. 2021,
  arXiv:2108.13264). A seed's score is what its row says: the mean of the last greedy evaluation, or the mean return of
  the last steps of training. A training that failed counts as the worst score.
- **Solved at**: the median of the first step whose evaluation, or whose mean over 20 episodes of training, reaches the
  threshold; seeds that never do count as infinite. **Worst after**: the worst that was measured after that, over all
  seeds. **Held**: how many seeds' scores are at the threshold or above.
- Settings were chosen on seeds 100 to 104 at most, and are reported on seeds from 0; every setting that was tried is listed.
- Times are seconds of one core, on a machine that did other work too; they are compared only within the studies of one
  environment, which ran on the same machine. **Until then**: the median of the processor time until a seed was solved.
"""


@dataclass(frozen=True)
class SeedFigures:
    """What one seed comes to."""

    score: float
    solved_at: int | None
    worst_after: float | None
    final_greedy: float | None
    cpu_seconds: float | None
    seconds_until_solved: float | None
    failure: str | None


def sum_up_seed(study: Study, figures: Mapping[str, Any]) -> SeedFigures:
    """Reduce a seed's raw figures."""
    if "failure" in figures:
        return SeedFigures(-math.inf, None, None, None, None, None, figures["failure"])
    episodes = [(step, total, length) for step, total, length in figures["episodes"]]
    if figures["evaluations"]:
        steps, values = np.array(figures["evaluations"]).T
        score = float(values[-1])
    else:
        steps = np.array([step for step, *_ in episodes])
        values = sample_curve(episodes, steps, n_recent=N_RECENT)
        values[: N_RECENT - 1] = -math.inf  # too few to count as solved
        recent = [total for step, total, _ in episodes if step > figures["n_steps"] - study.last_steps]
        score = float(np.mean(recent)) if recent else -math.inf
    over = np.flatnonzero(values >= study.threshold) if study.threshold is not None else np.array([], int)
    solved_at = int(steps[over[0]]) if over.size else None
    return SeedFigures(
        score=score,
        solved_at=solved_at,
        worst_after=float(values[over[0] :].min()) if over.size else None,
        final_greedy=float(np.mean(figures["final_greedy"])),
        cpu_seconds=figures["cpu_seconds"],
        seconds_until_solved=None if solved_at is None else figures["cpu_seconds"] * solved_at / figures["n_steps"],
        failure=None,
    )


def make_table(studies: Mapping[str, Study], folder: Path = STORED) -> str:
    """The whole document, of the studies that are stored."""
    records = {name: read_record(name, folder) for name in studies}
    stored = {name: record for name, record in records.items() if record is not None}
    rows = [
        "| study | steps | seeds | threshold | score | solved at | held | worst after | seconds a seed | until then |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_row(studies[name], record) for name, record in stored.items()),
    ]
    parts = [_describe(studies[name], record) for name, record in stored.items()]
    missing = [name for name in studies if name not in stored]
    tail = [f"Declared and not run yet: {', '.join(f'`{name}`' for name in missing)}.\n"] if missing else []
    return "\n".join([HEAD, *rows, "", *tail, *parts])


def _row(study: Study, record: Mapping[str, Any]) -> str:
    seeds = [sum_up_seed(study, figures) for figures in record["seeds"].values()]
    scores = [seed.score for seed in seeds]
    low, high = bootstrap_interval(scores)
    solved = np.median([math.inf if seed.solved_at is None else seed.solved_at for seed in seeds])
    worst = [seed.worst_after for seed in seeds if seed.worst_after is not None]
    until = np.median([math.inf if seed.seconds_until_solved is None else seed.seconds_until_solved for seed in seeds])
    costs = [seed.cpu_seconds for seed in seeds if seed.cpu_seconds is not None]
    n_held = sum(seed.score >= (study.threshold or -math.inf) for seed in seeds)
    n_solved = sum(seed.solved_at is not None for seed in seeds)
    steps = max(figures.get("n_steps", 0) for figures in record["seeds"].values())
    has_threshold = study.threshold is not None
    return _cells(
        f"[{study.title}](#{study.name})",
        f"{steps:,}",
        str(len(seeds)),
        f"{study.threshold:g}" if has_threshold else "",
        f"{interquartile_mean(scores):.1f} ({low:.1f} to {high:.1f})",
        f"{_steps(solved)} ({n_solved} of {len(seeds)})" if has_threshold else "",
        f"{n_held} of {len(seeds)}" if has_threshold else "",
        f"{min(worst):.1f}" if worst else "",
        f"{np.median(costs):.0f}" if costs else "",
        ("never" if math.isinf(until) else f"{until:.1f}") if has_threshold else "",
    )


def _describe(study: Study, record: Mapping[str, Any]) -> str:
    """One study's part: settings, others' figure, every seed, every setting that was tried."""
    settings = ", ".join(f"{name} {value}" for name, value in record["settings"].items())
    judged = (
        f"Judged by greedy evaluation, {study.n_evaluated} episodes on seeds apart from training, every "
        f"{study.evaluate_every:,} steps."
        if study.evaluate_every is not None
        else f"Judged by the returns of training in the last {study.last_steps:,} steps."
    )
    lines = [f'<a id="{study.name}"></a>', f"## {study.title}", "", judged, f"Settings: {settings}.", ""]
    lines += [f"Published: {study.published}", ""] if study.published else []
    lines += [study.note, ""] if study.note else []
    lines += ["| seed | score | solved at | worst after | greedy at the end | seconds |", "|---|---|---|---|---|---|"]
    for seed, figures in record["seeds"].items():
        one = sum_up_seed(study, figures)
        if one.failure is not None:
            lines.append(_cells(seed, f"failed: {one.failure}", "", "", "", ""))
            continue
        lines.append(
            _cells(
                seed,
                f"{one.score:.1f}",
                _steps(math.inf if one.solved_at is None else one.solved_at) if study.threshold is not None else "",
                "" if one.worst_after is None else f"{one.worst_after:.1f}",
                f"{one.final_greedy:.1f}",
                f"{one.cpu_seconds:.0f}",
            )
        )
    if study.trials:
        lines += ["", "| tried besides | seeds | outcome |", "|---|---|---|"]
        lines += [_cells(trial.settings, trial.seeds, trial.outcome) for trial in study.trials]
    return "\n".join([*lines, ""])


def _steps(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:,.0f}"


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
