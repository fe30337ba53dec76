"""`arena new`: a course of one's own, or one more exercise, from templates that hold from the start."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from arena_lib.cli.support.output import UsageError, as_wrong_use, json_option, make_folder, print_json, show, verb
from arena_lib.errors import AuthoringError


@click.group("new", no_args_is_help=True)
def new() -> None:
    """For authors: a new course, or a new exercise."""


@new.command("course")
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), default=Path(), help="Where its folder will be made.")
@json_option
@verb
def course(name: str, folder: Path, as_json: bool) -> None:
    """Write a package with a chapter, an exercise and its test, which `arena` finds once it is installed.

    NAME is the package's, such as my_course.
    """
    from arena_lib.course.authoring.scaffolding import first_section, new_course

    make_folder("--folder", folder)
    with as_wrong_use(AuthoringError):
        paths = new_course(name, folder)
    section = first_section(name)
    if as_json:
        print_json({"course": name, "section": section, "paths": [str(path) for path in paths]})
        return
    _show_paths(paths)
    show(f"Next: pip install -e {shlex.quote(str(folder / name))}, then: arena verify {section}")


@new.command("exercise")
@click.argument("name", metavar="SECTION/NAME")
@json_option
@verb
def exercise(name: str, as_json: bool) -> None:
    """Write the three pieces of an exercise: the reference, the judge, the cell in the chapter.

    For an exercise of this section and name, such as 1.1/causal_mask.
    """
    from arena_lib.course.authoring.scaffolding import find_section_files, new_exercise
    from arena_lib.course.content.catalog import load_catalog
    from arena_lib.course.content.chapters import parse_chapter

    where, _, bare = name.rpartition("/")
    if not where:
        is_section = any(name in (section.id, section.slug, section.stem) for section in load_catalog().sections)
        written = f"{name}/NAME" if is_section else f"1.1/{name}"
        raise UsageError(f"a new exercise must be called SECTION/NAME: got {name!r}. Write, say, {written}.")
    section = load_catalog().section(where)
    with as_wrong_use(AuthoringError):
        paths = new_exercise(find_section_files(section, Path.cwd()), bare)
    line = parse_chapter(section.path).exercises[-1].line
    if as_json:
        print_json({"exercise": f"{section.id}/{bare}", "line": line, "paths": [str(path) for path in paths]})
        return
    _show_paths(paths)
    show(f"Its cell ends the chapter, {section.path}:{line}. Move it to where the text wants it.")
    show(f"Put your own in place of what they say, then: arena verify {section.id}/{bare}")


def _show_paths(paths: list[Path]) -> None:
    for path in paths:
        show(str(path))
