"""`arena check`: judges what the learner has in a notebook or file; `--watch` does so at every save."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from arena_lib.cli.learning.check_class import check_class, check_report, judged_entry, report_class
from arena_lib.cli.learning.counting import shown_count
from arena_lib.cli.learning.watch_session import Judge, WatchSession, saved_line
from arena_lib.cli.learning.watching import (
    Saved,
    Stamp,
    has_keys,
    is_saved,
    read_keys,
    take_stamp,
    wait_for_save,
    wait_without_keys,
)
from arena_lib.cli.support.exploring import more_to_explore
from arena_lib.cli.support.output import FAILED, UsageError, as_wrong_use, json_option, print_json, show, verb
from arena_lib.wording import counted

if TYPE_CHECKING:
    from arena_lib.checking.results import Result
    from arena_lib.course.content.catalog_types import Section
    from arena_lib.course.judging.judge_file import FileVerdict


AMOUNT = click.FloatRange(min=0.1)
WELL = ("passed", "not_started")
"""What an exercise may be without making the command fail."""


@click.command("check")
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option("--exercise", "-e", "exercises", multiple=True, help="Only this one; may be repeated.")
@click.option("--section", help="The section, if the file doesn't name it.")
@click.option("--timeout", type=AMOUNT, default=60.0, help="Seconds that one exercise may take.")
@click.option(
    "--memory", type=AMOUNT, default=4.0, help="GiB of memory that one exercise may take beside torch's own (on Linux)."
)
@click.option("--device", default="cpu", help="cpu or cuda.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Write the verdicts on many learners' files: a table (.csv) or JUnit XML (.xml).",
)
@click.option("--watch", is_flag=True, help="Judge again at every save; keys in a terminal.")
@json_option
@verb
def check(
    targets: tuple[str, ...],
    exercises: tuple[str, ...],
    section: str | None,
    timeout: float,
    memory: float,
    device: str,
    report: Path | None,
    watch: bool,
    as_json: bool,
) -> None:
    """Judge your code.

    TARGET is a notebook, a Python file, or a section whose file is in this folder; the file here that you worked on
    last by default. Each exercise is judged in a process of its own, with a time limit.

    For a class, name several files, or folders with a file or a folder for each learner; nothing is recorded then.
    """
    from arena_lib.course.content.catalog import load_catalog
    from arena_lib.course.judging.targets import find_target

    if device != "cpu":  # looking needs torch, which is slow to load
        from arena_lib.core.device import pick_device

        pick_device(device)
    catalog = load_catalog()
    limits: dict[str, Any] = {"limit": timeout, "memory": memory, "device": device}
    if report is not None or len(targets) > 1 or any(Path(target).is_dir() for target in targets):
        if watch:
            raise UsageError("--watch must be of one file: got a class. Leave --watch out, or name one file.")
        if report is not None:
            check_report(report)
        rows = check_class(catalog, targets, exercises, section, limits, is_shown=not as_json)
        report_class(rows, report, as_json=as_json)
        is_well = all(row.status in WELL for row in rows)
    else:
        with as_wrong_use():
            path, chosen_section = find_target(catalog, next(iter(targets), None), section)
        entries = _choose_entries(catalog, chosen_section, path, exercises)
        judge = functools.partial(_judge, path, chosen_section, **limits)
        is_well = _check_file(path, chosen_section, entries, judge, is_watching=watch, as_json=as_json)
    if not is_well:
        raise click.exceptions.Exit(FAILED)


def _choose_entries(catalog: Any, section: Any, path: Path, names: Sequence[str]) -> list[Any]:
    """The exercises to judge: those of the section that have a test, or of these the ones that were named."""
    judged = {entry.name: entry for entry in section.exercises if entry.test is not None}
    chosen = []
    for name in names:
        entry = judged.get(name) or judged_entry(catalog, name)
        if entry not in section.exercises:
            raise UsageError(
                f"an exercise to judge must be one of section {section.id}, which {path} belongs to: got {entry.id}. "
                f"Name the file that it is in, or see: arena list {section.id}"
            )
        chosen.append(entry)
    return chosen or list(judged.values())


def _check_file(
    path: Path, section: Any, entries: list[Any], judge: Judge, *, is_watching: bool, as_json: bool
) -> bool:
    """Judges these exercises and shows the verdicts, with `--watch` at every save; whether all that is started passes."""
    if not as_json:  # it takes seconds, and what follows may be piped to where nobody sees it
        show(f"judging {counted(len(entries), 'exercise')} of {path.name} ...", err=True)
    if is_watching and has_keys() and not as_json:
        more = more_to_explore(section, len(entries))
        session = WatchSession(path, entries, judge, _show_results, more=more)
        with read_keys() as wait_for_key:
            session.run(wait_for_key)
        return session.is_well
    ids = [entry.id for entry in entries]
    is_well, is_first = True, True
    while is_first or is_watching:
        stamp = take_stamp(path)
        if not is_first and not as_json:
            show(saved_line(ids))
        try:
            verdict = judge(ids, while_waiting=_ended_by_a_save(path, stamp) if is_watching else None)
        except Saved:
            is_first = False
            continue
        except UsageError as error:
            if is_first:
                raise
            show(f"arena: {error}", err=True)  # moved, or no notebook any more: the next save will do
        else:
            print_json(_to_json(verdict, section)) if as_json else _show_verdict(verdict, section)
            is_well = not verdict.problems and all(r.status in WELL for r in verdict.results)
        is_first = False
        if is_watching:
            if not as_json:
                show(f"Watching {path}: save it to judge again, Ctrl-C to stop.")
            wait_for_save(path, stamp, wait_without_keys)
    return is_well


def _ended_by_a_save(path: Path, stamp: Stamp) -> Callable[[], None]:
    """What ends a judging of the file as it was at the stamp, once that isn't what is there."""

    def look() -> None:
        if is_saved(path, stamp):
            raise Saved

    return look


