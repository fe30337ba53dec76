"""Mechanical edits of a reference: an exercise's test must reject each, or its author says why it is right.

Named mistakes are those an author thinks of. Mutants are those that nobody thinks of: every operator,
comparison, constant, keyword, term, slice and condition of the reference changed once. One that passes is a hole in
the test's cases, or leaves the reference right (`torch.zeros` for `torch.empty`, say): then it is declared in
`equivalent` with the reason.

Raises:  AuthoringError if the reference's source can't be read.
Source:  DeMillo, Lipton and Sayward 1978, "Hints on test data selection"; the kinds of edits are ours.
Differs: what refuses bad input (an `if` that only raises, a call of `check_...`) is left out, since learners
         aren't asked for it; so are annotations, defaults, messages and progress bars.
"""

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from arena_lib.checking.exercises import Exercise
from arena_lib.checking.mistakes import execute_again
from arena_lib.errors import AuthoringError

WIDTH_OF_PLACE = 60
"""Characters of the code that names a mutant."""

_OPERATORS: dict[type[ast.operator], tuple[str, type[ast.operator]]] = {
    ast.Add: ("subtracts where it should add", ast.Sub),
    ast.Sub: ("adds where it should subtract", ast.Add),
    ast.Mult: ("divides where it should multiply", ast.Div),
    ast.Div: ("multiplies where it should divide", ast.Mult),
    ast.FloorDiv: ("multiplies where it should divide", ast.Mult),
    ast.Mod: ("takes the quotient where it should take the remainder", ast.FloorDiv),
    ast.Pow: ("multiplies where it should raise to a power", ast.Mult),
    ast.BitAnd: ("joins with or where it should join with and", ast.BitOr),
    ast.BitOr: ("joins with and where it should join with or", ast.BitAnd),
}
"""For each operator another one, and what is wrong with that."""
_PARTS: dict[type[ast.operator], str] = {
    ast.Add: "a term",
    ast.Sub: "what is to be subtracted",
    ast.Mult: "a factor",
    ast.Div: "a division",
    ast.FloorDiv: "a division",
    ast.Pow: "a power",
    ast.BitAnd: "a condition",
    ast.BitOr: "a condition",
}
"""What one side of an operator is called that is left out."""
_AT_EQUALITY, _ROUND = (
    "is wrong where two numbers that it compares are equal",
    "compares two numbers the wrong way round",
)
_COMPARISONS: dict[type[ast.cmpop], dict[type[ast.cmpop], str]] = {
    ast.Lt: {ast.LtE: _AT_EQUALITY, ast.Gt: _ROUND},
    ast.LtE: {ast.Lt: _AT_EQUALITY, ast.GtE: _ROUND},
    ast.Gt: {ast.GtE: _AT_EQUALITY, ast.Lt: _ROUND},
    ast.GtE: {ast.Gt: _AT_EQUALITY, ast.LtE: _ROUND},
    ast.Eq: {ast.NotEq: "turns a condition round"},
    ast.NotEq: {ast.Eq: "turns a condition round"},
    ast.Is: {ast.IsNot: "turns a condition round"},
    ast.IsNot: {ast.Is: "turns a condition round"},
    ast.In: {ast.NotIn: "turns a condition round"},
    ast.NotIn: {ast.In: "turns a condition round"},
}
"""For each comparison others, and what is wrong with them."""
_NAMES = {"mean": "sum", "sum": "mean", "min": "max", "max": "min", "argmin": "argmax", "argmax": "argmin"}
_NAMES |= {"any": "all", "all": "any", "sin": "cos", "cos": "sin", "softmax": "log_softmax", "log_softmax": "softmax"}
_SYMMETRIC = frozenset({"max", "min", "maximum", "minimum", "equal", "allclose", "logical_and", "logical_or"})
"""Calls whose first two arguments may change places."""
_UNSEEN = frozenset({"device", "non_blocking", "strict"})
"""Keywords whose loss shows only on an accelerator, or that guard what can't happen."""
_LEFT_OUT = frozenset({"detach", "clone", "abs", "sqrt", "exp", "log", "relu", "item"})
"""Methods that a learner may forget."""
_UNTOUCHED = frozenset({"progress"})
"""Calls whose arguments are words on a bar, but for the first."""


