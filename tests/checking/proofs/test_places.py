import importlib

import pytest

from arena_lib.checking.proofs.places import place_of_case, place_of_definition, place_of_error, place_of_test

FILE = """\
from arena_lib.checking import Case, Mistake, exercise
from library import f

def cases(generator):
    return [
        Case(label="twice", args=(1,)),
    ]

SHARED = [Mistake("adds", "a", "b")]
test_other = exercise(reference=f, cases=cases,
    free={"twice": "why"})
test_f = exercise(reference=f, cases=cases, mistakes=SHARED,
    free={"twice": "why"})
"""


@pytest.fixture
def judged(tmp_path, monkeypatch):
    (tmp_path / "library.py").write_text("\n\ndef f(x):\n    return x\n")
    (tmp_path / "judged.py").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("library", "judged"):
        monkeypatch.delitem(importlib.sys.modules, name, raising=False)
    yield importlib.import_module("judged")
    for name in ("library", "judged"):
        importlib.sys.modules.pop(name)


def test_what_a_test_says_of_itself_comes_before_what_its_file_says(judged):
    test = judged.test_f
    assert place_of_test(test) == f"{judged.__file__}:12"
    assert place_of_test(test, "twice") == f"{judged.__file__}:13"
    assert place_of_test(test, "adds") == f"{judged.__file__}:9"
    assert place_of_test(test, "written nowhere") == f"{judged.__file__}:12"


def test_cases_are_found_by_label_or_by_their_function(judged):
    assert place_of_case(judged.test_f, "twice") == f"{judged.__file__}:6"
    assert place_of_case(judged.test_f, "a made label") == place_of_case(judged.test_f) == f"{judged.__file__}:4"


def test_a_definition_has_its_line_and_what_was_made_its_name(judged):
    assert place_of_definition(judged.f).endswith("library.py:3")
    assert place_of_definition(len) == str(len)


def test_an_error_has_the_last_line_of_the_tests_file_that_it_came_through(judged):
    with pytest.raises(ZeroDivisionError) as elsewhere:
        1 / 0
    assert place_of_error(elsewhere.value, judged.test_f) is None
    with pytest.raises(ZeroDivisionError) as there:
        exec(compile("\n\n1 / 0", judged.__file__, "exec"))
    assert place_of_error(there.value, judged.test_f) == f"{judged.__file__}:3"
