"""What a removed exercise leaves behind: tests, with their references, that no cell of the chapter asks for.

Raises:  AuthoringError for a file of tests that can't be read.
"""

from __future__ import annotations

from arena_lib.course.content.catalog_types import Section
from arena_lib.course.content.references import find_tests, module_path


def tests_left_behind(section: Section) -> list[str]:
    """A line for each test of the section that has no cell: where it is, and what to do."""
    asked_for = {entry.name for entry in section.exercises}
    return [
        f"{test.path}:{test.line}: test_{name} has no cell in {section.path}. Write the cell, or remove the test, "
        f"its name in {module_path(section.tests_module)}, and {_written_out(test.reference)} if nothing else uses it."
        for name, test in find_tests(section.tests_module).items()
        if name not in asked_for
    ]


def _written_out(reference: str) -> str:
    """Its name and its file."""
    module, _, name = reference.partition(":")
    return f"{name} of {module_path(module) or module}"
