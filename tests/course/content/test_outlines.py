"""What is kept of a source file, however it is formatted, and when it is read anew."""

import ast
import json
from pathlib import Path

import pytest

from arena_lib.course.content.outlines import OutlineCache, make_outline

SOURCE = """\
import math
from a import (
    b,
    c as d,
)
x = 1
test_plus: object = checking . exercise(mistakes=[
1, 2], reference =
  library.plus, keep=["a"])
test_alias = test_plus
def  plus(a): return a
class Scaler: pass
"""
OUTLINE = [
    (1, "import math"),
    (2, "from a import b, c as d"),
    (7, "test_plus = checking.exercise(reference=library.plus, keep=['a'])"),
    (11, "class plus: ..."),
    (12, "class Scaler: ..."),
]


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "module.py"
    path.write_text(SOURCE)
    return path


def lines_of(tree):
    return [(node.lineno, ast.unparse(node).replace(":\n    ...", ": ...")) for node in tree.body]


def test_an_outline_holds_imports_tests_and_definitions_whatever_their_formatting():
    assert make_outline(ast.parse(SOURCE)) == OUTLINE


def test_what_was_kept_is_read_and_not_parsed_again(tmp_path, file, monkeypatch):
    first = OutlineCache(tmp_path / "cache" / "outlines.json")
    assert lines_of(first.get(file, SOURCE)) == OUTLINE
    first.save()
    monkeypatch.setattr("arena_lib.course.content.outlines.make_outline", lambda _: pytest.fail("parsed again"))
    assert lines_of(OutlineCache(first.path).get(file, SOURCE)) == OUTLINE


def test_a_file_that_changed_is_read_anew(tmp_path, file):
    cache = OutlineCache(tmp_path / "outlines.json")
    cache.get(file, SOURCE)
    assert lines_of(cache.get(file, "import os\n")) == [(1, "import os")]


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"a": 1}', '{"a": ["digest", [["x", "y"]]]}'])
def test_a_cache_that_is_no_cache_costs_nothing_but_time(tmp_path, file, content):
    path = tmp_path / "outlines.json"
    path.write_text(content)
    cache = OutlineCache(path)
    assert lines_of(cache.get(file, SOURCE)) == OUTLINE
    cache.save()
    assert list(json.loads(path.read_text())) == [str(file)]


def test_a_cache_that_cannot_be_written_is_left(tmp_path, file):
    (tmp_path / "not_a_folder").write_text("")
    cache = OutlineCache(tmp_path / "not_a_folder" / "outlines.json")
    cache.get(file, SOURCE)
    cache.save()
    assert (tmp_path / "not_a_folder").read_text() == ""


def test_files_that_are_gone_are_forgotten(tmp_path, file):
    cache = OutlineCache(tmp_path / "outlines.json")
    cache.get(file, SOURCE)
    cache.get(tmp_path / "gone.py", SOURCE)
    cache.save()
    assert list(json.loads(cache.path.read_text())) == [str(file)]
