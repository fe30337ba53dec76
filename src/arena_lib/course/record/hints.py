"""Hints and solutions as a learner gets them: one hint further at each call, the solution once it is earned.

Raises:  WorkspaceError for a solution that isn't earned yet.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arena_lib.course.content.catalog_types import ExerciseEntry, Section
from arena_lib.course.content.solutions import helpers_text, solution_diff, solution_text
from arena_lib.course.judging.cells import LearnerFile, read_learner_file
from arena_lib.course.judging.collect import expression_of, parse_file, source_of_name
from arena_lib.course.record.progress import ProgressStore
from arena_lib.course.workspace import find_files
from arena_lib.errors import WorkspaceError
from arena_lib.wording import counted


@dataclass(frozen=True, kw_only=True)
class GivenHint:
    """One hint of an exercise."""

    exercise: str
    tier: int
    """From 1; 0 if the exercise has no hints."""
    n_tiers: int
    hint: str
    is_repeated: bool = False
    """Whether it is the last hint once more, since no other follows."""

    @property
    def text(self) -> str:
        """For a person, with what to do next."""
        if not self.n_tiers:
            return f"{self.exercise} has no hints: it is short, and yours to explore."
        if self.is_repeated:
            return (
                f"That was the last hint; arena solution {self.exercise} --give-up shows the solution. "
                f"Hint {self.tier} again: {self.hint}"
            )
        after = (
            f"Another step: arena hint {self.exercise}"
            if self.tier < self.n_tiers
            else f"That was the last one. If you give up: arena solution {self.exercise} --give-up"
        )
        return f"{self.exercise}, hint {self.tier} of {self.n_tiers}: {self.hint}\n({after})"

    def to_json(self) -> dict[str, Any]:
        """With stable keys."""
        return {"exercise": self.exercise, "tier": self.tier, "of": self.n_tiers, "hint": self.hint}


@dataclass(frozen=True, kw_only=True)
class GivenSolution:
    """The solution of an exercise, and what it changes in the learner's code."""

    exercise: str
    solution: str
    diff: str | None
    """A unified diff; None where the learner's code isn't known."""
    file: Path | None
    saved_at: datetime.datetime | None = None
    """When the learner's code was saved; None for code that a notebook has executed."""
    helpers: str = ""
    """The library's functions to which a short solution leaves the work."""

    @property
    def text(self) -> str:
        """For a person: the difference where there is one, else the whole; then the helpers."""
        helpers = f"\n\n{self.helpers}" if self.helpers else ""
        if self.diff is None:
            return self.solution + helpers
        saved = f" (as saved at {self.saved_at:%H:%M})" if self.saved_at else ""
        if not self.diff:
            return f"Your {self.exercise} in {self.file}{saved} is the library's, word for word."
        return f"Compared with {self.file}{saved}:\n{self.diff}{helpers}"

    def to_json(self) -> dict[str, Any]:
        """With stable keys."""
        file = None if self.file is None else str(self.file)
        return {"exercise": self.exercise, "solution": self.solution, "diff": self.diff, "file": file}


def give_hint(entry: ExerciseEntry, store: ProgressStore, tier: int | None = None) -> GivenHint:
    """The hint of this tier, or the one after the last that was shown; the last one again after it."""
    n_tiers = len(entry.hints)
    if not n_tiers:
        return GivenHint(exercise=entry.id, tier=0, n_tiers=0, hint="")
    last_tier = max((e.tier or 0 for e in store.events() if e.kind == "hint" and e.exercise == entry.id), default=0)
    chosen = min(n_tiers, tier or last_tier + 1)
    store.note("hint", entry.id, tier=chosen)
    is_repeated = tier is None and last_tier >= n_tiers
    return GivenHint(
        exercise=entry.id, tier=chosen, n_tiers=n_tiers, hint=entry.hints[chosen - 1], is_repeated=is_repeated
    )


def give_solution(
    section: Section,
    entry: ExerciseEntry,
    store: ProgressStore,
    *,
    gives_up: bool = False,
    file: Path | None = None,
    executed: LearnerFile | None = None,
) -> GivenSolution:
    """The solution, if the exercise has passed, the learner gives up, or has seen it before.

    It is compared with what the learner has `executed`; where that doesn't define it, with what is saved in a file.
    """
    progress = store.status().get(entry.id)
    is_earned = progress is not None and (progress.passed_at is not None or progress.has_seen_solution)
    if not (is_earned or gives_up):
        attempts = counted(progress.attempts if progress else 0, "attempt")
        raise WorkspaceError(
            f"You haven't passed {entry.id} yet ({attempts}); its solution is shown once you have. "
            f"For a hint: arena hint {entry.id}. To see the solution all the same: arena solution {entry.id} --give-up"
        )
    if not is_earned:
        store.note("solution", entry.id)
    path, saved_at = (executed.path if executed else None), None
    learners = _source_in(executed, entry) if executed else None
    if learners is None:
        learners, path = _saved_source(section, entry, file)
        saved_at = datetime.datetime.fromtimestamp(path.stat().st_mtime) if path else None
    diff = None if learners is None else solution_diff(section, entry, learners)
    return GivenSolution(
        exercise=entry.id,
        solution=solution_text(section, entry),
        diff=diff,
        file=path,
        saved_at=saved_at,
        helpers=helpers_text(section, entry),
    )


def _saved_source(section: Section, entry: ExerciseEntry, file: Path | None) -> tuple[str | None, Path | None]:
    """The learner's code of the exercise, and the file that it stands in."""
    for path in [file] if file is not None else find_files(section):
        try:
            source = _source_in(read_learner_file(path), entry)
        except WorkspaceError:
            if file is not None:
                raise
            continue
        if source is not None:
            return source, path
    return None, None


def _source_in(file: LearnerFile, entry: ExerciseEntry) -> str | None:
    parsed = parse_file(file)
    return source_of_name(parsed, expression_of(parsed, entry).split(".")[0])
