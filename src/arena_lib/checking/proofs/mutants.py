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
import difflib
import inspect
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from pathlib import Path
from typing import Any

from arena_lib.checking.exercises import Exercise
from arena_lib.checking.mistakes import execute_again
from arena_lib.checking.proofs.time_limit import OutOfTimeError, time_limit
from arena_lib.checking.running import rejects
from arena_lib.errors import AuthoringError

TIMES_THE_REFERENCE = 10
"""An edit that takes this many times as long as the reference counts as an endless loop, which a learner would see."""
N_NEAREST = 3
"""Names of edits that are offered for one that there isn't."""
WIDTH_OF_PLACE = 60
"""Characters of the code that names a mutant."""

_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
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

    @property
    def name(self) -> str:
        """`old -> new`, by which an author declares it equivalent."""
        return f"{self.old} -> {self.new}"


def mutants_of(test: Exercise) -> tuple[Mutant, ...]:
    """Every mechanical edit of what a learner writes of a test's reference, in the order of its source."""
    try:
        source = inspect.getsource(test.reference)
    except (OSError, TypeError) as error:
        raise AuthoringError(f"a reference must have source to be edited: got {test.reference!r} ({error}).") from None
    return edit(textwrap.dedent(source), keep=frozenset(test.keep))


@lru_cache(maxsize=1)  # those of one exercise are tried, and then looked up among its `equivalent`
def edit(source: str, *, keep: frozenset[str] = frozenset()) -> tuple[Mutant, ...]:
    """Every mechanical edit of one definition, in the order of its source; methods to `keep` are left alone."""
    tree = ast.parse(source)
    n_edits = len(list(_edits(tree, keep)))
    mutants, names = [], set()
    for index in range(n_edits):
        mutant = _mutant(tree, index, keep)
        if mutant is not None and mutant.name not in names:
            names.add(mutant.name)
            mutants.append(mutant)
    return tuple(sorted(mutants, key=lambda mutant: mutant.line))


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
    return None if new == old else Mutant(_short(old), _short(new), getattr(place, "lineno", 1), source)


def _short(code: str) -> str:
    return " ".join(code.split())


@dataclass(frozen=True)
class _Edit:
    """A change to a tree that isn't made yet, and the code around it by which it is named."""

    place: ast.AST
    make: Callable[[], None]


def _edits(tree: ast.Module, keep: frozenset[str]) -> Iterator[_Edit]:
    definition = tree.body[0]
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in _judged_nodes(definition, keep):
        for replacement in _replacements(node, parents[node]):
            yield _Edit(_place(node, parents), _replacing(node, replacement, parents[node]))
        for change in _changes(node):
            yield _Edit(_place(node, parents), change)


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


def _replacements(node: ast.AST, parent: ast.AST) -> Iterator[ast.AST]:
    """What may stand in place of an expression."""
    if isinstance(node, ast.BinOp):
        if type(node.op) in _OPERATORS:
            yield ast.BinOp(node.left, _OPERATORS[type(node.op)](), node.right)
            yield node.left
        if isinstance(node.op, ast.Add | ast.Mult):
            yield node.right
    elif isinstance(node, ast.UnaryOp):
        yield from _other_signs(node, parent)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for operator in _COMPARISONS[type(node.ops[0])]:
            yield ast.Compare(node.left, [operator()], node.comparators)
    elif isinstance(node, ast.Constant) and not isinstance(parent, ast.UnaryOp) and not _is_unseen(parent):
        yield from _other_constants(node.value)
    elif isinstance(node, ast.Call):
        yield from _other_calls(node)


def _is_unseen(parent: ast.AST) -> bool:
    return isinstance(parent, ast.keyword) and parent.arg in _UNSEEN


def _other_signs(node: ast.UnaryOp, parent: ast.AST) -> Iterator[ast.AST]:
    """Without the sign; for a negative number, its neighbours (of the last axis, the one before it only)."""
    value = getattr(node.operand, "value", None) if isinstance(node.operand, ast.Constant) else None
    if not isinstance(value, int) or isinstance(value, bool):
        yield node.operand
        return
    yield ast.UnaryOp(node.op, ast.Constant(value + 1))
    is_axis = isinstance(parent, ast.keyword) and parent.arg in ("dim", "axis")
    if not is_axis:
        yield ast.UnaryOp(node.op, ast.Constant(value - 1)) if value != 1 else ast.Constant(0)


def _other_constants(value: object) -> Iterator[ast.AST]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        yield ast.Constant(value - 1)
    elif isinstance(value, float):
        yield ast.Constant(value + 1.0)
        yield ast.Constant(value * 2.0)


