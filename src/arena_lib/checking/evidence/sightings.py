"""What was seen of a learner's object, and whether something else shows the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from arena_lib.checking.comparison.comparing import equal
from arena_lib.checking.evidence.expectations import RAISED, UNFIT, cases_of, expectations_of, observe_or_raised
from arena_lib.checking.exercises import Exercise, ignored
from arena_lib.checking.observing import Observations


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What was seen of a learner's object: the observations of each case, and on which device."""

    test: Exercise
    seen: Sequence[Observations]
    device: str = "cpu"


def first_wrong_case(sighting: Sighting) -> int | None:
    """The first case in which what was seen isn't right; None if there is none, or if it can't be compared there."""
    expected = expectations_of(sighting.test, sighting.device).reference
    for case_idx, (right, seen) in enumerate(zip(expected, sighting.seen, strict=True)):
        if not same_observations(sighting.test, right, seen):
            # One exception of a kind looks like any other, and so does what can't be observed.
            return case_idx if seen.keys().isdisjoint({RAISED, UNFIT}) else None
    return None


def reproduces(wrong: Any, sighting: Sighting) -> bool:
    """Whether a wrong version shows in every case what was seen."""
    cases = cases_of(sighting.test, sighting.device)
    return all(
        same_observations(sighting.test, observe_or_raised(sighting.test, wrong, case, case_idx), seen)
        for case_idx, (case, seen) in enumerate(zip(cases, sighting.seen, strict=True))
    )


def same_observations(test: Exercise, expected: Observations, actual: Observations) -> bool:
    """Whether two sets of observations agree within the exercise's tolerances."""
    names = expected.keys() - ignored(test)
    if names != actual.keys() - ignored(test):
        return False
    return all(equal(actual[name], expected[name], test.tolerance.get(name)) for name in names)
