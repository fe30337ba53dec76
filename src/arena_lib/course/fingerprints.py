"""What an executed notebook was made from, so that it is executed again only after a change.

The fingerprint covers the notebook's own text, its solutions included, the source of every module of this package that
its imports reach, and the cards of the zoo, which carry the hashes of the weights.

Raises:  AuthoringError for a chapter that breaks the contract.
Source:  own design.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from arena_lib.course.content.catalog_types import Section
from arena_lib.course.content.notebooks import Scale, build_cells, render

PACKAGE = Path(__file__).parents[1]


def notebook_fingerprint(section: Section, scale: Scale) -> str:
    """The SHA-256 of what the section's executed solution notebook follows from."""
    digest = hashlib.sha256(render(section, kind="solutions", scale=scale).encode())
    code = "\n".join(cell.source for cell in build_cells(section, kind="solutions", scale=scale) if cell.kind == "code")
    data = sorted((PACKAGE / "zoo" / "cards").glob("*.toml"))
    for path in [*reached_files(code), *data]:
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def reached_files(code: str) -> list[Path]:
    """The files of this package that the code imports, and those that they import in turn."""
    reached: set[Path] = set()
    waiting = [path for name in _imported(ast.parse(code)) for path in _files(name)]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += [file for name in _imports_of(path) for file in _files(name)]
    return sorted(reached)


@cache
def _imports_of(path: Path) -> tuple[str, ...]:
    return tuple(_imported(ast.parse(path.read_text(encoding="utf-8"))))


def _imported(tree: ast.Module) -> Iterator[str]:
    """Every dotted name that an import in it may load, functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def _files(name: str) -> tuple[Path, ...]:
    """The files that Python reads when it imports the name: those of the packages around it too."""
    package, *parts = name.split(".")
    if package != PACKAGE.name:
        return ()
    files, folder = [PACKAGE / "__init__.py"], PACKAGE
    for part in parts:
        if (folder / f"{part}.py").is_file():
            return (*files, folder / f"{part}.py")
        folder /= part
        if not (folder / "__init__.py").is_file():
            break
        files.append(folder / "__init__.py")
    return tuple(files)
