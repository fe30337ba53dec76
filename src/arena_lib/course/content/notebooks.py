"""A section as a notebook or as a py:percent script: for learners, or with its solutions.

The same input gives the same bytes; the ids of cells depend on their exercise or their text, not on
their place, so they stay when a cell is put before them.

Raises:  AuthoringError for a chapter or reference that breaks the contract.
Source:  notebook format 4.5 of nbformat.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from arena_lib.course.content.catalog_types import SOLUTION_BEGINS, SOLUTION_ENDS, ExerciseEntry, Section
from arena_lib.course.content.figures import embed_figures
from arena_lib.course.content.imports import builds_on, fallback_imports, setup_imports
from arena_lib.course.content.python_source import assigned_names, read_names
from arena_lib.course.content.stubs import NOT_STARTED, exercise_text
from arena_lib.errors import AuthoringError
from arena_lib.wording import counted

Kind = Literal["exercises", "solutions"]
Scale = Literal["full", "tiny"]
Format = Literal["ipynb", "py"]

MOST_POINTS = 5
_ID_LENGTH = 64
"""The most characters that nbformat allows in the id of a cell."""

WAYS_OF_A_NOTEBOOK = (
    "Write it and run the cell: its last line tests your code, and says what is wrong if something is.",
    "Every exercise has three hints, from the idea to the step. `arena progress` shows what is left to do.",
)


@dataclass(frozen=True, kw_only=True)
class NotebookCell:
    """One cell of a notebook before it is written in a format."""

    kind: Literal["markdown", "code"]
    source: str
    id: str = ""
    tags: tuple[str, ...] = ()
    exercise: str | None = None
    """The id of the exercise that a learner writes in this cell."""
    line: int = 0
    """Of the chapter's cell that it is made from; 0 for the title, the parameter and the imports."""

    @property
    def metadata(self) -> dict[str, Any]:
        """What Jupyter keeps beside the cell."""
        found: dict[str, Any] = {"tags": list(self.tags)} if self.tags else {}
        return found | ({"arena": {"exercise": self.exercise}} if self.exercise else {})


