"""What a learner has done: events in one file, and what follows from them.

    store = ProgressStore()                      ARENA_HOME or the user's data folder
    store.record(result, "1.1/causal_mask")      a verdict; the reference's own isn't recorded
    store.status(hashes)["1.1/causal_mask"]      done, stale or tried, attempts, minutes

Raises:  ProgressError for an import that isn't an export. Recording never raises: it warns.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import os
import platform
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, TypeVar

from arena_lib.checking.results import Result
from arena_lib.course.record.event_file import EventFile, Row
from arena_lib.course.record.events import COLUMNS, Event, Kind, parse_lines, read_event
from arena_lib.errors import ProgressError
from arena_lib.wording import counted

LONGEST_WORK = datetime.timedelta(minutes=45)
"""A longer gap between two events counts as a break, not as work."""

State = Literal["done", "stale", "tried", "not_started"]
Named = TypeVar("Named")


@dataclass(frozen=True, kw_only=True)
class ExerciseProgress:
    """Where a learner stands with one exercise."""

    state: State
    attempts: int = 0
    """Verdicts up to the first pass."""
    n_hints: int = 0
    """How many of its hints were looked at; the same one again doesn't count."""
    has_seen_solution: bool = False
    passed_at: str | None = None
    last_status: str | None = None
    last_mistake: str | None = None
    minutes: float = 0.0
    """Time from event to event up to the first pass, without breaks: a lower bound."""
    last_at: str = ""
    """When the last event was; empty if there was none."""


def home_folder() -> Path:
    """Where progress is kept: ARENA_HOME, or the user's data folder."""
    if named := os.environ.get("ARENA_HOME"):
        return Path(named).expanduser()
    from platformdirs import user_data_dir

    return Path(user_data_dir("arena_lib", appauthor=False))


class ProgressStore:
    """Appends events to the progress file, and reads from them what a learner has done."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home_folder() / "progress.sqlite3"
        self._file = EventFile(self.path)

    def record(self, result: Result, exercise_id: str | None = None, *, skip_repeats: bool = False) -> bool:
        """Notes a verdict; False if there is nothing to note, or it can't be written.

        The library's own solution and an untouched stub are no attempts. With `skip_repeats`, neither
        is the same verdict on the same source once more, as when a whole notebook is judged again.
        """
        if result.is_reference or result.status == "not_started":
            return False
        event = _new_event(
            "verdict",
            exercise_id or result.exercise,
            status=result.status,
            mistake=result.diagnosis.mistake if result.diagnosis else None,
            source_hash=result.source_hash,
            test_hash=result.test_hash,
            seconds=result.seconds,
        )
        if skip_repeats and self._is_repeat(event):
            return False
        return bool(self._append([event]))

    def note(self, kind: Kind, exercise_id: str = "", *, tier: int | None = None) -> bool:
        """Notes a hint or solution that was shown, or that a notebook was opened; False if it can't be written."""
        return bool(self._append([_new_event(kind, exercise_id, tier=tier)]))

    def events(self) -> list[Event]:
        """Everything that happened, in the order of time; a row that can't be an event is left out, with a warning."""
        events, problems = [], []
        for row in self._file.read():
            try:
                events.append(_to_event(row))
            except ValueError as error:
                problems.append(str(error))
        if problems:
            self._file.warn(
                f"every event in {self.path} must be one that arena_lib wrote: {problems[0]}. "
                f"Left out: {counted(len(problems), 'event')}. To be rid of that: "
                "arena progress --export good.jsonl, move that file away, arena progress --import good.jsonl"
            )
        return events

    def status(self, test_hashes: Mapping[str, str | None] | None = None) -> dict[str, ExerciseProgress]:
        """Where the learner stands with each exercise that has an event; a pass under another hash is stale."""
        events = self.events()
        work = dict(_work_minutes(events))
        by_exercise: dict[str, list[Event]] = {}
        for event in events:
            if event.exercise:
                by_exercise.setdefault(event.exercise, []).append(event)
        return {
            name: _summarise(found, work.get(name, 0.0), (test_hashes or {}).get(name))
            for name, found in by_exercise.items()
        }

    def export_lines(self) -> Iterator[str]:
        """Each event as a line of JSON."""
        for event in self.events():
            yield json.dumps(asdict(event))

    def import_lines(self, lines: Iterable[str]) -> int:
        """Adds the events of an export that aren't there yet, and says how many those were."""
        return self.add(parse_lines(lines))

    def add(self, events: Sequence[Event]) -> int:
        """Adds the events that aren't there yet, and says how many those were."""
        n_new = self._append(events)
        if n_new is None:
            raise ProgressError(
                f"{self.path} must be writable for an import: it isn't. Set ARENA_HOME to a folder of yours."
            )
        return n_new

    def _is_repeat(self, event: Event) -> bool:
        row = self._file.read_last_verdict(event.exercise)
        with contextlib.suppress(ValueError):  # a row that can't be an event is no verdict
            return row is not None and _verdict_of(_to_event(row)) == _verdict_of(event)
        return False

    def _append(self, events: Sequence[Event]) -> int | None:
        return self._file.append([tuple(getattr(event, column) for column in COLUMNS) for event in events])


