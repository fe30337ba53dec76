"""Named wrong versions of a reference, made by one substitution in its source.

A mistake serves twice: it is named to a learner whose observations it reproduces, and CI proves that the test rejects
it. The reference's whole module is executed again under another name with the substitution inside the named
definition, so that classes and helpers which use the definition see it too.

Raises:  AuthoringError if the substitution does not match exactly once, or leaves something that isn't Python.
"""

import ast
import functools
import hashlib
import inspect
import linecache
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.errors import AuthoringError


@dataclass(frozen=True)
class Mistake:
    """One likely mistake: `old` in the reference's source becomes `new`, or `function` is given whole."""

    name: str
    """What went wrong, as the learner reads it: "hides the present too"."""
    old: str = ""
    new: str = ""
    why: str = ""
    """Why it is wrong, in one sentence."""
    within: str | None = None
    """The definition that holds `old`, if it isn't the reference itself: "causal_mask", "Attention.forward"."""
    function: Callable[..., Any] | None = None
    """The wrong version itself, where no single substitution makes it."""
    shows: Callable[[Sequence[Observations]], bool] | None = None
    """Recognises the mistake by what the cases' observations show, where equal random draws can't be asked for."""
    raises: str = ""
    """The exception that may be all that a learner who makes it sees, in every case: "RuntimeError"."""

    def __post_init__(self) -> None:
        if self.function is not None and (self.old or self.new or self.within):
            raise AuthoringError(
                f"the mistake {self.name!r} must be a substitution or a function: got both. Leave out old, new and "
                "within, or function."
            )

    def build(self, reference: Callable[..., Any]) -> Any:
        """The wrong version of `reference`."""
        if self.function is not None:
            return self.function
        return _definition_in(_mutated_module((self._edit(reference),), inspect.getmodule(reference)), reference)

    def _edit(self, reference: Callable[..., Any]) -> "Edit":
        return Edit(self.within or reference.__qualname__, self.old, self.new)


@dataclass(frozen=True)
class Edit:
    """One substitution in a definition of a module."""

    qualname: str
    old: str
    new: str


def instead_of(old: str, wrong: Mapping[str, tuple[str, ...]], *, within: str | None = None) -> tuple[Mistake, ...]:
    """Mistakes that share a place: for each wrong text in place of `old`, its name, why it is wrong, and what it raises.

    The last is left out where it doesn't raise in every case.

    >>> [m.new for m in instead_of("a / b", {"a * b": ("multiplies", "it divides"), "a": ("leaves it", "by b")})]
    ['a * b', 'a']
    """
    for new, words in wrong.items():
        if not isinstance(words, tuple) or len(words) not in (2, 3):
            raise AuthoringError(
                f"instead_of takes (name, why) or (name, why, raises) for each wrong text: got {words!r} for {new!r}."
            )
    return tuple(
        Mistake(name, old, new, why=why, within=within, raises="".join(raises))
        for new, (name, why, *raises) in wrong.items()
    )


def stops_with(text: str) -> Callable[[Sequence[Observations]], bool]:
    """For `Mistake(shows=...)`: whether an exception that says `text` is what was seen in a case.

    >>> from arena_lib.checking import Raised
    >>> stops_with("with a bool tensor")([{"raised": Raised("RuntimeError", "Subtraction with a bool tensor")}])
    True
    """
    return lambda seen: any(text in getattr(shown.get("raised"), "text", "") for shown in seen)


def changes_an_argument(seen: Sequence[Observations]) -> bool:
    """For `Mistake(shows=...)`: whether a call changed what was handed in, whatever else it did.

    >>> changes_an_argument([{"arguments changed in place": []}, {"arguments changed in place": ["matrix"]}])
    True
    """
    return any(shown.get(CHANGED) for shown in seen)


def build_both(first: Mistake, second: Mistake, reference: Callable[..., Any]) -> Any:
    """The version of `reference` with both substitutions; AuthoringError if they touch each other."""
    if (first.within or "") == (second.within or "") and _overlap(first.old, second.old):
        raise AuthoringError(f"two mistakes must not overlap to be made at once: got {first.old!r} and {second.old!r}.")
    edits = first._edit(reference), second._edit(reference)
    return _definition_in(_mutated_module(edits, inspect.getmodule(reference)), reference)


def build_both_alone(first: Mistake, second: Mistake, reference: Callable[..., Any]) -> Any:
    """As `build_both` in less time: of the module only the reference's own definition is executed again.

    What calls the reference from elsewhere in its module sees the unchanged one, so what this shows is a first look.
    """
    if first.within or second.within:
        return build_both(first, second, reference)
    if _overlap(first.old, second.old):
        raise AuthoringError(f"two mistakes must not overlap to be made at once: got {first.old!r} and {second.old!r}.")
    module = inspect.getmodule(reference)
    assert module is not None
    source = _source_of_definition(module, reference.__qualname__.partition(".")[0])
    source = _substitute_each(source, (first._edit(reference), second._edit(reference)))
    names = dict(vars(module))
    exec(compile(source, _remember(source, str(module.__file__)), "exec", dont_inherit=True), names)
    outermost, *inner = reference.__qualname__.split(".")
    return functools.reduce(getattr, inner, names[outermost])


