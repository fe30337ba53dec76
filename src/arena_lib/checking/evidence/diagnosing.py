"""What reproduces what a learner's object does: a known mistake, an ignored parameter, or two mistakes together."""

import itertools
import re
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arena_lib.checking.evidence.expectations import RAISED, cases_of, expectations_of, observe_or_raised
from arena_lib.checking.evidence.ignoring import asked_about, ignoring
from arena_lib.checking.evidence.sightings import Sighting, first_wrong_case, reproduces, same_observations
from arena_lib.checking.mistakes import Mistake, build_both, build_both_alone
from arena_lib.checking.observing import Observations
from arena_lib.checking.results import Diagnosis
from arena_lib.errors import AuthoringError

SECONDS_FOR_PAIRS = 0.6
"""Processor time in which two mistakes at once are looked for, and at most as much before to find their order.

A learner waits for it.
"""
ALIKE = 30
"""Letters at the beginning of two exceptions' messages that must be the same."""
ABOUT_SIZES = ("The size of tensor a", "Expected target size", "mat1 and mat2 shapes")
"""Beginnings of torch's messages about sizes that don't fit."""


def diagnose(sighting: Sighting) -> Diagnosis | None:
    """The first mistake that shows what was seen; else one that recognises it, a parameter that is ignored, or a pair."""
    mistakes = sighting.test.mistakes
    for index, mistake in enumerate(mistakes):
        if _shows(sighting, index):
            return Diagnosis(mistake=mistake.name, why=mistake.why)
    for mistake in mistakes:
        if mistake.shows is not None and _recognises(mistake, sighting):
            return Diagnosis(mistake=mistake.name, why=mistake.why)
    name = _find_ignored(sighting)
    if name is not None:
        return Diagnosis(
            mistake=f"ignores {name}", why=f"what is given as {name} must be used, and not always its default"
        )
    pair = _find_pair(sighting)
    if pair is None:
        return None
    first, second = pair
    names = [first.name] if first.name == second.name else [first.name, second.name]
    whys = [first.why] if first.why == second.why else [first.why, second.why]
    return Diagnosis(mistake="; and it ".join(names), why="; and ".join(whys))


def _shows(sighting: Sighting, index: int) -> bool:
    """Whether a mistake shows in every case what was seen."""
    expectations = expectations_of(sighting.test, sighting.device)
    for case_idx, (is_asked_for, seen) in enumerate(zip(expectations.asks_for_exception, sighting.seen, strict=True)):
        shown = expectations.of_mistake(index, case_idx)
        if not (same_observations(sighting.test, shown, seen) and (is_asked_for or _raises_alike(shown, seen))):
            return False
    return True


def _raises_alike(shown: Observations, seen: Observations) -> bool:
    """Whether two exceptions, if that is what was seen, begin to say the same, whatever the numbers in it.

    Half of all slips with tensors raise a RuntimeError. Where it is about sizes that don't fit, only the sizes tell which
    axes met, so they count.
    """
    if RAISED not in shown or RAISED not in seen:
        return True
    texts = [raised[RAISED].text for raised in (shown, seen)]
    first, second = (re.sub(r"[^A-Za-z]+", " ", text)[:ALIKE] for text in texts)
    if first == second and texts[0].startswith(ABOUT_SIZES):
        first, second = (" ".join(sorted(re.findall(r"\d+", text))) for text in texts)
    return bool(first == second)


def _recognises(mistake: Mistake, sighting: Sighting) -> bool:
    """Whether the mistake's own predicate holds of the cases' observations."""
    assert mistake.shows is not None
    is_examples = expectations_of(sighting.test, sighting.device).is_examples
    seen = [shown for is_one, shown in zip(is_examples, sighting.seen, strict=True) if not is_one]
    try:
        return bool(mistake.shows(seen))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError):
        return False  # observations of a learner's object can be of any kind, or missing


def _find_ignored(sighting: Sighting) -> str | None:
    """The first parameter by whose default, whatever is given, the reference shows in every case what was seen."""
    case_idx = first_wrong_case(sighting)
    if case_idx is None:
        return None
    test = sighting.test
    case, seen = cases_of(test, sighting.device)[case_idx], sighting.seen[case_idx]
    for name in asked_about(test.reference):
        version = ignoring(test.reference, name)
        if not version.has_default:
            continue
        shown = observe_or_raised(test, version.obj, case, case_idx)  # most need no second look
        if same_observations(test, shown, seen) and reproduces(version.obj, sighting):
            return name
    return None


