"""The solution of an exercise as text, as a difference from the learner's code, and run.

Raises:  AuthoringError for a reference that isn't there.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import linecache
import sys
import types
from collections.abc import Iterator

from arena_lib.course.content.catalog_types import ExerciseEntry, Section
from arena_lib.course.content.notebooks import NotebookCell, Scale, build_cells, reveal_solution
from arena_lib.course.content.stubs import exercise_text, helpers_of_short, source_of
from arena_lib.errors import AuthoringError


def solution_text(section: Section, entry: ExerciseEntry) -> str:
    """The library's own code for an exercise, or the chapter's for an exploratory one."""
    if entry.reference is not None:
        return exercise_text(section, entry, is_solution=True)
    (source,) = [
        cell.source for cell in section.cells if cell.exercise is not None and cell.exercise.name == entry.name
    ]
    return reveal_solution(source) + "\n"


def helpers_text(section: Section, entry: ExerciseEntry) -> str:
    """The library's functions to which a solution of one statement leaves the work, other exercises aside."""
    exercises = {candidate.reference for candidate in section.exercises}
    helpers = helpers_of_short(entry.reference) if entry.reference is not None else []
    return "\n\n".join(
        f"# {helper.replace(':', '.')}, which it uses:\n{source_of(helper)}"
        for helper in helpers
        if helper not in exercises
    )


def solution_diff(section: Section, entry: ExerciseEntry, learners: str) -> str:
    """What would have to change in the learner's code to make it the solution: a unified diff, empty if nothing."""
    yours, ours = _lines(learners), _lines(solution_text(section, entry))
    names = (f"yours/{entry.object_name}", f"solution/{entry.object_name}")
    return "".join(difflib.unified_diff(yours, ours, *names, n=len(ours)))


def _lines(source: str) -> list[str]:
    """Lines without spaces at their ends, which would only clutter a difference."""
    return [line.rstrip() + "\n" for line in source.strip("\n").splitlines()]


def run_exploratory(section: Section, *, scale: Scale = "tiny") -> Iterator[tuple[ExerciseEntry, Exception | None]]:
    """Runs the chapter with its solutions; for each exploratory exercise, gives what its cell raised, if anything.

    The cells run in order in one module, as in a notebook, up to the last exploratory exercise. They may
    draw and may change global state, so call this in a process of its own.
    """
    entries = {entry.id: entry for entry in section.exercises if entry.is_exploratory}
    cells = [cell for cell in build_cells(section, kind="solutions", scale=scale) if cell.kind == "code"]
    module = types.ModuleType(f"solutions_of_{section.slug}")
    sys.modules[module.__name__] = module
    try:
        for cell in cells:
            if not entries:
                return
            error = _run_cell(cell, section, module)
            entry = entries.pop(cell.exercise or "", None)
            if entry is not None:
                yield entry, error
            elif error is not None:
                raise AuthoringError(
                    f"{section.path}: a chapter must run with its solutions: got {type(error).__name__}: {error} in cell "
                    f"{cell.id!r}. Fix the chapter."
                ) from error
    finally:
        del sys.modules[module.__name__]


def _run_cell(cell: NotebookCell, section: Section, module: types.ModuleType) -> Exception | None:
    """What the cell raised; its source is kept where tracebacks and `inspect` look for it."""
    name = f"<{section.stem}/{cell.id}>"
    linecache.cache[name] = (len(cell.source), None, cell.source.splitlines(keepends=True), name)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(cell.source, name, "exec"), module.__dict__)
    except Exception as error:  # whatever a chapter raises is what the author needs to see
        return error
    return None
