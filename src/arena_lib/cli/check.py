"""`arena check`: judges what the learner has in a notebook or file; `--watch` does so at every save."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from arena_lib.cli.support.output import FAILED, JsonFlag, UsageError, print_json, show, verb
from arena_lib.errors import WorkspaceError

POLL_SECONDS = 0.3


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("check")(check)


@verb
def check(
    target: Annotated[
        str | None, typer.Argument(help="A notebook, a Python file, or a section whose file is in this folder.")
    ] = None,
    exercise: Annotated[
        list[str] | None, typer.Option("--exercise", "-e", help="Only this one; may be repeated.")
    ] = None,
    section: Annotated[str | None, typer.Option(help="The section, where the file doesn't say.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that one exercise may take.", min=0.1)] = 60.0,
    memory: Annotated[
        float, typer.Option(help="GiB of memory that one exercise may take beside torch's own (on Linux).", min=0.1)
    ] = 4.0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    watch: Annotated[bool, typer.Option("--watch", help="Judge again at every save, until Ctrl-C.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Judge your code.

    Each exercise is judged in a process of its own, with a time limit.
    """
    from arena_lib.course.content.catalog import load_catalog
    from arena_lib.course.judging.targets import find_target

    if device != "cpu":  # looking needs torch, which is slow to load
        from arena_lib.core.device import pick_device

        pick_device(device)
    catalog = load_catalog()
    try:
        path, found = find_target(catalog, target, section)
    except WorkspaceError as error:
        raise UsageError(str(error)) from error
    only = None if not exercise else {_in_section(catalog, found, name) for name in exercise}
    options = {"only": only, "limit": timeout, "memory": memory, "device": device}
    is_well = _check_once(path, found, options, as_json)
    while watch:
        _wait_for_change(path, as_json)
        try:
            is_well = _check_once(path, found, options, as_json)
        except UsageError as error:  # half written, or moved: the next save will do
            show(f"arena: {error}", err=True)
    if not is_well:
        raise typer.Exit(FAILED)


def _in_section(catalog: Any, section: Any, name: str) -> str:
    """The id of an exercise that was named with or without its section."""
    known = {entry.name: entry.id for entry in section.exercises}
    return known.get(name) or catalog.exercise(name).id


def _check_once(path: Path, section: Any, options: dict[str, Any], as_json: bool) -> bool:
    """Judges and shows; whether nothing that was begun fails."""
    from arena_lib.course.judging.judge_file import judge_file
    from arena_lib.course.record.progress import ProgressStore

    try:
        verdict = judge_file(path, section, **options)
    except WorkspaceError as error:
        raise UsageError(str(error)) from error
    store = ProgressStore()
    for result in verdict.results:
        store.record(result, skip_repeats=True)
    if as_json:
        print_json(_to_json(verdict, section))
    else:
        _show_verdict(verdict, section)
    return not verdict.problems and all(r.status in ("passed", "not_started") for r in verdict.results)


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


def _show_verdict(verdict: Any, section: Any) -> None:
    from arena_lib.checking.reports.reporting import print_result
    from arena_lib.checking.results import Result

    for problem in verdict.problems:
        lost = ", ".join(name for name, why in verdict.unread.items() if why == problem)
        after = f"Mend that line: {lost} can't be judged before." if lost else "Its definitions are left out."
        message = f"✗ {problem.where} must be Python: got {problem.message}. {after}"
        print_result(Result(exercise=lost, status="error", message=message))
    waiting = [result for result in verdict.results if result.status == "not_started"]
    for result in verdict.results:
        if result.exercise in verdict.unread:  # said above
            continue
        if result.status != "not_started" or result.notes or len(verdict.results) == 1:
            print_result(result)
    n_passed = sum(result.passed for result in verdict.results)
    show(f"{verdict.path.name}: {n_passed} of {len(verdict.results)} passed, {len(waiting)} not started.")
    if waiting and len(waiting) < len(verdict.results):
        show(f"Next: {waiting[0].exercise}")


def _wait_for_change(path: Path, as_json: bool) -> None:
    """Returns once the file was saved again."""
    if not as_json:
        show(f"Watching {path}: save it to judge again, Ctrl-C to stop.")
    before = _stamp(path)
    while _stamp(path) in (before, None):
        time.sleep(POLL_SECONDS)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
