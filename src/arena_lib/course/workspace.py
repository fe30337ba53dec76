"""A learner's folder: writes a section's notebook into it, and never over what is there.

Raises:  WorkspaceError for a file that is there already, DiskError for a folder that cannot be written to.
"""

from __future__ import annotations

import datetime
import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TypeVar

from arena_lib.core.files import NO_SPACE
from arena_lib.course.content.catalog_types import Section
from arena_lib.course.content.figures import figure_files
from arena_lib.course.content.notebooks import Format, Scale, build_cells, render
from arena_lib.errors import DiskError, WorkspaceError

FORMATS: tuple[Format, ...] = ("ipynb", "py")
SCALES: tuple[Scale, ...] = ("full", "tiny")

Choice = TypeVar("Choice")

_SCRIPT_CELL = re.compile(r'^# %% .*?arena=\{"exercise": "([^"]+)"\}.*\n((?:(?!# %%).*\n?)*)', re.MULTILINE)


def start(
    section: Section,
    folder: Path,
    *,
    format: str = "ipynb",  # noqa: A002
    scale: str = "full",
    fresh: bool = False,
) -> Path:
    """Writes the section's exercises into `folder` and says where; with `fresh`, beside a file that is there.

    A notebook carries its pictures; a script gets them as files beside it.
    """
    text = render(section, format=_one_of("format", format, FORMATS), scale=_one_of("scale", scale, SCALES))
    _make_folder(folder)
    for path in _candidates(folder, section, format):
        try:
            write_new(path, text)
        except FileExistsError:
            if fresh:
                continue
            raise WorkspaceError(_what_is_there(path, section)) from None
        except OSError as error:
            raise cannot_write(path, error) from error
        if format == "py":
            _copy_figures(section, folder)
        return path
    raise AssertionError("there is always another number")


def _one_of(what: str, chosen: str, choices: tuple[Choice, ...]) -> Choice:
    for choice in choices:
        if choice == chosen:
            return choice
    raise WorkspaceError(f"the {what} must be one of {', '.join(map(str, choices))}: got {chosen!r}. Choose one.")


def _candidates(folder: Path, section: Section, format: str) -> Iterator[Path]:  # noqa: A002
    """`1.1_slug.ipynb`, then `1.1_slug_2.ipynb` and so on."""
    yield folder / f"{section.stem}.{format}"
    for number in count(2):
        yield folder / f"{section.stem}_{number}.{format}"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise WorkspaceError(
            f"a section is written into a folder: got {str(folder)!r}, where there is a file. Name another folder."
        ) from error
    except OSError as error:
        raise cannot_write(folder, error) from error


def write_new(path: Path, text: str) -> None:
    """Writes a file that must not exist yet; what could not be written whole is removed again."""
    with path.open("x", encoding="utf-8", newline="\n") as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _copy_figures(section: Section, folder: Path) -> None:
    """Puts the section's pictures where its script names them; a file that is there is left alone."""
    for name, source in figure_files(section).items():
        target = folder / name
        if target.exists():
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        except OSError as error:
            raise cannot_write(target, error) from error


def cannot_write(path: Path, error: OSError) -> WorkspaceError:
    """What to raise where a file couldn't be written: DiskError if the machine is the reason."""
    if error.errno in NO_SPACE:
        return DiskError(
            f"there must be room on the disk for {path}: got none. Make room, or name a folder on another disk."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DiskError(f"the folder must let you write {path}: got {error.strerror!r}. Name a folder of yours.")
    return WorkspaceError(
        f"it must be possible to write {path}: got {error.strerror or error!r}. Name another file or folder."
    )


def _what_is_there(path: Path, section: Section) -> str:
    """What must hold, what is there instead, and what to do."""
    if not path.is_file():
        obstacle = "a folder" if path.is_dir() else "something that is no file"
        return f"{path} must be free for the notebook: got {obstacle} of that name. Name another folder."
    changed = datetime.datetime.fromtimestamp(path.stat().st_mtime).strftime("%Y-%m-%d %H:%M")
    begun = n_begun(path, section)
    state = "" if begun is None else f", with {begun} of {len(section.exercises)} exercises begun"
    options = "--format py --fresh" if path.suffix == ".py" else "--fresh"
    return (
        f"{path} is there already{state}, saved {changed}. It was left as it is: continue in it, or start another beside "
        f"it with: arena start {section.id} {options}"
    )


def n_begun(path: Path, section: Section) -> int | None:
    """How many exercises no longer stand as they were handed out; None if the file can't tell."""
    try:
        found = exercise_cells(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not found:
        return None
    handed_out = {cell.exercise: cell.source for cell in build_cells(section) if cell.exercise}
    return sum(name in found and found[name].strip() != source.strip() for name, source in handed_out.items())


def exercise_cells(path: Path) -> dict[str, str]:
    """The source of each exercise's cell in a notebook or script that `start` wrote, by the exercise's id."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if "exercise" in cell.get("metadata", {}).get("arena", {})]
        return {cell["metadata"]["arena"]["exercise"]: "".join(cell["source"]) for cell in cells}
    return {cell[1]: cell[2] for cell in find_script_cells(text)}


def find_script_cells(text: str) -> Iterator[re.Match[str]]:
    """The cells of exercises in a script; group 1 is the exercise's id, group 2 the code."""
    return _SCRIPT_CELL.finditer(text)


def find_files(section: Section, folder: Path | None = None) -> Iterator[Path]:
    """The section's notebooks and scripts in a folder, the one worked on last first."""
    files = (folder or Path()).glob(f"{section.stem}*")
    paths = [path for path in files if path.suffix in (".ipynb", ".py") and path.is_file()]
    yield from sorted(paths, key=lambda path: last_worked_on(path, section), reverse=True) if paths[1:] else paths


def last_worked_on(path: Path, section: Section) -> tuple[bool, float]:
    """What orders a learner's files: one in which nothing is begun comes before all others, however new it is."""
    return n_begun(path, section) != 0, path.stat().st_mtime
