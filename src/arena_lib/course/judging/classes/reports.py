"""The verdicts on a class as CSV or as JUnit XML, which spreadsheets and CI servers read.

Source:  the JUnit schema that Jenkins and GitLab read: https://github.com/testmoapp/junitxml
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from itertools import groupby
from xml.etree import ElementTree

from arena_lib.course.judging.classes.submissions import Row

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_csv(rows: Sequence[Row]) -> str:
    """A header, then a line for each learner and exercise."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(row) for row in rows)
    return text.getvalue()


def as_junit(rows: Sequence[Row]) -> str:
    """A suite for each file and a case for each exercise."""
    root = ElementTree.Element("testsuites", _counts(rows))
    for (learner, file), group in groupby(rows, key=lambda row: (row.learner, row.file)):
        of_file = list(group)
        suite = _add(root, "testsuite", {"name": learner, "file": file, **_counts(of_file)})
        for row in of_file:
            _add_case(suite, row)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True).decode() + "\n"


def _counts(rows: Sequence[Row]) -> dict[str, str]:
    statuses = [row.status for row in rows]
    return {
        "tests": str(len(rows)),
        "failures": str(statuses.count("failed")),
        "errors": str(statuses.count("error") + statuses.count("timeout")),
        "skipped": str(statuses.count("not_started")),
        "time": f"{sum(row.seconds for row in rows):.3f}",
    }


def _add_case(suite: ElementTree.Element, row: Row) -> None:
    words = {"classname": row.learner, "name": row.exercise or row.file, "time": f"{row.seconds:.3f}"}
    case = _add(suite, "testcase", words)
    if row.status == "not_started":
        _add(case, "skipped", {"message": "not started"})
    elif row.status != "passed":
        tag = "failure" if row.status == "failed" else "error"
        heading = row.mistake or row.message.partition("\n")[0].removeprefix("✗ ")
        _add(case, tag, {"type": row.status, "message": heading}).text = _readable(row.message)


def _add(parent: ElementTree.Element, tag: str, words: Mapping[str, str]) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, {key: _readable(value) for key, value in words.items()})


def _readable(text: str) -> str:
    """The text without characters that XML can't hold, which a learner's exception may have."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)


FORMATS: Mapping[str, Callable[[Sequence[Row]], str]] = {".csv": as_csv, ".xml": as_junit}
"""What makes a report, by the end of its file's name."""
