import errno
import json
import os

import pytest

from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.resetting import reset_exercise
from arena_lib.course.workspace import exercise_cells, start
from arena_lib.errors import DiskError, WorkspaceError


@pytest.fixture
def section(course):
    return load_catalog([course], strict=True).section("7.2")


@pytest.fixture
def plus(section):
    return next(entry for entry in section.exercises if entry.name == "plus")


@pytest.fixture(params=["ipynb", "py"])
def written(request, section, tmp_path):
    """A learner's file, all of whose exercises are begun, and its text at the start."""
    path = start(section, tmp_path / "work", format=request.param)
    text = path.read_text()
    path.write_text(text.replace("raise NotImplementedError", "return 'mine ü'"))
    return path, text


def test_one_cell_is_as_at_the_start_and_all_else_as_it_was(section, plus, written):
    path, text = written
    before = exercise_cells(path)
    done = reset_exercise(section, plus, path)
    after = exercise_cells(path)
    path.write_text(text)
    at_start = exercise_cells(path)
    assert after == before | {plus.id: after[plus.id]}
    assert after[plus.id].strip() == at_start[plus.id].strip()
    assert "mine" not in after[plus.id]
    assert done.kept is not None
    assert done.kept.read_text() == before[plus.id].rstrip() + "\n"


def test_only_these_lines_of_the_file_change(section, plus, written):
    path, text = written
    n_lines = len(path.read_text().splitlines())
    reset_exercise(section, plus, path)
    assert path.read_text().count("mine") == text.count("raise NotImplementedError") - 1
    assert len(path.read_text().splitlines()) == n_lines


def test_code_that_was_kept_is_never_written_over(section, plus, written):
    path, _ = written
    kept = []
    for number in range(3):
        text = path.read_text()
        path.write_text(text.replace("raise NotImplementedError", f"return 'try {number}'"))
        kept.append(reset_exercise(section, plus, path).kept)
    assert [file.name for file in kept] == [
        "plus_before_reset.py", "plus_before_reset_2.py", "plus_before_reset_3.py"
    ]  # fmt: skip
    assert ["mine" in kept[0].read_text(), "try 1" in kept[1].read_text(), "try 2" in kept[2].read_text()] == [True] * 3


def test_a_stub_is_left_alone(section, plus, tmp_path):
    path = start(section, tmp_path)
    before = path.stat().st_mtime_ns
    assert reset_exercise(section, plus, path).kept is None
    assert path.stat().st_mtime_ns == before
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == [path.name]


def test_what_the_cell_had_printed_goes_too(section, plus, tmp_path):
    path = start(section, tmp_path)
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"source": ["1\n"], "outputs": [{"output_type": "stream", "name": "stdout", "text": ["1"]}]}
            cell["execution_count"] = 3
    path.write_text(json.dumps(notebook))
    reset_exercise(section, plus, path)
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            is_reset = cell["metadata"].get("arena") == {"exercise": plus.id}
            assert (cell["execution_count"], len(cell["outputs"])) == ((None, 0) if is_reset else (3, 1))


def test_ends_of_lines_stay_those_of_the_script(section, plus, tmp_path):
    path = start(section, tmp_path, format="py")
    text = path.read_text().replace("raise NotImplementedError", "return 1")
    path.write_bytes(text.replace("\n", "\r\n").encode())
    reset_exercise(section, plus, path)
    content = path.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n") == text.count("\n")
    assert b"NotImplementedError" in content


def test_the_file_of_this_folder_is_taken_and_none_is_said(section, plus, written, monkeypatch, tmp_path):
    path, _ = written
    monkeypatch.chdir(path.parent)
    assert reset_exercise(section, plus).file.name == path.name
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkspaceError, match=r"must hold 7.2_little.ipynb or .py: got neither"):
        reset_exercise(section, plus)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.py",
            "def plus(a, b):\n    return a\n",
            "must have the cell of 7.2/plus that `arena start` wrote: got none",
        ),
        ("a.ipynb", '{"cells": [{"cell_type": "code", "source": ""}]}', "must have the cell of 7.2/plus"),
        ("a.ipynb", "{", "must be a notebook"),
        ("gone.py", None, "There is no file .*gone.py"),
    ],
)
def test_a_file_without_the_cell_is_left_alone(section, plus, tmp_path, name, text, message):
    folder = tmp_path / "mine"
    folder.mkdir()
    path = folder / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(WorkspaceError, match=message):
        reset_exercise(section, plus, path)
    assert {file.name: file.read_text() for file in folder.iterdir()} == ({} if text is None else {name: text})


def test_a_full_disk_changes_nothing(section, plus, written, monkeypatch):
    path, _ = written
    before = path.read_text()
    syncs = iter([None, OSError(errno.ENOSPC, "No space left on device")])

    def sync(file):
        if error := next(syncs):
            raise error

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(DiskError, match="must be room on the disk"):
        reset_exercise(section, plus, path)
    assert path.read_text() == before
    assert not list(path.parent.glob("plus_before_reset*"))
