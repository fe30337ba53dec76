"""What one run of one test found: the same record for a notebook, the CLI, pytest and CI.

Raises:  ValueError for JSON of another schema.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA = 1
RUNS = "runs"
"""The name of the check that every case came to its end."""

Status = Literal["passed", "failed", "error", "not_started", "timeout"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at, in the order in which it was looked at."""

    name: str
    passed: bool
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """Where an observation of the learner's object first departs from the reference's."""

    observation: str
    """What was observed: "output", "gradient of x", ..."""
    kind: Literal["missing", "type", "rank", "shape", "length", "dtype", "nonfinite", "values", "raised"]
    axes: tuple[str, ...] = ()
    """The words for the axes, as many as the expected value has, or none if it has no names."""
    expected_shape: tuple[int, ...] | None = None
    actual_shape: tuple[int, ...] | None = None
    n_wrong: int | None = None
    n_total: int | None = None
    first_index: tuple[int, ...] | None = None
    """Index of the first wrong entry, in row-major order."""
    expected: str = ""
    """The expected value there (or type, or dtype), as text."""
    actual: str = ""
    pattern: str | None = None
    """How the wrong values relate to the right ones: "every entry is 2.83 times too large", ..."""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """The exception with which the learner's code stopped, and where it did."""

    raised: str
    """The exception's class and message, as Python prints them, and no more of it than a message shows."""
    line: str = ""
    """The learner's own last line: its number, its file or cell, its function and its text; empty if there is none."""
    within: str = ""
    """What that line called, where the exception came from a library: "rearrange of einops"."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The known mistake whose observations are the learner's."""

    mistake: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """The verdict on one object for one exercise."""

    exercise: str
    """`section/name`, where section is the id if a course is known, else the slug."""
    status: Status
    is_reference: bool = False
    """Whether the object is the library's own solution: by identity, never by text."""
    call: str = ""
    """The call that decided, as a learner would write it; empty where none did."""
    case: str = ""
    """What is special about that call: "a single position"."""
    stop: Stop | None = None
    checks: tuple[Check, ...] = ()
    diagnosis: Diagnosis | None = None
    mismatch: Mismatch | None = None
    notes: tuple[str, ...] = ()
    """Remarks that are no failure, such as an argument changed in place where that is allowed."""
    needs: str = ""
    """Another function or method that isn't written yet, to which the call came: "causal_mask"."""
    hint_for: str = ""
    """The exercise to take a hint for, where that isn't this one: an earlier one, which comes first."""
    printed: str = ""
    """The beginning of what the learner's code printed, where nobody saw it."""
    message: str = ""
    """What the learner reads, in plain text."""
    seed: int = 0
    seconds: float = 0.0
    source_hash: str | None = None
    """sha256 of the learner's source, if it has one."""
    test_hash: str | None = None
    """sha256 of the reference's and the test's source: a pass under another one is stale."""
    schema: int = field(default=SCHEMA)

    @property
    def passed(self) -> bool:
        """Whether the object passed."""
        return self.status == "passed"

    def to_json(self) -> str:
        """One line of JSON with stable keys."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Result:
        """Reads what `to_json` wrote."""
        record = json.loads(text)
        if record.get("schema") != SCHEMA:
            raise ValueError(
                f"a Result must have schema {SCHEMA}: got {record.get('schema')!r}. Read it with the version that wrote it."
            )
        return cls.from_record(record)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Result:
        """A Result from the dictionary that `json.loads` gives."""
        record = dict(record)
        record["checks"] = tuple(Check(**check) for check in record["checks"])
        record["diagnosis"] = Diagnosis(**record["diagnosis"]) if record["diagnosis"] else None
        record["stop"] = Stop(**record["stop"]) if record["stop"] else None
        record["notes"] = tuple(record["notes"])
        if record["mismatch"]:
            mismatch = dict(record["mismatch"])
            for key in ("axes", "expected_shape", "actual_shape", "first_index"):
                mismatch[key] = None if mismatch[key] is None else tuple(mismatch[key])
            record["mismatch"] = Mismatch(**mismatch)
        return cls(**record)
