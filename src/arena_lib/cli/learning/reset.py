"""`arena reset`: the stub of one exercise back in the learner's file, and the old code beside it."""

from __future__ import annotations

from pathlib import Path

import click

from arena_lib.cli.support.output import as_wrong_use, json_option, print_json, show, verb


@click.command("reset")
@click.argument("exercise")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@json_option
@verb
def reset(exercise: str, file: Path | None, as_json: bool) -> None:
    """Begin an exercise anew; your old code is kept.

    EXERCISE is 1.1/causal_mask or causal_mask; FILE your notebook or script, the section's in this folder by default.
    The cell becomes what it was at the start; what you had written goes into a new file beside yours.
    """
    from arena_lib.course.content.catalog import load_catalog
    from arena_lib.course.record.progress import ProgressStore
    from arena_lib.course.resetting import reset_exercise

    catalog = load_catalog()
    entry = catalog.exercise(exercise)
    with as_wrong_use():
        done = reset_exercise(catalog.section_of(entry), entry, file)
    if as_json:
        print_json(done.to_json())
    elif done.kept is None:
        show(f"{done.exercise} in {done.file} is as it was at the start: nothing was changed.")
    else:
        show(f"{done.exercise} in {done.file} is as it was at the start. Your old code is in {done.kept}.")
        if done.file.suffix == ".ipynb":
            show("If the notebook is open in JupyterLab: File > Reload Notebook from Disk.")
        progress = ProgressStore().status().get(done.exercise)
        if progress is not None and progress.passed_at is not None:
            show("You passed it before, so your progress still counts it as done.")
