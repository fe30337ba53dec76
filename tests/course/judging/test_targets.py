"""What `arena check` judges: the file and its section, whatever it is pointed at."""

import json
import os
import sys
from pathlib import Path

import pytest

from arena_lib.course.content.catalog import Catalog
from arena_lib.course.content.catalog_types import Cell, ExerciseEntry, Section
from arena_lib.course.judging.cells import read_learner_file
from arena_lib.course.judging.targets import find_target, section_of_file
from arena_lib.errors import UnknownNameError, WorkspaceError


def make_section(number, slug, *names):
    cells = [
        Cell(
            kind="exercise",
            source="",
            line=1,
            exercise=ExerciseEntry(id=f"{number}/{name}", name=name, title=name, difficulty=1, importance=1, minutes=1),
        )
        for name in names
    ]
    path = Path(f"7_x/{number}_{slug}.py")
    return Section(id=number, slug=slug, title=slug, hours=1.0, path=path, cells=tuple(cells))


LITTLE = make_section("7.2", "little", "plus", "times", "root")
MORE = make_section("7.3", "more", "embed", "unembed")
CATALOG = Catalog((LITTLE, MORE))


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name, text="", *, at=1000):
    """A file of this folder, changed `at` so many seconds."""
    path = Path(name)
    path.write_text(text)
    os.utime(path, (at, at))
    return path


def notebook(section=None):
    metadata = {} if section is None else {"arena": {"section": section}}
    return json.dumps({"cells": [], "metadata": metadata})


# nothing named


def test_without_a_target_the_file_changed_last_is_judged():
    write("7.2_little.py", at=3000)
    latest = write("7.3_more.ipynb", notebook(), at=4000)
    write("7.3_more_2.py", at=2000)
    write("other.py", at=9000)
    assert find_target(CATALOG, None) == (latest, MORE)


def test_a_section_alone_takes_its_own_latest_file():
    write("7.2_little.py", at=1000)
    own = write("7.2_little_2.py", at=2000)
    write("7.3_more.py", at=4000)
    assert find_target(CATALOG, None, "little") == (own, LITTLE)


def test_the_section_that_is_named_wins_over_what_the_file_says():
    path = write("7.2_little.ipynb", notebook("7.3"))
    assert find_target(CATALOG, None, "7.2") == (path, LITTLE)
    assert find_target(CATALOG, None) == (path, MORE)
    assert find_target(CATALOG, "7.2_little.ipynb", "7.2") == (path, LITTLE)


@pytest.mark.parametrize("section", [None, "7.2"])
def test_an_empty_folder_says_what_to_do(work, section):
    write("other.py", "def plus(a, b): ...")
    with pytest.raises(WorkspaceError) as caught:
        find_target(CATALOG, None, section)
    assert str(caught.value) == (
        f"this folder must hold a section's notebook: got none in {work}. Name a file, or write one with: "
        "arena start 1.1"
    )


# a file named


@pytest.mark.parametrize("name", ["7.3_more.ipynb", "7.3_more.py", "below/7.3_more.py"])
def test_a_file_is_judged_as_the_section_of_its_name(name):
    Path("below").mkdir()
    write("7.2_little.py", at=9000)
    path = write(name, notebook() if name.endswith("ipynb") else "")
    assert find_target(CATALOG, name) == (path, MORE)


@pytest.mark.parametrize("name", ["gone.py", "gone.ipynb", "below/gone.py"])
def test_a_file_that_is_not_there_is_said(name):
    with pytest.raises(WorkspaceError, match=rf"There is no file {name}\. Name another"):
        find_target(CATALOG, name)


@pytest.mark.parametrize("name", ["note.txt", "7.2"])
def test_what_is_there_and_is_no_notebook_is_said(name):
    write(name)
    with pytest.raises(WorkspaceError, match=rf"must be a notebook .*got '{name}'"):
        find_target(CATALOG, name)


@pytest.mark.parametrize("name", ["below/gone", "below\\gone"])
def test_what_looks_like_a_path_is_no_section(name):
    with pytest.raises(WorkspaceError, match="what is judged must be a notebook"):
        find_target(CATALOG, name)


