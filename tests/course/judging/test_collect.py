"""Collecting definitions: what runs, what doesn't, and that nothing broken stops the rest."""

import inspect
import sys
from pathlib import Path

import pytest

from arena_lib.course.content.catalog_types import ExerciseEntry
from arena_lib.course.judging.cells import LearnerFile, SourceCell
from arena_lib.course.judging.collect import (
    MODULE_NAME,
    collect,
    expression_of,
    imported_modules,
    is_own,
    parse_file,
    problem_of_name,
    source_of_name,
)

PLUS = ExerciseEntry(
    id="7.2/plus", name="plus", title="", difficulty=1, importance=1, minutes=1, reference="m:plus", test="t:test_plus"
)


def parsed(*sources):
    cells = tuple(
        SourceCell(number=number, source=source, filename=f"<a.ipynb, cell {number}>")
        for number, source in enumerate(sources, start=1)
    )
    return parse_file(LearnerFile(path=Path("a.ipynb"), cells=cells))


@pytest.fixture(autouse=True)
def _forget_module():
    yield
    sys.modules.pop(MODULE_NAME, None)


def test_definitions_and_what_they_need_are_collected():
    found = collect(
        parsed(
            "import math as m\nfrom dataclasses import dataclass",
            "SCALE = 2\nOFFSET: float = SCALE * 3\nUNUSED = 1 / 0",
            "def helper(x):\n    return m.floor(x) + OFFSET",
            "@dataclass\nclass Config:\n    a: int = 1",
            "def plus(a, b):\n    return helper(a) + b",
        ),
        "plus",
    )
    assert found.namespace["plus"](1.5, 1) == 8
    assert found.namespace["Config"]().a == 1
    assert "UNUSED" not in found.namespace
    assert found.problems == []


def test_nothing_else_runs():
    found = collect(
        parsed(
            "ran = []\ndef plus(a, b):\n    ran\n    model = a\n    return model + b",
            "ran.append(1)\ntests.test_plus(plus)\nplus(1, 2)",
            "model = ran.append(2)\nfor i in range(3):\n    ran.append(i)\nwhile True:\n    pass",
            "ran[0] if ran else ran.append(3)\nassert ran.append(4)",
        ),
        "plus",
    )
    assert found.namespace["ran"] == []
    assert found.namespace["plus"](1, 2) == 3
    assert found.problems == []


def test_a_broken_cell_or_statement_does_not_stop_the_others():
    found = collect(
        parsed(
            "import no_such_module",
            "before = 1\nwrong = 1 / 0\nafter = 2",
            "def broken(:\n    pass",
            "class Bad:\n    raise NotImplementedError",
            "def plus(a, b):\n    return before + after + wrong",
            "import sys\nleft = sys.exit(3)\ndef other():\n    return left",
        ),
        "plus",
    )
    assert (found.namespace["before"], found.namespace["after"]) == (1, 2)
    assert callable(found.namespace["plus"])
    told = {(p.cell, p.line): p.message for p in found.problems}
    assert told[3, 1].startswith("SyntaxError")
    assert told[1, 1] == "ModuleNotFoundError: No module named 'no_such_module'"
    assert told[2, 2] == "ZeroDivisionError: division by zero"
    assert told[4, 2] == "NotImplementedError: "
    assert len(told) == 4


def test_even_a_call_of_exit_in_a_needed_assignment_is_a_problem_of_its_cell():
    found = collect(parsed("import sys\nx = sys.exit(3)\ndef plus():\n    return x"), "plus")
    assert [p.message for p in found.problems] == ["SystemExit: 3"]
    assert "plus" in found.namespace


def test_blocks_are_cut_down_to_what_is_needed():
    found = collect(
        parsed(
            "ran = []",
            "try:\n    import no_such_module as fast\n    ran.append(1)\nexcept ImportError:\n    fast = None\n    ran.append(2)",
            "if not fast:\n    size = 3\n    ran.append(3)\nelse:\n    size = 4",
            "if __name__ == '__main__':\n    size = 100",
            "def plus(a, b):\n    return fast, size, ran",
        ),
        "plus",
    )
    assert found.problems == []
    assert found.namespace["plus"](1, 2) == (None, 3, [])


