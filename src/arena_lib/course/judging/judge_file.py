"""Judges each exercise of a learner's file in a fresh process with a time limit.

A learner's process may loop, crash, print without end or call `os._exit`: it costs its own exercise
only. The processes are forked from a server (`judge_server`) that has loaded torch once.

    results = judge_file(Path("1.1_transformer_from_scratch.ipynb"), section)

Raises:  WorkspaceError for a file that can't be read; ArenaError if the server itself fails.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from arena_lib.checking.reports.messages import spoken
from arena_lib.checking.results import Result
from arena_lib.course.content.catalog_types import ExerciseEntry, Section
from arena_lib.course.judging.cells import CellProblem, LearnerFile, read_learner_file
from arena_lib.course.judging.collect import (
    ParsedFile,
    expression_of,
    imported_modules,
    parse_file,
    problem_of_name,
    source_of_name,
)
from arena_lib.course.judging.earlier_failures import FAULTS, helpers_of, mention_helpers
from arena_lib.course.record.staleness import current_test_hash
from arena_lib.errors import ArenaError

DEFAULT_LIMIT = 60.0
"""Seconds that one exercise may take."""
MOST_PARALLEL = 4
_STAND_A_FORK = {"arena_lib", "einops", "jaxtyping", "numpy", "plotly", "torch"}
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, kw_only=True)
class FileVerdict:
    """What was found in one file."""

    path: Path
    results: tuple[Result, ...]
    problems: tuple[CellProblem, ...]
    """Cells that aren't Python."""
    unread: Mapping[str, CellProblem] = field(default_factory=dict)
    """The exercises that stand in such a cell, by id."""


class JudgeServer:
    """A process that has loaded torch and forks one child for each exercise; close it, or use `with`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> JudgeServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def judge(self, jobs: Sequence[dict[str, Any]], limit: float, preload: Sequence[str] = ()) -> Iterator[Result]:
        """One Result for each job, as they come; modules to `preload` are loaded once for all of them."""
        if not jobs:
            return
        waiting = {job["exercise"]: job for job in jobs}
        process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            request = {"jobs": jobs, "limit": limit, "n_parallel": _n_parallel(), "preload": sorted(preload)}
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            while waiting and (line := process.stdout.readline()):
                result = Result.from_json(line)
                waiting.pop(result.exercise, None)
                yield result
        except BrokenPipeError:
            pass
        if waiting:
            self.close()
            raise ArenaError(
                f"the process that judges must keep running: it ended with {process.returncode} before "
                f"{', '.join(waiting)}. Run `arena doctor`, then try again."
            )

    def close(self) -> None:
        """Ends the server, and with it whatever it is judging."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.terminate()
        process.wait()
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()

    def _start(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "arena_lib.course.judging.judge_server"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env=os.environ | _ONE_THREAD,
            )
        return self._process


def judge_file(
    path: Path,
    section: Section,
    *,
    only: Iterable[str] | None = None,
    limit: float = DEFAULT_LIMIT,
    device: str = "cpu",
    server: JudgeServer | None = None,
) -> FileVerdict:
    """Judges what the learner has of a section in a file; `only` names exercises by id.

    An exploratory exercise has no test; its own cell asserts what must hold, so it isn't judged here.
    """
    file = read_learner_file(path)
    parsed = parse_file(file)
    chosen = None if only is None else set(only)
    entries = [e for e in section.exercises if e.test is not None and (chosen is None or e.id in chosen)]
    unread = {entry.id: problem for entry in entries if (problem := _problem_of(parsed, entry)) is not None}
    with contextlib.ExitStack() as stack:
        judges = server or stack.enter_context(JudgeServer())

        def judge(some: Sequence[ExerciseEntry]) -> dict[str, Result]:
            found = {entry.id: _without_running(parsed, entry) for entry in some}
            jobs = [make_job(file, entry, device) for entry in some if found[entry.id] is None]
            judged = {result.exercise: result for result in judges.judge(jobs, limit, _modules_to_share(parsed))}
            return {name: result or judged[name] for name, result in found.items()}

        results = judge(entries)
        results = _with_helpers(parsed, section, results, judge)
    return FileVerdict(
        path=path,
        results=tuple(_complete(results[entry.id], entry, _source_hash(parsed, entry)) for entry in entries),
        problems=tuple(problem for _, problem in parsed.broken),
        unread=unread,
    )


def _with_helpers(
    parsed: ParsedFile,
    section: Section,
    results: dict[str, Result],
    judge: Callable[[Sequence[ExerciseEntry]], dict[str, Result]],
) -> dict[str, Result]:
    """The results, those that fail with a note of the learner's own earlier exercises that fail as well.

    An earlier exercise that wasn't asked for is judged for this.
    """
    entries = [entry for entry in section.exercises if entry.test is not None]
    helpers = {
        entry.id: helpers_of(parsed, entry, entries[:i])
        for i, entry in enumerate(entries)
        if entry.id in results and results[entry.id].status in FAULTS
    }
    unknown = {helper.id: helper for some in helpers.values() for helper in some if helper.id not in results}
    known = results | judge(list(unknown.values()))
    return {name: mention_helpers(result, helpers.get(name, ()), known, parsed) for name, result in results.items()}


def make_job(file: LearnerFile, entry: ExerciseEntry, device: str = "cpu") -> dict[str, Any]:
    """What a child needs to know to judge one exercise."""
    return {
        "path": str(file.path.absolute()),
        "exercise": entry.id,
        "name": entry.name,
        "test": entry.test,
        "reference": entry.reference,
        "device": device,
    }


def _without_running(parsed: ParsedFile, entry: ExerciseEntry) -> Result | None:
    """The verdict on an exercise that isn't there, or stands in a cell that isn't Python; None if it can run."""
    name = _root_of(parsed, entry)
    if source_of_name(parsed, name) is not None:
        return None
    if problem := _problem_of(parsed, entry):
        told = f"the cell of {name} must be Python: got {problem.message} in {problem.where}. Mend that line."
        return spoken(entry.id, "error", told)
    return spoken(entry.id, "not_started", f"not started, {name} isn't defined here.")


def _problem_of(parsed: ParsedFile, entry: ExerciseEntry) -> CellProblem | None:
    """Why the cell that defines the exercise can't be read, if it is defined nowhere else."""
    name = _root_of(parsed, entry)
    return None if source_of_name(parsed, name) is not None else problem_of_name(parsed, name)


def _root_of(parsed: ParsedFile, entry: ExerciseEntry) -> str:
    """The name of the module that holds what the learner hands to the exercise's test."""
    return expression_of(parsed, entry).partition(".")[0]


def _complete(result: Result, entry: ExerciseEntry, source_hash: str | None) -> Result:
    """The result with the hashes that its process couldn't know."""
    return replace(
        result,
        source_hash=result.source_hash or source_hash,
        test_hash=result.test_hash or current_test_hash(entry),
    )


def _source_hash(parsed: ParsedFile, entry: ExerciseEntry) -> str | None:
    source = source_of_name(parsed, _root_of(parsed, entry))
    return None if source is None else hashlib.sha256(source.encode()).hexdigest()


def _modules_to_share(parsed: ParsedFile) -> list[str]:
    """What the learner's file imports of the libraries that are known to stand a fork after their import."""
    names = imported_modules(parsed)
    return [name for name in names if name.split(".")[0] in _STAND_A_FORK]


def _n_parallel() -> int:
    return max(1, min(MOST_PARALLEL, os.cpu_count() or 1))
