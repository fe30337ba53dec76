"""`arena solution`: the library's own code, once the exercise has passed or the learner gives up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arena_lib.cli.support.output import JsonFlag, print_json, show, verb


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("solution")(solution)


@verb
def solution(
    exercise: Annotated[str, typer.Argument(help="The exercise: 1.1/causal_mask or causal_mask.")],
    file: Annotated[
        Path | None, typer.Argument(help="Your notebook or file; the section's in this folder by default.")
    ] = None,
    give_up: Annotated[bool, typer.Option("--give-up", help="Show it before it passed.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show an exercise's solution, as a difference from your code."""
    from arena_lib.course.content.catalog import load_catalog
    from arena_lib.course.record.hints import give_solution
    from arena_lib.course.record.progress import ProgressStore

    catalog = load_catalog()
    entry = catalog.exercise(exercise)
    given = give_solution(catalog.section_of(entry), entry, ProgressStore(), gives_up=give_up, file=file)
    if as_json:
        print_json(given.to_json())
    else:
        show(given.text.rstrip())
