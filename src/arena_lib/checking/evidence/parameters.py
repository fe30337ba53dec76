"""Whether a learner's parameters are those that a test's calls need, said before and after anything runs.

Raises:  nothing.
"""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from arena_lib.checking.cases import Case
from arena_lib.checking.evidence.examples import is_examples_case
from arena_lib.checking.exercises import Exercise


def unfit_parameters(test: Exercise, candidate: Any, cases: Iterable[Case]) -> str:
    """What is said where the call of a case doesn't fit the signature; nothing where all fit, or it isn't known."""
    calls = [case for case in cases if not is_examples_case(case)]
    is_class = isinstance(candidate, type)
    if is_class and any("cfg" not in case.given for case in calls):
        return ""
    try:
        signature = inspect.signature(candidate)
    except (TypeError, ValueError):
        return ""
    for case in calls:
        args, kwargs = ((None,), {}) if is_class else _arguments(test, case)
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            expected = "cfg" if is_class else ", ".join(test.parameters())
            return f"It must take ({expected}): got ({', '.join(signature.parameters)}), and {error}."
    return ""


def _arguments(test: Exercise, case: Case) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Those of the case, or as many as the reference needs where the observer makes them."""
    if case.args or case.kwargs:
        return case.args, case.kwargs
    needed = [p for p in inspect.signature(test.reference).parameters.values() if p.default is p.empty]
    by_name = {p.name: None for p in needed if p.kind is p.KEYWORD_ONLY}
    return (None,) * (len(needed) - len(by_name)), by_name


def exchanged_parameters(test: Exercise, candidate: Any) -> str:
    """What is said of parameters with the right names in another order, where anything is wrong; else nothing."""
    function = getattr(candidate, "forward", None) if isinstance(candidate, type) else candidate
    try:
        parameters = inspect.signature(function).parameters.values() if function is not None else ()
    except (TypeError, ValueError):
        return ""
    given = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"]
    expected = test.parameters()
    if not set(given) <= set(expected) or given == [name for name in expected if name in given]:
        return ""
    return f"It must take ({', '.join(expected)}): got ({', '.join(given)}). Tests call it by position, so the order counts."
