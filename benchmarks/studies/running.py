"""Runs a study seed by seed, and keeps each seed's raw figures in the study's JSON file.

Seeds that are there already are left alone, so that a study that was stopped goes on. A seed whose training fails
is kept as a failure.

Raises:  UnknownNameError for a study that isn't declared; ConfigError for seeds that can't be read.
"""

import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from arena_lib.core.files import write_atomically
from arena_lib.core.manifest import find_commit, find_versions
from arena_lib.errors import ConfigError, TrainingError, UnknownNameError
from arena_lib.rl.training.evaluation import Policy, evaluate
from benchmarks.studies.declaring import Study

STORED = Path(__file__).parents[1] / "results" / "studies"
"""Where the published figures lie."""


def find_studies() -> dict[str, Study]:
    """Every declared study by name, in alphabetical order."""
    from benchmarks.studies import dqn, peers, ppo

    studies = [*dqn.STUDIES, *peers.STUDIES, *ppo.STUDIES]
    return {study.name: study for study in sorted(studies, key=lambda study: study.name)}


def choose_study(name: str, known: Mapping[str, Study]) -> Study:
    """The study of this name."""
    if name not in known:
        raise UnknownNameError("study", name, known)
    return known[name]


def read_seeds(text: str) -> list[int]:
    """Read seeds as they are written on the command line.

    >>> read_seeds("0-2,7")
    [0, 1, 2, 7]
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ConfigError(f"--seeds must be numbers and ranges, as in 0-9 or 0,3,5: got {text!r}. Write it so.")
        seeds += range(int(first), int(last if dash else first) + 1)
    return seeds


def run_study(study: Study, seeds: list[int], folder: Path = STORED) -> dict[str, Any]:
    """Train and evaluate each seed that isn't stored, and return all that is."""
    settings = json.loads(json.dumps(dict(study.settings), default=_as_text))
    record = read_record(study.name, folder) or {"study": study.name, "settings": settings, "seeds": {}}
    if record["settings"] != settings:
        raise ConfigError(
            f"all seeds of {study.name} must have the same settings: {folder} has {record['settings']}, and declared are "
            f"{settings}. Give another --folder, or delete the file to begin again."
        )
    for seed in seeds:
        if str(seed) not in record["seeds"]:
            record["seeds"][str(seed)] = run_seed(study, seed)
            write_record(record, folder)
    return record


def run_seed(study: Study, seed: int) -> dict[str, Any]:
    """Train with one seed: its episodes, its greedy evaluations, and what it cost."""
    evaluations: list[tuple[int, float]] = []

    def watch(step: int, policy: Policy) -> None:
        every = study.evaluate_every
        if every is not None and step // every > len(evaluations):
            reached = evaluate(policy, study.env_id, n_episodes=study.n_evaluated)
            evaluations.append((step, round(reached.mean, 2)))

    wall, cpu = time.monotonic(), time.process_time()
    made_with = {"commit": find_commit(), "versions": find_versions()}
    try:
        run, policy = study.train(seed, watch)
    except TrainingError as error:
        return {"failure": str(error), **made_with}
    seconds, cpu_seconds = time.monotonic() - wall, time.process_time() - cpu
    final = evaluate(policy, study.env_id, n_episodes=study.n_evaluated)
    return {
        "n_steps": run.n_steps,
        "episodes": [[step, round(total, 2), length] for step, total, length in run.episodes],
        "evaluations": evaluations,
        "final_greedy": [round(total, 2) for total in final.returns],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        **made_with,
    }


def read_record(name: str, folder: Path = STORED) -> dict[str, Any] | None:
    """What is stored of a study, or None."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def write_record(record: dict[str, Any], folder: Path = STORED) -> Path:
    """Store a study: one line for each seed."""
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(record["seeds"].items(), key=lambda item: int(item[0]))
    lines = ",\n".join(f"{json.dumps(seed)}: {json.dumps(figures)}" for seed, figures in ordered)
    head = json.dumps({name: value for name, value in record.items() if name != "seeds"}, default=_as_text)
    path = folder / f"{record['study']}.json"
    write_atomically(path, f'{head[:-1]}, "seeds": {{\n{lines}\n}}}}\n'.encode())
    return path


def _as_text(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else str(value)
