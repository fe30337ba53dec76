"""The last line of an exploratory exercise's cell, which no test judges: its assertions do."""

from __future__ import annotations

from arena_lib.checking.reports.messages import spoken
from arena_lib.checking.reports.reporting import print_result
from arena_lib.course.record.progress import ProgressStore


def explored(exercise_id: str) -> None:
    """Says and records that the exercise is done: this line is reached once every assertion above it holds."""
    result = spoken(exercise_id, "passed", "everything that this cell asserts holds.")
    ProgressStore().record(result)
    print_result(result)
