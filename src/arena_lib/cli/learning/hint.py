"""`arena hint`: the next hint of an exercise, from the idea to the step."""

from __future__ import annotations

import click

from arena_lib.cli.support.output import UsageError, json_option, print_json, show, verb


@click.command("hint")
@click.argument("exercise", required=False)
@click.option("--tier", type=int, help="Which hint, counted from 1; the next one by default.")
@json_option
@verb
def hint(exercise: str | None, tier: int | None, as_json: bool) -> None:
    """Show the next hint of an exercise.

    EXERCISE is 1.1/causal_mask or causal_mask; by default the one that you tried last. Each call goes one step further.
    """
    from arena_lib.course.content.catalog import load_catalog
    from arena_lib.course.record.hints import give_hint
    from arena_lib.course.record.progress import ProgressStore
    from arena_lib.course.record.summary import current_exercise

    catalog, store = load_catalog(), ProgressStore()
    entry = catalog.exercise(exercise) if exercise else current_exercise(catalog, store)
    if entry is None:
        raise UsageError("hint takes an exercise that isn't done: got none, for everything is done. Name one.")
    if tier is not None and not 1 <= tier <= max(1, len(entry.hints)):
        raise UsageError(f"--tier must be from 1 to {len(entry.hints)}: got {tier}. Choose one.")
    hint_shown = give_hint(entry, store, tier)
    if as_json:
        print_json(hint_shown.to_json())
    else:
        show(hint_shown.text)
