"""Which known mistake reproduces what a learner's object does.

Raises:  nothing of a mistake's own: what it raises is an observation.
"""

from collections.abc import Callable, Sequence
from typing import Any

from arena_lib.checking.cases import Case
from arena_lib.checking.comparison.comparing import Raised, equal
from arena_lib.checking.exercises import Exercise, ignored
from arena_lib.checking.mistakes import Mistake
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import Observations

RAISED = "raised"


def observe_or_raised(test: Exercise, obj: Callable[..., Any], case: Case) -> Observations:
    """What `obj` shows in this case; an exception is an observation as well."""
    try:
        return test.observe(obj, case)
    except Unfit:
        raise
    except Exception as error:
        return raised(error)


def raised(error: Exception) -> Observations:
    """An exception as the one thing that was observed."""
    return {RAISED: Raised(type(error).__name__, str(error))}


def diagnose(test: Exercise, cases: Sequence[Case], seen: Sequence[Observations]) -> Mistake | None:
    """The first mistake that shows in every case what was seen of the learner's object."""
    for mistake in test.mistakes:
        wrong = mistake.build(test.reference)
        if all(
            same_observations(test, observe_or_raised(test, wrong, case), observed)
            for case, observed in zip(cases, seen, strict=True)
        ):
            return mistake
    return None


def same_observations(test: Exercise, expected: Observations, actual: Observations) -> bool:
    """Whether two sets of observations agree within the exercise's tolerances."""
    names = expected.keys() - ignored(test)
    if names != actual.keys() - ignored(test):
        return False
    return all(equal(actual[name], expected[name], test.tolerance.get(name)) for name in names)