# a section named


@pytest.mark.parametrize("name", ["7.2", "little", "7.2_little"])
def test_a_section_stands_for_its_latest_file(name):
    write("7.2_little.py", at=1000)
    latest = write("7.2_little_2.ipynb", notebook("7.3"), at=2000)
    write("7.3_more.py", at=4000)
    assert find_target(CATALOG, name) == (latest, LITTLE)


def test_a_section_without_a_file_says_how_to_write_it(work):
    write("7.2_little.py")
    with pytest.raises(WorkspaceError) as caught:
        find_target(CATALOG, "more")
    assert str(caught.value) == (
        f"this folder must hold 7.3_more.ipynb or .py: got neither in {work}. Write it with: arena start 7.3"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a folder that somebody is in")
@pytest.mark.parametrize("target", [None, "more"])
def test_a_folder_that_was_deleted_is_said(work, target):
    work.rmdir()
    with pytest.raises(WorkspaceError, match="in a folder that was deleted"):
        find_target(CATALOG, target)


@pytest.mark.parametrize(("target", "section"), [("litle", None), (None, "litle"), ("7.2_little.py", "litle")])
def test_an_unknown_section_offers_the_nearest(target, section):
    write("7.2_little.py")
    with pytest.raises(UnknownNameError, match=r"no section is called 'litle'\. Did you mean 'little'"):
        find_target(CATALOG, target, section)


# the section of a file


def section_in(name, text=""):
    return section_of_file(CATALOG, read_learner_file(write(name, text)))


def test_metadata_tell_the_section_first():
    assert section_in("7.2_little.ipynb", notebook("7.3")) is MORE
    assert section_in("7.3_more.py", '# arena: {"section": "7.2"}\ndef embed(x): ...\n') is LITTLE
    with pytest.raises(UnknownNameError, match=r"'9\.9'"):
        section_in("7.2_little.ipynb", notebook("9.9"))


@pytest.mark.parametrize("name", ["7.3_more.py", "7.3_more_2.py", "more.py", "more_mine.py"])
def test_then_its_name_tells_it(name):
    assert section_in(name, "def plus(a, b): ...\n") is MORE


@pytest.mark.parametrize("name", ["mine.py", "my_more.py", "7.3.py"])
def test_then_the_exercises_that_it_defines(name):
    assert section_in(name, "def embed(x): ...\n") is MORE
    assert section_in(name, "def plus(a, b): ...\ndef embed(x): ...\ndef unembed(x): ...\n") is MORE
    assert section_in(name, "def plus(a, b): ...\ndef root(a): ...\ndef unembed(x): ...\n") is LITTLE
    assert section_in(name, "def plus(a, b): ...\ndef embed(x): ...\n") is LITTLE  # as many: the first section


def test_an_exercise_in_a_cell_that_is_not_python_counts_as_well():
    assert section_in("mine.py", "def embed(x:\n    return x\n") is MORE


def test_a_syntax_error_in_a_file_of_no_section_is_said_first():
    with pytest.raises(WorkspaceError) as caught:
        section_in("mine.py", "x = 1\n# %%\ny = = 2\n")
    assert str(caught.value) == (
        "mine.py: cell 2, line 3 must be Python: got SyntaxError: invalid syntax. Fix that line first; what else is in "
        "the file defines no exercise of the course."
    )


@pytest.mark.parametrize("text", ["", "x = 1\n", "from elsewhere import plus\n"])
def test_a_file_of_no_section_is_said(text):
    with pytest.raises(WorkspaceError) as caught:
        section_in("mine.py", text)
    assert str(caught.value) == (
        "mine.py must define an exercise of the course: got none. Name its section with --section: 7.2, 7.3."
    )


def test_without_any_section_nothing_can_be_told():
    with pytest.raises(WorkspaceError, match=r"must define an exercise"):
        section_of_file(Catalog(()), read_learner_file(write("mine.py", "def plus(a, b): ...\n")))
