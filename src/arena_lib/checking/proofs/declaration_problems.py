"""Whether a test's own functions fit together: slips that would else be said of the engine, or of nobody.

Raises:  nothing; an observer or a property that raises is said where it is run.
"""

import contextlib
import difflib
import inspect
from collections.abc import Callable
from typing import Any

from arena_lib.checking.evidence.examples import is_examples_case
from arena_lib.checking.evidence.expectations import cases_of
from arena_lib.checking.exercises import Exercise
from arena_lib.checking.isolation import isolated
from arena_lib.checking.observing import Observations
from arena_lib.checking.proofs.places import place_of_definition, place_of_test


def signature_problems(test: Exercise) -> list[str]:
    """Says so of an observer or a property that can't be called with what it gets."""
    functions = [
        ("the observer", test.observe, "object, case"),
        *(("the property", p, "seen, case") for p in test.properties),
    ]
    return [
        f"{place_of_definition(function)}: {what} {_name(function)} must take ({takes}): got {_signature(function)}."
        for what, function, takes in functions
        if not _takes_two(function)
    ]


def shared_names(test: Exercise) -> list[str]:
    """Says so of mistakes with one name that hardly are one mistake in two forms, since their reasons differ."""
    reasons: dict[str, set[str]] = {}
    for mistake in test.mistakes:
        reasons.setdefault(mistake.name, set()).add(mistake.why)
    return [
        f"{place_of_test(test, name)}: {name!r} names mistakes with {len(whys)} different reasons. Rename one, or where they are "
        "one mistake give both the same why."
        for name, whys in reasons.items()
        if len(whys) > 1
    ]


def observation_problems(test: Exercise) -> list[str]:
    """Says so of observations without names, of properties that answer with neither None nor a text, of tolerances for nothing."""
    names, problems = set[str](), list[str]()
    for case, seen in _observed(test):
        if not isinstance(seen, dict):
            return [
                f"{place_of_definition(test.observe)}: the observer {_name(test.observe)} must return a dictionary of named "
                f'observations: got {type(seen).__name__}. Return, say, {{"output": ...}}.'
            ]
        names |= set(seen)
        for holds in test.properties:
            answer = _answer(holds, seen, case)
            if answer is not None and not isinstance(answer, str):
                problems.append(
                    f"{place_of_definition(holds)}: the property {_name(holds)} must return None where it holds, and else a "
                    f"text that says what doesn't: got {answer!r} in the case {case.label!r}."
                )
    problems += [
        f"{place_of_test(test, name)}: a tolerance must be of something observed: got {name!r}. Observed are {sorted(names)}."
        for name in _misnamed(set(test.tolerance), names)
    ]
    return problems


def _misnamed(tolerances: set[str], names: set[str]) -> list[str]:
    """Tolerances for what isn't observed: those near to a name, or all where none fits; tests may share a dictionary of them."""
    others = tolerances - names if names else set()
    if others == tolerances:
        return sorted(others)
    return sorted(name for name in others if difflib.get_close_matches(name, names - tolerances, cutoff=0.8))


def _observed(test: Exercise) -> list[tuple[Any, Any]]:
    """What the observer returns of the reference in each case in which it raises nothing."""
    observed = []
    with isolated(test.seed):
        for case in [case for case in cases_of(test) if not is_examples_case(case)]:
            with contextlib.suppress(Exception):
                observed.append((case, test.observe(test.reference, case)))
    return observed


def _answer(holds: Callable[..., Any], seen: Observations, case: Any) -> Any:
    try:
        return holds(seen, case)
    except Exception:
        return None


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # it has no signature to read
        return True
    return True


def _signature(function: Callable[..., Any]) -> str:
    return str(tuple(inspect.signature(function).parameters)).replace("'", "").replace(",)", ")")


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))
