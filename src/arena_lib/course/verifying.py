"""The authors' gate over a course: every exercise is verified in two processes with different hash seeds.

For an exercise with a test that is `checking.verify`; for an exploratory one, in the first process only,
its solution in the chapter must satisfy the cell's own assertions, and its gap must raise NotImplementedError.

Shapes:  none.
Raises:  ArenaError if a process ends without its records.
Source:  own design (DESIGN 4.2).
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.entries import ExerciseEntry, Section
from arena_lib.errors import ArenaError, AuthoringError

HASH_SEEDS = ("0", "4711")
"""Two that give sets of words different orders."""
_COMPARED = ("reference", "accepts", "stub", "mistakes", "problems")

Record = dict[str, Any]


def verify_sections(section_ids: Sequence[str], names: Sequence[str] = ()) -> list[Record]:
    """The record of each exercise of the sections (of those named, if any are), both runs put together."""
    with tempfile.TemporaryDirectory(prefix="arena-verify-") as folder:
        request = {"sections": list(section_ids), "names": list(names)}
        runs = [(seed, Path(folder) / seed) for seed in HASH_SEEDS]
        processes = [
            _start(json.dumps(request | {"explores": seed == HASH_SEEDS[0]}), seed, answer) for seed, answer in runs
        ]
        try:
            for process in processes:
                process.wait()
        finally:
            for process in processes:
                process.kill()
        first, second = (_read(answer, process) for (_, answer), process in zip(runs, processes, strict=True))
    others = {record["id"]: record for record in second}
    return [_merge(record, others.get(record["id"], record)) for record in first]


def _start(request: str, seed: str, answer: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "arena_lib.course.verifying", request, str(answer)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def _read(answer: Path, process: subprocess.Popen[bytes]) -> list[Record]:
    try:
        records: list[Record] = json.loads(answer.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArenaError(
            f"a process that verifies must end with its records: got exit code {process.returncode} and none. "
            "What it printed above says why."
        ) from error
    return records


def _merge(one: Record, other: Record) -> Record:
    """The record of both runs: what differs between them is a problem of its own."""
    merged = dict(one)
    merged["seconds"] = round((one["seconds"] + other["seconds"]) / 2, 3)
    if any(one[key] != other[key] for key in _COMPARED):
        problem = f"two runs with different hash seeds must agree: got {_differences(one, other)}"
        merged["problems"] = [*one["problems"], problem]
    merged["holds"] = not merged["problems"]
    return merged


def _differences(one: Record, other: Record) -> str:
    return "; ".join(f"{key} {one[key]!r} and {other[key]!r}" for key in _COMPARED if one[key] != other[key])


def verify_here(section: Section, names: Sequence[str] = (), *, explores: bool = True) -> list[Record]:
    """The record of each exercise of one section, in this process; exploratory ones only if it `explores`."""
    entries = [entry for entry in section.exercises if not names or entry.name in names]
    entries = [entry for entry in entries if explores or not entry.is_exploratory]
    errors = _exploratory_errors(section) if any(entry.is_exploratory for entry in entries) else {}
    return [
        _exploratory_record(section, entry, errors) if entry.is_exploratory else verify_entry(entry)
        for entry in entries
    ]


def verify_entry(entry: ExerciseEntry) -> Record:
    """The record of one exercise with a test."""
    from arena_lib.checking.verifying import verify

    assert entry.test is not None
    module, _, name = entry.test.partition(":")
    test = getattr(importlib.import_module(module), name)
    verification = verify(test, stub=make_stub_object(entry), exercise_id=entry.id)
    record: Record = json.loads(json.dumps(verification.to_record()))
    return record


def make_stub_object(entry: ExerciseEntry) -> Any:
    """What an untouched stub defines, run in the names of the reference's module."""
    from arena_lib.course.content.stubs import make_stub, source_of

    assert entry.reference is not None
    namespace = dict(vars(importlib.import_module(entry.reference.partition(":")[0])))
    namespace["__name__"] = "stub"
    code = compile(make_stub(source_of(entry.reference), entry.keep), "<stub>", "exec", dont_inherit=True)
    exec(code, namespace)
    return namespace[entry.object_name]


def _exploratory_errors(section: Section) -> dict[str, tuple[Exception | None, float]]:
    """For each exploratory exercise what its solution raised, and how long it took; those that were reached."""
    from arena_lib.course.content.solutions import run_exploratory

    found: dict[str, tuple[Exception | None, float]] = {}
    started = time.perf_counter()
    try:
        for entry, error in run_exploratory(section):
            found[entry.id] = (error, time.perf_counter() - started)
            started = time.perf_counter()
    except AuthoringError as error:
        for entry in section.exercises:
            if entry.is_exploratory:
                found.setdefault(entry.id, (error, time.perf_counter() - started))
    return found


def _exploratory_record(
    section: Section, entry: ExerciseEntry, errors: dict[str, tuple[Exception | None, float]]
) -> Record:
    from arena_lib.course.content.notebooks import hide_solution

    error, seconds = errors[entry.id]
    (source,) = [cell.source for cell in section.cells if cell.exercise is not None and cell.exercise.id == entry.id]
    stub = "not_started" if "raise NotImplementedError" in hide_solution(source) else "error"
    problems = []
    if error is not None:
        problems.append(f"its solution must satisfy its cell: got {type(error).__name__}: {error}")
    if stub != "not_started":
        problems.append("its gap must raise NotImplementedError: it doesn't")
    return {
        "id": entry.id,
        "reference": "passed" if error is None else "failed",
        "accepts": [],
        "stub": stub,
        "mistakes": [],
        "seconds": round(seconds, 3),
        "problems": problems,
    }


def _main(request: str, answer: str) -> None:
    wanted = json.loads(request)
    catalog = load_catalog(strict=True)
    with contextlib.redirect_stdout(sys.stderr):
        sections = [catalog.section(name) for name in wanted["sections"]]
        records = [r for one in sections for r in verify_here(one, wanted["names"], explores=wanted["explores"])]
    Path(answer).write_text(json.dumps(records), encoding="utf-8")


if __name__ == "__main__":
    _main(*sys.argv[1:])
