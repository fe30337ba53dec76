"""Whether every parameter matters: versions of a reference that ignore one of them.

A parameter with a default is ignored by using the default whatever was given; one without, that holds a
plain value and that the docstring describes, by using what the first call gave. A test that accepts such a
version looks at nothing that this parameter changes.
"""

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from arena_lib.checking.exercises import Exercise
from arena_lib.checking.proofs.places import place_of_test
from arena_lib.checking.running import rejects

_PLAIN = (int, float, str, bool, type(None), list, tuple)
"""What a parameter without a default must hold to be asked about: a model or a tensor is rarely ignored."""


def parameter_problems(test: Exercise) -> list[str]:
    """What doesn't hold: a parameter that the test never looks at, or one that is declared free and isn't."""
    names = _asked_about(test.reference)
    problems = [
        f"{place_of_test(test, name)}: free must name parameters with a default or a description: got {name!r}, "
        f"but they are {', '.join(names) or 'none'}. Drop it, or name one of them."
        for name in test.free
        if name not in names
    ]
    for name in names:
        version = ignoring(test.reference, name)
        is_rejected = rejects(test, version.obj if test.adapt is None else test.adapt(version.obj))
        # One without a default that held no plain value in any case, a model or a tensor, isn't asked about.
        is_asked = version.has_default or bool(version.ignored)
        if is_asked and not is_rejected and name not in test.free:
            problems.append(
                f"{place_of_test(test)}: a version that ignores {name!r} must be rejected: it passes. Add a case that "
                f'gives another value, or say why a solution may ignore it: free={{"{name}": "only speed and memory"}}.'
            )
        if is_rejected and name in test.free:
            problems.append(
                f"{place_of_test(test, name)}: {name!r} is declared free, but a version that ignores it is rejected. "
                "Drop it from free."
            )
    return problems


def _signature(reference: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(reference.forward if isinstance(reference, type) else reference)  # type: ignore[attr-defined]


def _asked_about(reference: Callable[..., Any]) -> list[str]:
    """Parameters with a default, and those that the docstring describes."""
    if isinstance(reference, type) and not hasattr(reference, "forward"):
        return []
    described = inspect.getdoc(reference) or ""
    return [
        name
        for name, parameter in _signature(reference).parameters.items()
        if parameter.default is not parameter.empty or re.search(rf"`{name}`|^\s+{name}:", described, re.MULTILINE)
    ]


@dataclass(frozen=True, kw_only=True)
class IgnoringVersion:
    """A version of a reference that ignores one parameter."""

    obj: Any
    ignored: list[Any]
    """The values that it was given and didn't use, as the calls came."""
    has_default: bool


def ignoring(reference: Callable[..., Any], name: str) -> IgnoringVersion:
    """A version of `reference` (of `forward`, for a class) that ignores the parameter `name`."""
    if isinstance(reference, type):
        forward = ignoring(reference.forward, name)  # type: ignore[attr-defined]
        body = {"forward": forward.obj, "__module__": reference.__module__}
        return replace(forward, obj=type(reference.__name__, (reference,), body))
    signature = inspect.signature(reference)
    default = signature.parameters[name].default
    has_default = default is not inspect.Parameter.empty
    ignored: list[Any] = []

    @functools.wraps(reference)
    def ignores(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        value = bound.arguments.get(name)
        if name in bound.arguments and (has_default or isinstance(value, _PLAIN)):
            ignored.append(value)
            bound.arguments[name] = default if has_default else ignored[0]
        return reference(*bound.args, **bound.kwargs)

    return IgnoringVersion(obj=ignores, ignored=ignored, has_default=has_default)
