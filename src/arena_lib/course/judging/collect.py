"""A learner's definitions out of a notebook or script, without running the rest of it.

For one exercise these statements run, cell by cell in the order of the file, each on its own, so
that one that fails stops no other:

- imports, functions and classes, and attributes set on a class that was defined (`A.f = f`);
- assignments (also within `if`, `try` and `with`) of names that the exercise's definition needs,
  directly or through other definitions: `gelu = nn.GELU()`, not `model = train()`.

Calls on their own never run: no tests, training, plots or seeds.

Raises:  nothing; what couldn't run stands in `Collected.problems`.
"""

from __future__ import annotations

import ast
import functools
import linecache
import re
import sys
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from arena_lib.course.content.catalog_types import ExerciseEntry
from arena_lib.course.content.python_source import first_line, read_names
from arena_lib.course.content.references import Definitions, find_definition
from arena_lib.course.judging.cells import CellProblem, LearnerFile, SourceCell, parse_cell

MODULE_NAME = "learner"
"""The name of the module that collected definitions belong to; not `__main__`, so that scripts don't start."""

_Assignment = ast.Assign | ast.AnnAssign | ast.AugAssign
_Block = ast.If | ast.Try | ast.With


@dataclass(frozen=True)
class Statement:
    """One top-level statement and the cell it stands in."""

    node: ast.stmt
    cell: SourceCell


@dataclass(frozen=True)
class FailedBinding:
    """Why a name wasn't bound: its statement failed."""

    problem: CellProblem
    missing: str | None
    """The name that the statement itself missed, if that is why."""


@dataclass
class Collected:
    """What a learner's file defines for one exercise."""

    namespace: dict[str, Any]
    problems: list[CellProblem] = field(default_factory=list)
    failed_bindings: dict[str, FailedBinding] = field(default_factory=dict)
    """The names that statements which failed should have bound."""


@dataclass(frozen=True)
class ParsedFile:
    """A learner's file as statements, with the cells that couldn't be read."""

    statements: tuple[Statement, ...]
    broken: tuple[tuple[SourceCell, CellProblem], ...]


def parse_file(file: LearnerFile) -> ParsedFile:
    """Every statement of every cell that is Python."""
    statements: list[Statement] = []
    broken: list[tuple[SourceCell, CellProblem]] = []
    for cell in file.cells:
        tree = parse_cell(cell)
        if isinstance(tree, CellProblem):
            broken.append((cell, tree))
        else:
            statements += [Statement(node, cell) for node in tree.body]
    return ParsedFile(tuple(statements), tuple(broken))


def expression_of(parsed: ParsedFile, entry: ExerciseEntry) -> str:
    """What the learner hands to the exercise's test, such as `Attention.apply_causal_mask`; else the usual name."""
    for statement in reversed(parsed.statements):
        for node in ast.walk(statement.node):
            if isinstance(node, ast.Call) and node.args and _last_name(node.func) == entry.test_name:
                expression = ast.unparse(node.args[0])
                if re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", expression):
                    return expression
    return entry.object_name


def source_of_name(parsed: ParsedFile, name: str) -> str | None:
    """The text of the last statement by which the learner defines the name; None for one that is only imported."""
    for statement in reversed(parsed.statements):
        if name in _bound_names(statement.node) and not isinstance(statement.node, ast.Import | ast.ImportFrom):
            first = first_line(statement.node)
            lines = statement.cell.source.splitlines()
            end = statement.node.end_lineno or first
            return "\n".join(lines[first - 1 - statement.cell.offset : end - statement.cell.offset]) + "\n"
    return None


def definition_of(parsed: ParsedFile, expression: str) -> Definitions | None:
    """The function, class or method, if the last statement that binds its first name defines it."""
    root = expression.partition(".")[0]
    binding = [statement.node for statement in parsed.statements if root in _bound_names(statement.node)]
    return find_definition(ast.Module(body=binding[-1:], type_ignores=[]), expression)


