"""The authors' gate over a course: every exercise is verified in two processes with different hash seeds.

For an exercise with a test that is `checking.verify`; its reference's edits, which take half of the time, are tried
in one of the two, by turns. For an exploratory exercise, in the first process only, its solution in the chapter must
satisfy the cell's own assertions, and its gap must raise NotImplementedError.

What an author got wrong, such as a substitution that matches three times, is a problem of its own exercise, with
file and line; so is a process that crashes.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import itertools
import json
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.catalog_types import SOLUTION_BEGINS, SOLUTION_ENDS, ExerciseEntry, Section
from arena_lib.course.content.references import read_module
from arena_lib.course.judging.processes import Ending, Job, Limits, run_jobs
from arena_lib.errors import AuthoringError

HASH_SEEDS = ("0", "4711")
"""Two that give sets of words different orders."""
_SORT = "Sort what comes from a set, and draw from the generator alone."
_COMPARED = ("reference", "accepts", "stub", "mistakes", "problems")

Record = dict[str, Any]


def verify_sections(
    section_ids: Sequence[str], names: Sequence[str] = (), on_record: Callable[[str], object] | None = None
) -> list[Record]:
    """The record of each exercise of the sections (of those named, if any are), both runs put together.

    `on_record` is called with the id of an exercise whenever one of the two processes is done with it.
    """
    catalog = load_catalog()
    entries = [
        entry for name in section_ids for entry in catalog.section(name).exercises if not names or entry.name in names
    ]
    first_seed, second_seed = HASH_SEEDS
    judged = [entry for entry in entries if not entry.is_exploratory]
    waiting = {first_seed: list(entries), second_seed: list(judged)}
    edited = {seed: [entry.id for entry in judged[turn :: len(HASH_SEEDS)]] for turn, seed in enumerate(HASH_SEEDS)}
    records: dict[str, dict[str, Record]] = {seed: {} for seed in HASH_SEEDS}
    while any(waiting.values()):
        for seed, record in _run(waiting, edited):
            records[seed][record["id"]] = record
            if on_record is not None:
                on_record(record["id"])
        waiting = {seed: [e for e in left if e.id not in records[seed]] for seed, left in waiting.items()}
    first, second = (records[seed] for seed in HASH_SEEDS)
    return [_merge(first[entry.id], second.get(entry.id, first[entry.id])) for entry in entries]


def _run(
    waiting: Mapping[str, Sequence[ExerciseEntry]], edited: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, Record]]:
    """The records that a process for each hash seed makes of the exercises which wait for it.

    `edited` are the ids of those of which it also tries the edits. A process that crashes leaves the exercise at which it
    did so as one that doesn't hold, and those after it without a record.
    """
    jobs = [
        Job(
            name=seed,
            function=verify_alone,
            arguments=([entry.id for entry in entries], edited[seed]),
            environment={"PYTHONHASHSEED": seed},
        )
        for seed, entries in waiting.items()
        if entries
    ]
    remaining = {seed: list(entries) for seed, entries in waiting.items()}
    for job, message in run_jobs(jobs, Limits(), n_parallel=len(jobs)):
        if not isinstance(message, Ending):
            remaining[job.name].pop(0)
            yield job.name, json.loads(message)
        elif remaining[job.name]:
            ending = (
                f"a process that verifies must come to its end: it ended with exit code {message.exit_code}. "
                "Call the reference, the accepted solutions and the mistakes by hand, to see which one ends Python."
            )
            yield job.name, _broken_record(remaining[job.name][0], [ending])


def verify_alone(exercise_ids: Sequence[str], edited: Sequence[str]) -> Iterator[str]:
    """The record of each exercise as JSON, in order, with the edits of those in `edited`; call it in its own process."""
    catalog = load_catalog()
    entries = [catalog.exercise(name) for name in exercise_ids]
    with contextlib.redirect_stdout(sys.stderr):
        for section, group in itertools.groupby(entries, key=catalog.section_of):
            for record in verify_here(section, [entry.name for entry in group], edited=edited):
                yield json.dumps(record)


def _merge(first: Record, second: Record) -> Record:
    """The record of both runs: what differs between them is a problem of its own."""
    merged = first | {key: first[key] or second[key] for key in ("mutants", "holes")}
    merged["seconds"] = round((first["seconds"] + second["seconds"]) / 2, 3)
    if any(first[key] != second[key] for key in _COMPARED):
        problem = f"two runs with different hash seeds must agree: got {_differences(first, second)}. {_SORT}"
        merged["problems"] = [*first["problems"], problem]
    merged["holds"] = not (merged["problems"] or merged["holes"])
    return merged


def _differences(first: Record, second: Record) -> str:
    return "; ".join(f"{key} {first[key]!r} and {second[key]!r}" for key in _COMPARED if first[key] != second[key])


def verify_here(
    section: Section, names: Sequence[str] = (), *, edited: Sequence[str] | None = None
) -> Iterator[Record]:
    """The record of each exercise of one section, in this process; edits of those in `edited`, or of all."""
    entries = [entry for entry in section.exercises if not names or entry.name in names]
    errors: dict[str, tuple[Exception | None, float]] = {}
    for entry in entries:
        if not entry.is_exploratory:
            yield _record_of(entry, section.tests_module, tries_edits=edited is None or entry.id in edited)
        else:
            errors = errors or _exploratory_errors(section)
            yield _exploratory_record(section, entry, errors)


def _record_of(entry: ExerciseEntry, tests_module: str, *, tries_edits: bool) -> Record:
    """The record of one exercise with a test, whatever its author got wrong."""
    importlib.import_module("arena_lib.checking.proofs.verifying")  # with torch, whose seconds are no exercise's
    started = time.perf_counter()
    try:
        misplaced = _unreachable(entry, tests_module) or _cases_elsewhere(entry)
        return _broken_record(entry, misplaced) if misplaced else verify_entry(entry, tries_edits=tries_edits)
    except Exception as error:  # the author's own code runs here: the test's module, its cases, its mistakes
        problems = _problems_with_mistakes(entry) or [_problem_with(error, entry)]
        return _broken_record(entry, problems, time.perf_counter() - started)


def _unreachable(entry: ExerciseEntry, tests_module: str) -> list[str]:
    """Says so of a test that the last line of a learner's cell, `tests.test_x(...)`, doesn't find."""
    package = importlib.import_module(tests_module)
    if hasattr(package, entry.test_name):
        return []
    return [
        f"{package.__file__}:1: learners must be able to call tests.{entry.test_name}: got no such name in {tests_module}. "
        "Import it there."
    ]


def _cases_elsewhere(entry: ExerciseEntry) -> list[str]:
    """Says so of cases that another file makes: only the test's own file is read for what makes a pass stale."""
    from arena_lib.checking.proofs.places import place_of_definition, place_of_name

    test = _import_test(entry)
    own_module = str(entry.test).partition(":")[0]
    if test.module == own_module:
        return []
    here = place_of_name(read_module(own_module).path, entry.test_name)
    there = place_of_definition(test.cases)
    return [
        f"{here}: the cases of {entry.test_name} must be made in this file: got {test.cases.__name__} of {there}. "
        "Move them here: a change of the cases makes earlier passes stale, and only this file is read for that."
    ]


