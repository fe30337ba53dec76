"""Small changes to a reference that reproduce what a learner's object does, said in words.

Named mistakes are those that an author thought of. This looks among what nobody has to think of: a version that ignores
one of the parameters, and every mechanical edit of the reference. It is said without a line of code, since the learner's
code may be written in quite another way.

Raises:  nothing.
"""

import time
from collections.abc import Iterator
from typing import Any

from arena_lib.checking.evidence.expectations import cases_of, observe_or_raised
from arena_lib.checking.evidence.sightings import Sighting, first_wrong_case, reproduces, same_observations
from arena_lib.checking.exercises import Exercise
from arena_lib.checking.results import Diagnosis
from arena_lib.checking.variants.ignoring import asked_about, ignoring
from arena_lib.checking.variants.mutants import build, mutants_of

SECONDS_FOR_CHANGES = 0.6
"""Processor time in which changes are looked for: a learner waits for it."""
WHY = "a right solution with this one change shows exactly what yours shows; yours may be written in another way"


def find_change(sighting: Sighting) -> Diagnosis | None:
    """The first small change that shows in every case what was seen, if one is met in time."""
    case_idx = first_wrong_case(sighting)
    if case_idx is None:
        return None
    test = sighting.test
    case, seen = cases_of(test, sighting.device)[case_idx], sighting.seen[case_idx]
    deadline = time.process_time() + SECONDS_FOR_CHANGES
    for words, why, wrong in _changes(test):
        if time.process_time() > deadline:
            return None
        # Most changes need no second look.
        if same_observations(test, observe_or_raised(test, wrong, case, case_idx), seen) and reproduces(
            wrong, sighting
        ):
            return Diagnosis(mistake=words, why=why)
    return None


def _changes(test: Exercise) -> Iterator[tuple[str, str, Any]]:
    """Every small change of a test's reference: its words, what to remember, and the version with it."""
    for name in asked_about(test.reference):
        version = ignoring(test.reference, name)
        if version.has_default:
            yield f"ignores {name}", f"what is given as {name} must be used, and not always its default", version.obj
    for mutant in mutants_of(test):
        try:
            wrong = build(mutant, test.reference)
        except Exception:  # an edit that can't even be executed shows nothing
            continue
        yield mutant.words, WHY, wrong
