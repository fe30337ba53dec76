"""A source file's imports, declared tests and names of definitions, kept in the user's cache folder: a file is parsed again when it changes.

Parsing every file of judges takes longer than all else that `arena list` does. A cache that can't be read or
written costs that time, and nothing else.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
from functools import cache
from pathlib import Path

from arena_lib.core.files import user_cache_folder, write_atomically

FILE_NAME = "outlines-1.json"
"""The number changes when what is kept does."""
KEPT_KEYWORDS = ("reference", "keep")
"""What a declared test says for the catalog; the rest of its call is left out."""

Outline = list[tuple[int, str]]
"""The line and the text of each statement."""


class OutlineCache:
    """The outlines of the files that were read before, by path; each with the hash of its source."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_changed = False
        self._known: dict[str, tuple[str, Outline]] = {}
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            records = json.loads(path.read_text(encoding="utf-8"))
            self._known = {
                str(file): (str(digest), [(int(line), str(text)) for line, text in outline])
                for file, (digest, outline) in records.items()
            }

    def get(self, file: Path, source: str) -> ast.Module:
        """The outline of a file as a module; a SyntaxError if the file isn't Python."""
        digest = hashlib.sha256(source.encode()).hexdigest()
        known_digest, outline = self._known.get(str(file), ("", []))
        if known_digest != digest:
            outline = make_outline(ast.parse(source))
            self._known[str(file)] = (digest, outline)
            self._is_changed = True
        return ast.Module(body=[_parse(line, text) for line, text in outline], type_ignores=[])

    def save(self) -> None:
        """Writes what is new, without the files that are gone."""
        if not self._is_changed:
            return
        self._is_changed = False
        existing = {file: record for file, record in self._known.items() if Path(file).exists()}
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, json.dumps(existing).encode())


@cache
def outline_cache() -> OutlineCache:
    """The user's own, read once."""
    return OutlineCache(user_cache_folder() / FILE_NAME)


def make_outline(tree: ast.Module) -> Outline:
    """The imports, the `test_x = call(...)` and the definitions, without bodies, at the top level of a module."""
    statements = []
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            statements.append((node.lineno, ast.unparse(node)))
        elif (declared := declared_test(node)) is not None:
            name, call = declared
            keywords = [keyword for keyword in call.keywords if keyword.arg in KEPT_KEYWORDS]
            short = ast.Call(func=call.func, args=[], keywords=keywords)
            statements.append((node.lineno, f"{name} = {ast.unparse(short)}"))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            statements.append((node.lineno, f"class {node.name}: ..."))
    return statements


def declared_test(node: ast.stmt) -> tuple[str, ast.Call] | None:
    """The name and the call of `test_x = call(...)`, with or without an annotation; None for any other statement."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target: ast.expr = node.targets[0]
    elif isinstance(node, ast.AnnAssign):
        target = node.target
    else:
        return None
    if isinstance(target, ast.Name) and target.id.startswith("test_") and isinstance(node.value, ast.Call):
        return target.id, node.value
    return None


def _parse(line: int, text: str) -> ast.stmt:
    (node,) = ast.parse(text).body
    ast.increment_lineno(node, line - 1)
    return node
