"""Why an exercise may fail through no fault of its own: a cell that failed first, or a helper that doesn't pass yet.

A cell that failed is known to be the cause: a name is missing that it should have bound. A helper is
only said to be a possible one, since both may be wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from arena_lib.checking.reports.messages import with_cause, with_hint_for, with_note
from arena_lib.checking.results import RUNS, Result
from arena_lib.course.content.catalog_types import ExerciseEntry
from arena_lib.course.judging.cells import CellProblem
from arena_lib.course.judging.collect import (
    Collected,
    ParsedFile,
    expression_of,
    problem_of_name,
    uses,
)

FAULTS = ("failed", "error", "timeout")
"""What a verdict must be for its causes to be looked for, and for a helper to be one."""


def causes_of_missing(parsed: ParsedFile, collected: Collected, name: str) -> list[CellProblem]:
    """What went wrong before a name could be bound, the first cause first; nothing if that isn't known."""
    causes: list[CellProblem] = []
    missing_name: str | None = name
    while missing_name is not None:
        failed = collected.failed_bindings.get(missing_name)
        problem = failed.problem if failed else problem_of_name(parsed, missing_name, has_imports=True)
        if problem is None or problem in causes:
            break
        causes.insert(0, problem)
        missing_name = failed.missing if failed else None
    return causes


def explain_missing(result: Result, error: BaseException | None, parsed: ParsedFile, collected: Collected) -> Result:
    """The verdict with a note of the cell that failed first, where the learner's code missed a name for that."""
    if not isinstance(error, NameError) or not error.name or error.name in collected.namespace:
        return result
    causes = causes_of_missing(parsed, collected, error.name)
    if not causes:
        return result
    return with_note(result, f"{error.name} is missing because {causes[0].quoted} failed: {causes[0].message}.")


def helpers_of(parsed: ParsedFile, entry: ExerciseEntry, earlier: Iterable[ExerciseEntry]) -> list[ExerciseEntry]:
    """The earlier exercises that this one's code uses in the learner's own version, directly or through others."""
    expression = expression_of(parsed, entry)
    root = expression.partition(".")[0]
    own = uses(parsed, root)
    helpers = []
    for helper in earlier:
        used = expression_of(parsed, helper)
        used_root = used.partition(".")[0]
        is_part = used.startswith(f"{expression}.")
        if is_part or (used_root != root and used_root in own):
            helpers.append(helper)
    return helpers


def mention_helpers(
    result: Result, helpers: Iterable[ExerciseEntry], results: Mapping[str, Result], parsed: ParsedFile
) -> Result:
    """The verdict with a note of the helpers that don't pass their own tests yet, as a possible cause."""
    failing = {expression_of(parsed, helper): helper.id for helper in helpers if results[helper.id].status in FAULTS}
    return blame(result, failing)


def blame(result: Result, failing: Mapping[str, str]) -> Result:
    """The verdict with a note of what doesn't pass its own test yet: names of the learner's, and their exercises."""
    if not failing or not may_lie_in_helpers(result):
        return result
    *names, last = failing
    if names:
        text = f"Your {', '.join(names)} and {last} are used here and do not pass their own tests yet: one of them may be the cause."
    else:
        text = f"Your {last} is used here and does not pass its own test yet: it may be the cause."
    return with_cause(result, text, next(iter(failing.values())))


def point_to_unwritten(result: Result, entries: Iterable[ExerciseEntry]) -> Result:
    """The verdict on code that came to another exercise which isn't written yet, with that one's hints."""
    root = result.needs.partition(".")[0]
    exercise = next((entry.id for entry in entries if root and entry.object_name == root), "")
    return with_hint_for(result, exercise) if exercise else result


def may_lie_in_helpers(result: Result) -> bool:
    """Whether the code ran, so that its helpers did, and no other cause is known."""
    if result.status == "failed":
        return any(check.name == RUNS and check.passed for check in result.checks)
    return not result.notes
