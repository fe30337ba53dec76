"""Versions of a reference that ignore one of its parameters.

A parameter with a default is ignored by using the default whatever was given; one without, that holds a
plain value and that the docstring describes, by using what the first call gave.

Raises:  nothing of its own; what the reference raises goes on.
"""

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

_PLAIN = (int, float, str, bool, type(None), list, tuple)
"""What a parameter without a default must hold to be asked about: a model or a tensor is rarely ignored."""


def _signature(reference: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(reference.forward if isinstance(reference, type) else reference)  # type: ignore[attr-defined]


def asked_about(reference: Callable[..., Any]) -> list[str]:
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
