"""Where a learner stands in a course: the catalog and the progress file put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from arena_lib.course.content.catalog import Catalog
from arena_lib.course.content.catalog_types import ExerciseEntry, Section
from arena_lib.course.content.judge_hashes import current_test_hash
from arena_lib.course.record.progress import ExerciseProgress, ProgressStore, next_exercise
from arena_lib.course.tables import format_table

MARKS: dict[str, str] = {"done": "✓", "stale": "~", "tried": "…", "not_started": " "}
STALE = "passed, but its test has changed since: check it again"
NOT_STARTED = ExerciseProgress(state="not_started")


@dataclass(frozen=True)
class Summary:
    """The learner's state in every exercise of a catalog."""

    catalog: Catalog
    states: dict[str, ExerciseProgress]
    """By exercise id; only those with an event."""

    def state(self, entry: ExerciseEntry) -> ExerciseProgress:
        """Of one exercise."""
        return self.states.get(entry.id, NOT_STARTED)

    def next(self) -> ExerciseEntry | None:
        """The first exercise that isn't done: of the section last worked on, then of its course, then of all."""
        begun = [entry for entry in self.catalog.exercises if self.state(entry).last_at]
        if not begun:
            return next_exercise(self.catalog.exercises, self.states)
        latest = max(begun, key=lambda entry: self.state(entry).last_at)
        section = self.catalog.section_of(latest)
        course = [s for s in self.catalog.sections if _course_of(s) == _course_of(section)]
        ordered = [entry for s in (section, *course, *self.catalog.sections) for entry in s.exercises]
        return next_exercise(ordered, self.states)

    def of(self, sections: Sequence[Section]) -> Summary:
        """Of these sections alone."""
        return Summary(Catalog(tuple(sections)), self.states)

    def to_json(self) -> dict[str, Any]:
        """What `arena progress --json` prints."""
        upcoming = self.next()
        return {
            "next": upcoming.id if upcoming else None,
            "sections": [self._section_json(section) for section in self.catalog.sections],
        }

    @property
    def text(self) -> str:
        """What `arena progress` shows: each section, its exercises that were begun, and what comes next."""
        blocks = [block for section in self.catalog.sections for block in self._section_text(section)]
        upcoming = self.next()
        ending = (
            f"Next: {upcoming.id}, {upcoming.title} ({upcoming.minutes} min)" if upcoming else "Everything is done."
        )
        return "\n".join([*blocks, ending])

    def _section_text(self, section: Section) -> Iterator[str]:
        n_done = sum(self.state(entry).state == "done" for entry in section.exercises)
        yield f"{section.id} {section.title}: {n_done} of {len(section.exercises)} done"
        rows = [self._row(entry) for entry in section.exercises if entry.id in self.states]
        if rows:
            header = ["", "exercise", "attempts", "hints", "minutes", "estimate", "last"]
            yield format_table(rows, header=header, indent="  ")

    def _row(self, entry: ExerciseEntry) -> list[str]:
        progress = self.state(entry)
        last = STALE if progress.state == "stale" else progress.last_mistake or progress.last_status or ""
        counts = [str(progress.attempts), str(progress.n_hints), f"{progress.minutes:.0f}", str(entry.minutes)]
        return [MARKS[progress.state], entry.id, *counts, last]

    def _section_json(self, section: Section) -> dict[str, Any]:
        return {
            "id": section.id,
            "done": sum(self.state(entry).state == "done" for entry in section.exercises),
            "of": len(section.exercises),
            "exercises": [self._exercise_json(entry) for entry in section.exercises],
        }

    def _exercise_json(self, entry: ExerciseEntry) -> dict[str, Any]:
        progress = self.state(entry)
        return {
            "id": entry.id,
            "state": progress.state,
            "attempts": progress.attempts,
            "hints": progress.n_hints,
            "solution_seen": progress.has_seen_solution,
            "minutes": progress.minutes,
            "estimate": entry.minutes,
            "passed_at": progress.passed_at,
            "last_status": progress.last_status,
            "last_mistake": progress.last_mistake,
        }


def _course_of(section: Section) -> str:
    """The package that a section belongs to."""
    return section.tests_module.removesuffix(f".tests.{section.slug}")


def current_exercise(catalog: Catalog, store: ProgressStore) -> ExerciseEntry | None:
    """The exercise tried last, unless it passed: then the next one, if one is left."""
    verdicts = [event for event in store.events() if event.kind in ("verdict", "hint") and event.exercise]
    if verdicts and verdicts[-1].status != "passed":
        return catalog.exercise(str(verdicts[-1].exercise))
    return load_summary(catalog, store).next()


def load_summary(catalog: Catalog, store: ProgressStore | None = None) -> Summary:
    """Reads the progress file; only exercises that have passed are looked at for changes of their test."""
    states = (store or ProgressStore()).status()
    done = [entry for entry in catalog.exercises if entry.id in states and states[entry.id].state == "done"]
    if done:
        states = (store or ProgressStore()).status({entry.id: current_test_hash(entry) for entry in done})
    return Summary(catalog, states)
