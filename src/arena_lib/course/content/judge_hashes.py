"""The hash of each exercise's reference and test, read as text: a pass under another one is stale.

It is `Exercise.fingerprint()` without importing what it hashes, so that `arena progress` loads no torch.

Raises:  nothing; an exercise that can't be read has no hash.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable

from arena_lib.course.content.catalog_types import ExerciseEntry
from arena_lib.course.content.references import SourceModule, find_definition, read_module
from arena_lib.errors import AuthoringError


def current_test_hash(entry: ExerciseEntry) -> str | None:
    """The hash under which a pass of this exercise is current; None for one that lives in its chapter."""
    if entry.reference is None or entry.test is None:
        return None
    reference_module, _, qualname = entry.reference.partition(":")
    try:
        source = _definition_text(read_module(reference_module), qualname)
        tests = read_module(entry.test.partition(":")[0])
    except AuthoringError:
        return None
    return None if source is None else hashlib.sha256(f"{source}\0{tests.source}".encode()).hexdigest()


def current_test_hashes(entries: Iterable[ExerciseEntry]) -> dict[str, str | None]:
    """The hash of each exercise by its id."""
    return {entry.id: current_test_hash(entry) for entry in entries}


def _definition_text(module: SourceModule, qualname: str) -> str | None:
    """The lines that `inspect.getsource` gives: with decorators, without the comments around."""
    node: ast.AST | None = find_definition(module.tree, qualname)
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return None
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return "".join(module.source.splitlines(keepends=True)[first - 1 : node.end_lineno])
