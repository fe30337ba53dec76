"""Turns what a learner may hand in, a method or its class, into the function that a test calls.

Raises:  Unfit if the class has no such method.
"""

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any

from arena_lib.checking.modules import Unfit


def method_or_function(
    name: str, build: Callable[[Any], Any], stand_in: Mapping[str, Any]
) -> Callable[[Any], Callable[..., Any]]:
    """An `adapt` for an exercise that learners know as the method `name` of a class, or as a plain function.

    Args:
        name: the method's name.
        build: makes an instance of the learner's class.
        stand_in: attributes of the object that serves as `self` where the class can't be found.
    """

    def adapt(obj: Any) -> Callable[..., Any]:
        if isinstance(obj, type):
            if not callable(getattr(obj, name, None)):
                raise Unfit(f"{obj.__name__} must have a method {name}: it has none. Pass the method or a function.")
            method: Callable[..., Any] = getattr(build(obj), name)
            return method
        if not _takes_self(obj):
            function: Callable[..., Any] = obj
            return function
        owner = _owner(obj)
        instance = build(owner) if owner is not None else types.SimpleNamespace(**stand_in)
        return types.MethodType(obj, instance)

    return adapt


def _takes_self(obj: Any) -> bool:
    try:
        parameters = list(inspect.signature(obj).parameters)
    except (TypeError, ValueError):
        return False
    return bool(parameters) and parameters[0] == "self"


def _owner(function: Any) -> type | None:
    """The class that an unbound method was defined in, if it can still be found by its name."""
    owner: Any = types.SimpleNamespace(**getattr(function, "__globals__", {}))
    for part in getattr(function, "__qualname__", "").split(".")[:-1]:
        owner = getattr(owner, part, None)
    return owner if isinstance(owner, type) else None
