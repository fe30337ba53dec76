"""`arena list`: chapters, sections, exercises, time, and what is done.

The section is read from the arguments left over, since typer loads pydantic for any typed parameter but a
flag, and that takes as long as all the rest.
"""

from __future__ import annotations

from typing import Any

import typer

from arena_lib.cli.support.output import JsonFlag, print_json, print_table, show, verb
from arena_lib.cli.support.quick import Context, QuickCommand


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(
        "list", cls=QuickCommand, context_settings={"allow_extra_args": True}, options_metavar="[SECTION] [OPTIONS]"
    )(list_course)


@verb
def list_course(context: Context, as_json: JsonFlag = False) -> None:
    """Show chapters, sections, exercises, time and what is done."""
    from arena_lib.course.content.catalog import load_catalog
    from arena_lib.course.record.summary import load_summary

    catalog = load_catalog()
    sections = [catalog.section(name) for name in context.args] or catalog.sections
    if as_json:
        wanted = {one.id for one in sections}
        print_json({"sections": [record for record in catalog.to_json()["sections"] if record["id"] in wanted]})
        return
    summary = load_summary(catalog)
    for one in sections:
        _show_section(one, summary)
    for problem in catalog.problems:
        show(f"left out: {problem}", err=True)


def _show_section(section: Any, summary: Any) -> None:
    from arena_lib.course.record.summary import MARKS, STALE

    found = [summary.state(entry).state for entry in section.exercises]
    show(f"{section.id} {section.title}  ({section.hours:g} h, {found.count('done')} of {len(found)} done)")
    rows = [
        [
            MARKS[state],
            entry.id,
            entry.title,
            f"{entry.minutes} min",
            f"difficulty {entry.difficulty}/5",
            "to explore" * entry.is_exploratory,
        ]
        for state, entry in zip(found, section.exercises, strict=True)
    ]
    print_table(rows, indent="  ")
    if "stale" in found:
        show(f"  {MARKS['stale']} {STALE}")
