"""Judges each exercise of a learner's file in a fresh process with limits on time and memory.

A learner's process may loop, crash, print without end, call `os._exit` or kill the process that started
it: it costs its own exercise only.

    verdict = judge_file(Path("1.1_transformer_from_scratch.ipynb"), section)

Raises:  WorkspaceError for a file that can't be read; ArenaError if no process starts.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shlex
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from arena_lib.checking.reports.messages import render_text, spoken
from arena_lib.checking.results import RUNS, Check, Result
from arena_lib.checking.soft_limits import LIMIT_GIB, LIMIT_SECONDS, notes_on_time
from arena_lib.course.content.catalog_types import ExerciseEntry, Section
from arena_lib.course.content.judge_hashes import current_test_hash
from arena_lib.course.content.stubs import is_stub
from arena_lib.course.judging.begun import begun_text, cells_of
from arena_lib.course.judging.cells import CellProblem, LearnerFile, read_learner_file
from arena_lib.course.judging.collect import (
    ParsedFile,
    definition_of,
    expression_of,
    imported_modules,
    parse_file,
    problem_of_name,
    source_of_name,
)
from arena_lib.course.judging.earlier_failures import FAULTS, helpers_of, mention_helpers, point_to_unwritten
from arena_lib.course.judging.judge_exercise import judge_alone
from arena_lib.course.judging.processes import LOST, Ending, Job, Limits, run_jobs

MOST_PARALLEL = 4
SAFE_TO_FORK = {"arena_lib", "einops", "jaxtyping", "numpy", "plotly", "torch"}
"""Libraries that work in a process which was forked after their import."""


@dataclass(frozen=True, kw_only=True)
class FileVerdict:
    """What was found in one file."""

    path: Path
    results: tuple[Result, ...]
    problems: tuple[CellProblem, ...]
    """Cells that aren't Python."""
    unread: Mapping[str, CellProblem] = field(default_factory=dict)
    """The exercises that stand in such a cell, by id."""


@dataclass(frozen=True, kw_only=True)
class Meanwhile:
    """What happens while a file is judged."""

    on_result: Callable[[Result], None] = lambda result: None
    """Told of each verdict as it comes, before it is known what else of the learner's own fails."""
    while_waiting: Callable[[], None] | None = None
    """Called several times a second; what it raises ends the judging."""


def judge_file(
    path: Path,
    section: Section,
    *,
    only: Iterable[str] | None = None,
    limit: float = LIMIT_SECONDS,
    memory: float = LIMIT_GIB,
    device: str = "cpu",
    meanwhile: Meanwhile | None = None,
) -> FileVerdict:
    """Judges what the learner has of a section in a file; `only` names exercises by id, the first of which begins.

    An exploratory exercise has no test; its own cell asserts what must hold, so it isn't judged here.
    """
    file = read_learner_file(path)
    parsed = parse_file(file)
    chosen = None if only is None else list(only)
    meanwhile = meanwhile or Meanwhile()
    entries = [e for e in section.exercises if e.test is not None and (chosen is None or e.id in chosen)]
    unread = {entry.id: problem for entry in entries if (problem := _problem_of(parsed, entry)) is not None}

    def judge(some: Sequence[ExerciseEntry]) -> dict[str, Result]:
        early = {entry.id: _without_running(parsed, entry) for entry in some}
        for result in filter(None, early.values()):
            meanwhile.on_result(result)
        to_run = [entry for entry in some if early[entry.id] is None]
        to_run.sort(key=lambda entry: chosen.index(entry.id) if chosen and entry.id in chosen else 0)
        # CUDA takes address space by the hundred GiB, most of which is never filled.
        limits = Limits(seconds=limit, memory=memory if device == "cpu" else math.inf)
        judged = _run_all(file, to_run, limits, device, _modules_to_share(parsed), meanwhile)
        return {name: result or judged[name] for name, result in early.items()}

    results = _with_helpers(parsed, section, judge(entries), judge)
    results = _with_what_is_begun(path, parsed, section, results)
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
    unjudged = {helper.id: helper for earlier in helpers.values() for helper in earlier if helper.id not in results}
    all_results = results | judge(list(unjudged.values()))
    return {
        name: point_to_unwritten(mention_helpers(result, helpers.get(name, ()), all_results, parsed), section.exercises)
        for name, result in results.items()
    }


