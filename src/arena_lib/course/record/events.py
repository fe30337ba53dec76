"""One thing that happened to a learner, and the check of every field that a file claims for it.

Raises:  ProgressError for a line that no export wrote.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from arena_lib.checking.results import Status
from arena_lib.errors import ProgressError

MOST_TIERS = 99
Kind = Literal["verdict", "hint", "solution", "opened"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened, as it stands in the file."""

    id: str
    time: str
    """UTC, ISO 8601."""
    kind: Kind
    exercise: str
    status: Status | None = None
    mistake: str | None = None
    """The name that the diagnosis gave."""
    source_hash: str | None = None
    test_hash: str | None = None
    seconds: float | None = None
    versions: str | None = None
    """JSON: Python, arena-lib and torch."""
    tier: int | None = None
    """Which hint was shown."""


COLUMNS = tuple(field.name for field in fields(Event))


def read_event(record: Mapping[str, Any]) -> Event:
    """The event of a record that anyone may have written; ValueError names the field that can't be one's."""
    for name, (is_allowed, allowed) in _FIELDS.items():
        if not is_allowed(record.get(name)):
            raise ValueError(f"{name} must be {allowed}: got {record.get(name)!r}")
    return Event(**{name: record.get(name) for name in COLUMNS})  # type: ignore[arg-type]


def parse_lines(lines: Iterable[str]) -> list[Event]:
    """The events of an export; keys of a later version are left out, and so are empty lines."""
    return [_parse_line(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _parse_line(number: int, line: str) -> Event:
    try:
        record = json.loads(line)
        if not isinstance(record, dict):
            raise ValueError(f"it must be a JSON object: got {line.strip()[:80]!r}")
        return read_event(record)
    except (ValueError, RecursionError) as error:
        raise ProgressError(
            f"each line of an import must be an event that `arena progress --export` wrote: got, in line {number}, "
            f"{error}. Nothing was imported; export the file again."
        ) from error


def _is_text(value: object) -> bool:
    """Whether SQLite can keep it: half of a surrogate pair is no text."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def _is_id(value: object) -> bool:
    return value != "" and _is_text(value)


def _is_text_or_none(value: object) -> bool:
    return value is None or _is_text(value)


def _is_moment(value: object) -> bool:
    try:
        return datetime.datetime.fromisoformat(value).utcoffset() == datetime.timedelta(0)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_duration(value: object) -> bool:
    return value is None or (_is_number(value) and 0 <= value < math.inf)  # type: ignore[operator]


def _is_tier(value: object) -> bool:
    return value is None or (type(value) is int and 1 <= value <= MOST_TIERS)


def _one_of(words: tuple[str, ...]) -> tuple[Callable[[object], bool], str]:
    return (lambda value: isinstance(value, str) and value in words), f"one of {', '.join(words)}"


def _one_of_or_none(words: tuple[str, ...]) -> tuple[Callable[[object], bool], str]:
    is_word, allowed = _one_of(words)
    return (lambda value: value is None or is_word(value)), f"null or {allowed}"


_TEXT_OR_NONE = (_is_text_or_none, "null or text")
_FIELDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "id": (_is_id, "text that isn't empty"),
    "time": (_is_moment, "a moment in UTC, ISO 8601"),
    "kind": _one_of(get_args(Kind)),
    "exercise": (_is_text, "text"),
    "status": _one_of_or_none(get_args(Status)),
    "mistake": _TEXT_OR_NONE,
    "source_hash": _TEXT_OR_NONE,
    "test_hash": _TEXT_OR_NONE,
    "seconds": (_is_duration, "null or a number of seconds"),
    "versions": _TEXT_OR_NONE,
    "tier": (_is_tier, f"null or a whole number from 1 to {MOST_TIERS}"),
}
"""What each field may be, as a test and in words."""
