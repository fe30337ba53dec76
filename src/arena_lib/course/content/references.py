"""Finds tests, and the references they name, by reading source: nothing is imported, so nothing heavy is.

`test_causal_mask = exercise(reference=lesson.causal_mask, keep=["__init__"], ...)` in a file of
`arena_lib.tests.<slug>` gives the test `arena_lib.tests.<slug>.<file>:test_causal_mask` and, through
that file's imports, the reference `arena_lib.transformer.lesson:causal_mask`.

Raises:  AuthoringError for a test whose reference cannot be found by reading.
"""

from __future__ import annotations

import ast
import importlib.util
import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from arena_lib.course.content.outlines import declared_test, outline_cache
from arena_lib.course.content.python_source import assigned_names
from arena_lib.errors import AuthoringError

_MOST_RE_EXPORTS = 8
"""A name handed on more often than this is taken for a cycle."""

Definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, kw_only=True)
class TestEntry:
    """One `test_x = exercise(...)`."""

    test: str
    """`module:name`."""
    reference: str
    """`module:qualname`."""
    keep: tuple[str, ...]
    """Methods that keep their bodies in the stub."""
    path: Path
    line: int

    __test__ = False  # pytest must not collect it


@dataclass(frozen=True)
class SourceModule:
    """A module as text; it is parsed when its tree is first asked for."""

    name: str
    path: Path
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        """All of it."""
        try:
            return ast.parse(self.source)
        except SyntaxError as error:
            raise AuthoringError(
                f"{self.path}:{error.lineno}: the file must be Python: got {error.msg}. Fix it."
            ) from error

    @cached_property
    def outline(self) -> ast.Module:
        """Its imports and declared tests, and its definitions as empty classes, with their line numbers."""
        try:
            return outline_cache().get(self.path, self.source)
        except SyntaxError:
            return self.tree  # which says where

    @cached_property
    def imports(self) -> dict[str, str]:
        """Each imported name and the dotted name it stands for: `{"F": "torch.nn.functional"}`."""
        return {name: origin for name, (origin, _) in self._imported.items()}

    @cached_property
    def import_statements(self) -> dict[str, str]:
        """Each imported name and one absolute statement that imports it."""
        return {name: statement for name, (_, statement) in self._imported.items()}

    def defines(self, qualname: str) -> bool:
        """Whether a function or class of this name is there."""
        if "." in qualname:
            return find_definition(self.tree, qualname) is not None
        return qualname in self._defined

    def binds(self, name: str) -> bool:
        """Whether the module imports, defines or assigns this name."""
        return name in self.imports or name in self._defined or name in self._assigned

    @cached_property
    def _assigned(self) -> frozenset[str]:
        return frozenset(assigned_names(self.source))

    @cached_property
    def _defined(self) -> frozenset[str]:
        return frozenset(node.name for node in self.outline.body if isinstance(node, ast.ClassDef))

    @cached_property
    def _imported(self) -> dict[str, tuple[str, str]]:
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        imported: dict[str, tuple[str, str]] = {}
        for node in self.outline.body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    bound = alias.asname or alias.name.split(".")[0]
                    imported[bound] = (alias.name if alias.asname else bound, f"import {_with_alias(alias)}")
            elif isinstance(node, ast.ImportFrom):
                origin = _absolute(package, node)
                for alias in node.names:
                    statement = f"from {origin} import {_with_alias(alias)}"
                    imported[alias.asname or alias.name] = (f"{origin}.{alias.name}", statement)
        return imported


def _with_alias(alias: ast.alias) -> str:
    return alias.name + (f" as {alias.asname}" if alias.asname else "")


def module_path(dotted: str) -> Path | None:
    """The file of a module or package, found without importing it; None if there is none."""
    top, *rest = dotted.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest and spec.origin is not None and not spec.submodule_search_locations:
        return Path(spec.origin)
    for root in spec.submodule_search_locations or []:
        place = os.path.join(root, *rest)  # as text: this runs hundreds of times before `arena list` prints a line
        for candidate in (os.path.join(place, "__init__.py"), f"{place}.py" if rest else place):
            if os.path.isfile(candidate):
                return Path(candidate)
    return None


def read_module(dotted: str) -> SourceModule:
    """The module as text, or an AuthoringError that says why not."""
    path = module_path(dotted)
    if path is None:
        raise AuthoringError(f"{dotted!r} must be a module with a source file: got none of that name. Fix the import.")
    stat = path.stat()
    return _read(dotted, path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=512)
def _read(dotted: str, path: Path, _mtime_ns: int, _size: int) -> SourceModule:
    return SourceModule(dotted, path, path.read_text(encoding="utf-8"))