def build_notebook(section: Section, *, kind: Kind = "exercises", scale: Scale = "full") -> dict[str, Any]:
    """The section as a notebook in nbformat 4.5, as a dictionary ready for JSON."""
    cells = build_cells(section, kind=kind, scale=scale)
    return {
        "cells": [_cell_json(cell, section) for cell in cells],
        "metadata": _notebook_metadata(section, kind),
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def render(section: Section, *, format: Format = "ipynb", kind: Kind = "exercises", scale: Scale = "full") -> str:  # noqa: A002
    """The text of the section's file in a format; `ipynb` and `py` hold the same cells."""
    if format == "ipynb":
        return json.dumps(build_notebook(section, kind=kind, scale=scale), indent=1, ensure_ascii=False) + "\n"
    cells = build_cells(section, kind=kind, scale=scale, has_folds=False)
    head = [f"#   {key}: {json.dumps(value)}" for key, value in _notebook_metadata(section, kind).items()]
    return "\n".join(["# ---", "# jupyter:", *head, "# ---", "", *(_cell_script(cell) for cell in cells)])


def build_cells(
    section: Section, *, kind: Kind = "exercises", scale: Scale = "full", has_folds: bool = True
) -> list[NotebookCell]:
    """The cells of the section's notebook; without folds, hints are named instead of hidden."""
    _check_code(section)
    cells = list(_opening(section, kind, scale, is_script=not has_folds))
    for index, cell in enumerate(section.cells):
        if cell.exercise is not None:
            cells.append(_about(section, cell.exercise, kind, has_folds))
            cells.append(replace(_exercise(section, index, cell.exercise, kind), line=cell.line))
        elif cell.kind == "markdown":
            cells.append(NotebookCell(kind="markdown", source=cell.source, line=cell.line))
        else:
            source = _headed(cell.source) if cell.kind == "result" else cell.source
            cells.append(NotebookCell(kind="code", source=source, line=cell.line))
    return list(_with_ids(cells))


def _check_code(section: Section) -> None:
    for cell in section.cells:
        if cell.kind == "markdown":
            continue
        try:
            ast.parse(cell.source)
        except SyntaxError as error:
            raise AuthoringError(
                f"{section.path}:{cell.line}: a cell of code must be Python: got {error.msg} in {(error.text or '').strip()!r}. "
                "Fix it."
            ) from error


def _opening(section: Section, kind: Kind, scale: Scale, *, is_script: bool) -> Iterator[NotebookCell]:
    """Title, parameter and set-up."""
    lines = [f"# {section.id} {section.title}", ""]
    if section.objectives:
        lines += ["You will be able to:", "", *(f"- {objective}" for objective in section.objectives), ""]
    if kind == "solutions":
        lines.append("Every exercise is solved here, with the library's own code.")
    else:
        lines += [
            f"This takes about {counted(section.hours, 'hour')}. Each exercise is a function or class without its body.",
            *(_ways_of_a_script(section) if is_script else WAYS_OF_A_NOTEBOOK),
        ]
    yield NotebookCell(kind="markdown", source="\n".join(lines), id="title")
    yield NotebookCell(
        kind="code",
        source=f'SCALE = "{scale}"  # "tiny" makes every run short: for a quick look, or a slow machine',
        id="parameters",
        tags=("parameters",),
    )
    imports = setup_imports(section, is_explored=kind == "exercises")
    # A learner's verdicts are recorded by the extension; those of solutions are not the learner's.
    magic = "%load_ext arena_lib\n\n" if kind == "exercises" else ""
    yield NotebookCell(kind="code", source=(magic + imports).strip(), id="setup")


def _ways_of_a_script(section: Section) -> list[str]:
    """How to have a plain file judged, get hints, and explore."""
    lines = [
        "Write it and save this file. `arena check FILE`, with this file's name, tests your code and says what is wrong",
        "if something is; with `--watch` it does so at every save. Every exercise has three hints, from the idea to the",
        "step: `arena hint ID` shows the next one. `arena progress` shows what is left to do. To see a part's results,",
        "run its cells in an editor that knows `# %%`, such as VS Code: as a whole, `python FILE` stops at the first",
        "exercise that isn't written yet.",
    ]
    if any(entry.is_exploratory for entry in section.exercises):
        lines += [
            "An exercise that ends in `explored(...)` is yours to explore: run its cell in an editor that knows",
            "`# %%` cells, such as VS Code.",
        ]
    return lines


def _about(section: Section, entry: ExerciseEntry, kind: Kind, has_folds: bool) -> NotebookCell:
    """Title, difficulty, importance and minutes; then hints, and how to go on without earlier exercises."""
    lines = [
        f"### Exercise: {entry.title}",
        "",
        f"Difficulty: {points(entry.difficulty, '🔴')} ({entry.difficulty} of {MOST_POINTS}), "
        f"importance: {points(entry.importance, '🔵')} ({entry.importance} of {MOST_POINTS}), "
        f"about {counted(entry.minutes, 'minute')}",
    ]
    if kind == "exercises":
        if has_folds:
            for number, hint in enumerate(entry.hints, start=1):
                lines += ["", *_fold(f"Hint {number}", hint)]
        elif entry.hints:
            lines += ["", f"Hints: `arena hint {entry.id}`"]
        if earlier := builds_on(section, entry):
            summary, text = _fallback(earlier, is_script=not has_folds)
            lines += ["", *(_fold(summary, text) if has_folds else [summary, text])]
    return NotebookCell(kind="markdown", source="\n".join(lines), id=f"about-{entry.name}")


def points(count: int, mark: str) -> str:
    """A rating as a row of marks.

    >>> points(2, "🔴")
    '🔴🔴⚪⚪⚪'
    """
    return mark * count + "⚪" * (MOST_POINTS - count)


def _fold(summary: str, text: str) -> list[str]:
    return ["<details>", f"<summary>{summary}</summary>", "", *text.splitlines(), "", "</details>"]


def _fallback(earlier: list[ExerciseEntry], *, is_script: bool) -> tuple[str, str]:
    objects = list(dict.fromkeys(entry.object_name for entry in earlier))  # a class may be written in several exercises
    names = ", ".join(objects)
    missing = "one of them" if len(objects) > 1 else "it"
    code = f"\n\n```python\n{fallback_imports(earlier)}\n```"
    if is_script:
        return (
            f"This builds on your {names}.",
            f"If you skipped {missing}, add a cell above (a line `# %%` begins it) with the import you lack:{code}",
        )
    return (
        f"This builds on your {names}. Not written yet?",
        "To do this exercise first, take the library's own for now. "
        f"Put these lines into a new cell above this one, and delete what you don't need:{code}",
    )


def _exercise(section: Section, index: int, entry: ExerciseEntry, kind: Kind) -> NotebookCell:
    if entry.reference is None:
        text, *later = (cell.source for cell in section.cells[index:] if cell.kind != "markdown")
        if kind == "solutions":
            source = reveal_solution(text)
        else:
            source = f'{hide_solution(text, later).rstrip()}\n\nexplored("{entry.id}")'
    else:
        text = exercise_text(section, entry, is_solution=kind == "solutions")
        source = f"{text.rstrip()}\n\n\ntests.{entry.test_name}({entry.object_name})"
    return NotebookCell(kind="code", source=source, id=f"exercise-{entry.name}", exercise=entry.id)


def reveal_solution(source: str) -> str:
    """The code of an exploratory exercise with its solution, without the markers around it."""
    return "\n".join(line for line in source.splitlines() if line.strip() not in (SOLUTION_BEGINS, SOLUTION_ENDS))


def hide_solution(source: str, later: Sequence[str] = ()) -> str:
    """The code of an exploratory exercise with a gap where its solution is, which says what is read from it.

    What is read after the gap counts, in the same cell or in one of the `later` ones.
    """
    before, *regions = source.split(SOLUTION_BEGINS)
    shown = before
    for number, region in enumerate(regions, start=1):
        solution, _, after = region.partition(SOLUTION_ENDS)
        indent = shown.rpartition("\n")[2]
        later_code = "".join([after, *(SOLUTION_BEGINS + following for following in regions[number:])])
        # Inside a function only what follows in it can read the function's names.
        sources = [f"if True:\n{indent}pass\n{later_code}"] if indent else [later_code, *later]
        required = [name for name in _defined(textwrap.dedent(solution)) if _is_read(name, sources)]
        requirement = f"; it must define {', '.join(required)}" if required else ""
        shown += f"# Your code here{requirement}. Then delete the next line.\n{indent}{NOT_STARTED}{after}"
    return shown


def _defined(solution: str) -> list[str]:
    """The names that a solution gives to the code after it, in order; those of its loops don't count."""
    loops = [node for node in ast.walk(ast.parse(solution)) if isinstance(node, ast.For)]
    of_loops = {name.id for loop in loops for name in ast.walk(loop.target) if isinstance(name, ast.Name)}
    assigned = assigned_names(solution) - of_loops
    return [name for name in dict.fromkeys(re.findall(r"\w+", solution)) if name in assigned]


def _is_read(name: str, sources: Sequence[str]) -> bool:
    """Whether the first statement of this code that has the name reads it, rather than giving it a new value."""
    for statement in (statement for source in sources for statement in ast.parse(source).body):
        text = ast.unparse(statement)
        is_read, is_written = name in read_names(text), name in assigned_names(text)
        if is_written and isinstance(statement, ast.AugAssign):
            return True
        if is_read or is_written:
            return is_read and (not is_written or isinstance(statement, ast.Assign))
    return False


def _headed(source: str) -> str:
    """A result cell, which begins with what the learner should see."""
    if source.startswith("#"):
        return f"# What you should see: {source[1:].strip()}"
    return f"# What you should see, once the exercises above work:\n{source}"


def _with_ids(cells: list[NotebookCell]) -> Iterator[NotebookCell]:
    """Gives each cell that has none an id made from its text; equal texts are counted."""
    taken: dict[str, int] = {}
    for cell in cells:
        cell_id = cell.id or f"{cell.kind}-{hashlib.sha256(cell.source.encode()).hexdigest()[:12]}"
        cell_id = cell_id.replace(".", "-")[:_ID_LENGTH]
        taken[cell_id] = taken.get(cell_id, 0) + 1
        yield replace(cell, id=cell_id if taken[cell_id] == 1 else f"{cell_id[: _ID_LENGTH - 4]}-{taken[cell_id]}")


def _notebook_metadata(section: Section, kind: Kind) -> dict[str, Any]:
    return {
        "arena": {"section": section.id, "slug": section.slug, "kind": kind},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def _cell_json(cell: NotebookCell, section: Section) -> dict[str, Any]:
    record: dict[str, Any] = {"cell_type": cell.kind, "id": cell.id, "metadata": cell.metadata}
    source = cell.source
    if cell.kind == "code":
        record |= {"execution_count": None, "outputs": []}
    else:
        source, attachments = embed_figures(source, section)
        record |= {"attachments": attachments} if attachments else {}
    return record | {"source": source.splitlines(keepends=True)}


def _cell_script(cell: NotebookCell) -> str:
    """One cell in py:percent, with its metadata as jupytext writes them."""
    words = [f"{key}={json.dumps(value)}" for key, value in cell.metadata.items()]
    if cell.kind == "markdown":
        words.insert(0, "[markdown]")
        lines = [f"# {line}".rstrip() for line in cell.source.splitlines()]
    else:
        lines = [f"# {line}" if line.startswith("%") else line for line in cell.source.splitlines()]
    return "\n".join([" ".join(["# %%", *words]), *lines, ""])
