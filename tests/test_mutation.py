"""Edits of the library's own modules are made in the file, one at a time."""

import ast

from tests.mutation.__main__ import PACKAGE, edits_of, run_tests
from tests.mutation.__main__ import test_file as mirror_of

SOURCE = '''"""Sums."""


def double(x):
    return 2 * x


class Adder:
    @property
    def three(self):
        return 3
'''


def test_each_edit_is_a_file_with_one_change(tmp_path):
    path = tmp_path / "sums.py"
    path.write_text(SOURCE)
    edits = edits_of(path, 100)
    assert len({edit.source for edit in edits}) == len(edits) > 4
    assert all(ast.parse(edit.source) for edit in edits)
    assert "double: return 2 * x -> return 2 / x" in {edit.name for edit in edits}
    assert any("@property\n    def three(self):\n        return 4" in edit.source for edit in edits)


def test_edits_are_drawn_with_a_seed_in_the_order_of_the_module(tmp_path):
    path = tmp_path / "sums.py"
    path.write_text(SOURCE)
    names = [edit.name for edit in edits_of(path, 100)]
    drawn = [[edit.name for edit in edits_of(path, 3, seed)] for seed in range(8)]
    assert drawn[0] == [edit.name for edit in edits_of(path, 3, 0)]
    assert all(len(some) == 3 and some == sorted(some, key=names.index) for some in drawn)
    assert {name for some in drawn for name in some} == set(names)


def test_a_module_is_tested_by_the_file_that_mirrors_it():
    assert mirror_of(PACKAGE / "core" / "seeds.py").parts[-3:] == ("tests", "core", "test_seeds.py")


def test_the_edited_source_is_what_the_tests_see(tmp_path):
    module, test = tmp_path / "edited_module.py", tmp_path / "test_it.py"
    module.write_text("ANSWER = 1\n")
    test.write_text(
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n\n\ndef test_answer():\n    import edited_module\n\n    assert edited_module.ANSWER == 1\n"
    )
    assert run_tests(test, module, None, 60.0) == 0
    assert run_tests(test, module, "ANSWER = 2\n", 60.0) == 1
    assert run_tests(test, module, "while True:\n    pass\n", 3.0) is None