def _problems_with_mistakes(entry: ExerciseEntry) -> list[str]:
    """A line for each mistake that can't be made from the reference, with the place where it is written."""
    from arena_lib.checking.proofs.places import place_of_test

    problems = []
    try:
        test = _import_test(entry)
        for mistake in test.mistakes:
            try:
                mistake.build(test.reference)
            except Exception as error:  # also what the edited module raises when it is executed
                problems.append(f"{place_of_test(test, mistake.name)}: the mistake {mistake.name!r}: {error}")
    except Exception:  # then it isn't a mistake that is to blame
        return problems
    return problems


def _problem_with(error: Exception, entry: ExerciseEntry) -> str:
    text = (
        str(error) if isinstance(error, AuthoringError) else f"{type(error).__name__}: {error}{_likely_keyword(error)}"
    )
    return f"{_place_of(error, entry)}: {text}"


def _likely_keyword(error: Exception) -> str:
    """What an author may have meant by a keyword that Case, Mistake or exercise doesn't take."""
    from arena_lib.checking import Case, Mistake, exercise

    unknown = re.match(r"(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'", str(error))
    if unknown is None:
        return ""
    callables: dict[str, Callable[..., Any]] = {"Case": Case, "Mistake": Mistake, "exercise": exercise}
    called = callables.get(unknown[1])
    names = list(inspect.signature(called).parameters) if called else []
    nearest = difflib.get_close_matches(unknown[2], names, n=1)
    meant = f" Did you mean {nearest[0]}=?" if nearest else ""
    return f".{meant} {unknown[1]} takes {', '.join(names)}." if names else ""


