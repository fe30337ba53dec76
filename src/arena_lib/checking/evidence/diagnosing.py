"""Which known mistake, or which two together, reproduce what a learner's object does."""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from arena_lib.checking.comparison.comparing import equal
from arena_lib.checking.evidence.examples import is_examples_case
from arena_lib.checking.evidence.expectations import cases_of, expectations_of, observe_or_raised
from arena_lib.checking.exercises import Exercise, ignored
from arena_lib.checking.mistakes import Mistake, build_both, build_both_alone
from arena_lib.checking.observing import Observations
from arena_lib.checking.results import Diagnosis
from arena_lib.errors import AuthoringError

SECONDS_FOR_PAIRS = 0.6
"""Processor time within which two mistakes at once are looked for; a learner waits for it."""


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What was seen of a learner's object: the observations of each case, and on which device."""

    test: Exercise
    seen: Sequence[Observations]
    device: str = "cpu"


def diagnose(sighting: Sighting) -> Diagnosis | None:
    """The first mistake that shows what was seen; else one that recognises it; else the first such pair."""
    mistakes = sighting.test.mistakes
    for index, mistake in enumerate(mistakes):
        if _shows(sighting, index):
            return Diagnosis(mistake=mistake.name, why=mistake.why)
    for mistake in mistakes:
        if mistake.shows is not None and _recognises(mistake, sighting):
            return Diagnosis(mistake=mistake.name, why=mistake.why)
    pair = _find_pair(sighting)
    if pair is None:
        return None
    first, second = pair
    return Diagnosis(mistake=f"{first.name}; and it {second.name}", why=f"{first.why}; and {second.why}")


def _shows(sighting: Sighting, index: int) -> bool:
    """Whether a mistake shows in every case what was seen."""
    expectations = expectations_of(sighting.test, sighting.device)
    return all(
        same_observations(sighting.test, expectations.of_mistake(index, case_idx), seen)
        for case_idx, seen in enumerate(sighting.seen)
    )


def _recognises(mistake: Mistake, sighting: Sighting) -> bool:
    """Whether the mistake's own predicate holds of the cases' observations."""
    assert mistake.shows is not None
    cases = cases_of(sighting.test, sighting.device)
    seen = [shown for case, shown in zip(cases, sighting.seen, strict=True) if not is_examples_case(case)]
    try:
        return bool(mistake.shows(seen))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError):
        return False  # observations of a learner's object can be of any kind, or missing


def _find_pair(sighting: Sighting) -> tuple[Mistake, Mistake] | None:
    """Two substitutions that together show what was seen, if they are met in time.

    They are first tried on one case, the first that went wrong: most pairs need no second look.
    """
    test = sighting.test
    deadline = time.process_time() + SECONDS_FOR_PAIRS
    expected = expectations_of(test, sighting.device).reference
    is_wrong = [not same_observations(test, *pair) for pair in zip(expected, sighting.seen, strict=True)]
    if not any(is_wrong):
        return None
    case_idx = is_wrong.index(True)
    case, seen = cases_of(test, sighting.device)[case_idx], sighting.seen[case_idx]
    substitutions = [mistake for mistake in test.mistakes if mistake.function is None]
    for pair in itertools.combinations(substitutions, 2):
        if time.process_time() > deadline:
            return None
        try:
            wrong = build_both_alone(*pair, test.reference)
        except (AuthoringError, SyntaxError):  # they overlap, or don't fit each other
            continue
        if same_observations(test, observe_or_raised(test, wrong, case, case_idx), seen) and _reproduces(
            build_both(*pair, test.reference), sighting
        ):
            return pair
    return None


def _reproduces(wrong: Any, sighting: Sighting) -> bool:
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
