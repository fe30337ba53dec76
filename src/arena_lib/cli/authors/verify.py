"""`arena verify`: the authors' gate. Every test accepts what is right, and rejects and names every mistake."""

from __future__ import annotations

import contextlib
import shlex
import sys
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
@click.option("--table", type=Writable(), help="Write the table of edits to this Markdown file.")
@click.option("--messages", type=Writable(), help="Write what learners read of each mistake to this file.")
@json_option
@verb
def verify(section: str | None, table: Path | None, messages: Path | None, as_json: bool) -> None:
    """For authors: prove that tests know the mistakes.

    Every test must accept its solutions, and reject and name its mistakes: those of a SECTION, of one exercise
    (1.1/causal_mask), or of everything by default.
    """
    from arena_lib.course.authoring.verify_sections import verify_sections
    from arena_lib.course.authoring.verify_tables import LEAST_SHARE, edits_page, edits_share, messages_text
    from arena_lib.course.content.catalog import load_catalog

    catalog = load_catalog()
    left_out = [str(problem) for problem in catalog.problems]
    try:
        sections, names = _sections_and_names(catalog, section)
    except UnknownNameError:
        _show_left_out(left_out)  # it may be there
        raise
    entries = [e for name in sections for e in catalog.section(name).exercises if not names or e.name in names]
    if not entries:
        raise _nothing_to_verify([catalog.section(name) for name in sections])
    n_runs = sum(1 if entry.is_exploratory else 2 for entry in entries)
    with _progress(n_runs, is_shown=sys.stderr.isatty() and not as_json) as on_record:
        records = verify_sections(sections, names, on_record)
    print_json({"exercises": records, "left_out": left_out}) if as_json else _show_records(records)
    _show_left_out(left_out)
    if table is not None:
        command = shlex.join(["arena", "verify", *([section] if section else []), "--table", str(table)])
        table.write_text(edits_page(records, command), encoding="utf-8")
    if messages is not None:
        messages.write_text(messages_text(records), encoding="utf-8")
    is_enough = section is not None or (edits_share(records) >= LEAST_SHARE and not left_out)
    if not is_enough or not all(record["holds"] for record in records):
        raise click.exceptions.Exit(FAILED)


def _sections_and_names(catalog: Catalog, asked: str | None) -> tuple[list[str], list[str]]:
    """The ids of the sections to verify, and the names of exercises if not all of them are."""
    if asked is None:
        return [section.id for section in catalog.sections], []
    if "/" in asked:
        entry = catalog.exercise(asked)
        return [catalog.section_of(entry).id], [entry.name]
    return [catalog.section(asked).id], []


def _show_left_out(problems: Sequence[str]) -> None:
    for problem in problems:
        show(f"left out: {problem}", err=True)


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
        for survivor in record["mutants"]["survivors"] if record["mutants"] else ():
            show(f"{record['id']}: this edit passes: {survivor}")
    n_held = sum(record["holds"] for record in records)
    n_mistakes = sum(len(record["mistakes"]) for record in records)
    tried = any(record["mutants"] and record["mutants"]["n_tried"] for record in records)
    edits = f"; {edits_share(records):.1%} of the references' edits are rejected" if tried else ""
    mistakes = counted(n_mistakes, "mistake")
    show(f"{n_held} of {len(records)} exercises hold, with {mistakes} between them{edits}.")
