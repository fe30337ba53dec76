"""Where an author wrote what a proof is about, as `file:line`.

Raises:  nothing; a place that can't be found is the next wider one: the definition, then the file.
"""

import ast
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arena_lib.checking.exercises import Exercise


def place_of_test(test: Exercise, written: str | None = None) -> str:
    """The place of `test_x = exercise(...)`, or of the text `written` in it: a mistake's name, an entry of `free`."""
    file = str(sys.modules[test.module].__file__)
    return _place(file, f"test_{test.name}", written)


def place_of_case(test: Exercise, label: str | None = None) -> str:
    """The place of the function that makes the cases, or of the `label` in it."""
    return _place(str(sys.modules[test.module].__file__), test.cases.__name__, label)


def place_of_definition(obj: Callable[..., Any]) -> str:
    """The place of a function or class."""
    try:
        return f"{inspect.getsourcefile(obj)}:{inspect.getsourcelines(obj)[1]}"
    except (OSError, TypeError):  # made by a call, or written in no file
        return str(obj)


def place_of_error(error: BaseException, test: Exercise) -> str | None:
    """The last line of the test's own file that the error came through; None if it came through none."""
    file = str(sys.modules[test.module].__file__)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{file}:{lines[-1]}" if lines else None


def place_of_name(file: Path, name: str) -> str:
    """The place in a file where a name is defined or assigned at the left margin."""
    return _place(str(file), name, None)


def _place(file: str, name: str, written: str | None) -> str:
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    owner = next((node for node in tree.body if name in _names(node)), None)
    for node in (owner, tree):
        lines = [n.lineno for n in ast.walk(node) if isinstance(n, ast.Constant) and n.value == written] if node else []
        if written is not None and lines:
            return f"{file}:{min(lines)}"
    return f"{file}:{owner.lineno if owner else 1}"


def _names(node: ast.stmt) -> list[str]:
    """What a statement at the left margin defines or assigns."""
    if isinstance(node, ast.FunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]
