"""What a learner starts from: the reference's own text with its bodies removed, and the imports that it needs.

Text is cut by position, so types, comments in the signature, decorators and docstrings stay as
they are written in the library.

Raises:  AuthoringError for a reference whose text cannot be cut, or that uses a name from nowhere.
"""

from __future__ import annotations

import ast
import builtins
import io
import textwrap
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass

from arena_lib.course.content.catalog_types import ExerciseEntry, Section
from arena_lib.course.content.python_source import first_line, read_names
from arena_lib.course.content.references import Definitions, SourceModule, find_definition, locate, read_module
from arena_lib.errors import AuthoringError

NOT_STARTED = "raise NotImplementedError"


@dataclass(frozen=True)
class NeededName:
    """A global name that a reference uses, and where it comes from."""

    name: str
    origin: str
    """Dotted, such as `torch.nn.functional`; two names clash if they have different origins."""
    statement: str
    """One import that brings it."""
    reference: str | None = None
    """`module:qualname` if it is a function or class of the same package."""


def source_of(reference: str) -> str:
    """The text of a reference `module:qualname`, decorators included, moved to the left margin."""
    module, node = _definition(reference)
    lines = module.source.splitlines()[first_line(node) - 1 : node.end_lineno]
    return textwrap.dedent("\n".join(lines)) + "\n"


def make_stub(source: str, keep: Sequence[str] = ()) -> str:
    r"""The text of one function or class with each body replaced by `raise NotImplementedError`.

    Signatures, decorators and docstrings stay. `keep` names methods of a class that keep their bodies.

    >>> print(make_stub("def double(x: int) -> int:\n    'Twice x.'\n    return 2 * x\n"))
    def double(x: int) -> int:
        'Twice x.'
        raise NotImplementedError
    <BLANKLINE>
    """
    (node,) = ast.parse(source).body
    assert isinstance(node, Definitions), "a reference is one function or class"
    functions = functions_of(node)
    unknown = set(keep) - {function.name for function in functions}
    if unknown:
        raise AuthoringError(
            f"keep must name methods of {node.name}: got {sorted(unknown)}. "
            f"There are {sorted(function.name for function in functions)}."
        )
    lines = source.splitlines()
    for function in reversed(functions):
        if function.name not in keep and _has_body(function):
            _cut_body(lines, function, source)
    return "\n".join(lines) + "\n"


def is_stub(node: Definitions, keep: Sequence[str] = ()) -> bool:
    """Whether no body of a function or class is written yet, apart from the methods to `keep`."""
    functions = [function for function in functions_of(node) if function.name not in keep and _has_body(function)]
    return bool(functions) and all(_body(function) == NOT_STARTED for function in functions)


def exercise_text(section: Section, entry: ExerciseEntry, *, is_solution: bool = False) -> str:
    """What a learner writes in the exercise's cell: the reference as a stub, or solved.

    Where several exercises are methods of one class, the first cell holds the class with the methods
    of all of them cut, and each later one a subclass of the same name that adds its own methods.
    """
    assert entry.reference is not None, "an exploratory exercise has its text in the chapter"
    source = source_of(entry.reference)
    sharing = [candidate for candidate in section.exercises if candidate.reference == entry.reference]
    if len(sharing) == 1:
        return source if is_solution else make_stub(source, entry.keep)
    (node,) = ast.parse(source).body
    if not isinstance(node, ast.ClassDef):
        raise AuthoringError(
            f"{section.path}:{entry.line}: exercises may share a class, of which each keeps the others' methods: got "
            f"the function {entry.reference} for {[candidate.name for candidate in sharing]}. Keep one of them."
        )
    methods = [function.name for function in functions_of(node)]
    own = [name for name in methods if name not in entry.keep]
    if entry == sharing[0]:
        kept_by_all = [name for name in methods if all(name in candidate.keep for candidate in sharing)]
        return make_stub(source, kept_by_all + (own if is_solution else []))
    added = _subclass(source, node, own)
    return added if is_solution else make_stub(added)


def _subclass(source: str, node: ast.ClassDef, names: Sequence[str]) -> str:
    """A class of the same name on top of the one that is there, with these methods."""
    lines = source.splitlines()
    parts = [f'class {node.name}({node.name}):\n    """Your {node.name} as it is so far, and {", ".join(names)}."""']
    for function in functions_of(node):
        if function.name in names:
            parts.append("\n".join(lines[first_line(function) - 1 : function.end_lineno]))
    return "\n\n".join(parts) + "\n"