@dataclass(frozen=True)
class Mutant:
    """One edit of a reference."""

    old: str
    """The code around the edit, as `ast.unparse` writes it."""
    new: str
    line: int
    """Of the reference's definition, counted from 1."""
    source: str
    """The whole definition with the edit."""
    words: str
    """What the edited version does wrong, in words that show no code: "adds where it should subtract"."""

    @property
    def name(self) -> str:
        """`old -> new`, by which an author declares it equivalent."""
        return f"{self.old} -> {self.new}"


def mutants_of(test: Exercise) -> list[Mutant]:
    """Every mechanical edit of what a learner writes of a test's reference, in the order of its source."""
    try:
        source = inspect.getsource(test.reference)
    except (OSError, TypeError) as error:
        raise AuthoringError(f"a reference must have source to be edited: got {test.reference!r} ({error}).") from None
    return edit(textwrap.dedent(source), keep=frozenset(test.keep))


def edit(source: str, *, keep: frozenset[str] = frozenset()) -> list[Mutant]:
    """Every mechanical edit of one definition, in the order of its source; methods to `keep` are left alone."""
    tree = ast.parse(source)
    n_edits = len(list(_edits(tree, keep)))
    mutants, names = [], set()
    for index in range(n_edits):
        mutant = _mutant(tree, index, keep)
        if mutant is not None and mutant.name not in names:
            names.add(mutant.name)
            mutants.append(mutant)
    return sorted(mutants, key=lambda mutant: mutant.line)


def _mutant(tree: ast.Module, index: int, keep: frozenset[str]) -> Mutant | None:
    """The edit of this number, made in a copy; None if the code stays what it was."""
    edited = copy.deepcopy(tree)
    change = next(change for i, change in enumerate(_edits(edited, keep)) if i == index)
    place = change.place
    old = ast.unparse(place)
    change.make()
    ast.fix_missing_locations(edited)
    try:
        new, source = ast.unparse(place), ast.unparse(edited)
        compile(source, "<mutant>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    if new == old:
        return None
    return Mutant(_short(old), _short(new), getattr(place, "lineno", 1), source, change.words)


def _short(code: str) -> str:
    return " ".join(code.split())


@dataclass(frozen=True)
class _Edit:
    """A change to a tree that isn't made yet, and the code around it by which it is named."""

    place: ast.AST
    make: Callable[[], None]
    words: str


def _edits(tree: ast.Module, keep: frozenset[str]) -> Iterator[_Edit]:
    definition = tree.body[0]
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in _judged_nodes(definition, keep):
        for words, replacement in _replacements(node, parents[node]):
            yield _Edit(_place(node, parents), _replacing(node, replacement, parents[node]), words)
        for words, change in _changes(node):
            yield _Edit(_place(node, parents), change, words)


def _judged_nodes(definition: ast.AST, keep: frozenset[str]) -> Iterator[ast.AST]:
    """What a learner is asked to write: neither signatures nor docstrings, nor what refuses bad input."""
    for child in ast.iter_child_nodes(definition):
        if _is_left_alone(child) or getattr(child, "name", None) in keep:
            continue
        if isinstance(definition, ast.FunctionDef | ast.ClassDef) and child not in definition.body:
            continue
        if isinstance(definition, ast.AnnAssign) and child is definition.annotation:
            continue
        if isinstance(definition, ast.Call) and _called(definition) in _UNTOUCHED and child not in definition.args[:1]:
            continue
        yield child
        yield from _judged_nodes(child, keep)


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.If) and not node.orelse and all(isinstance(child, ast.Raise) for child in node.body):
        return True
    if isinstance(node, ast.Expr):
        is_docstring = isinstance(node.value, ast.Constant)
        return is_docstring or (
            isinstance(node.value, ast.Call) and _called(node.value).lstrip("_").startswith("check")
        )
    return False