def imported_modules(parsed: ParsedFile) -> list[str]:
    """The modules, and what may be one, that the file's top level imports by absolute names."""
    names: dict[str, None] = {}
    for node in (statement.node for statement in parsed.statements):
        if isinstance(node, ast.Import):
            names.update({alias.name: None for alias in node.names})
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update(dict.fromkeys((node.module, *(f"{node.module}.{a.name}" for a in node.names))))
    return list(names)


def is_own(parsed: ParsedFile, name: str) -> bool:
    """Whether the last statement that binds the name defines it, rather than importing it."""
    binding = [statement.node for statement in parsed.statements if name in _bound_names(statement.node)]
    return bool(binding) and not isinstance(binding[-1], ast.Import | ast.ImportFrom)


def uses(parsed: ParsedFile, name: str) -> set[str]:
    """The learner's own names that the definition of `name` reads, directly or through others."""
    own = [s for s in parsed.statements if all(is_own(parsed, bound) for bound in _bound_names(s.node))]
    return {needed for needed in _needed_names(own, name) if is_own(parsed, needed)}


def sources_behind(parsed: ParsedFile, entry: ExerciseEntry) -> tuple[str, ...]:
    """All text that the verdict on an exercise depends on: its own definition first, what that uses, the imports.

    A cell that can't be read stands for what it seems to define.
    """
    expression = expression_of(parsed, entry)
    root = expression.partition(".")[0]
    names = [root, *sorted(uses(parsed, root) - {root})]
    texts = [source_of_name(parsed, name) or str(problem_of_name(parsed, name)) for name in names]
    imports = [ast.unparse(s.node) for s in parsed.statements if isinstance(s.node, ast.Import | ast.ImportFrom)]
    return (*texts, expression, *imports)


def problem_of_name(parsed: ParsedFile, name: str, *, has_imports: bool = False) -> CellProblem | None:
    """The problem of the last unreadable cell that seems to define the name, or with `has_imports` to import it."""
    word = re.escape(name)
    pattern = rf"^\s*(?:async\s+def|def|class)\s+{word}\b|^{word}\s*="
    if has_imports:
        pattern += rf"|^\s*(?:from\s.*)?\bimport\b.*\b{word}\b"
    for cell, problem in reversed(parsed.broken):
        if re.search(pattern, cell.source, re.MULTILINE):
            return problem
    return None


def collect(parsed: ParsedFile, name: str) -> Collected:
    """Runs what the definition of `name` needs in a module of its own; call it in a process of its own."""
    module = types.ModuleType(MODULE_NAME)
    sys.modules[MODULE_NAME] = module
    collected = Collected(module.__dict__, [problem for _, problem in parsed.broken])
    _remember_sources({statement.cell for statement in parsed.statements})
    needed, classes = _needed_names(parsed.statements, name), _class_names(parsed.statements)
    for statement in parsed.statements:
        node = _runnable(statement.node, needed, classes)
        if node is not None:
            _execute(node, statement.cell, collected)
    return collected


def _execute(node: ast.stmt, cell: SourceCell, collected: Collected) -> None:
    """Runs one statement; whatever it raises becomes a problem of its cell."""
    try:
        code = compile(ast.Module(body=[node], type_ignores=[]), cell.filename, "exec", dont_inherit=True)
        exec(code, collected.namespace)
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # a learner's cell may even call sys.exit
        message = f"{type(error).__name__}: {error}"
        line = _line_in(error, cell, node)
        text = "".join(cell.source.splitlines()[line - cell.offset - 1 : line - cell.offset]).strip()
        problem = CellProblem(cell=cell.number, line=line, message=message, text=text)
        collected.problems.append(problem)
        failed = FailedBinding(problem, error.name if isinstance(error, NameError) else None)
        collected.failed_bindings.update(dict.fromkeys(_bound_names(node), failed))


def _line_in(error: BaseException, cell: SourceCell, node: ast.stmt) -> int:
    """The innermost line of the cell in the traceback."""
    line, traceback = node.lineno, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == cell.filename:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _runnable(node: ast.stmt, needed: set[str], classes: set[str]) -> ast.stmt | None:
    """The statement, cut down to what may run; None if nothing of it may."""
    if isinstance(node, ast.Import | ast.ImportFrom | Definitions):
        return node
    if isinstance(node, _Assignment):
        return node if _bound_names(node) & needed or _sets_attribute_of(node, classes) else None
    if isinstance(node, _Block):
        return _runnable_block(node, needed, classes)
    return None


