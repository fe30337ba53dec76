"""Whether the examples of a reference's docstring print what the docstring shows.

Raises:  nothing; what an example raises is a problem.
"""

import ast
import doctest
import inspect
import re
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from arena_lib.checking.exercises import Exercise
from arena_lib.checking.isolation import isolated
from arena_lib.checking.proofs.places import place_of_definition

EXAMPLE_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


def example_problems(test: Exercise) -> list[str]:
    """Examples of the reference's docstring that print something else than the docstring shows."""
    if "." in test.reference.__qualname__:
        return []
    names = dict(vars(sys.modules[test.reference.__module__]))
    finder = doctest.DocTestFinder(recurse=False)
    runner = _ExampleRunner(verbose=False, optionflags=EXAMPLE_FLAGS)
    with isolated(test.seed):
        for examples in finder.find(test.reference, test.reference.__name__, globs=names):
            runner.run(examples)
    return runner.problems


def syntax_problems(test: Exercise) -> list[str]:
    """Says so of a docstring whose examples can't be read, with the line: no case can be made with it."""
    text = inspect.getdoc(test.reference) or ""
    try:
        doctest.DocTestParser().get_examples(text)
    except ValueError as error:
        said = re.match(r"line (\d+) of the docstring for \S+ (.*)", str(error), re.DOTALL)
        file, _, first = place_of_definition(test.reference).rpartition(":")
        where = (
            f"{file}:{int(first) + _docstring_starts(test.reference) + int(said[1]) - 1}" if said else f"{file}:{first}"
        )
        return [
            f"{where}: an example of the docstring must be written as Python's prompt shows it: got {said[2] if said else error}. "
            "Write a space after >>> and after ..., and indent all lines of an example alike."
        ]
    return []


def _docstring_starts(reference: Callable[..., Any]) -> int:
    """The lines of a definition before its docstring."""
    definition: Any = ast.parse(textwrap.dedent(inspect.getsource(reference))).body[0]
    return int(definition.body[0].lineno) - 1


class _ExampleRunner(doctest.DocTestRunner):
    """Keeps what fails as problems with file and line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.problems: list[str] = []

    def report_failure(self, out: Any, test: doctest.DocTest, example: doctest.Example, got: str) -> None:
        """Keeps an example that prints something else."""
        self._keep(test, example, got)

    def report_unexpected_exception(
        self, out: Any, test: doctest.DocTest, example: doctest.Example, exc_info: Any
    ) -> None:
        """Keeps an example that raises."""
        self._keep(test, example, f"{exc_info[0].__name__}: {exc_info[1]}")

    def _keep(self, test: doctest.DocTest, example: doctest.Example, got: str) -> None:
        line = (test.lineno or 0) + example.lineno + 1
        self.problems.append(
            f"{test.filename}:{line}: an example of the docstring must print what it shows: {example.source.strip()!r} shows "
            f"{example.want.strip()!r}: got {got.strip()!r}. Correct the example, or the reference."
        )
