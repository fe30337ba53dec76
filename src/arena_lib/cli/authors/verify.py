"""`arena verify`: the authors' gate. Every test accepts what is right, and rejects and names every mistake."""

from __future__ import annotations

import contextlib
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from arena_lib.cli.support.output import FAILED, json_option, print_json, show, verb
from arena_lib.errors import AuthoringError, UnknownNameError
from arena_lib.wording import counted

if TYPE_CHECKING:
    from arena_lib.course.content.catalog import Catalog
    from arena_lib.course.content.catalog_types import Section
    from arena_lib.course.executing import Execution


class Writable(click.Path):
    """A file that can be written, which is found out before the work that fills it."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, if its folder is there."""
        path = Path(str(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            self.fail(f"the folder {path.parent} must exist: it doesn't. Make it first.", param, ctx)
        return path


@click.command("verify")
@click.argument("section", required=False)
@click.option("--notebook", is_flag=True, help="Also run the solution notebook of each section, at scale tiny.")
@click.option("--table", type=Writable(), help="Write the table of edits to this Markdown file.")
@click.option("--messages", type=Writable(), help="Write what learners read of each mistake to this file.")
@json_option
@verb
def verify(section: str | None, notebook: bool, table: Path | None, messages: Path | None, as_json: bool) -> None:
    """For authors: prove that tests know the mistakes.

    Every test must accept its solutions, and reject and name its mistakes: those of a SECTION, of one exercise
    (1.1/causal_mask), of a whole course (my_course), or of everything by default.
    """
    from arena_lib.course.authoring.verify_sections import verify_sections
    from arena_lib.course.authoring.verify_tables import edits_page, messages_text
    from arena_lib.course.content.catalog import load_catalog

    catalog = load_catalog()
    left_out = [str(problem) for problem in catalog.problems]
    try:
        sections, names = _sections_and_names(catalog, section)
    except UnknownNameError:
        _show_lines("left out", left_out)  # it may be there
        raise
    left_behind = [] if names else _left_behind(sections)
    chapters = [_chapter_json(s) for s in sections]
    entries = [entry for s in sections for entry in s.exercises if not names or entry.name in names]
    if not entries:
        _show_lines("left behind", left_behind)
        raise _nothing_to_verify(sections)
    n_runs = sum(1 if entry.is_exploratory else 2 for entry in entries)
    with _progress(n_runs, is_shown=sys.stderr.isatty() and not as_json) as on_record:
        records = verify_sections([s.id for s in sections], names, on_record)
    if not as_json:
        _show_records(records)
        _show_chapters(chapters)
    executions = _execute(sections, is_shown=not as_json) if notebook else []
    if as_json:
        notebooks = [_execution_json(execution) for execution in executions]
        document = {"exercises": records, "chapters": chapters, "left_out": left_out, "left_behind": left_behind}
        print_json(document | ({"notebooks": notebooks} if notebook else {}))
    _show_lines("left out", left_out)
    _show_lines("left behind", left_behind)
    if table is not None:
        command = shlex.join(["arena", "verify", *([section] if section else []), "--table", str(table)])
        table.write_text(edits_page(records, command), encoding="utf-8")
    if messages is not None:
        messages.write_text(messages_text(records), encoding="utf-8")
    holds = all(record["holds"] for record in records) and not any(execution.problem for execution in executions)
    holds = holds and not any(chapter["problems"] for chapter in chapters)
    if not (holds and _is_whole_enough(catalog, section, records)):
        raise click.exceptions.Exit(FAILED)


def _is_whole_enough(catalog: Catalog, asked: str | None, records: Sequence[dict[str, Any]]) -> bool:
    """Whether what must hold of all of a course together does; true where less than a course was asked about."""
    from arena_lib.course.authoring.verify_tables import LEAST_SHARE, edits_share

    sections = catalog.sections if asked is None else catalog.sections_of_course(asked)
    if not sections:
        return True
    folders = {section.path.parent.parent for section in sections}
    if any(asked is None or folders & set(path.parents) for path, _ in catalog.left_out):
        return False
    share = edits_share(records)
    if share < LEAST_SHARE:
        show(
            f"over a course, {LEAST_SHARE:.0%} of the references' edits must be rejected: {share:.1%} are. See above.",
            err=True,
        )
    return share >= LEAST_SHARE


def _sections_and_names(catalog: Catalog, asked: str | None) -> tuple[list[Section], list[str]]:
    """The sections to verify, and the names of exercises if not all of them are."""
    if asked is None:
        return list(catalog.sections), []
    if "/" in asked:
        entry = catalog.exercise(asked)
        return [catalog.section_of(entry)], [entry.name]
    try:
        return [catalog.section(asked)], []
    except UnknownNameError:
        course = catalog.sections_of_course(asked)
        if not course:
            raise
        return list(course), []


def _left_behind(sections: Sequence[Section]) -> list[str]:
    from arena_lib.course.authoring.left_behind import tests_left_behind

    return [line for section in sections for line in tests_left_behind(section)]


def _execute(sections: Sequence[Section], *, is_shown: bool) -> list[Execution]:
    """Runs each section's solution notebook, and keeps no file of it."""
    from arena_lib.course.executing import LIMITS, execute

    executions = []
    for section in sections:
        with tempfile.TemporaryDirectory() as folder:
            execution = execute(section, scale="tiny", limit=LIMITS["tiny"], output=Path(folder))
        executions.append(execution)
        if is_shown:
            verdict = f"fails {execution.problem}" if execution.problem else "runs from top to bottom"
            show(f"{section.id}: its solution notebook {verdict} ({execution.seconds:.1f} s).")
    return executions


def _chapter_json(section: Section) -> dict[str, Any]:
    """What is wrong with the chapter itself, which would stop `arena start`, and what is only worth a look."""
    from arena_lib.course.authoring.chapter_problems import chapter_problems, chapter_remarks

    return {"section": section.id, "problems": chapter_problems(section), "remarks": chapter_remarks(section)}


def _show_chapters(chapters: Sequence[dict[str, Any]]) -> None:
    for chapter in chapters:
        for problem in chapter["problems"]:
            show(f"{chapter['section']}: {problem}")
        _show_lines("remark", chapter["remarks"])


def _execution_json(execution: Execution) -> dict[str, Any]:
    return {"section": execution.section.id, "seconds": round(execution.seconds, 3), "problem": execution.problem}


def _show_lines(label: str, lines: Sequence[str]) -> None:
    for line in lines:
        show(f"{label}: {line}", err=True)


def _nothing_to_verify(sections: Sequence[Section]) -> AuthoringError:
    places = ", ".join(str(section.path) for section in sections)
    name = sections[0].id if sections else "SECTION"
    return AuthoringError(
        f"there must be an exercise to verify: got none in {places or 'any section'}. "
        f"Write one: arena new exercise {name}/NAME"
    )


@contextlib.contextmanager
def _progress(n_runs: int, *, is_shown: bool) -> Iterator[Callable[[str], None] | None]:
    """Called with each exercise that one of the two runs has finished: it moves a bar on."""
    if not is_shown:
        yield None
        return
    from arena_lib.core.progress import progress

    with progress(n_runs, "verifying in two processes") as bar:

        def move_on(exercise: str) -> None:
            bar.set_postfix_str(exercise, refresh=False)
            bar.update()

        yield move_on


def _show_records(records: list[dict[str, Any]]) -> None:
    from arena_lib.checking.reports.reporting import print_result
    from arena_lib.checking.results import Result
    from arena_lib.course.authoring.verify_tables import edits_share, rows_text

    head, *rows = rows_text(records)
    show(head)
    for row, record in zip(rows, records, strict=True):
        print_result(Result(exercise=record["id"], status="passed" if record["holds"] else "failed", message=row))
    for record in records:
        for problem in [*record["problems"], *record["holes"]]:
            show(f"{record['id']}: {problem}")
        _show_lines("remark", [f"{record['id']}: {remark}" for remark in record.get("remarks", ())])
    _show_edits_that_pass(records)
    n_held = sum(record["holds"] for record in records)
    n_mistakes = sum(len(record["mistakes"]) for record in records)
    tried = any(record["mutants"] and record["mutants"]["n_tried"] for record in records)
    edits = f"; {edits_share(records):.1%} of the references' edits are rejected" if tried else ""
    mistakes = counted(n_mistakes, "mistake")
    show(f"{n_held} of {len(records)} exercises hold, with {mistakes} between them{edits}.")


def _show_edits_that_pass(records: Sequence[dict[str, Any]]) -> None:
    """Lists them; whether an exercise or a course has too many of them is said elsewhere."""
    passing = [(r["id"], edit) for r in records if r["mutants"] for edit in r["mutants"]["survivors"]]
    if passing:
        show("Edits that the tests accept; add a case, or declare the edit equivalent:")
    for name, edit in passing:
        show(f"    {name}: {edit}")
