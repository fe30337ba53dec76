import csv
import io
from xml.etree import ElementTree

import pytest

from arena_lib.course.judging.classes.reports import FORMATS, as_csv, as_junit
from arena_lib.course.judging.classes.submissions import Row

MESSAGE = '✗ 7.2/plus does not pass yet\n  "first", at 0 <&>'
ROWS = [
    Row(learner="anna", file="anna.py", section="7.2", exercise="7.2/plus", status="passed", seconds=0.5),
    Row(learner="anna", file="anna.py", section="7.2", exercise="7.2/times", status="not_started"),
    Row(learner="bob", file="bob.py", section="7.2", exercise="7.2/plus", status="failed", mistake="subtracts",
        seconds=0.25, message=MESSAGE),
    Row(learner="bob", file="bob.py", section="7.2", exercise="7.2/times", status="timeout", message="✗ no end"),
    Row(learner="eve", file="eve.ipynb", message="it isn't\0 a notebook \x1b[1m"),
]  # fmt: skip


def test_csv_reads_back_as_it_was():
    rows = list(csv.DictReader(io.StringIO(as_csv(ROWS))))
    assert [(row["learner"], row["exercise"], row["status"]) for row in rows] == [
        (row.learner, row.exercise, row.status) for row in ROWS
    ]
    assert (rows[2]["mistake"], rows[2]["seconds"], rows[2]["message"]) == ("subtracts", "0.25", MESSAGE)
    assert as_csv([]) == "learner,file,section,exercise,status,mistake,seconds,message\n"


def test_junit_counts_what_there_is_in_all_and_in_each_file():
    root = ElementTree.fromstring(as_junit(ROWS).encode())
    counts = [[int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")] for suite in (root, *root)]
    assert counts == [[5, 1, 2, 1], [2, 0, 0, 1], [2, 1, 1, 0], [1, 0, 1, 0]]
    assert [(suite.get("name"), suite.get("file")) for suite in root] == [
        ("anna", "anna.py"), ("bob", "bob.py"), ("eve", "eve.ipynb")
    ]  # fmt: skip
    assert root.get("time") == "0.750"


def test_junit_says_of_each_case_what_it_is():
    root = ElementTree.fromstring(as_junit(ROWS).encode())
    passed, waiting, failed, late, unread = root.iter("testcase")
    assert (passed.get("classname"), passed.get("name"), list(passed)) == ("anna", "7.2/plus", [])
    assert waiting[0].tag == "skipped"
    assert (failed[0].tag, failed[0].get("message"), failed[0].text) == ("failure", "subtracts", MESSAGE)
    assert (late[0].tag, late[0].get("type"), late[0].get("message")) == ("error", "timeout", "no end")
    assert (unread.get("name"), unread[0].tag) == ("eve.ipynb", "error")


def test_what_xml_cannot_hold_is_replaced():
    (*_, unread) = ElementTree.fromstring(as_junit(ROWS).encode()).iter("testcase")
    assert unread[0].text == "it isn't\N{REPLACEMENT CHARACTER} a notebook \N{REPLACEMENT CHARACTER}[1m"


@pytest.mark.parametrize("name", FORMATS)
def test_a_class_without_rows_is_a_report_too(name):
    assert FORMATS[name]([])
