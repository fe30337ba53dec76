"""`arena check` for a class: many learners' files, a line for each, and a report of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena_lib.cli.support.exploring import more_to_explore
from arena_lib.cli.support.output import UsageError, as_wrong_use, check_writable, print_json, show, write_file
from arena_lib.wording import counted

if TYPE_CHECKING:
    from arena_lib.course.content.catalog_types import Section
    from arena_lib.course.judging.classes.submissions import Row
    from arena_lib.course.judging.judge_file import FileVerdict


def check_class(
    catalog: Any,
    targets: Sequence[str],
    names: Sequence[str],
    section_name: str | None,
    limits: Mapping[str, Any],
    *,
    is_shown: bool,
) -> list[Row]:
    """Judges the files in these places; a line for each as it is done."""
    from arena_lib.course.judging.classes.submissions import find_submissions, judge_submissions
    from arena_lib.course.judging.judge_file import judge_file

    section = catalog.section(section_name) if section_name else None
    ids = {judged_entry(catalog, name).id for name in names}
    with as_wrong_use():
        submissions, others = find_submissions(catalog, [Path(target) for target in targets or ["."]], section)
    if not submissions:
        raise UsageError(
            f"a class must have files with exercises: got none in {', '.join(targets) or 'this folder'}. Name others."
        )
    for path in others:
        show(f"left out, as it defines no exercise: {path}", err=True)

    def judge(path: Path, chosen: Section, only: set[str]) -> FileVerdict:
        return judge_file(path, chosen, only=only, **limits)

    if is_shown:
        show(f"judging {counted(len(submissions), 'file')} ...", err=True)
    rows = []
    verdicts = judge_submissions(catalog, submissions, judge, section=section, only=ids)
    for submission, of_file in zip(submissions, verdicts, strict=True):
        rows += of_file
        if is_shown:
            show(f"{submission.learner}, {submission.path}: {_in_words(catalog, of_file)}")
    return rows


def check_report(path: Path) -> None:
    """UsageError for a report that couldn't be written, before anything is judged."""
    from arena_lib.course.judging.classes.reports import FORMATS

    if path.suffix not in FORMATS:
        raise UsageError(f"--report must end in {' or '.join(FORMATS)}: got {str(path)!r}. Choose one.")
    check_writable("--report", path)


def report_class(rows: Sequence[Row], path: Path | None, *, as_json: bool) -> None:
    """Writes the report, if there is to be one, and says so; with `as_json` the rows are printed."""
    from arena_lib.course.judging.classes.reports import FORMATS

    if path is not None:
        write_file("--report", path, FORMATS[path.suffix](rows))
    if as_json:
        print_json({"report": None if path is None else str(path), "rows": [asdict(row) for row in rows]})
    elif path is not None:
        show(f"{counted(len(rows), 'verdict')} written to {path}.")


def judged_entry(catalog: Any, name: str) -> Any:
    """The exercise of this name, which must have a test."""
    entry = catalog.exercise(name)
    if entry.test is None:
        raise UsageError(
            f"arena check takes exercises that have a test: got {entry.id}, which its own cell judges. "
            "Run that cell in the notebook."
        )
    return entry


def _in_words(catalog: Any, rows: Sequence[Row]) -> str:
    """How many exercises of a file have passed, or why it couldn't be judged."""
    if rows and not rows[0].exercise:
        return rows[0].message
    statuses = [row.status for row in rows]
    n_passed, n_waiting = statuses.count("passed"), statuses.count("not_started")
    n_failing = len(rows) - n_passed - n_waiting
    more = more_to_explore(catalog.section(rows[0].section), len(rows)) if rows else ""
    return f"{n_passed} of {len(rows)} passed, {counted(n_failing, 'failure')}, {n_waiting} not started{more}."