def test_attributes_set_on_a_learners_class_are_kept():
    found = collect(
        parsed("class A:\n    pass", "def mask(self):\n    return 7\nA.mask = mask", "import math\nmath.pi_ = 3"), "A"
    )
    assert found.namespace["A"]().mask() == 7
    assert not hasattr(found.namespace["math"], "pi_")


def test_the_last_definition_counts_and_has_its_source():
    cells = parsed(
        "def plus(a, b):\n    return 0", "x = 1\n@staticmethod\ndef plus(a, b):\n    return a + b\n", "plus(1, 2)"
    )
    assert source_of_name(cells, "plus") == "@staticmethod\ndef plus(a, b):\n    return a + b\n"
    found = collect(cells, "plus")
    assert found.namespace["plus"](2, 3) == 5
    assert "return a + b" in inspect.getsource(found.namespace["plus"].__func__)


def test_the_module_can_be_found_by_name_so_that_dataclasses_and_pickle_work():
    found = collect(parsed("class A:\n    pass"), "A")
    assert found.namespace["A"].__module__ == MODULE_NAME
    assert sys.modules[MODULE_NAME].A is found.namespace["A"]


def test_imports_are_not_a_learners_definitions():
    assert source_of_name(parsed("from m import plus"), "plus") is None
    assert source_of_name(parsed("from m import minus as plus\nplus = plus"), "plus") == "plus = plus\n"


@pytest.mark.parametrize(
    ("call", "expression"),
    [
        ("tests.test_plus(add)", "add"),
        ("test_plus(Adder.plus)", "Adder.plus"),
        ("tests.test_plus(lambda a, b: a)", "plus"),
        ("tests.test_plus()", "plus"),
        ("tests.test_minus(minus)", "plus"),
        ("if True:\n    tests.test_plus(add, 3)", "add"),
        ("tests.test_plus(one)\ntests.test_plus(two)", "two"),
    ],
)
def test_what_the_learner_hands_to_the_test_is_what_is_judged(call, expression):
    assert expression_of(parsed(call), PLUS) == expression


def test_a_broken_cell_is_known_by_what_it_would_define():
    cells = parsed("x = = 1", "def plus(a, b:\n    return a", "class Other(:\n    def plus_one")
    assert problem_of_name(cells, "plus").cell == 2
    assert problem_of_name(cells, "x").cell == 1
    assert problem_of_name(cells, "y") is None


def test_a_broken_cell_is_known_by_what_it_would_import_only_when_asked():
    cells = parsed("import a.b as c\nfrom d import (e)\nx = = 1")
    for name in ("a", "b", "c", "e"):
        assert problem_of_name(cells, name, has_imports=True).cell == 1
        assert problem_of_name(cells, name) is None
    assert problem_of_name(cells, "im", has_imports=True) is None


def test_the_last_binding_says_whose_a_name_is():
    definition, imported = "def plus(a, b): ...", "from m import plus"
    assert is_own(parsed(definition), "plus")
    assert is_own(parsed(imported, definition), "plus")
    assert not is_own(parsed(definition, imported), "plus")
    assert not is_own(parsed("x = 1"), "plus")


def test_what_a_failed_statement_should_have_bound_is_lost():
    found = collect(parsed("import no_such_module as n, other", "@n\ndef plus(): ..."), "plus")
    assert {name: failed.missing for name, failed in found.failed_bindings.items()} == {
        "n": None,
        "other": None,
        "plus": "n",
    }
    assert found.failed_bindings["plus"].problem.where == "cell 2, line 1"


def test_imported_modules_are_listed():
    cells = parsed("import a.b, c as d\nfrom e.f import g\nfrom . import h\ndef k():\n    import late")
    assert imported_modules(cells) == ["a.b", "c", "e.f", "e.f.g"]
