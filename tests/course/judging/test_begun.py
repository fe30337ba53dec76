"""Code of an exercise that isn't started is told of: a method left over, another name, a stub's last line."""

from pathlib import Path

import pytest

from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.judging.begun import begun_text, cells_of
from arena_lib.course.judging.cells import LearnerFile, SourceCell, read_learner_file
from arena_lib.course.judging.collect import parse_file
from arena_lib.course.workspace import start

CATALOG = load_catalog()
SECTION = CATALOG.section("1.1")
STUB = "    raise NotImplementedError\n"


def told(name, cell, *, is_known=True):
    file = LearnerFile(path=Path("a.py"), cells=(SourceCell(number=1, source=cell, filename="a.py"),))
    return begun_text(SECTION, CATALOG.exercise(f"1.1/{name}"), parse_file(file), cell if is_known else "")


@pytest.mark.parametrize("is_known", [True, False])
def test_a_stub_with_code_around_its_last_line_is_begun(is_known):
    text = "begun; `raise NotImplementedError` is still in causal_mask"
    head = "def causal_mask(scores):\n    'Masks.'\n"
    assert told("causal_mask", f"{head}{STUB}    return scores\n", is_known=is_known) == text
    assert told("causal_mask", f"{head}    n = 3\n{STUB}", is_known=is_known) == text
    assert told("causal_mask", f"{head}    if scores:\n    {STUB}    return 3\n", is_known=is_known) == text
    assert told("causal_mask", head + STUB, is_known=is_known) == ""


def test_code_beside_a_stub_in_its_cell_counts():
    cell = f"def causal_mask(scores):\n{STUB}\n\ntests.test_causal_mask(causal_mask)\n"
    assert told("causal_mask", cell) == ""
    assert told("causal_mask", f"def helper():\n    return 1\n{cell}").startswith("begun; ")


def test_methods_left_over_are_named():
    written = "    def forward(self, x):\n        return x\n"
    cell = f"class Embed(nn.Module):\n    def reset(self):\n    {STUB}{written}    def show(self):\n    {STUB}"
    assert told("embed", cell) == "begun; `raise NotImplementedError` is still in reset, show"
    assert told("embed", f"class Embed(nn.Module):\n{written}") == ""


def test_a_cell_that_defines_something_else_says_what():
    assert told("causal_mask", "def causal_masks(scores):\n    return scores\ntests.test_causal_mask(causal_mask)") == (
        "the cell defines causal_masks, not causal_mask"
    )
    assert told("causal_mask", "tests.test_causal_mask(causal_mask)") == "the cell no longer defines causal_mask"
    assert told("causal_mask", "def causal_masks(:") == ""
    assert told("causal_mask", "def causal_masks(): ...", is_known=False) == ""


@pytest.mark.parametrize(("file_format", "first"), [("ipynb", 0), ("py", 1)])
def test_nothing_is_begun_in_files_as_they_are_handed_out(tmp_path, file_format, first):
    for section in CATALOG.sections[first::2]:
        path = start(section, tmp_path, format=file_format)
        parsed, cells = parse_file(read_learner_file(path)), cells_of(path)
        texts = {
            entry.id: begun_text(section, entry, parsed, cells[entry.id]) for entry in section.exercises if entry.test
        }
        assert {name: text for name, text in texts.items() if text} == {}


def test_a_file_that_start_did_not_write_has_no_known_cells(tmp_path):
    for name, text in (("a.py", "x = 1\n"), ("b.ipynb", "{}"), ("c.ipynb", '{"cells": [3]}')):
        (tmp_path / name).write_text(text)
        assert cells_of(tmp_path / name) == {}
    assert cells_of(tmp_path / "none.py") == {}
