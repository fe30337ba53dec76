"""Judges one exercise of a learner's file in this process."""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from arena_lib.checking.reports.messages import spoken, with_note, with_printed
from arena_lib.checking.results import Result
from arena_lib.checking.soft_limits import OUT_OF_MEMORY
from arena_lib.course.content.catalog_types import ExerciseEntry
from arena_lib.course.judging.cells import CellProblem, read_learner_file
from arena_lib.course.judging.collect import collect, expression_of, parse_file
from arena_lib.course.judging.earlier_failures import causes_of_missing, explain_missing
from arena_lib.course.judging.processes import hand_on

MOST_PRINTED = 2000
"""Characters that are kept of what a learner's code prints."""
NO_MEMORY_IN_TORCH = "can't allocate memory"


def judge_alone(path: Path, entry: ExerciseEntry, device: str) -> Iterator[str]:
    """The Result as JSON, whatever the learner's code does; call it in a process of its own."""
    printed = silence()
    try:
        result = judge_here(path, entry, device)
    except BaseException as error:  # SystemExit and KeyboardInterrupt of the learner's code too
        text = "".join(traceback.format_exception_only(error)).strip()
        result = spoken(entry.id, "error", f"your code must run to its end: it raised {text}.")
        result = explain_memory(result, error)
    yield with_printed(result, printed.text).to_json()


def _announce(call: str, case: str) -> None:
    """Says which call comes now, in case it never returns."""
    hand_on(json.dumps({"call": call, "case": case}))


class Printed(io.RawIOBase):
    """Keeps the beginning of what is printed, which may be endless."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def writable(self) -> bool:
        """It only takes."""
        return True

    def write(self, data: Any) -> int:
        """Takes everything, and keeps what fits."""
        self._kept += bytes(data[: MOST_PRINTED - len(self._kept)])
        return len(data)

    @property
    def text(self) -> str:
        """What is kept."""
        return self._kept.decode("utf-8", "replace")


def silence() -> Printed:
    """Shows nothing of what the learner's code prints, gives it nothing to read, and keeps what it prints in Python."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    printed = Printed()
    sys.stdin, sys.stderr = (open(os.devnull, mode, encoding="utf-8") for mode in "rw")  # noqa: SIM115
    sys.stdout = io.TextIOWrapper(printed, encoding="utf-8", errors="replace", write_through=True)
    return printed


def judge_here(path: Path, entry: ExerciseEntry, device: str) -> Result:
    """Collects the learner's object and runs the test on it, in the folder of the learner's file."""
    os.chdir(path.parent)
    # As Python does for a script and Jupyter for a notebook, so that the learner's own modules can be imported.
    sys.path.insert(0, str(path.parent))
    parsed = parse_file(read_learner_file(path))
    expression = expression_of(parsed, entry)
    root, _, rest = expression.partition(".")
    collected = collect(parsed, root)
    if root not in collected.namespace:
        causes = causes_of_missing(parsed, collected, root) or collected.problems[-3:]
        return spoken(entry.id, "error", _undefined(root, causes))
    obj = collected.namespace[root]
    obj = attrgetter(rest)(obj) if rest else obj

    from arena_lib.checking.running import judge

    assert entry.test is not None
    module, _, name = entry.test.partition(":")
    test = getattr(importlib.import_module(module), name)
    outcome = judge(test, obj, device=device, exercise_id=entry.id, announce=_announce)
    result = explain_missing(outcome.result, outcome.error, parsed, collected)
    return explain_memory(result, outcome.error)


def explain_memory(result: Result, error: BaseException | None) -> Result:
    """The verdict with a note of the limit on memory, where the learner's code ran into it."""
    if isinstance(error, MemoryError) or NO_MEMORY_IN_TORCH in str(error):
        return with_note(result, OUT_OF_MEMORY)
    return result


def _undefined(name: str, causes: Sequence[CellProblem]) -> str:
    """Why the learner's definition didn't come to be, the first cause first."""
    reasons = ", then ".join(f"{problem.message} in {problem.quoted}" for problem in causes)
    return f"{name} must be defined when its cell runs: it isn't. What went wrong: {reasons or 'nothing was raised'}."
