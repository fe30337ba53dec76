"""Whether the examples of a reference's docstring print what the docstring shows.

Raises:  nothing; what an example raises is a problem.
"""

import doctest
import sys
from typing import Any

from arena_lib.checking.exercises import Exercise
from arena_lib.checking.isolation import isolated

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