def _absolute(package: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    base = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def find_tests(tests_module: str) -> dict[str, TestEntry]:
    """Every exercise test of a package (or single module) of tests, by the exercise's name."""
    path = module_path(tests_module)
    if path is None:
        return {}
    modules = [tests_module]
    if path.name == "__init__.py":
        modules += [f"{tests_module}.{file.stem}" for file in sorted(path.parent.glob("*.py")) if file != path]
    entries: dict[str, TestEntry] = {}
    for module_name in modules:
        for entry in _tests_in(read_module(module_name)):
            name = entry.test.rpartition(":test_")[2]
            if name in entries:
                raise AuthoringError(
                    f"{entry.path}:{entry.line}: an exercise must have one test: got a second test_{name}; "
                    f"the other is at {entries[name].path}:{entries[name].line}. Drop one."
                )
            entries[name] = entry
    return entries


def is_offered(tests_module: str, test_name: str) -> bool:
    """Whether learners can say `tests.test_x`: the package must bring it, or make its names when asked."""
    module = read_module(tests_module)
    return module.binds(test_name) or module.binds("__getattr__") or "import *" in module.source


def _tests_in(module: SourceModule) -> list[TestEntry]:
    entries = []
    for node in module.outline.body:
        declared = declared_test(node)
        if declared is None or _dotted(declared[1].func).rpartition(".")[2] != "exercise":
            continue
        test_name, call = declared
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        where = f"{module.path}:{node.lineno}"
        if "reference" not in keywords:
            raise AuthoringError(f"{where}: {test_name} must name its reference: got none. Add reference=module.name.")
        entries.append(
            TestEntry(
                test=f"{module.name}:{test_name}",
                reference=_reference(module, keywords["reference"], where),
                keep=_keep(module, keywords.get("keep"), where),
                path=module.path,
                line=node.lineno,
            )
        )
    return entries


def _dotted(node: ast.AST) -> str:
    """`a.b.c` as text, or nothing for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def _reference(module: SourceModule, node: ast.AST, where: str) -> str:
    dotted = _dotted(node)
    if not dotted:
        raise AuthoringError(
            f"{where}: reference must be a name or module.name: got {ast.unparse(node)!r}. "
            "Name a public function or class."
        )
    first, _, rest = dotted.partition(".")
    origin = module.imports.get(first, f"{module.name}.{first}")
    try:
        return locate(f"{origin}.{rest}" if rest else origin)
    except AuthoringError as error:
        raise AuthoringError(
            f"{where}: reference {dotted!r} must be a function or class with source: {error}"
        ) from error


def _keep(module: SourceModule, node: ast.AST | None, where: str) -> tuple[str, ...]:
    try:
        value = _texts(module, node) if node is not None else []
    except ValueError as error:
        written = ast.unparse(node) if node else None
        raise AuthoringError(
            f"{where}: keep must be a list of names of methods, or of constants that hold them: got {written}. Write it out."
        ) from error
    return tuple(value)


def _texts(module: SourceModule, node: ast.AST) -> list[str]:
    """The texts of a list that is written out, or built from constants of the same file with `*` and `+`."""
    if isinstance(node, ast.List | ast.Tuple):
        nested = [_texts(module, part.value) if isinstance(part, ast.Starred) else [part] for part in node.elts]
        parts = [part.value if isinstance(part, ast.Constant) else part for group in nested for part in group]
        if not all(isinstance(part, str) for part in parts):
            raise ValueError(parts)
        return [part for part in parts if isinstance(part, str)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _texts(module, node.left) + _texts(module, node.right)
    if isinstance(node, ast.Name):
        for statement in module.tree.body:
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            if [target.id for target in targets if isinstance(target, ast.Name)] == [node.id]:
                return _texts(module, statement.value)  # type: ignore[attr-defined]
    raise ValueError(node)


def locate(dotted: str) -> str:
    """`module:qualname` of the file that really defines a dotted name; names handed on are followed.

    >>> locate("arena_lib.errors.ArenaError")
    'arena_lib.errors:ArenaError'
    """
    for _ in range(_MOST_RE_EXPORTS):
        module, qualname = _split(dotted)
        first, _, rest = qualname.partition(".")
        if module.defines(qualname):
            return f"{module.name}:{qualname}"
        if first not in module.imports:
            break
        dotted = module.imports[first] + (f".{rest}" if rest else "")
    raise AuthoringError(
        f"no function or class of this name is defined there: got {dotted!r}. Fix the import or the name."
    )


def _split(dotted: str) -> tuple[SourceModule, str]:
    """The longest prefix that is a module, and the rest."""
    parts = dotted.split(".")
    for n in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:n])
        if module_path(name) is not None:
            return read_module(name), ".".join(parts[n:])
    raise AuthoringError(f"no module holds it: got {dotted!r}. Fix the import or the name.")


def find_definition(tree: ast.Module, qualname: str) -> Definitions | None:
    """The function or class of this name: the last one, as Python would have it."""
    body, definition = tree.body, None
    for name in qualname.split("."):
        matches = [node for node in body if isinstance(node, Definitions) and node.name == name]
        if not matches:
            return None
        definition = matches[-1]
        body = definition.body
    return definition
