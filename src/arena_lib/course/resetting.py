"""Brings the stub of one exercise back into a learner's file, and keeps what they had written beside it.

Raises:  WorkspaceError for a file without the exercise's cell; DiskError for one that can't be written.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from arena_lib.core.files import write_atomically
from arena_lib.course.content.catalog_types import ExerciseEntry, Section
from arena_lib.course.content.notebooks import build_cells
from arena_lib.course.judging.cells import read_learner_file
from arena_lib.course.workspace import cannot_write, exercise_cells, find_files, find_script_cells, write_new
from arena_lib.errors import WorkspaceError


@dataclass(frozen=True, kw_only=True)
class Reset:
    """What was done to a learner's file."""

    exercise: str
    file: Path
    kept: Path | None
    """Where the learner's code is now; None if the cell was as it had been handed out, and nothing was done."""

    def to_json(self) -> dict[str, Any]:
        """With stable keys."""
        return {key: value if value is None else str(value) for key, value in asdict(self).items()}


def reset_exercise(section: Section, entry: ExerciseEntry, file: Path | None = None) -> Reset:
    """Puts the stub into the exercise's cell of `file`, by default the section's file in this folder."""
    path = file or next(find_files(section), None)
    if path is None:
        raise WorkspaceError(
            f"this folder must hold {section.stem}.ipynb or .py: got neither. Name the file: arena reset {entry.id} FILE"
        )
    read_learner_file(path)  # says what is wrong with a file that isn't a notebook or a script
    learners = exercise_cells(path).get(entry.id)
    if learners is None:
        raise WorkspaceError(
            f"{path} must have the cell of {entry.id} that `arena start` wrote: got none. Name another file, or write "
            f"one with: arena start {section.id} --fresh"
        )
    (stub,) = [cell.source for cell in build_cells(section) if cell.exercise == entry.id]
    if learners.strip() == stub.strip():
        return Reset(exercise=entry.id, file=path, kept=None)
    kept = _keep(path, entry, learners)
    text = (_reset_notebook if path.suffix == ".ipynb" else _reset_script)(_read(path), entry.id, stub)
    try:
        write_atomically(path.resolve(), text.encode())
    except OSError as error:
        kept.unlink()
        raise cannot_write(path, error) from error
    return Reset(exercise=entry.id, file=path, kept=kept)


def _read(path: Path) -> str:
    """The file's text with its own ends of lines."""
    return path.read_bytes().decode("utf-8-sig")


def _keep(path: Path, entry: ExerciseEntry, learners: str) -> Path:
    """Writes the learner's code into a new file beside theirs, which `arena check` doesn't take for the section's."""
    for number in count(1):
        kept = path.with_name(f"{entry.name}_before_reset{'' if number == 1 else f'_{number}'}.py")
        try:
            write_new(kept, learners.rstrip() + "\n")
        except FileExistsError:
            continue
        except OSError as error:
            raise cannot_write(kept, error) from error
        return kept
    raise AssertionError("there is always another number")


def _reset_notebook(text: str, exercise: str, stub: str) -> str:
    """The notebook with the stub in the exercise's cell, and without what that cell had printed."""
    notebook = json.loads(text)
    cells = [c for c in notebook["cells"] if c.get("metadata", {}).get("arena", {}).get("exercise") == exercise]
    cells[-1] |= {"source": stub.splitlines(keepends=True), "outputs": [], "execution_count": None}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _reset_script(text: str, exercise: str, stub: str) -> str:
    """The script with the stub in the exercise's cell; its ends of lines stay what they are."""
    is_windows = "\r\n" in text
    text = text.replace("\r\n", "\n")
    cell = [cell for cell in find_script_cells(text) if cell[1] == exercise][-1]
    space_after = cell[2][len(cell[2].rstrip()) :]
    text = text[: cell.start(2)] + stub.rstrip() + space_after + text[cell.end(2) :]
    return text.replace("\n", "\r\n") if is_windows else text
