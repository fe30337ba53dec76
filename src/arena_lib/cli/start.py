"""`arena start`: writes a section's notebook into the learner's folder, never over their work."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from arena_lib.cli.support.output import JsonFlag, UsageError, as_wrong_use, print_json, show, verb
from arena_lib.course.tables import counted


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("start")(start_section)


@verb
def start_section(
    section: Annotated[str, typer.Argument(help="The section: 1.1 or its name.")],
    folder: Annotated[Path, typer.Option(help="Where to write.")] = Path("."),
    file_format: Annotated[str, typer.Option("--format", help="ipynb or py.")] = "ipynb",
    scale: Annotated[str, typer.Option(help="full, or tiny for short runs.")] = "full",
    fresh: Annotated[bool, typer.Option("--fresh", help="Write another file beside one that is there.")] = False,
    open_lab: Annotated[bool, typer.Option("--open", help="Open it in JupyterLab.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write a section's exercises into your folder."""
    from arena_lib.course.content.catalog import load_catalog
    from arena_lib.course.record.progress import ProgressStore
    from arena_lib.course.workspace import FORMATS, SCALES, start

    for what, chosen, choices in (("--format", file_format, FORMATS), ("--scale", scale, SCALES)):
        if chosen not in choices:
            raise UsageError(f"{what} must be {' or '.join(choices)}: got {chosen!r}. Choose one.")
    chosen_section = load_catalog().section(section)
    with as_wrong_use():
        path = start(chosen_section, folder, format=file_format, scale=scale, fresh=fresh)
    ProgressStore().note("opened")
    if as_json:
        print_json({"section": chosen_section.id, "path": str(path)})
    else:
        n_exercises, hours = counted(len(chosen_section.exercises), "exercise"), counted(chosen_section.hours, "hour")
        show(f"{path} is ready: {n_exercises}, about {hours}.")
        quoted = shlex.quote(str(path))
        open_it = f"Open it (jupyter lab {quoted}), or write" if file_format == "ipynb" else "Write"
        show(f"{open_it} in any editor and run: arena check {quoted}")
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
