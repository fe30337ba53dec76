import errno
import json
import os
import re
from pathlib import Path

import pytest

from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.notebooks import render
from arena_lib.course.workspace import exercise_cells, find_files, start
from arena_lib.errors import WorkspaceError


@pytest.fixture
def section(course):
    return load_catalog([course], strict=True).section("7.2")


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "home" / "work"


@pytest.mark.parametrize("suffix", ["ipynb", "py"])
def test_start_writes_the_sections_file(section, folder, suffix):
    path = start(section, folder, format=suffix)
    assert path == folder / f"7.2_little.{suffix}"
    assert path.read_text() == render(section, format=suffix)
    assert [file.name for file in folder.iterdir()] == [path.name]


def test_a_script_gets_its_pictures_as_files_and_leaves_those_of_others(course, folder):
    chapter = next(course.chapters.rglob("7.2_little.py"))
    chapter.write_text(
        chapter.read_text().replace("# ## Adding\n", "# ![A sum](figures/sum.png) ![far](https://x/y.png)\n")
    )
    picture = chapter.parent / "figures" / "sum.png"
    picture.parent.mkdir()
    picture.write_bytes(b"drawn")
    section = load_catalog([course], strict=True).section("7.2")
    start(section, folder)
    assert not (folder / "figures").exists()
    path = start(section, folder, format="py")
    assert "![A sum](figures/sum.png)" in path.read_text()
    assert (folder / "figures" / "sum.png").read_bytes() == b"drawn"
    (folder / "figures" / "sum.png").write_bytes(b"mine")
    start(section, folder, format="py", fresh=True)
    assert (folder / "figures" / "sum.png").read_bytes() == b"mine"


def test_scale_is_handed_on(section, folder):
    assert start(section, folder, scale="tiny").read_text() == render(section, scale="tiny")


@pytest.mark.parametrize("suffix", ["ipynb", "py"])
def test_second_start_leaves_the_work_and_says_what_is_there(section, folder, suffix):
    path = start(section, folder, format=suffix)
    text = path.read_text().replace("raise NotImplementedError", "return a + b", 1)
    path.write_text(text)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    with pytest.raises(WorkspaceError) as caught:
        start(section, folder, format=suffix)
    message = str(caught.value)
    assert message.startswith(f"{path} is there already, with 1 of 3 exercises begun, saved 2023-11-1")
    assert message.endswith(
        ": arena start 7.2 --fresh" if suffix == "ipynb" else ": arena start 7.2 --format py --fresh"
    )
    assert path.read_text() == text


def test_fresh_goes_beside_what_is_there(section, folder):
    first = start(section, folder, fresh=True)
    first.write_text("mine")
    assert start(section, folder, fresh=True).name == "7.2_little_2.ipynb"
    assert start(section, folder, fresh=True).name == "7.2_little_3.ipynb"
    assert first.read_text() == "mine"


@pytest.mark.parametrize("text", ["no json", "{}", "[]", '{"cells": [1]}', '{"cells": [{"metadata": {"arena": 1}}]}'])
def test_what_is_there_may_be_anything(section, folder, text):
    path = start(section, folder)
    path.write_text(text)
    with pytest.raises(WorkspaceError, match="is there already, saved 2") as caught:
        start(section, folder)
    assert "begun" not in str(caught.value)
    assert path.read_text() == text


def test_folder_of_the_notebooks_name_is_said(section, folder):
    (folder / "7.2_little.ipynb").mkdir(parents=True)
    with pytest.raises(WorkspaceError, match="must be free for the notebook: got a folder of that name"):
        start(section, folder)


def test_link_to_nowhere_is_left_alone(section, folder):
    folder.mkdir(parents=True)
    (folder / "7.2_little.ipynb").symlink_to(folder / "nowhere")
    with pytest.raises(WorkspaceError, match="got something that is no file of that name"):
        start(section, folder)
    assert not (folder / "nowhere").exists()


def test_file_where_the_folder_should_be_is_said(section, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    for folder in (tmp_path / "note.txt", tmp_path / "note.txt" / "below"):
        with pytest.raises(WorkspaceError, match=re.escape(f"got {str(folder)!r}, where there is a file")):
            start(section, folder)


def test_unknown_format_and_scale_are_said(section, folder):
    with pytest.raises(WorkspaceError, match="the format must be one of ipynb, py: got 'html'"):
        start(section, folder, format="html")
    with pytest.raises(WorkspaceError, match="the scale must be one of full, tiny: got 'huge'"):
        start(section, folder, scale="huge")
    assert not folder.exists()


CANNOT = [
    (errno.ENOSPC, r"there must be room on the disk for .*7\.2_little\.ipynb: got none\. Make room"),
    (errno.EDQUOT, "there must be room"),
    (errno.EROFS, "the folder must let you write .*: got 'Read-only file system'. Name a folder of yours"),
    (errno.EACCES, "the folder must let you write"),
    (errno.EIO, "it must be possible to write .*: got 'Input/output error'"),
]


@pytest.mark.parametrize(("number", "message"), CANNOT)
def test_what_cannot_be_written_is_said_and_leaves_nothing(section, folder, monkeypatch, number, message):
    def fail(_descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WorkspaceError, match=message):
        start(section, folder)
    assert list(folder.iterdir()) == []


def test_folder_that_cannot_be_made_is_said(section, folder, monkeypatch):
    def fail(*_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(WorkspaceError, match="the folder must let you write"):
        start(section, folder)


@pytest.mark.parametrize("suffix", ["ipynb", "py"])
def test_exercise_cells_are_found_again(section, folder, suffix):
    cells = exercise_cells(start(section, folder, format=suffix))
    assert list(cells) == ["7.2/plus", "7.2/scaler", "7.2/find_largest"]
    assert cells["7.2/plus"].startswith("@functools.cache")
    assert cells["7.2/plus"].strip().endswith("tests.test_plus(plus)")


def test_notebook_is_readable_after_jupyter_has_saved_it(section, folder):
    path = start(section, folder)
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    path.write_text(json.dumps(notebook))
    assert list(exercise_cells(path)) == ["7.2/plus", "7.2/scaler", "7.2/find_largest"]


def write_at(path, seconds):
    path.write_text("")
    os.utime(path, (seconds, seconds))


def test_files_of_the_section_are_found_the_latest_first(section, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["7.2_little_2.ipynb", "7.2_little.py", "7.2_little_mine.py"]
    for name, seconds in zip(names, (3000, 2000, 1000), strict=True):
        write_at(tmp_path / name, seconds)
    for name in ("7.2_little.txt", "7.1_little.py", "mine_7.2_little.py"):
        write_at(tmp_path / name, 4000)
    assert [str(path) for path in find_files(section)] == names


def test_a_file_in_which_nothing_is_begun_comes_last_however_new_it_is(section, folder):
    begun = start(section, folder, format="py")
    begun.write_text(begun.read_text().replace("raise NotImplementedError", "return a + b", 1))
    os.utime(begun, (1000, 1000))
    new = start(section, folder)
    assert list(find_files(section, folder)) == [begun, new]
    new.write_text(new.read_text().replace("raise NotImplementedError", "return a + b", 1))
    assert list(find_files(section, folder)) == [new, begun]


def test_files_may_lie_in_another_folder(section, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_at(tmp_path / "7.2_little.py", 2000)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_at(elsewhere / "7.2_little.ipynb", 1000)
    assert list(find_files(section, elsewhere)) == [elsewhere / "7.2_little.ipynb"]
