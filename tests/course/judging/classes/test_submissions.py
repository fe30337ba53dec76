"""A class: whose file is whose, what is left out, and that no file costs another its verdicts."""

import json
from pathlib import Path

import pytest

from arena_lib.checking.results import Diagnosis, Result
from arena_lib.course.content.catalog import Catalog
from arena_lib.course.content.catalog_types import Cell, ExerciseEntry, Section
from arena_lib.course.judging.classes.submissions import Row, Submission, find_submissions, judge_submissions
from arena_lib.course.judging.judge_file import FileVerdict
from arena_lib.errors import WorkspaceError


def entry(name, test):
    return ExerciseEntry(id=f"7.2/{name}", name=name, title=name, difficulty=1, importance=1, minutes=1, test=test)


CELLS = tuple(
    Cell(kind="exercise", source="", line=1, exercise=entry(name, test))
    for name, test in (("plus", "tests:test_plus"), ("times", "tests:test_times"), ("explore", None))
)
SECTION = Section(id="7.2", slug="little", title="Little", hours=1.0, path=Path("7_x/7.2_little.py"), cells=CELLS)
CATALOG = Catalog((SECTION,))
PLUS = "def plus(a, b):\n    return a + b\n"


@pytest.fixture(autouse=True)
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name, text=PLUS):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def learners_and_files(submissions):
    return [(submission.learner, submission.path.as_posix()) for submission in submissions]


def test_in_a_folder_each_learner_has_a_file_or_a_folder(write):
    for name in ("class/zoe.py", "class/anna/7.2_little.py", "class/bob/week 1/mine.py"):
        write(name)
    for name in ("class/.git/plus.py", "class/anna/.ipynb_checkpoints/7.2_little.py", "class/notes.txt"):
        write(name)
    submissions, others = find_submissions(CATALOG, [Path("class")])
    assert learners_and_files(submissions) == [
        ("anna", "class/anna/7.2_little.py"),
        ("bob", "class/bob/week 1/mine.py"),
        ("zoe", "class/zoe.py"),
    ]
    assert others == []


def test_a_named_file_is_its_learners_or_lies_in_their_folder(write):
    files = [write("class/anna/7.2_little.py"), write("class/7.2_little_2.py"), write("zoe.py")]
    submissions, _ = find_submissions(CATALOG, files)
    assert [submission.learner for submission in submissions] == ["anna", "class", "zoe"]


def test_what_defines_no_exercise_is_said_and_what_cant_be_read_is_a_row(write):
    write("class/bob/helpers.py", "x = 1\n")
    write("class/bob/mine.py")
    write("class/eve.ipynb", "{")
    write("class/fay.ipynb", json.dumps({"cells": [], "metadata": {"arena": {"section": "9.9"}}}))
    submissions, others = find_submissions(CATALOG, [Path("class")])
    assert [submission.learner for submission in submissions] == ["bob", "eve", "fay"]
    assert others == [Path("class/bob/helpers.py")]
    submissions, others = find_submissions(CATALOG, [Path("class")], SECTION)
    assert (len(submissions), others) == (4, [])


def test_what_isnt_there_is_said():
    with pytest.raises(WorkspaceError, match=r"must be a file or a folder: got 'gone'"):
        find_submissions(CATALOG, [Path("gone")])


def judge(path, section, ids):
    """One exercise is wrong, the others are right."""
    known = Diagnosis(mistake="subtracts", why="a sum adds")
    results = [
        Result(exercise=name, status="failed", diagnosis=known, seconds=0.12345, message="no")
        if name.endswith("plus")
        else Result(exercise=name, status="passed")
        for name in sorted(ids)
    ]
    return FileVerdict(path=path, results=tuple(results), problems=())


def test_each_exercise_with_a_test_is_a_row(write):
    (rows,) = judge_submissions(CATALOG, [Submission(learner="anna", path=write("anna.py"))], judge)
    assert [row.exercise for row in rows] == ["7.2/plus", "7.2/times"]
    assert rows[0] == Row(
        learner="anna", file="anna.py", section="7.2", exercise="7.2/plus", status="failed",
        mistake="subtracts", seconds=0.123, message="no",
    )  # fmt: skip
    assert rows[1].status == "passed"


@pytest.mark.parametrize(("only", "names"), [({"7.2/times"}, ["7.2/times"]), ({"7.3/embed"}, [])])
def test_only_what_was_asked_for_is_judged(write, only, names):
    (rows,) = judge_submissions(CATALOG, [Submission(learner="a", path=write("a.py"))], judge, only=only)
    assert [row.exercise for row in rows] == names


def test_a_file_that_cannot_be_judged_costs_no_other(write):
    paths = [write("eve.ipynb", "{"), write("fay.py", "x = 1"), write("zoe.py")]
    submissions = [Submission(learner=path.stem, path=path) for path in paths]
    eve, fay, zoe = judge_submissions(CATALOG, submissions, judge)
    assert [(row.status, row.exercise) for row in eve + fay] == [("error", "")] * 2
    assert "must be a notebook" in eve[0].message
    assert "must define an exercise" in fay[0].message
    assert len(zoe) == 2


def test_a_section_that_is_named_holds_for_every_file(write):
    submission = Submission(learner="fay", path=write("fay.py", "x = 1"))
    (rows,) = judge_submissions(CATALOG, [submission], judge, section=SECTION)
    assert len(rows) == 2