def _judge(
    path: Path,
    section: Any,
    ids: Sequence[str],
    *,
    on_result: Callable[[Result], None] | None = None,
    while_waiting: Callable[[], None] | None = None,
    **limits: Any,
) -> FileVerdict:
    """Judges these exercises and records the verdicts, with a count of them in a terminal."""
    from arena_lib.course.judging.judge_file import Meanwhile, judge_file
    from arena_lib.course.record.progress import ProgressStore

    with as_wrong_use(), shown_count(len(ids)) as count:

        def hear(result: Result) -> None:
            if result.exercise in ids:  # an earlier one may be judged for the sake of these
                if on_result is not None:
                    on_result(result)
                count(result)

        meanwhile = Meanwhile(on_result=hear, while_waiting=while_waiting)
        verdict = judge_file(path, section, only=ids, meanwhile=meanwhile, **limits)
    store = ProgressStore()
    for result in verdict.results:
        store.record(result, skip_repeats=True)
    return verdict


def _to_json(verdict: Any, section: Any) -> dict[str, Any]:
    from arena_lib.checking.results import Status

    counts = {status: sum(r.status == status for r in verdict.results) for status in get_args(Status)}
    return {
        "file": str(verdict.path),
        "section": section.id,
        "counts": counts,
        "problems": [dataclasses.asdict(problem) for problem in verdict.problems],
        "results": [dataclasses.asdict(result) for result in verdict.results],
    }


def _show_verdict(verdict: FileVerdict, section: Section) -> None:
    begun = [result for result in verdict.results if result.status == "not_started" and (result.notes or result.needs)]
    waiting = [result for result in verdict.results if result.status == "not_started" and result not in begun]
    is_one = len(verdict.results) == 1
    _show_results(verdict, {result.exercise for result in verdict.results if result not in waiting or is_one})
    n_passed = sum(result.passed for result in verdict.results)
    to_fix = [result for result in verdict.results if result.status not in WELL]
    more = more_to_explore(section, len(verdict.results))
    show(f"{verdict.path.name}: {_counts(n_passed, len(to_fix), len(begun), len(waiting))}{more}.")
    if to_fix and not is_one:
        show(f"Next: fix {to_fix[0].exercise}")
    elif (begun or waiting) and n_passed:
        show(f"Next: {[*begun, *waiting][0].exercise}")


def _counts(n_passed: int, n_to_fix: int, n_begun: int, n_waiting: int) -> str:
    """How many exercises have passed, and what became of the others."""
    others = {"to fix": n_to_fix, "begun": n_begun}
    text = "".join(f", {number} {what}" for what, number in others.items() if number)
    return f"{n_passed} of {n_passed + n_to_fix + n_begun + n_waiting} passed{text}, {n_waiting} not started"


def _show_results(verdict: FileVerdict, ids: set[str]) -> None:
    """The cells that aren't Python, then the verdicts on these exercises."""
    from arena_lib.checking.reports.reporting import print_result
    from arena_lib.checking.results import Result

    for problem in verdict.problems:
        lost = ", ".join(name for name, why in verdict.unread.items() if why == problem)
        after = f"Until that is right, {lost} can't be judged." if lost else "What it defines is left out."
        line = f", in `{problem.text}`" if problem.text else ""
        message = f"✗ {problem.place} can't be read as Python: {problem.message}{line}. {after}"
        print_result(Result(exercise=lost, status="error", message=message))
    for result in verdict.results:
        if result.exercise in ids and result.exercise not in verdict.unread:  # those were said above
            print_result(result)
