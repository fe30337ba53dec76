"""`arena hint`: the next hint of an exercise, from the idea to the step."""

from __future__ import annotations

from typing import Annotated

import typer

from arena_lib.cli.support.output import JsonFlag, UsageError, print_json, show, verb


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("hint")(hint)


@verb
def hint(
    exercise: Annotated[str, typer.Argument(help="The exercise: 1.1/causal_mask or causal_mask.")],
    tier: Annotated[int | None, typer.Option(help="Which hint, counted from 1; the next one by default.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the next hint of an exercise.

    Each call goes one step further.
    """
    from arena_lib.course.content.catalog import load_catalog
    from arena_lib.course.record.hints import give_hint
    from arena_lib.course.record.progress import ProgressStore

    entry = load_catalog().exercise(exercise)
    if tier is not None and not 1 <= tier <= max(1, len(entry.hints)):
        raise UsageError(f"--tier must be from 1 to {len(entry.hints)}: got {tier}. Choose one.")
    given = give_hint(entry, ProgressStore(), tier)
    if as_json:
        print_json(given.to_json())
    else:
        show(given.text)
