"""`arena solution`: the library's own code, once the exercise has passed or the learner gives up."""

from __future__ import annotations

from pathlib import Path

import click

from arena_lib.cli.support.output import json_option, print_json, show, verb


@click.command("solution")
@click.argument("exercise")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--give-up", is_flag=True, help="Show it although it hasn't passed.")
@json_option
@verb
def solution(exercise: str, file: Path | None, give_up: bool, as_json: bool) -> None:
    """Show an exercise's solution, as a difference from your code.

    EXERCISE is 1.1/causal_mask or causal_mask; FILE your notebook or script, the section's in this folder by
    default.
    """
    from arena_lib.course.content.catalog import load_catalog
    from arena_lib.course.record.hints import give_solution
    from arena_lib.course.record.progress import ProgressStore

    catalog = load_catalog()
    entry = catalog.exercise(exercise)
    solution_shown = give_solution(catalog.section_of(entry), entry, ProgressStore(), gives_up=give_up, file=file)
    if as_json:
        print_json(solution_shown.to_json())
    else:
        show(solution_shown.text.rstrip())
