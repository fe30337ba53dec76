"""What identifies the version of an exercise's judge: a pass under another fingerprint is stale.

Only what can change a verdict counts: the reference, and of the test's file the declaration with every name
that it uses, as parsed. So comments, docstrings, the names and reasons of mistakes, accepted solutions and a
neighbour's exercise in the same file change nothing. Reading needs no import, so `arena progress` loads no torch.

Raises:  KeyError for a definition that isn't there.
"""

import ast
import functools
import hashlib
import inspect
from typing import Any

_TELLS_ONLY = frozenset({"mistakes", "accepts", "free", "equivalent"})
"""Arguments of a declaration that name and prove, and don't judge."""


def fingerprint(reference_source: str, qualname: str, test_source: str, test_name: str) -> str:
    """sha256 of the reference `qualname` and of the declaration `test_name`, each in its module's source."""
    reference = _without_docstrings(_definition(_parse(reference_source).body, qualname))
    parts = [ast.dump(reference), *_declaration(_parse(test_source), test_name)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@functools.lru_cache(maxsize=256)
def _parse(source: str) -> ast.Module:
    """The tree of a file, parsed once: what is taken out of it here stays out for every exercise of the file."""
    return ast.parse(source)


def _definition(body: list[ast.stmt], qualname: str) -> ast.AST:
    node: ast.AST | None = None
    for part in qualname.replace(".<locals>", "").split("."):
        node = next((child for child in body if getattr(child, "name", None) == part), None)
        if node is None:
            raise KeyError(qualname)
        body = getattr(node, "body", [])
    assert node is not None
    return node


def _declaration(tree: ast.Module, test_name: str) -> list[str]:
    """The declaration and, in the file's order, every statement of the file that it rests on."""
    statements = {name: statement for statement in tree.body for name in _names_bound(statement)}
    if test_name not in statements:  # it is made inside a function: then all of the file counts
        return [ast.dump(_without_docstrings(tree))]
    declaration = statements[test_name]
    for call in [node for node in ast.walk(declaration) if isinstance(node, ast.Call)]:
        call.keywords = [keyword for keyword in call.keywords if keyword.arg not in _TELLS_ONLY]
    needed, open_statements = [declaration], [declaration]
    while open_statements:
        names = {node.id for node in ast.walk(open_statements.pop()) if isinstance(node, ast.Name)}
        for name in sorted(names & statements.keys()):
            if statements[name] not in needed:
                needed.append(statements[name])
                open_statements.append(statements[name])
    return [ast.dump(_without_docstrings(statement)) for statement in tree.body if statement in needed]


def _names_bound(statement: ast.stmt) -> list[str]:
    """The names that a statement of a module binds."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in statement.names]
    stored = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return [node.id for node in stored if isinstance(node.ctx, ast.Store)]


def _without_docstrings(tree: ast.AST) -> ast.AST:
    """The tree with every string that stands alone as a statement taken out."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [child for child in body if not _is_string(child)] or [ast.Pass()]  # type: ignore[attr-defined]
    return tree


def _is_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def source_hash(obj: Any) -> str | None:
    """That of a learner's source text; None where it has none, as a compiled function."""
    try:
        return hashlib.sha256(inspect.getsource(obj).encode()).hexdigest()
    except (TypeError, OSError, IndentationError, SyntaxError):
        return None
