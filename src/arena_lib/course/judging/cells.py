"""The code cells of a learner's notebook or script, parsed one by one, so that a broken one stops no other.

IPython's magics and shell lines are blanked; a cell that is a magic as a whole (`%%bash`) is left out.

Raises:  WorkspaceError for a file that is neither a notebook nor a Python file.
Source:  nbformat 4; jupytext's py:percent.
"""

from __future__ import annotations

import ast
import codecs
import json
import re
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arena_lib.errors import WorkspaceError

_MAGIC_LINE = re.compile(r"^([ \t]*)(\w+[ \t]*=[ \t]*)?([%!?]).*$", re.MULTILINE)
_HELP_LINE = re.compile(r"^([ \t]*)[\w.]+\?{1,2}[ \t]*$", re.MULTILINE)
_CELL_LINE = re.compile(r"^# %%.*$", re.MULTILINE)
_PYTHON_CELL_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")


@dataclass(frozen=True, kw_only=True)
class SourceCell:
    """One code cell."""

    number: int
    """Of the cell in its file, counted from 1, text cells included."""
    source: str
    filename: str
    """What tracebacks call it."""
    offset: int = 0
    """How many lines of the file stand before it; 0 for a notebook, whose cells count their own."""


@dataclass(frozen=True, kw_only=True)
class CellProblem:
    """Why a cell, or a statement of it, was left out."""

    cell: int
    line: int | None
    message: str
    file: str = ""
    """That of a script, whose cells nobody counts; nothing for a notebook."""
    text: str = ""
    """The line itself, where that is known."""

    @property
    def place(self) -> str:
        """Where to look for it: file and line in a script, cell and line in a notebook."""
        return f"{self.file}:{self.line}" if self.file and self.line else self.where

    @property
    def quoted(self) -> str:
        """The line's text, which a learner finds where a notebook shows no numbers, and its place."""
        return f"`{self.text}` ({self.where})" if self.text else self.where

    @property
    def where(self) -> str:
        """The cell and, if it is known, the line."""
        return f"cell {self.cell}" + (f", line {self.line}" if self.line else "")


@dataclass(frozen=True, kw_only=True)
class LearnerFile:
    """A learner's notebook or script as text."""

    path: Path
    cells: tuple[SourceCell, ...]
    section: str | None = None
    """The id of the section that its metadata name."""


def read_learner_file(path: Path) -> LearnerFile:
    """The code cells of a notebook (`.ipynb`) or a script (`.py`)."""
    if path.suffix not in (".ipynb", ".py"):
        raise WorkspaceError(
            f"what is judged must be a notebook (.ipynb) or a Python file (.py): got {str(path)!r}. Name one."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise WorkspaceError(_why_no_text(path, error)) from error
    except FileNotFoundError as error:
        raise WorkspaceError(f"There is no file {path}. Name another, or write one with: arena start") from error
    except OSError as error:
        raise WorkspaceError(
            f"{path} must be a file that can be read: got {error.strerror!r}. Name another file, or write one with: arena start"
        ) from error
    return _read_notebook(path, text) if path.suffix == ".ipynb" else _read_script(path, text)


def _why_no_text(path: Path, error: UnicodeDecodeError) -> str:
    """Whether it is text in another encoding, or something that was merely named like a notebook."""
    content = error.object
    if b"\0" in content and not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        kind = "a notebook, which is JSON" if path.suffix == ".ipynb" else "Python, which is text"
        return f"{path} must be {kind}: got a binary file that begins with {content[:8]!r}. Name another file."
    return f"{path} must be UTF-8 text: got {error}. Save it as UTF-8."


def _read_notebook(path: Path, text: str) -> LearnerFile:
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise WorkspaceError(
            f"{path} must be a notebook, which is JSON: got invalid JSON in {where}. Open it in Jupyter and save it again."
        ) from error
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise WorkspaceError(
            f"{path} must be a notebook of format 4, which has a list of cells: got JSON without one. "
            "Open it in Jupyter and save it again, or name another file."
        )
    cells = [
        SourceCell(number=number, source=source, filename=f"<{path.name}, cell {number}>")
        for number, cell in enumerate(notebook["cells"], start=1)
        if (source := _code_of(path, number, cell)) is not None
    ]
    metadata = notebook.get("metadata")
    arena = metadata.get("arena") if isinstance(metadata, dict) else None
    section = arena.get("section") if isinstance(arena, dict) else None
    return LearnerFile(path=path, cells=tuple(cells), section=section if isinstance(section, str) else None)


def _code_of(path: Path, number: int, cell: Any) -> str | None:
    """The text of a code cell; None for a cell of another kind."""
    if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
        raise _malformed(path, number, "must have a cell_type", cell)
    source = cell.get("source")
    lines: list[Any] = source if isinstance(source, list) else [source]
    if not all(isinstance(line, str) for line in lines):
        raise _malformed(path, number, "must have text or a list of lines as its source", source)
    return "".join(lines) if cell["cell_type"] == "code" else None


def _malformed(path: Path, number: int, must_hold: str, content: object) -> WorkspaceError:
    return WorkspaceError(
        f"{path}: cell {number} {must_hold}: got {reprlib.repr(content)}. Open the notebook in Jupyter and save it again, "
        "or delete that cell."
    )


def _read_script(path: Path, text: str) -> LearnerFile:
    """Cells begin at `# %%`; a script without any is one cell."""
    starts = [0, *(match.start() for match in _CELL_LINE.finditer(text) if match.start())]
    cells = [
        SourceCell(
            number=number, source=text[start:end], filename=str(path.absolute()), offset=text.count("\n", 0, start)
        )
        for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(text)], strict=True), start=1)
    ]
    section = re.search(r'^#\s+arena: \{"section": "([^"]+)"', text, re.MULTILINE)
    return LearnerFile(path=path, cells=tuple(cells), section=section.group(1) if section else None)


def parse_cell(cell: SourceCell) -> ast.Module | CellProblem:
    """The cell's statements with the line numbers of its file, or why there are none."""
    first_error: SyntaxError | ValueError | None = None
    for source in (cell.source, _without_magics(cell.source)):
        try:
            flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            tree: ast.Module = compile(source, cell.filename, "exec", flags, dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            first_error = error if isinstance(error, SyntaxError | ValueError) else ValueError(type(error).__name__)
            continue
        return ast.increment_lineno(tree, cell.offset)
    line = getattr(first_error, "lineno", None)
    return CellProblem(
        cell=cell.number,
        line=None if line is None else line + cell.offset,
        message=f"SyntaxError: {getattr(first_error, 'msg', first_error)}",
        file="" if cell.filename.startswith("<") else Path(cell.filename).name,
        text="" if line is None else "".join(cell.source.splitlines()[line - 1 : line]).strip(),
    )


def _without_magics(source: str) -> str:
    """The cell with every magic, shell line and question replaced by a statement that does nothing."""
    head = source.lstrip("\n")
    if head.startswith("%%"):
        magic, _, rest = head.partition("\n")
        if not magic.startswith(_PYTHON_CELL_MAGICS):
            return ""
        source = source[: len(source) - len(head)] + "\n" + rest
    source = _MAGIC_LINE.sub(lambda match: f"{match[1]}{match[2] + 'None' if match[2] else 'pass'}", source)
    return _HELP_LINE.sub(r"\1pass", source)
