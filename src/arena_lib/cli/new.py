"""`arena new`: a course of one's own, or one more exercise, from templates that hold from the start."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from arena_lib.cli.support.output import JsonFlag, UsageError, make_folder, print_json, show, verb


def register(app: typer.Typer) -> None:
    """Adds the verbs."""
    new = typer.Typer(help="For authors: a new course, or a new exercise.", no_args_is_help=True)
    new.command("course")(course)
    new.command("exercise")(exercise)
    app.add_typer(new, name="new")


@verb
def course(
    name: Annotated[str, typer.Argument(help="The package's name, such as my_course.")],
    folder: Annotated[Path, typer.Option(help="Where its folder will be made.")] = Path("."),
    as_json: JsonFlag = False,
) -> None:
    """Write a package with a chapter, an exercise and its test, which `arena` finds once it is installed."""
    from arena_lib.course.authoring.scaffolding import new_course

    make_folder("--folder", folder)
    with _wrong_use():
        paths = new_course(name, folder)
    if as_json:
        print_json({"course": name, "paths": [str(path) for path in paths]})
        return
    _show_paths(paths)
    show(f"Next: pip install -e {shlex.quote(str(folder / name))}, then: arena verify")


@verb
def exercise(
    name: Annotated[str, typer.Argument(metavar="SECTION/NAME", help="Its section and its name: 1.1/causal_mask.")],
    as_json: JsonFlag = False,
) -> None:
    """Write the three pieces of an exercise: the reference, the judge, the cell in the chapter."""
    from arena_lib.course.authoring.scaffolding import find_section_files, new_exercise
    from arena_lib.course.content.catalog import load_catalog

    where, _, bare = name.rpartition("/")
    if not where:
        raise UsageError(f"a new exercise must be called SECTION/NAME: got {name!r}. Write, say, 1.1/{name}.")
    section = load_catalog(strict=True).section(where)
    with _wrong_use():
        paths = new_exercise(find_section_files(section, Path.cwd()), bare)
    if as_json:
        print_json({"exercise": f"{section.id}/{bare}", "paths": [str(path) for path in paths]})
        return
    _show_paths(paths)
    show(f"Put your own in place of what they say, then: arena verify {section.id}/{bare}")


@contextlib.contextmanager
def _wrong_use() -> Iterator[None]:
    """A name or a place that can't be used is the author's to change, and exits with 2."""
    from arena_lib.errors import AuthoringError

    try:
        yield
    except AuthoringError as error:
        raise UsageError(str(error)) from error


def _show_paths(paths: list[Path]) -> None:
    for path in paths:
        show(str(path))