def _runnable_block(node: ast.If | ast.Try | ast.With, needed: set[str], classes: set[str]) -> ast.stmt | None:
    """A block that binds something needed, without its other statements."""
    bound = _bound_names(node)
    if not bound & needed and not any(isinstance(inner, ast.Import | ast.ImportFrom) for inner in ast.walk(node)):
        return None

    def cut(body: list[ast.stmt]) -> list[ast.stmt]:
        kept = [inner for statement in body if (inner := _runnable(statement, needed, classes)) is not None]
        return kept or [ast.copy_location(ast.Pass(), node)]

    values: dict[str, Any] = {"body": cut(node.body)}
    if isinstance(node, ast.If | ast.Try):
        values["orelse"] = cut(node.orelse) if node.orelse else []
    if isinstance(node, ast.Try):
        values["finalbody"] = cut(node.finalbody) if node.finalbody else []
        values["handlers"] = [
            ast.copy_location(ast.ExceptHandler(type=h.type, name=h.name, body=cut(h.body)), h) for h in node.handlers
        ]
    fields = {name: getattr(node, name) for name in node._fields} | values
    return ast.copy_location(type(node)(**fields), node)


def _needed_names(statements: Iterable[Statement], name: str) -> set[str]:
    """`name` and every name that its definition reads, directly or through other definitions."""
    reads: dict[str, set[str]] = {}
    for node in (statement.node for statement in statements):
        if isinstance(node, ast.Import | ast.ImportFrom):
            continue
        used = _global_reads(node)
        for bound in _bound_names(node):
            reads.setdefault(bound, set()).update(used)
    needed, waiting = set(), [name]
    while waiting:
        current = waiting.pop()
        if current not in needed:
            needed.add(current)
            waiting += reads.get(current, ())
    return needed


@functools.lru_cache(maxsize=2048)
def _global_reads(node: ast.stmt) -> set[str]:
    """The names of the module that a statement reads; none for one that can't be compiled."""
    try:
        return read_names(ast.unparse(node))
    except (SyntaxError, ValueError):
        return set()


def _bound_names(node: ast.stmt) -> set[str]:
    """The names that a top-level statement binds in the module."""
    if isinstance(node, Definitions):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.Assign):
        return {name for target in node.targets for name in _stored(target)}
    if isinstance(node, ast.AnnAssign | ast.AugAssign):
        return set(_stored(node.target))
    if isinstance(node, _Block):
        return {name for inner in _inner_statements(node) for name in _bound_names(inner)}
    return set()


def _inner_statements(node: ast.If | ast.Try | ast.With) -> Iterator[ast.stmt]:
    yield from node.body
    yield from getattr(node, "orelse", [])
    yield from getattr(node, "finalbody", [])
    for handler in getattr(node, "handlers", []):
        yield from handler.body


def _stored(target: ast.expr) -> Iterator[str]:
    """The names in the target of an assignment; for `x[0]` and `x.y` that is x."""
    for node in ast.walk(target):
        if isinstance(node, ast.Name):
            yield node.id


def _class_names(statements: Iterable[Statement]) -> set[str]:
    return {statement.node.name for statement in statements if isinstance(statement.node, ast.ClassDef)}


def _sets_attribute_of(node: ast.stmt, classes: set[str]) -> bool:
    """Whether it is `A.f = f` for a class A that the learner defines."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(
        isinstance(t, ast.Attribute) and isinstance(t.value, ast.Name) and t.value.id in classes for t in targets
    )


def _last_name(function: ast.expr) -> str:
    return ast.unparse(function).rpartition(".")[2] if isinstance(function, ast.Name | ast.Attribute) else ""


def _remember_sources(cells: Iterable[SourceCell]) -> None:
    """Puts the cells of a notebook where tracebacks and `inspect` look for source."""
    for cell in cells:
        if cell.filename.startswith("<"):
            lines = cell.source.splitlines(keepends=True)
            linecache.cache[cell.filename] = (len(cell.source), None, lines, cell.filename)
