"""Whether a test's cases can be made, and fit the reference: the slips that would show up far from where they are.

Raises:  what the author's own function raises for another reason.
"""

import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

from arena_lib.checking.cases import Case
from arena_lib.checking.comparison.comparing import Raised
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
    return [problem for i, case in enumerate(cases) if (problem := _misfit(test, case, i)) is not None] or [
        f"{place_of_case(test, label)}: cases must have different labels, by which a learner tells them apart: got "
        f"{label!r} {n_cases} times. Say what is special about each."
        for (label, _), n_cases in Counter((case.label, case.call) for case in cases).items()
        if n_cases > 1
    ]


def exception_problems(test: Exercise) -> list[str]:
    """Says so of exceptions of the reference that no case declares, and of those declared that don't come."""
    with isolated(test.seed):
        shown = expectations_of(test).reference
        cases = [case for case in cases_of(test) if not is_examples_case(case)]
    problems = []
    for case, seen in zip(cases, shown, strict=False):  # the docstring's examples come last, and are proved apart
        problem = _exception_problem(case, seen.get(RAISED))
        if problem is not None:
            problems.append(f"{place_of_case(test, case.label)}: {problem}")
    return problems


def engine_problems(test: Exercise) -> list[str]:
    """What the engine itself refused of a case when the reference was observed: that is said in its own words."""
    with isolated(test.seed):
        shown = expectations_of(test).reference
        cases = cases_of(test)
    return [
        f"{place_of_case(test, case.label)}: {seen[RAISED].text}"
        for case, seen in zip(cases, shown, strict=True)
        if RAISED in seen and seen[RAISED].kind == AuthoringError.__name__
    ]


def _exception_problem(case: Case, raised: Raised | None) -> str | None:
    if (raised.kind if raised else "") == case.raises:
        return None
    if case.raises:
        return (
            f"in the case {case.label!r} the reference must raise what the case declares: got {raised or 'no exception'}. "
            f"Drop raises={case.raises!r}, or change the arguments."
        )
    return (
        f"in the case {case.label!r} the reference, or the observer that calls it, raises {raised}: is that meant? If a "
        f"correct solution must raise it, add raises={getattr(raised, 'kind', '')!r} to the case; else fix the case, the "
        "reference, or the observer."
    )


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