def _place_of(error: Exception, entry: ExerciseEntry) -> str:
    """The last line of the author's that the error came through: of the files of tests, or of the reference's file."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    test = read_module(str(entry.test).partition(":")[0])
    reference = read_module(str(entry.reference).partition(":")[0])
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).parent == test.path.parent or Path(frame.filename) == reference.path
    ]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else str(test.path)


def _import_test(entry: ExerciseEntry) -> Any:
    module, _, name = str(entry.test).partition(":")
    # First the package: where that fails, its modules may be there from the last try, and would seem to work.
    importlib.import_module(module.rpartition(".")[0] or module)
    return getattr(importlib.import_module(module), name)


def verify_entry(entry: ExerciseEntry, *, tries_edits: bool = True) -> Record:
    """The record of one exercise with a test; with `tries_edits` also what its reference's edits show."""
    from arena_lib.checking.proofs.verifying import verify

    test = _import_test(entry)
    stub = make_stub_object(entry)
    verification = verify(test, stub=stub, exercise_id=entry.id, tries_edits=tries_edits)
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
    """For each exploratory exercise what its solution raised, and how long it took; those that were reached.

    A chapter begins as in a fresh notebook, and what it switches (gradients, for one) is put back for the next one.
    """
    from arena_lib.checking.isolation import isolated
    from arena_lib.course.content.solutions import run_exploratory

    errors: dict[str, tuple[Exception | None, float]] = {}
    started = time.perf_counter()
    try:
        with isolated(seed=0), TemporaryDirectory() as folder, contextlib.chdir(folder):  # a chapter may write files
            for entry, error in run_exploratory(section):
                errors[entry.id] = (error, time.perf_counter() - started)
                started = time.perf_counter()
    except AuthoringError as error:
        for entry in section.exercises:
            if entry.is_exploratory:
                errors.setdefault(entry.id, (error, time.perf_counter() - started))
    return errors


def _exploratory_record(
    section: Section, entry: ExerciseEntry, errors: dict[str, tuple[Exception | None, float]]
) -> Record:
    from arena_lib.course.content.notebooks import hide_solution

    error, seconds = errors[entry.id]
    (source,) = [cell.source for cell in section.cells if cell.exercise is not None and cell.exercise.id == entry.id]
    stub = "not_started" if "raise NotImplementedError" in hide_solution(source) else "error"
    place, problems = f"{section.path}:{entry.line}", list[str]()
    if error is not None:
        problems.append(f"{place}: its solution must satisfy its cell: got {type(error).__name__}: {error}")
    if stub != "not_started":
        problems.append(
            f"{place}: its gap must raise NotImplementedError: it doesn't. Put all of the solution between "
            f"'{SOLUTION_BEGINS}' and '{SOLUTION_ENDS}', indented as the code around it."
        )
    record = _broken_record(entry, problems, seconds)
    return record | {"reference": "passed" if error is None else "failed", "stub": stub}


def _broken_record(entry: ExerciseEntry, problems: Sequence[str], seconds: float = 0.0) -> Record:
    """The record of an exercise that couldn't be verified."""
    return {
        "id": entry.id,
        "reference": "error",
        "accepts": [],
        "stub": None,
        "mistakes": [],
        "mutants": None,
        "holes": [],
        "seconds": round(seconds, 3),
        "problems": list(problems),
    }