def _find_pair(sighting: Sighting) -> tuple[Mistake, Mistake] | None:
    """Two substitutions that together show what was seen, unless that is an exception, if they are met in time.

    They are first tried on one case, the first that went wrong: most pairs need no second look.
    """
    test = sighting.test
    case_idx = first_wrong_case(sighting)
    if case_idx is None or SECONDS_FOR_PAIRS <= 0:
        return None
    case, seen = cases_of(test, sighting.device)[case_idx], sighting.seen[case_idx]
    pairs = _pairs(sighting, case_idx)
    deadline = time.process_time() + SECONDS_FOR_PAIRS
    for pair in pairs:
        if time.process_time() > deadline:
            return None
        try:
            wrong = build_both_alone(*pair, test.reference)
        except (AuthoringError, SyntaxError):  # they overlap, or don't fit each other
            continue
        if same_observations(test, observe_or_raised(test, wrong, case, case_idx), seen) and reproduces(
            build_both(*pair, test.reference), sighting
        ):
            return pair
    return None


def _pairs(sighting: Sighting, case_idx: int) -> list[tuple[Mistake, Mistake]]:
    """All pairs of substitutions, the likeliest first, judged by what each shows alone in this case.

    First those with one that alone shows what was seen: the other may only show elsewhere. Then those of which both
    show something, and whose shapes and words together can be those that were seen; among them those that come
    nearest, since two mistakes often touch different entries.
    """
    test, seen = sighting.test, sighting.seen[case_idx]
    expectations = expectations_of(test, sighting.device)
    right = expectations.reference[case_idx]
    deadline = time.process_time() + SECONDS_FOR_PAIRS
    alone: dict[int, Observations] = {}
    for index, mistake in enumerate(test.mistakes):
        if mistake.function is None and time.process_time() < deadline:
            alone[index] = expectations.of_mistake(index, case_idx)
    agrees = {index: same_observations(test, shown, seen) for index, shown in alone.items()}
    is_silent = {index: same_observations(test, shown, right) for index, shown in alone.items()}
    forms = {index: _forms(shown) for index, shown in alone.items()}
    forms_right, forms_seen = _forms(right), _forms(seen)
    nearness = {index: _share_of_equal_entries(shown, seen) for index, shown in alone.items()}

    def rank(pair: tuple[int, int]) -> tuple[int, float]:
        if any(agrees[index] for index in pair):
            return 0, 0.0
        if any(is_silent[index] for index in pair):
            return 2, 0.0
        changed = [forms[index] for index in pair if forms[index] != forms_right]
        can_be = len(changed) == 2 or forms_seen == (changed or [forms_right])[0]
        return (1 if can_be else 3), -sum(nearness[index] for index in pair)

    pairs = sorted(itertools.combinations(alone, 2), key=rank)
    # What shows in this case is said first.
    ordered = [sorted(pair, key=is_silent.__getitem__) for pair in pairs]
    return [(test.mistakes[first], test.mistakes[second]) for first, second in ordered]


def _share_of_equal_entries(shown: Observations, seen: Observations) -> float:
    """How many numbers of the tensors that were seen a mistake shows too, rounded so that chance decides nothing."""
    shares = [
        float(torch.isclose(shown[name], value, rtol=1e-4, atol=1e-5).float().mean())
        for name, value in seen.items()
        if isinstance(value, Tensor)
        and value.numel()
        and isinstance(shown.get(name), Tensor)
        and shown[name].shape == value.shape
        and shown[name].dtype == value.dtype
    ]
    return round(sum(shares, 0.0), 2)


def _forms(observations: Observations) -> dict[str, Any]:
    """What is coarse in observations: shapes and types of tensors and arrays, and everything that isn't a number."""
    return {
        name: (tuple(value.shape), value.dtype)
        if isinstance(value, Tensor | np.ndarray)
        else type(value)
        if isinstance(value, float)
        else repr(value)
        for name, value in observations.items()
    }