def _with_what_is_begun(
    path: Path, parsed: ParsedFile, section: Section, results: Mapping[str, Result]
) -> dict[str, Result]:
    """The results, those that aren't started with what the learner has written of them all the same."""
    told, cells = dict(results), cells_of(path)
    for entry in section.exercises:
        result = results.get(entry.id)
        if result is not None and result.status == "not_started" and not result.needs:
            text = begun_text(section, entry, parsed, cells.get(entry.id, ""))
            told[entry.id] = replace(spoken(entry.id, "not_started", f"{text}."), notes=(text,)) if text else result
    return told


def _run_all(
    file: LearnerFile,
    entries: Sequence[ExerciseEntry],
    limits: Limits,
    device: str,
    modules: Sequence[str],
    meanwhile: Meanwhile,
) -> dict[str, Result]:
    """The verdict on each exercise, which runs in a process of its own, by its id."""
    path = file.path.absolute()
    jobs = [Job(name=entry.id, function=judge_alone, arguments=(path, entry, device)) for entry in entries]
    tests = {entry.test.partition(":")[0]: None for entry in entries if entry.test}
    preload = ["torch", "arena_lib.checking.running", judge_alone.__module__, *tests, *modules]
    results: dict[str, Result] = {}
    calls: dict[str, dict[str, str]] = {}
    messages = run_jobs(jobs, limits, n_parallel=_n_parallel(), preload=preload, while_waiting=meanwhile.while_waiting)
    for job, message in messages:
        if not isinstance(message, Ending):
            record = json.loads(message)
            if "status" in record:
                results[job.name] = Result.from_record(record)
            else:
                calls[job.name] = record
            continue
        if message.exit_code == LOST or job.name not in results:
            results[job.name] = _verdict_on(job.name, message, limits, calls.get(job.name, {}), file.path)
        meanwhile.on_result(results[job.name])
    return results


def _verdict_on(exercise: str, ending: Ending, limits: Limits, call: Mapping[str, str], path: Path) -> Result:
    """What is said of an exercise whose process left no verdict; `call` holds its last call and case, if it made one."""
    if ending.exit_code is None:
        notes = notes_on_time(shlex.quote(str(path)))
        result = Result(exercise=exercise, status="timeout", seconds=limits.seconds, notes=notes, **call)  # type: ignore[arg-type]
    else:
        message = f"Your code must return to its test: {describe_exit(ending.exit_code)}."
        check = Check(name=RUNS, passed=False, message=message)
        result = Result(exercise=exercise, status="error", checks=(check,), **call)  # type: ignore[arg-type]
    return replace(result, message=render_text(result))


def describe_exit(code: int) -> str:
    """What became of a process, in words."""
    if code == LOST:
        return (
            f"it killed the process that started it, or ended its own with exit code {LOST}. "
            "Leave other processes alone, and don't call os._exit or exit"
        )
    if code >= 0:
        return f"it ended its process with exit code {code}. Don't call os._exit or exit"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    if name == "SIGKILL":
        return "its process was killed (SIGKILL), most likely for want of memory. Look for a tensor that is too large"
    return f"its process crashed ({name}). Look for indices out of range in native code, and for endless recursion"


def _without_running(parsed: ParsedFile, entry: ExerciseEntry) -> Result | None:
    """The verdict on an exercise that isn't begun, or stands in a cell that isn't Python; None if it can run."""
    name = _root_of(parsed, entry)
    if source_of_name(parsed, name) is not None:
        definition = definition_of(parsed, expression_of(parsed, entry))
        if definition is None or not is_stub(definition, entry.keep):
            return None
        result = Result(exercise=entry.id, status="not_started")  # whatever becomes of what its stub needs
        return replace(result, message=render_text(result))
    if problem := _problem_of(parsed, entry):
        message = f"the cell that defines {name} can't be read as Python: {problem.message} ({problem.where})."
        return spoken(entry.id, "error", message)
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
    """What the learner's file imports of the libraries that are safe to fork."""
    names = imported_modules(parsed)
    return [name for name in names if name.split(".")[0] in SAFE_TO_FORK]


def _n_parallel() -> int:
    return max(1, min(MOST_PARALLEL, os.cpu_count() or 1))
