"""The authors' gate over a course: every exercise is verified in two processes with different hash seeds.

For an exercise with a test that is `checking.verify`; for an exploratory one, in the first process only,
its solution in the chapter must satisfy the cell's own assertions, and its gap must raise NotImplementedError.

Raises:  ArenaError if a process ends without its records.
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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.catalog_types import ExerciseEntry, Section
from arena_lib.errors import ArenaError, AuthoringError

HASH_SEEDS = ("0", "4711")
"""Two that give sets of words different orders."""
POLL_SECONDS = 0.1
_COMPARED = ("reference", "accepts", "stub", "mistakes", "problems")

Record = dict[str, Any]


def verify_sections(
    section_ids: Sequence[str], names: Sequence[str] = (), on_record: Callable[[str], object] | None = None
) -> list[Record]:
    """The record of each exercise of the sections (of those named, if any are), both runs put together.

    `on_record` is told the id of an exercise whenever one of the two processes is done with it.
    """
    with tempfile.TemporaryDirectory(prefix="arena-verify-") as folder:
        request = {"sections": list(section_ids), "names": list(names)}
        runs = [(seed, Path(folder) / seed) for seed in HASH_SEEDS]
        processes = [
            _start(json.dumps(request | {"explores": seed == HASH_SEEDS[0]}), seed, answer) for seed, answer in runs
        ]
        try:
            _wait(processes, [answer for _, answer in runs], on_record or (lambda _: None))
        finally:
            for process in processes:
                process.kill()
                process.wait()
        first, second = (_read(answer, process) for (_, answer), process in zip(runs, processes, strict=True))
    others = {record["id"]: record for record in second}
    return [_merge(record, others.get(record["id"], record)) for record in first]


def _start(request: str, seed: str, answer: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "arena_lib.course.verify_sections", request, str(answer)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def _wait(
    processes: Sequence[subprocess.Popen[bytes]], answers: Sequence[Path], on_record: Callable[[str], object]
) -> None:
    """Returns when every process has ended, and meanwhile tells of each record that one of them has written."""
    n_told = [0] * len(answers)
    is_running = True
    while is_running:
        is_running = any(process.poll() is None for process in processes)
        for i, answer in enumerate(answers):
            records = _records_in(answer)
            for record in records[n_told[i] :]:
                on_record(record["id"])
            n_told[i] = len(records)
        if is_running:
            time.sleep(POLL_SECONDS)


def _records_in(answer: Path) -> list[Record]:
    """One record for each line that is whole."""
    text = answer.read_text(encoding="utf-8") if answer.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _read(answer: Path, process: subprocess.Popen[bytes]) -> list[Record]:
    if process.returncode != 0:
        raise ArenaError(
            f"a process that verifies must come to its end: got exit code {process.returncode}. "
            "What it printed above says why."
        )
    return _records_in(answer)


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


def verify_here(section: Section, names: Sequence[str] = (), *, explores: bool = True) -> Iterator[Record]:
    """The record of each exercise of one section, in this process; exploratory ones only if it `explores`."""
    entries = [entry for entry in section.exercises if not names or entry.name in names]
    errors: dict[str, tuple[Exception | None, float]] = {}
    for entry in entries:
        if not entry.is_exploratory:
            yield verify_entry(entry)
        elif explores:
            errors = errors or _exploratory_errors(section)
            yield _exploratory_record(section, entry, errors)


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
    with contextlib.redirect_stdout(sys.stderr), Path(answer).open("w", encoding="utf-8", buffering=1) as lines:
        for name in wanted["sections"]:
            for record in verify_here(catalog.section(name), wanted["names"], explores=wanted["explores"]):
                lines.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
