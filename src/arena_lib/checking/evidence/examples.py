"""A reference's docstring examples, run as one more case of its test: what the text shows, a solution must do.

Raises:  nothing of its own; what an example raises is an observation.
"""

import doctest
import functools
import inspect
import linecache
import sys
from collections.abc import Callable
from typing import Any

import torch

from arena_lib.checking.cases import Case
from arena_lib.checking.comparison.describing import describe, with_article
from arena_lib.checking.comparison.texts import RETURN_MISSING
from arena_lib.checking.observing import Observations

LABEL = "the docstring's example"
_EXAMPLES = "docstring examples"


def examples_case(reference: Callable[..., Any]) -> Case | None:
    """The case that runs the `>>>` examples of `reference`, or None if it has none (a method's aren't run)."""
    if "." in reference.__qualname__:
        return None
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(reference) or "")
    shown = [example.source.strip() for example in examples if example.exc_msg is None]
    return Case(label=LABEL, given={_EXAMPLES: (reference, shown)}) if shown else None


def is_examples_case(case: Case) -> bool:
    """Whether this case runs the docstring's examples."""
    return _EXAMPLES in case.given


def observe_examples(obj: Any, case: Case) -> Observations:
    """The value of every example that is an expression, with `obj` in the reference's place."""
    return _run(obj, case, lambda arguments, value: None)


def other_type_returned(obj: Any, case: Case) -> list[str]:
    """Where an example stops: says so if what `obj` returned last isn't of the type that the reference returns there."""
    reference, _ = case.given[_EXAMPLES]
    calls: list[tuple[inspect.BoundArguments, Any]] = []
    try:
        _run(obj, case, lambda arguments, value: calls.append((arguments, value)))
    except Exception:
        arguments, value = calls[-1] if calls else (None, None)
        right = reference(*arguments.args, **arguments.kwargs) if arguments else None
        if type(value) is not type(right):
            kind = with_article(type(right).__name__)
            advice = f" Is {RETURN_MISSING[3:]}" if value is None else ""
            if isinstance(value, torch.Tensor) and isinstance(right, int | float):
                advice = " `.item()` takes the number out of a tensor."
            return [f"{reference.__name__} should return {kind}: got {describe(value)}.{advice}"]
    return []


def _run(obj: Any, case: Case, hear: Callable[[inspect.BoundArguments, Any], None]) -> Observations:
    reference, examples = case.given[_EXAMPLES]
    # Without the module's loader, by which a traceback would quote the module's own first line.
    names = {name: value for name, value in vars(sys.modules[reference.__module__]).items() if name != "__loader__"}
    names[reference.__name__] = _called_by_position(obj, reference, hear)
    seen: Observations = {}
    for number, source in enumerate(examples, start=1):
        file = f"{LABEL} ({reference.__name__}, {number})"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)  # for tracebacks
        try:
            code = compile(source, file, "eval")
        except SyntaxError:
            exec(compile(source, file, "exec"), names)
            continue
        seen[source] = _comparable(eval(code, names))
    return seen


def _called_by_position(
    obj: Any, reference: Callable[..., Any], hear: Callable[[inspect.BoundArguments, Any], None]
) -> Any:
    """`obj`, to which an example's keywords come by position: a learner's parameters may have other names.

    `hear` is told of each call's arguments and of what it returned.
    """
    if isinstance(reference, type):
        return obj
    signature = inspect.signature(reference)

    @functools.wraps(obj)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        value = obj(*bound.args, **bound.kwargs)
        hear(bound, value)
        return value

    return call


def _comparable(value: Any) -> Any:
    """The value, or in place of an object that can't be compared the name of its type."""
    if isinstance(value, list | tuple):
        return [_comparable(item) for item in value]
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items()}
    plain = (torch.Tensor, int, float, complex, str, type(None), torch.dtype, torch.device, set, frozenset)
    return value if isinstance(value, plain) else type(value).__name__
