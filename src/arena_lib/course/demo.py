"""The demo's first half: section 1.1 worked through as a learner would, judged by the one runner.

For each exercise three objects are judged: the stub in a notebook that `arena start` wrote, the first
known mistake, and the solution typed into that notebook in the stub's place. Every verdict comes
from `checking.run`; what it should have been is known, so the demo can fail.

Raises:  nothing of its own; an unexpected verdict stands in its `Step`.
"""

from __future__ import annotations

import importlib
import tempfile
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena_lib.course.content.catalog_types import ExerciseEntry, Section
from arena_lib.course.content.imports import setup_imports
from arena_lib.course.content.stubs import exercise_text
from arena_lib.course.workspace import exercise_cells, start

if TYPE_CHECKING:
    from arena_lib.checking import Exercise, Mistake, Result
    from arena_lib.checking.running import Outcome


@dataclass(frozen=True, kw_only=True)
class Step:
    """What became of one exercise in the three states that a learner's work goes through."""

    entry: ExerciseEntry
    stub: Result
    mistake: Mistake
    wrong: Outcome
    solution: Result

    @property
    def is_as_expected(self) -> bool:
        """Whether the stub was not started, the mistake rejected and named, and the solution passed."""
        diagnosis = self.wrong.result.diagnosis
        return (
            self.stub.status == "not_started"
            and self.wrong.result.status in ("failed", "error")
            and diagnosis is not None
            and diagnosis.mistake == self.mistake.name
            and self.solution.passed
            and not self.solution.is_reference
        )

    @property
    def problem(self) -> str:
        """What was unexpected, in one line; empty if nothing was."""
        if self.is_as_expected:
            return ""
        named = self.wrong.result.diagnosis.mistake if self.wrong.result.diagnosis else "nothing"
        return (
            f"{self.entry.id}: the stub must be not_started, the mistake {self.mistake.name!r} rejected and named, and "
            f"the solution must pass: got {self.stub.status}, {self.wrong.result.status} (named: {named}) and "
            f"{self.solution.status}. Run `arena verify {self.entry.id}` to see why."
        )


def work_through(section: Section, learner: types.ModuleType) -> Iterator[Step]:
    """Judges every exercise of the section that has a test, in the order of the chapter.

    The cells are those of a notebook that is started for it; `learner` holds what they define.
    """
    with tempfile.TemporaryDirectory(prefix="arena-demo-") as folder:
        cells = exercise_cells(start(section, Path(folder)))
    exec(setup_imports(section), learner.__dict__)
    tests = importlib.import_module(section.tests_module)
    for entry in section.exercises:
        if entry.reference is not None:
            yield _work_on(section, entry, cells[entry.id], getattr(tests, entry.test_name), learner)


def _work_on(section: Section, entry: ExerciseEntry, cell: str, test: Exercise, learner: types.ModuleType) -> Step:
    from arena_lib.checking.running import judge

    stub_text = exercise_text(section, entry, is_solution=False).rstrip()
    solved_cell = cell.replace(stub_text, exercise_text(section, entry, is_solution=True).rstrip())
    call = f"tests.{entry.test_name}({entry.object_name})"

    def run_cell(source: str) -> Any:
        """The cell without its last line, whose verdict the demo asks for by itself."""
        exec(source.removesuffix(call), learner.__dict__)
        return learner.__dict__[entry.object_name]

    stub = judge(test, run_cell(cell), exercise_id=entry.id).result
    mistake = test.mistakes[0]
    wrong = judge(test, mistake.build(test.reference), exercise_id=entry.id)
    solution = judge(test, run_cell(solved_cell), exercise_id=entry.id).result
    return Step(entry=entry, stub=stub, mistake=mistake, wrong=wrong, solution=solution)