def needed_names(reference: str) -> list[NeededName]:
    """Every global name that the reference uses, itself and builtins aside, in alphabetic order."""
    module, node = _definition(reference)
    names = []
    for name in sorted(read_names(source_of(reference)) - set(dir(builtins)) - {node.name}):
        if name in module.imports:
            origin, statement = module.imports[name], module.import_statements[name]
        elif name in _top_level_names(module.tree):
            origin, statement = f"{module.name}.{name}", f"from {module.name} import {name}"
        else:
            raise AuthoringError(
                f"{module.path}:{node.lineno}: a reference may use names of its module: got {name!r}, which the module "
                "neither imports at its head nor defines. Import it there."
            )
        names.append(NeededName(name, origin, statement, _as_reference(origin, module.name)))
    return names


def helpers_of_short(reference: str) -> list[str]:
    """The functions and classes of its package to which a function of one statement leaves the work, as references.

    With those that these use in turn, so that nothing is left to be looked up.
    """
    _, node = _definition(reference)
    if isinstance(node, ast.ClassDef) or len(node.body) - (_docstring(node) is not None) != 1:
        return []
    helpers = _helpers(reference)
    inner = [name for helper in helpers for name in _helpers(helper) if not name.endswith("Error")]
    return list(dict.fromkeys([*helpers, *inner]))


def _helpers(reference: str) -> list[str]:
    """The functions and classes of its package that a definition uses there, as references."""
    module, node = _definition(reference)
    origins = {name.name: name.origin for name in needed_names(reference)}
    helpers: dict[str, None] = {}
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    for part in (part for statement in body for part in ast.walk(statement)):
        name, _, attribute = (
            ast.unparse(part).partition(".") if isinstance(part, ast.Name | ast.Attribute) else ("", "", "")
        )
        if name in origins and (helper := _as_reference(f"{origins[name]}.{attribute}".rstrip("."), module.name)):
            helpers[helper] = None
    return list(helpers)


def _definition(reference: str) -> tuple[SourceModule, Definitions]:
    module_name, _, qualname = reference.partition(":")
    module = read_module(module_name)
    node = find_definition(module.tree, qualname)
    if node is None:
        raise AuthoringError(
            f"{module.path}: a reference must be a function or class there: got {qualname!r}. Fix the test's reference."
        )
    return module, node


def functions_of(node: Definitions) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The function itself, or the methods of the class."""
    if isinstance(node, ast.ClassDef):
        return [child for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [node]


def _docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt | None:
    first = node.body[0]
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return first if is_text else None


def _body(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """What follows the docstring."""
    docstring = _docstring(node)
    return "\n".join(ast.unparse(statement) for statement in node.body if statement is not docstring)


def _has_body(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether there is anything to write: not so for a docstring, `...` or `pass` alone."""
    return any(
        not isinstance(part, ast.Pass) and not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
        for part in node.body
    )


def _cut_body(lines: list[str], node: ast.FunctionDef | ast.AsyncFunctionDef, source: str) -> None:
    """Replaces, in place, what follows signature and docstring."""
    docstring = _docstring(node)
    if docstring is not None:
        last, indent = docstring.end_lineno or docstring.lineno, docstring.col_offset
    else:
        last, column = _end_of_signature(node, source)
        body = node.body[0]
        on_its_own_line = body.lineno > last
        indent = body.col_offset if on_its_own_line else node.col_offset + 4
        if not on_its_own_line:
            lines[last - 1] = lines[last - 1][:column]
    lines[last : node.end_lineno] = [" " * indent + NOT_STARTED]


def _end_of_signature(node: ast.FunctionDef | ast.AsyncFunctionDef, source: str) -> tuple[int, int]:
    """Line, from 1, and column after the colon that ends the signature."""
    depth = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.start < (node.lineno, node.col_offset) or token.type != tokenize.OP:
            continue
        if token.string in "([{":
            depth += 1
        elif token.string in ")]}":
            depth -= 1
        elif token.string == ":" and depth == 0:
            return token.end
    raise AssertionError("every signature ends in a colon")


def _top_level_names(tree: ast.Module) -> set[str]:
    names = {node.name for node in tree.body if isinstance(node, Definitions)}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {name.id for target in targets if target for name in ast.walk(target) if isinstance(name, ast.Name)}
    return names


def _as_reference(origin: str, module_name: str) -> str | None:
    """`module:qualname` of a function or class of the same package; other packages are not looked into."""
    if origin.split(".")[0] != module_name.split(".")[0]:
        return None
    try:
        return locate(origin)
    except AuthoringError:
        return None
