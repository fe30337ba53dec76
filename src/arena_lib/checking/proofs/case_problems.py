"""Whether a test's cases can be made, and fit the reference: the slips that would show up far from where they are.

Raises:  what the author's own function raises for another reason.
"""

import inspect
from collections.abc import Callable
from typing import Any

from arena_lib.checking.cases import Case
from arena_lib.checking.evidence.examples import is_examples_case
from arena_lib.checking.evidence.expectations import RAISED, cases_of, expectations_of
from arena_lib.checking.exercises import Exercise
from arena_lib.checking.isolation import isolated
from arena_lib.checking.proofs.places import place_of_case, place_of_error
from arena_lib.errors import AuthoringError


def case_problems(test: Exercise) -> list[str]:
    """What is wrong with the cases, each with its place; empty if nothing is."""
    try:
        with isolated(test.seed):
            cases = [case for case in cases_of(test) if not is_examples_case(case)]
    except AuthoringError as error:
        return [f"{place_of_error(error, test) or place_of_case(test)}: {error}"]
    if not cases:
        return [f"{place_of_case(test)}: {test.cases.__name__} must make a case: got none. Return [Case(...), ...]."]
    return [problem for i, case in enumerate(cases) if (problem := _misfit(test, case, i)) is not None]


def _misfit(test: Exercise, case: Case, case_idx: int) -> str | None:
    """Says so if the reference can't be called with the arguments of the case."""
    function = _called(test.reference)
    if function is None or not (case.args or case.kwargs or _lacks_arguments(test, case_idx)):
        return None
    try:
        inspect.signature(function).bind(*case.args, **case.kwargs)
    except TypeError as error:
        takes = ", ".join(test.parameters())
        return (
            f"{place_of_case(test, case.label)}: the case {case.label!r} must fit {test.reference.__name__}({takes}): "
            f"got {len(case.args)} by position and {sorted(case.kwargs) or 'none'} by name, and {error}. "
            "Give one value for each parameter: args=(x,), with the comma. Where the observer adds some, such as a "
            "generator, put all of them in given={...}, which it reads."
        )
    return None


def _lacks_arguments(test: Exercise, case_idx: int) -> bool:
    """Whether a call in this case ended for want of arguments: an observer may take them from elsewhere than the case."""
    with isolated(test.seed):
        raised = expectations_of(test).reference[case_idx].get(RAISED)
    return raised is not None and raised.kind == "TypeError" and "missing" in raised.text


def _called(reference: Callable[..., Any]) -> Callable[..., Any] | None:
    """What a case's arguments go to; None for a class that isn't a module, whose observer decides."""
    if not isinstance(reference, type):
        return reference
    forward = getattr(reference, "forward", None)
    return None if forward is None else forward.__get__(object())