def next_exercise(ordered: Iterable[Named], states: Mapping[str, ExerciseProgress]) -> Named | None:
    """The first of `ordered` (entries with an id) that isn't done; None when all are."""
    for entry in ordered:
        progress = states.get(entry.id)  # type: ignore[attr-defined]
        if progress is None or progress.state != "done":
            return entry
    return None


def _to_event(row: Row) -> Event:
    return read_event(dict(zip(COLUMNS, row, strict=True)))


def _verdict_of(event: Event) -> tuple[object, ...]:
    return event.status, event.mistake, event.source_hash, event.test_hash


def _new_event(kind: Kind, exercise: str, **values: object) -> Event:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
    return Event(id=uuid.uuid4().hex, time=now, kind=kind, exercise=exercise, versions=_versions(), **values)  # type: ignore[arg-type]


def _versions() -> str:
    versions = {"python": platform.python_version(), "arena-lib": _package_version("arena-lib")}
    versions["torch"] = _package_version("torch")
    return json.dumps(versions)


@cache
def _package_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _summarise(events: list[Event], minutes: float, test_hash: str | None) -> ExerciseProgress:
    verdicts = [event for event in events if event.kind == "verdict"]
    passes = [event for event in verdicts if event.status == "passed"]
    attempts = verdicts.index(passes[0]) + 1 if passes else len(verdicts)
    state: State = "tried" if verdicts else "not_started"
    if passes:
        is_current = test_hash is None or any(event.test_hash in (None, test_hash) for event in passes)
        state = "done" if is_current else "stale"
    return ExerciseProgress(
        state=state,
        attempts=attempts,
        n_hints=len({event.tier for event in events if event.kind == "hint"}),
        has_seen_solution=any(event.kind == "solution" for event in events),
        passed_at=passes[0].time if passes else None,
        last_status=verdicts[-1].status if verdicts else None,
        last_mistake=verdicts[-1].mistake if verdicts else None,
        minutes=round(minutes, 1),
        last_at=events[-1].time,
    )


def _work_minutes(events: list[Event]) -> Iterator[tuple[str, float]]:
    """For each exercise the gaps that end in one of its events, up to its first pass."""
    minutes: dict[str, float] = {}
    passed: set[str] = set()
    for before, event in itertools.pairwise(events):
        if before.kind == "verdict" and before.status == "passed":
            passed.add(before.exercise)
        gap = datetime.datetime.fromisoformat(event.time) - datetime.datetime.fromisoformat(before.time)
        if event.exercise and event.exercise not in passed and gap <= LONGEST_WORK:
            minutes[event.exercise] = minutes.get(event.exercise, 0.0) + gap.total_seconds() / 60
    yield from minutes.items()
