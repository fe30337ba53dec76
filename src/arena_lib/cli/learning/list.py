"""`arena list`: chapters, sections, exercises, time, and what is done."""

from __future__ import annotations

from typing import Any

import click

from arena_lib.cli.support.output import json_option, print_json, print_table, show, verb


@click.command("list")
@click.argument("names", nargs=-1, metavar="[SECTION]...")
@json_option
@verb
def list_course(names: tuple[str, ...], as_json: bool) -> None:
    """Show chapters, sections, exercises, time and what is done.

    Of the sections that you name, or of all.
    """
    from arena_lib.course.content.catalog import load_catalog
    from arena_lib.course.record.summary import load_summary

    catalog = load_catalog()
    sections = [catalog.section(name) for name in names] or catalog.sections
    if as_json:
        ids = {section.id for section in sections}
        print_json({"sections": [record for record in catalog.to_json()["sections"] if record["id"] in ids]})
        return
    summary = load_summary(catalog)
    for section in sections:
        _show_section(section, summary)
    for problem in catalog.problems:
        show(f"left out: {problem}", err=True)


def _show_section(section: Any, summary: Any) -> None:
    from arena_lib.course.record.summary import MARKS, STALE

    states = [summary.state(entry).state for entry in section.exercises]
    show(f"{section.id} {section.title}  ({section.hours:g} h, {states.count('done')} of {len(states)} done)")
    rows = [
        [
            MARKS[state],
            entry.id,
            entry.title,
            f"{entry.minutes} min",
            f"difficulty {entry.difficulty}/5",
            "to explore" * entry.is_exploratory,
        ]
        for state, entry in zip(states, section.exercises, strict=True)
    ]
    print_table(rows, indent="  ")
    if "stale" in states:
        show(f"  {MARKS['stale']} {STALE}")
