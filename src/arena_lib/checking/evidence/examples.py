"""A reference's docstring examples, run as one more case of its test: what the text shows, a solution must do.

Raises:  nothing of its own; what an example raises is an observation.
"""

import doctest
import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import torch

from arena_lib.checking.cases import Case
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
    reference, examples = case.given[_EXAMPLES]
    # Without the module's loader, by which a traceback would quote the module's own first line.
    names = {name: value for name, value in vars(sys.modules[reference.__module__]).items() if name != "__loader__"}
    names[reference.__name__] = _called_by_position(obj, reference)
    seen: Observations = {}
    for source in examples:
        try:
            code = compile(source, LABEL, "eval")
        except SyntaxError:
            exec(compile(source, LABEL, "exec"), names)
            continue
        seen[source] = _comparable(eval(code, names))
    return seen


def _called_by_position(obj: Any, reference: Callable[..., Any]) -> Any:
    """`obj`, to which an example's keywords come by position: a learner's parameters may have other names."""
    if isinstance(reference, type):
        return obj
    signature = inspect.signature(reference)

    @functools.wraps(obj)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        return obj(*bound.args, **bound.kwargs)

    return call


def _comparable(value: Any) -> Any:
    """The value, or in place of an object that can't be compared the name of its type."""
    if isinstance(value, list | tuple):
        return [_comparable(item) for item in value]
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items()}
    plain = (torch.Tensor, int, float, complex, str, type(None), torch.dtype, torch.device, set, frozenset)
    return value if isinstance(value, plain) else type(value).__name__
