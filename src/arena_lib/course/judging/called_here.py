"""What explains the verdict of a test that was called in a notebook's kernel or a script.

There the learner's own functions are at hand as objects. Where one fails, the earlier exercises that it uses are
judged as well, as `arena check` does with a file; and the cell that runs says whether it defines what was judged.

Raises:  nothing.
"""

from __future__ import annotations

import ast
import contextlib
import dis
import functools
import importlib
import inspect
import io
import linecache
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any

from arena_lib.checking.reports.messages import with_note
from arena_lib.checking.reports.reporting import is_library
from arena_lib.checking.results import Result
from arena_lib.course.content.catalog_types import ExerciseEntry
from arena_lib.course.content.python_source import assigned_names
from arena_lib.course.content.references import Definitions
from arena_lib.course.judging.earlier_failures import FAULTS, blame, may_lie_in_helpers, point_to_unwritten
from arena_lib.course.naming import catalog_once

_passed: dict[str, Any] = {}
"""By the exercise's id, the object that passed its test last in this process."""

_CACHED = type(functools.cache(abs))


def explain(result: Result, obj: Any) -> Result:
    """The verdict on `obj`, with what else of the learner's may have caused it, or was judged in its place."""
    catalog = catalog_once()
    entry = next((entry for entry in catalog.exercises if entry.id == result.exercise), None)
    if entry is None:
        return result
    if (note := _note_on_another_cell(entry)) is not None:
        result = with_note(result, note)
    if result.passed:
        _passed[entry.id] = obj
        return result
    entries = catalog.section_of(entry).exercises
    result = point_to_unwritten(result, entries)
    if result.status in FAULTS and may_lie_in_helpers(result):
        with contextlib.suppress(KeyboardInterrupt):  # the learner waits no longer: the verdict itself is there
            return blame(result, failing_helpers(obj, entries[: entries.index(entry)]))
    return result


def failing_helpers(obj: Any, earlier: Sequence[ExerciseEntry]) -> dict[str, str]:
    """The learner's own versions of earlier exercises that `obj` uses and that fail: their names and exercises."""
    own = own_parts(obj)
    helpers = {entry.object_name: entry for entry in earlier if entry.test is not None and entry.object_name in own}
    return {name: entry.id for name, entry in helpers.items() if _fails(entry, own[name])}


def _fails(entry: ExerciseEntry, obj: Any) -> bool:
    if _passed.get(entry.id) is obj:
        return False
    from arena_lib.checking.running import judge

    module, _, name = str(entry.test).partition(":")
    test = getattr(importlib.import_module(module), name)
    with contextlib.redirect_stdout(io.StringIO()):
        return judge(test, obj, has_limits=True).result.status in FAULTS


def own_parts(obj: Any) -> dict[str, Any]:
    """The learner's functions and classes that `obj` uses, directly or through others, by the names it uses."""
    parts: dict[str, Any] = {}
    waiting = [obj]
    while waiting:
        for name, value in _read_by(waiting.pop()):
            if value is not obj and name not in parts and _is_own(value):
                parts[name] = value
                waiting.append(value)
    return parts


def _read_by(obj: Any) -> Iterator[tuple[str, Any]]:
    """The global names that a function, or a class's own methods, read, and what they stand for."""
    for function in _functions_of(obj):
        for name in _global_names(function.__code__):
            if name in function.__globals__:
                yield name, function.__globals__[name]


def _functions_of(obj: Any) -> Iterator[types.FunctionType]:
    """The function itself, without what wraps it; of a class its methods, those of its own bases included."""
    if isinstance(obj, type):
        for cls in obj.__mro__:
            for value in vars(cls).values():
                if not isinstance(value, type):
                    yield from _functions_of(value)
        return
    if isinstance(obj, staticmethod | classmethod | types.MethodType):
        obj = obj.__func__
    elif isinstance(obj, functools.partial | functools.cached_property):
        obj = obj.func
    elif isinstance(obj, property):
        obj = obj.fget
    function = inspect.unwrap(obj) if isinstance(obj, types.FunctionType | _CACHED) else None
    if isinstance(function, types.FunctionType) and not is_library(function.__code__.co_filename):
        yield function


def _is_own(value: Any) -> bool:
    return next(_functions_of(value), None) is not None


def _global_names(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _global_names(constant)


def _note_on_another_cell(entry: ExerciseEntry) -> str | None:
    """That what was judged is of an earlier cell, where the one that runs calls the test and defines other things."""
    try:
        source = _running_source()
        tree = ast.parse(source)
        bound = assigned_names(source)
    except SyntaxError:
        return None
    others = [node.name for node in tree.body if isinstance(node, Definitions)]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    judged = [call.args[0] for call in calls if ast.unparse(call.func).rpartition(".")[2] == entry.test_name]
    elsewhere = [node.id for node in judged if isinstance(node, ast.Name) and node.id not in bound]
    if not (others and elsewhere):
        return None
    name = elsewhere[0]
    return f"This cell defines {', '.join(others)}, not {name}: the {name} of an earlier cell was judged."


def _running_source() -> str:
    """The text of the cell or file whose top level runs; nothing where there is none."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_locals is frame.f_globals and not is_library(frame.f_code.co_filename):
            return "".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals))
        frame = frame.f_back  # type: ignore[assignment]
    return ""
