"""`arena start`: writes a section's notebook into the learner's folder, never over their work."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from arena_lib.cli.support.exploring import EXPLORING_A_SCRIPT, more_to_explore
from arena_lib.cli.support.output import UsageError, as_wrong_use, json_option, print_json, show, verb
from arena_lib.wording import counted


@click.command("start")
@click.argument("section", required=False)
@click.option("--folder", type=click.Path(path_type=Path), default=Path(), help="Where to write.")
@click.option("--format", "file_format", default="ipynb", help="ipynb or py.")
@click.option("--scale", default="full", help="full, or tiny for short runs.")
@click.option("--fresh", is_flag=True, help="Write another file beside the one that is there.")
@click.option("--open", "open_lab", is_flag=True, help="Open it in JupyterLab.")
@json_option
@verb
def start_section(
    section: str | None, folder: Path, file_format: str, scale: str, fresh: bool, open_lab: bool, as_json: bool
) -> None:
    """Write a section's exercises into your folder.

    SECTION is an id such as 1.1, or a name; without it you see which there are.
    """
    from arena_lib.course.content.catalog import load_catalog
    from arena_lib.course.record.progress import ProgressStore
    from arena_lib.course.workspace import FORMATS, SCALES, find_files, n_begun, start

    for what, chosen, choices in (("--format", file_format, FORMATS), ("--scale", scale, SCALES)):
        if chosen not in choices:
            raise UsageError(f"{what} must be {' or '.join(choices)}: got {chosen!r}. Choose one.")
    catalog = load_catalog()
    if section is None:
        listing = "\n".join(f"  {known.id:<6} {known.title}" for known in catalog.sections)
        raise UsageError(f"start takes the section to write: got none. There are:\n{listing}")
    chosen_section = catalog.section(section)
    with as_wrong_use():
        path = start(chosen_section, folder, format=file_format, scale=scale, fresh=fresh)
    ProgressStore().note("opened")
    if as_json:
        print_json({"section": chosen_section.id, "path": str(path)})
    else:
        n_exercises, hours = counted(len(chosen_section.exercises), "exercise"), counted(chosen_section.hours, "hour")
        show(f"{path} is ready: {n_exercises}, about {hours}.")
        for other in find_files(chosen_section, folder):
            if other != path and (begun := n_begun(other, chosen_section)):
                show(
                    f"{other} is there too, with {counted(begun, 'exercise')} begun. Commands that aren't given a file take "
                    "the one that you worked on last."
                )
        quoted = shlex.quote(str(path))
        open_it = f"Open it (jupyter lab {quoted}), or write" if file_format == "ipynb" else "Write"
        show(f"{open_it} in any editor and run: arena check {quoted}")
        if file_format == "py" and more_to_explore(chosen_section):
            show(EXPLORING_A_SCRIPT)
    if open_lab:
        _open_lab(path)


def _open_lab(path: Path) -> None:
    """Hands the notebook to JupyterLab and waits until that ends."""
    import importlib.util
    import subprocess
    import sys

    from arena_lib.errors import MissingDependencyError

    if importlib.util.find_spec("jupyterlab") is None:
        raise MissingDependencyError("jupyterlab", "notebook", "arena start --open")
    subprocess.run([sys.executable, "-m", "jupyterlab", str(path)], check=False)
