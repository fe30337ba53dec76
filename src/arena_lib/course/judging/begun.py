"""What a learner has begun of an exercise that counts as not started, in a line: no code vanishes without a word.

Raises:  nothing.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from pathlib import Path

from arena_lib.course.content.catalog_types import ExerciseEntry, Section
from arena_lib.course.content.references import Definitions
from arena_lib.course.content.stubs import NOT_STARTED, exercise_text, functions_of
from arena_lib.course.judging.collect import ParsedFile, definition_of, expression_of, source_of_name
from arena_lib.course.workspace import exercise_cells
from arena_lib.errors import AuthoringError


def cells_of(path: Path) -> dict[str, str]:
    """The source of each exercise's cell, by its id; none for a file that `arena start` didn't write."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        return exercise_cells(path)
    return {}


def begun_text(section: Section, entry: ExerciseEntry, parsed: ParsedFile, cell: str) -> str:
    """What keeps the learner's code of this exercise from being judged; nothing where there is none.

    `cell` is the source of the exercise's cell, if that is known.
    """
    expression = expression_of(parsed, entry)
    name = expression.partition(".")[0]
    statements = _statements(cell)
    if source_of_name(parsed, name) is None:
        others = [node.name for node in statements if isinstance(node, Definitions)]
        if others:
            return f"the cell defines {', '.join(others)}, not {name}"
        return f"the cell no longer defines {name}" if statements else ""
    # Exercises may share a class, which each cell then defines anew: what counts is this cell's own.
    own = next((node for node in statements if isinstance(node, Definitions) and node.name == expression), None)
    definition = own or definition_of(parsed, expression)
    if definition is None:
        return ""
    unwritten = [function.name for function in functions_of(definition) if _is_unwritten(function)]
    others_in_cell = [node for node in statements if not (_defines(node, name) or _calls_test(node, entry))]
    if unwritten and (others_in_cell or _differs_from_stub(definition, section, entry)):
        return f"begun; `{NOT_STARTED}` is still in {', '.join(unwritten)}"
    return ""


def _statements(cell: str) -> list[ast.stmt]:
    """What the cell holds; nothing for one that isn't Python, which is said elsewhere."""
    try:
        return ast.parse(cell).body
    except (SyntaxError, ValueError):
        return []


def _defines(node: ast.stmt, name: str) -> bool:
    return isinstance(node, Definitions) and node.name == name


def _calls_test(node: ast.stmt, entry: ExerciseEntry) -> bool:
    """Whether it is the cell's last line as it was handed out."""
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] == entry.test_name


def _is_unwritten(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a bare `raise NotImplementedError` stands anywhere in it."""
    return any(isinstance(node, ast.Raise) and ast.unparse(node) == NOT_STARTED for node in ast.walk(function))


def _differs_from_stub(definition: Definitions, section: Section, entry: ExerciseEntry) -> bool:
    try:
        (stub,) = ast.parse(exercise_text(section, entry)).body
    except AuthoringError:  # its chapter has gone wrong since
        return False
    assert isinstance(stub, Definitions)
    return _code(definition) != _code(stub)


def _code(definition: Definitions) -> list[str]:
    """Its statements without docstrings."""
    return [text for node in (definition, *functions_of(definition)) for text in _body(node)]


def _body(node: Definitions) -> Iterator[str]:
    for statement in node.body:
        is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not is_text and not isinstance(statement, Definitions):
            yield ast.unparse(statement)
