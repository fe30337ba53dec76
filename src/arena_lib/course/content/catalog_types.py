"""What the catalog knows: sections, their cells and their exercises, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

CellKind = Literal["markdown", "code", "exercise", "result"]

SOLUTION_BEGINS = "# region solution"
SOLUTION_ENDS = "# endregion"


@dataclass(frozen=True, kw_only=True)
class ExerciseEntry:
    """One exercise as the catalog knows it."""

    id: str
    """`section/name`, such as `1.1/causal_mask`."""
    name: str
    title: str
    difficulty: int
    """From 1 to 5."""
    importance: int
    """From 1 to 5."""
    minutes: int
    """What a learner is expected to need."""
    hints: tuple[str, ...] = ()
    """Three, from concept to step; an exploratory exercise may have none."""
    reference: str | None = None
    """`module:qualname` of the library's solution; None for an exploratory exercise."""
    test: str | None = None
    """`module:name` of the test that judges it; None for an exploratory exercise."""
    keep: tuple[str, ...] = ()
    """Methods of a class that keep their bodies in the stub."""
    line: int = 1
    """Where its cell begins in the chapter file."""

    @property
    def is_exploratory(self) -> bool:
        """Whether its solution lives in the chapter rather than in the library."""
        return self.reference is None

    @property
    def object_name(self) -> str:
        """The name that the learner's function or class has."""
        return self.reference.rpartition(":")[2].rpartition(".")[2] if self.reference else self.name

    @property
    def test_name(self) -> str:
        """The name of its test in `arena_lib.tests.<slug>`."""
        return f"test_{self.name}"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of a chapter, without its marker and its hints."""

    kind: CellKind
    source: str
    line: int
    """Of the cell's marker in the chapter file, counted from 1."""
    exercise: ExerciseEntry | None = None

    @property
    def has_solution(self) -> bool:
        """Whether the cell carries a solution of its own: an exploratory exercise."""
        return SOLUTION_BEGINS in self.source


@dataclass(frozen=True, kw_only=True)
class Section:
    """One chapter file."""

    id: str
    slug: str
    title: str
    hours: float
    path: Path
    needs: tuple[str, ...] = ()
    """Models and data of the zoo that it uses."""
    objectives: tuple[str, ...] = ()
    cells: tuple[Cell, ...] = field(default=(), repr=False)
    tests_module: str = ""
    """The package that holds its tests, such as `arena_lib.tests.transformer_from_scratch`."""

    @property
    def chapter(self) -> str:
        """The folder of the file, such as `1_interpretability`."""
        return self.path.parent.name

    @property
    def stem(self) -> str:
        """The name of its file and of the learner's notebook, without suffix."""
        return f"{self.id}_{self.slug}"

    @property
    def minutes(self) -> int:
        """What a learner is expected to need for all of it."""
        return round(self.hours * 60)

    @property
    def exercises(self) -> tuple[ExerciseEntry, ...]:
        """Its exercises, in the order of the text."""
        return tuple(cell.exercise for cell in self.cells if cell.exercise is not None)

    def with_exercises(self, entries: dict[str, ExerciseEntry]) -> Section:
        """The same section with each exercise replaced by the entry of its name."""
        cells = [replace(cell, exercise=entries[cell.exercise.name]) if cell.exercise else cell for cell in self.cells]
        return replace(self, cells=tuple(cells))