def _is_guard(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _called(node).lstrip("_").startswith("check")


def _called(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def _place(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> ast.AST:
    """The largest expression or simple statement around a node that is still short."""
    place = node if isinstance(node, ast.expr | ast.stmt) else parents[node]
    while isinstance(parents.get(place), ast.expr | ast.stmt | ast.keyword | ast.Slice | ast.comprehension):
        parent = parents[place]
        if isinstance(parent, ast.FunctionDef | ast.ClassDef | ast.If | ast.For | ast.While | ast.With | ast.Try):
            break
        if len(ast.unparse(parent)) > WIDTH_OF_PLACE:
            break
        place = parent
    while not isinstance(place, ast.expr | ast.stmt):
        place = parents[place]
    return place


def _replacing(node: ast.AST, replacement: ast.AST, parent: ast.AST) -> Callable[[], None]:
    """Puts `replacement` into the parent's field that holds `node`; a node of the same type takes its fields instead."""

    def replace() -> None:
        kept = copy.deepcopy(replacement)
        if isinstance(node, ast.expr) and type(kept) is type(node):
            node.__dict__.update(kept.__dict__)
            return
        for name, value in ast.iter_fields(parent):
            if value is node:
                setattr(parent, name, kept)
            elif isinstance(value, list) and any(item is node for item in value):
                value[:] = [kept if item is node else item for item in value]

    return replace


def _replacements(node: ast.AST, parent: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What may stand in place of an expression, and what is wrong with it."""
    if isinstance(node, ast.BinOp):
        yield from _other_sums(node)
    elif isinstance(node, ast.UnaryOp):
        yield from _other_signs(node, parent)
    elif isinstance(node, ast.BoolOp):
        is_and = isinstance(node.op, ast.And)
        words = (
            "asks that one of two conditions holds, not both" if is_and else "asks that both conditions hold, not one"
        )
        yield words, ast.BoolOp(ast.Or() if is_and else ast.And(), node.values)
    elif isinstance(node, ast.IfExp):
        yield "turns a condition round", ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for operator, words in _COMPARISONS[type(node.ops[0])].items():
            yield words, ast.Compare(node.left, [operator()], node.comparators)
    elif isinstance(node, ast.Constant) and not isinstance(parent, ast.UnaryOp) and not _is_unseen(parent):
        yield from _other_constants(node.value, parent)
    elif isinstance(node, ast.Call):
        yield from _other_calls(node)


def _is_unseen(parent: ast.AST) -> bool:
    return isinstance(parent, ast.keyword) and parent.arg in _UNSEEN


def _other_sums(node: ast.BinOp) -> Iterator[tuple[str, ast.AST]]:
    """Another operator, or one of the two sides alone."""
    if type(node.op) in _OPERATORS:
        words, operator = _OPERATORS[type(node.op)]
        yield words, ast.BinOp(node.left, operator(), node.right)
        yield f"leaves {_PARTS.get(type(node.op), 'a step')} out", node.left
    if isinstance(node.op, ast.Add | ast.Mult):
        yield f"leaves {_PARTS[type(node.op)]} out", node.right


def _other_signs(node: ast.UnaryOp, parent: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Without the sign; for a negative number, its neighbours (of the last axis, the one before it only)."""
    value = getattr(node.operand, "value", None) if isinstance(node.operand, ast.Constant) else None
    if not isinstance(value, int) or isinstance(value, bool):
        words = "turns a sign round" if isinstance(node.op, ast.USub) else "turns a condition round"
        yield words, node.operand
        return
    smaller, larger = _one_off(parent)
    yield smaller, ast.UnaryOp(node.op, ast.Constant(value + 1))
    is_axis = isinstance(parent, ast.keyword) and parent.arg in ("dim", "axis")
    if not is_axis:
        yield larger, ast.UnaryOp(node.op, ast.Constant(value - 1)) if value != 1 else ast.Constant(0)


def _one_off(parent: ast.AST) -> tuple[str, str]:
    """What is wrong with a whole number that is one too small, and with one that is one too large."""
    if isinstance(parent, ast.keyword) and parent.arg in ("dim", "axis"):
        return ("works along another axis",) * 2
    if isinstance(parent, ast.Subscript | ast.Slice | ast.Tuple):
        return (
            "takes the entry before the right one, or a part that is one off",
            "takes the entry after the right one, or a part that is one off",
        )
    if isinstance(parent, ast.BinOp):
        is_added = isinstance(parent.op, ast.Add | ast.Sub)
        return ("is off by a number that is added or subtracted" if is_added else "is off by a factor or a power",) * 2
    return "has a number that is one too small", "has a number that is one too large"


def _other_constants(value: object, parent: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(value, bool):
        yield f"says {not value} where it should say {value}", ast.Constant(not value)
    elif isinstance(value, int):
        smaller, larger = _one_off(parent)
        yield larger, ast.Constant(value + 1)
        yield smaller, ast.Constant(value - 1)
    elif isinstance(value, float):
        yield "has a wrong constant", ast.Constant(value + 1.0)
        yield "has a wrong constant", ast.Constant(value * 2.0)


def _other_calls(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    function = node.func
    if isinstance(function, ast.Attribute):
        if function.attr in _NAMES:
            other = _NAMES[function.attr]
            words = f"takes {other} where it should take {function.attr}"
            yield words, ast.Call(ast.Attribute(function.value, other, ast.Load()), node.args, node.keywords)
        if function.attr in _LEFT_OUT and not node.args and not node.keywords:
            yield f"leaves {function.attr} out", function.value
    if isinstance(function, ast.Name) and function.id in _NAMES:
        other = _NAMES[function.id]
        words = f"takes {other} where it should take {function.id}"
        yield words, ast.Call(ast.Name(other, ast.Load()), node.args, node.keywords)
    if _called(node) in _UNTOUCHED:
        return
    for keyword in [keyword for keyword in node.keywords if keyword.arg not in _UNSEEN]:
        words = f"does without {keyword.arg}" if keyword.arg else "hands options on to nobody"
        yield words, ast.Call(function, node.args, [other for other in node.keywords if other is not keyword])
    if (
        len(node.args) >= 2
        and _called(node) not in _SYMMETRIC
        and not any(isinstance(arg, ast.Starred) for arg in node.args)
    ):
        words = "exchanges two things that have an order: what is given first and what second"
        yield words, ast.Call(function, [node.args[1], node.args[0], *node.args[2:]], node.keywords)


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[], None]]]:
    """Changes within a statement, a slice or a comprehension, and what is wrong then."""
    if isinstance(node, ast.If | ast.While):
        yield "turns a condition round", lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.comprehension):
        for condition in node.ifs:
            yield "leaves a condition out", lambda condition=condition: node.ifs.remove(condition)  # type: ignore[misc]
    elif isinstance(node, ast.Slice):
        for bound, words in (("lower", "begins a part one too late"), ("upper", "ends a part one too late")):
            value = getattr(node, bound)
            if value is not None and not _is_constant(value):
                moved = ast.BinOp(value, ast.Add(), ast.Constant(1))
                yield words, lambda bound=bound, moved=moved: setattr(node, bound, moved)  # type: ignore[misc]
    elif isinstance(node, ast.AugAssign) and type(node.op) in _OPERATORS:
        words, operator = _OPERATORS[type(node.op)]
        yield words, lambda: setattr(node, "op", operator())
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield f"leaves {_called(node.value) or 'a call'} out", lambda: setattr(node, "value", ast.Constant(None))


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node.operand if isinstance(node, ast.UnaryOp) else node, ast.Constant)


def build(mutant: Mutant, reference: Callable[..., Any]) -> Any:
    """The edited reference, in its module executed again; a method's class is edited with it."""
    module = inspect.getmodule(reference)
    assert module is not None
    source = Path(str(inspect.getsourcefile(module))).read_text(encoding="utf-8")
    lines, first = inspect.getsourcelines(reference)
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    all_lines = source.splitlines(keepends=True)
    all_lines[first - 1 : first - 1 + len(lines)] = [textwrap.indent(mutant.source, indent) + "\n"]
    mutated = execute_again("".join(all_lines), module)
    return reduce(getattr, reference.__qualname__.split("."), mutated)