@functools.lru_cache(maxsize=64)
def _source_of_definition(module: types.ModuleType, name: str) -> str:
    """The text of one definition of a module, with its decorators."""
    source = Path(str(inspect.getsourcefile(module))).read_text(encoding="utf-8")
    lines = source.splitlines(keepends=True)
    node: Any = next(node for node in ast.parse(source).body if getattr(node, "name", None) == name)
    first = node.decorator_list[0] if node.decorator_list else node
    return "".join(lines[first.lineno - 1 : node.end_lineno])


def _overlap(first: str, second: str) -> bool:
    return first in second or second in first


def _definition_in(module: types.ModuleType, reference: Callable[..., Any]) -> Any:
    return functools.reduce(getattr, reference.__qualname__.split("."), module)


@functools.lru_cache(maxsize=512)
def _mutated_module(edits: tuple[Edit, ...], module: types.ModuleType) -> types.ModuleType:
    """The reference's module, executed again with the substitutions in place."""
    file = str(inspect.getsourcefile(module))
    source = Path(file).read_text(encoding="utf-8")
    return execute_again(_substitute_each(source, edits), module)


def execute_again(source: str, module: types.ModuleType) -> types.ModuleType:
    """A module of its own, made from an edited `source` of `module`."""
    file = str(inspect.getsourcefile(module))
    mutated = types.ModuleType(f"{module.__name__}__mistake")
    mutated.__file__, mutated.__package__ = file, module.__package__
    name = _remember(source, file)
    try:
        code = compile(source, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise AuthoringError(
            f"{Path(file).name} must still be Python with the substitution: got {error.msg}, "
            f"where it says {(error.text or '').strip()!r}. Fix the new text."
        ) from error
    exec(code, mutated.__dict__)
    return mutated


def _remember(source: str, file: str) -> str:
    """A file name under which tools that read code back (nnsight compiles the body of a trace) find this source."""
    name = f"{file} ({hashlib.sha256(source.encode()).hexdigest()[:12]})"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    return name


def substitute(source: str, qualname: str, old: str, new: str) -> str:
    r"""`source` with `old` replaced by `new` in the body of the definition `qualname`, outside its docstring.

    >>> print(substitute("def f(x):\n    return x + 1", "f", "x + 1", "x - 1"))
    def f(x):
        return x - 1
    """
    return _substitute_each(source, (Edit(qualname, old, new),))


def _substitute_each(source: str, edits: Sequence[Edit]) -> str:
    """`source` with every edit made where its text is in `source` itself, whatever the others bring in."""
    end = len(source)
    for at, edit in sorted(((_place(source, edit), edit) for edit in edits), key=lambda place: -place[0]):
        if at + len(edit.old) > end:
            raise AuthoringError(f"two mistakes must not overlap to be made at once: got {[e.old for e in edits]}.")
        source, end = source[:at] + edit.new + source[at + len(edit.old) :], at
    return source


def _place(source: str, edit: Edit) -> int:
    """Where the one match of `edit.old` begins."""
    qualname, old = edit.qualname, edit.old
    spans = _spans_of_definition(source, qualname)
    n_matches = sum(source.count(old, start, end) for start, end in spans) if old else 0
    if n_matches != 1:
        raise AuthoringError(
            f"a mistake must match exactly once in {qualname}: {old!r} was found {n_matches} times. "
            + (
                "Quote more of the line around it."
                if n_matches
                else "Quote it as the source has it, outside the docstring."
            )
        )
    return max(source.find(old, start, end) for start, end in spans)


@functools.lru_cache(maxsize=64)
def _spans_of_definition(source: str, qualname: str) -> list[tuple[int, int]]:
    """Character offsets of a definition with its decorators, its docstring left out."""
    body = ast.parse(source).body
    node: Any = None
    for part in qualname.split("."):
        node = next((n for n in body if getattr(n, "name", None) == part), None)
        if node is None:
            raise AuthoringError(
                f"a mistake must be in a definition of the reference's module: there is no {qualname!r}."
            )
        body = node.body
    line_starts = [0]
    for line in source.splitlines(keepends=True):
        line_starts.append(line_starts[-1] + len(line))
    first = node.decorator_list[0] if node.decorator_list else node
    start, end = line_starts[first.lineno - 1], line_starts[node.end_lineno]
    if ast.get_docstring(node, clean=False) is None:
        return [(start, end)]
    docstring = node.body[0]
    return [(start, line_starts[docstring.lineno - 1]), (line_starts[docstring.end_lineno], end)]