def _other_calls(node: ast.Call) -> Iterator[ast.AST]:
    function = node.func
    if isinstance(function, ast.Attribute):
        if function.attr in _NAMES:
            yield ast.Call(ast.Attribute(function.value, _NAMES[function.attr], ast.Load()), node.args, node.keywords)
        if function.attr in _LEFT_OUT and not node.args and not node.keywords:
            yield function.value
    if isinstance(function, ast.Name) and function.id in _NAMES:
        yield ast.Call(ast.Name(_NAMES[function.id], ast.Load()), node.args, node.keywords)
    if _called(node) in _UNTOUCHED:
        return
    for keyword in [keyword for keyword in node.keywords if keyword.arg not in _UNSEEN]:
        yield ast.Call(function, node.args, [other for other in node.keywords if other is not keyword])
    if (
        len(node.args) >= 2
        and _called(node) not in _SYMMETRIC
        and not any(isinstance(arg, ast.Starred) for arg in node.args)
    ):
        yield ast.Call(function, [node.args[1], node.args[0], *node.args[2:]], node.keywords)


def _changes(node: ast.AST) -> Iterator[Callable[[], None]]:
    """Changes within a statement, a slice or a comprehension."""
    if isinstance(node, ast.If | ast.While):
        yield lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.comprehension):
        for condition in node.ifs:
            yield lambda condition=condition: node.ifs.remove(condition)  # type: ignore[misc]
    elif isinstance(node, ast.Slice):
        for bound in ("lower", "upper"):
            value = getattr(node, bound)
            if value is not None and not _is_constant(value):
                moved = ast.BinOp(value, ast.Add(), ast.Constant(1))
                yield lambda bound=bound, moved=moved: setattr(node, bound, moved)  # type: ignore[misc]
    elif isinstance(node, ast.AugAssign) and type(node.op) in _OPERATORS:
        yield lambda: setattr(node, "op", _OPERATORS[type(node.op)]())
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield lambda: setattr(node, "value", ast.Constant(None))


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


@dataclass(frozen=True, kw_only=True)
class MutantScore:
    """How many edits of a reference its test rejects."""

    n_tried: int
    n_rejected: int
    n_equivalent: int
    survivors: tuple[str, ...]
    """Edits that pass and aren't declared equivalent."""
    needless: tuple[str, ...] = ()
    """Entries of `equivalent` all of whose edits are rejected."""

    @property
    def share(self) -> float:
        """Rejected edits among those that aren't equivalent; 1 if there are none."""
        n_wrong = self.n_tried - self.n_equivalent
        return self.n_rejected / n_wrong if n_wrong else 1.0


def try_mutants(test: Exercise, most: int | None = None) -> MutantScore:
    """Runs the edits of a test's reference through it: all, or `most` of them spread evenly."""
    mutants = mutants_of(test)
    if most is not None and len(mutants) > most:
        mutants = tuple(mutants[i * len(mutants) // most] for i in range(most))
    started = time.process_time()
    rejects(test, _adapted(test, test.reference))
    seconds = 1.0 + TIMES_THE_REFERENCE * (time.process_time() - started)
    survivors = [mutant for mutant in mutants if not is_rejected(test, mutant, seconds)]
    declared = [mutant.name for mutant in survivors if _is_declared(test, mutant)]
    undeclared = tuple(mutant.name for mutant in survivors if not _is_declared(test, mutant))
    return MutantScore(
        n_tried=len(mutants),
        n_rejected=len(mutants) - len(survivors),
        n_equivalent=len(declared),
        survivors=undeclared,
        needless=_needless(test, mutants, survivors),
    )


def _needless(test: Exercise, tried: Sequence[Mutant], survivors: Sequence[Mutant]) -> tuple[str, ...]:
    """Entries of `equivalent` that name edits of those tried, and none that passes."""
    named, passing = ({name for m in mutants for name in (m.name, m.old)} for mutants in (tried, survivors))
    return tuple(sorted(set(test.equivalent) & named - passing))


def _is_declared(test: Exercise, mutant: Mutant) -> bool:
    return mutant.name in test.equivalent or mutant.old in test.equivalent


def undeclarable(test: Exercise, survivors: Sequence[str] = ()) -> dict[str, list[str]]:
    """Entries of `equivalent` that name no edit of the reference, each with the nearest ones, of those that pass first."""
    mutants = mutants_of(test)
    known = sorted({name for mutant in mutants for name in (mutant.name, mutant.old)})
    unknown = sorted(set(test.equivalent) - set(known))
    return {
        entry: difflib.get_close_matches(entry, survivors, n=N_NEAREST, cutoff=0.0)
        or [name for name in known if entry in name][:N_NEAREST]
        or difflib.get_close_matches(entry, known, n=N_NEAREST, cutoff=0.0)
        for entry in unknown
    }


def is_rejected(test: Exercise, mutant: Mutant, seconds: float) -> bool:
    """Whether the test rejects this edit; one that can't even be executed, or doesn't end, is rejected."""
    try:
        with time_limit(seconds):
            return rejects(test, _adapted(test, build(mutant, test.reference)))
    except (OutOfTimeError, Exception):
        return True


def _adapted(test: Exercise, obj: Any) -> Any:
    return obj if test.adapt is None else test.adapt(obj)
