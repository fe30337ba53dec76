"""`arena check` for a class: files and folders, the report, exit codes."""

import csv
from pathlib import Path
from xml.etree import ElementTree

import pytest

from arena_lib.course.record.progress import ProgressStore

MASK = "1.1/causal_mask"


@pytest.fixture
def classroom(solved):
    """Anna's is right, Bob's is wrong, Eve's has an endless loop, and Fay's is no notebook."""
    right = solved.read_text()
    texts = {
        "anna/1.1_transformer_from_scratch.py": right,
        "bob.py": right.replace("triu(1)", "triu(0)"),
        "eve.py": "def causal_mask(scores):\n    while True:\n        pass\n",
        "fay.ipynb": "{",
        "bob/helpers.py": "x = 1\n",
    }
    for name, text in texts.items():
        path = Path("class") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Path("class")


def test_a_class_is_a_row_for_each_learner_and_exercise(arena, classroom):
    done = arena("check", classroom, "-e", "causal_mask", "--timeout", 10, "--report", "out/class.csv")
    assert done.code == 1
    with Path("out/class.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["learner"], row["exercise"], row["status"]) for row in rows] == [
        ("anna", MASK, "passed"),
        ("bob", MASK, "failed"),
        ("eve", MASK, "timeout"),
        ("fay", "", "error"),
    ]
    assert rows[1]["mistake"] == "hides the present too"
    *lines, last = done.out.splitlines()
    assert lines[0] == "anna, class/anna/1.1_transformer_from_scratch.py: 1 of 1 passed, 0 failures, 0 not started."
    assert last == "4 verdicts written to out/class.csv."
    assert done.err.splitlines() == [
        "left out, as it defines no exercise: class/bob/helpers.py",
        "judging 4 files ...",
    ]
    assert list(ProgressStore().events()) == []


def test_several_files_are_a_class_and_xml_is_for_ci(arena, classroom, solved):
    done = arena("check", solved, classroom / "anna", "-e", MASK, "--report", "class.xml", "--json")
    assert done.code == 0, done.err
    record = done.json
    assert record["report"] == "class.xml"
    assert [(row["learner"], row["status"]) for row in record["rows"]] == [("mine", "passed"), ("anna", "passed")]
    assert ElementTree.parse("class.xml").getroot().get("tests") == "2"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("class", "--report", "class.txt"), "--report must end in .csv or .xml: got 'class.txt'"),
        (("class", "--report", "class/bob.py/x.csv"), "--report must be in a folder that can be made"),
        (("class", "--watch"), "--watch must be of one file: got a class"),
        (("class", "gone.py"), "must be a file or a folder: got 'gone.py'"),
        (("class/bob",), "must have files with exercises: got none in class/bob"),
        (("class", "-e", "attention_patterns"), "takes exercises that have a test: got 1.1/attention_patterns"),
        (("class", "--section", "9.9"), "no section is called '9.9'"),
    ],
)
def test_a_wrong_use_is_said_before_anything_is_judged(arena, classroom, monkeypatch, words, message):
    monkeypatch.setattr("arena_lib.course.judging.judge_file.judge_file", lambda *_, **__: pytest.fail("it began"))
    done = arena("check", *words)
    assert done.code == 2
    assert message in done.err
