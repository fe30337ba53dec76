"""The names that code reads and assigns, without running it."""

import ast

import pytest

from arena_lib.course.content.python_source import assigned_names, first_line, read_names


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("gelu = nn.GELU()", {"nn"}),
        ("def f(a, b=LIMIT):\n    c = a + OFFSET\n    return [g(c) for c in b]", {"LIMIT", "OFFSET", "g"}),
        ("class A(Base):\n    size = WIDTH\n    def f(self): return lambda: inner", {"Base", "WIDTH", "inner"}),
        ("answer = await ask()", {"ask"}),
        ("def f():\n    import math\n    return math.pi", set()),
    ],
)
def test_names_that_are_read_are_those_of_the_module(source, names):
    assert read_names(source) == names


def test_names_that_are_assigned_stand_at_the_left_margin():
    source = "a, *b = 1, 2\nfor c in b: d = c\nprint(e)\ndef f():\n    g = 1\nimport h.i\nfrom j import k, l as m\n"
    assert assigned_names(source) == {"a", "b", "c", "d", "f", "h", "k", "m"}


def test_the_first_line_of_a_definition_is_its_first_decorators():
    function, assignment = ast.parse("\n@one\n@two\ndef f(): ...\nx = 1").body
    assert (first_line(function), first_line(assignment)) == (2, 5)
