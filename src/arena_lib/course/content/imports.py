"""The imports of a section's notebook, and which exercises build on which.

They follow from the references: whatever a reference uses is imported in the set-up cell, unless the
learner has written it in an earlier exercise. So an author lists no imports for exercises.

Raises:  AuthoringError if two references need different things under one name.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable

from arena_lib.course.content.catalog_types import ExerciseEntry, Section
from arena_lib.course.content.stubs import NeededName, needed_names
from arena_lib.errors import AuthoringError

LINE_LENGTH = 100
"""Longer lists of names are wrapped."""


def setup_imports(section: Section, *, is_explored: bool = False) -> str:
    """The import block that every exercise of the section needs, sorted, standard library first.

    With `is_explored` exploratory exercises can say that they are done.
    """
    needed: dict[str, tuple[str, ExerciseEntry]] = {}
    explores = is_explored and any(entry.is_exploratory for entry in section.exercises)
    statements = ["from arena_lib.course.exploring import explored"] if explores else []
    solved: set[str] = set()
    for entry in section.exercises:
        if entry.reference is None:
            continue
        _take(needed, entry.object_name, entry.reference.replace(":", "."), entry, section)
        solved.add(entry.reference)
        for name in needed_names(entry.reference):
            _take(needed, name.name, _origin(name), entry, section)
            if name.reference not in solved:
                statements.append(name.statement)
    if solved:
        package, _, slug = section.tests_module.rpartition(".")
        statements.append(f"from {package} import {slug} as tests")
    return format_imports(statements)


def builds_on(section: Section, entry: ExerciseEntry) -> list[ExerciseEntry]:
    """The earlier exercises whose functions or classes this one's solution uses."""
    earlier = section.exercises[: section.exercises.index(entry)]
    if entry.reference is not None:
        used = {entry.reference, *(name.reference for name in needed_names(entry.reference))}
        return [candidate for candidate in earlier if candidate.reference is not None and candidate.reference in used]
    (source,) = [cell.source for cell in section.cells if cell.exercise == entry]
    names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    return [candidate for candidate in earlier if candidate.reference and candidate.object_name in names]


def fallback_imports(entries: Iterable[ExerciseEntry]) -> str:
    """The statements that bring the library's own solutions of these exercises, one for each module."""
    statements = []
    for entry in entries:
        assert entry.reference is not None, "an exploratory exercise has nothing to import"
        module, _, qualname = entry.reference.partition(":")
        statements.append(f"from {module} import {qualname.split('.')[0]}")
    return format_imports(statements)


def _origin(name: NeededName) -> str:
    return name.reference.replace(":", ".") if name.reference else name.origin


def _take(
    needed: dict[str, tuple[str, ExerciseEntry]], name: str, origin: str, entry: ExerciseEntry, section: Section
) -> None:
    """Notes what a name stands for; it may stand for one thing only in a notebook."""
    known, other = needed.setdefault(name, (origin, entry))
    if known != origin:
        raise AuthoringError(
            f"{section.path}:{entry.line}: in one notebook a name must stand for one thing: got {name!r} for {origin} "
            f"in {entry.name!r} and for {known} in {other.name!r}. Rename it in one of the references."
        )


def format_imports(statements: Iterable[str]) -> str:
    """Import statements sorted, merged by module and put into three groups.

    >>> print(format_imports(["from torch import nn", "import torch", "from torch import Tensor", "import math"]))
    import math
    <BLANKLINE>
    import torch
    from torch import Tensor, nn
    """
    plain: set[str] = set()
    members: dict[str, set[str]] = {}
    for node in ast.parse("\n".join(statements)).body:
        if isinstance(node, ast.Import):
            plain.add(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name + (f" as {alias.asname}" if alias.asname else "") for alias in node.names}
            members.setdefault(node.module or "", set()).update(names)
    groups: dict[int, list[str]] = {0: [], 1: [], 2: []}
    for line in sorted(plain):
        groups[_group(line.split()[1])].append(line)
    for module in sorted(members):
        groups[_group(module)].append(_from_import(module, sorted(members[module], key=_by_case)))
    return "\n\n".join("\n".join(lines) for lines in groups.values() if lines)


def _group(module: str) -> int:
    """0 for the standard library, 1 for other packages, 2 for ours."""
    top = module.split(".")[0]
    return 0 if top in sys.stdlib_module_names else 2 if top == "arena_lib" else 1


def _by_case(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, as formatters order them."""
    bare = name.split()[0]
    return (0 if bare.isupper() and len(bare) > 1 else 1 if bare[:1].isupper() else 2, name)


def _from_import(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= LINE_LENGTH:
        return line
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in names) + ")"
