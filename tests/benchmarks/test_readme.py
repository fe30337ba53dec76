"""What the benchmarks' README promises."""

import re
from dataclasses import fields

from benchmarks.harness.record import SCHEMA, Record, Row
from benchmarks.harness.report import README
from benchmarks.harness.reporting.table import FIGURES

TEXT = README.read_text(encoding="utf-8")


def names_of(header):
    """The names in the first column of the table under this header."""
    _, _, rest = TEXT.partition(f"| {header} | what it ")
    rows = rest.split("\n\n")[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]


def test_every_field_of_the_json_is_explained():
    assert sorted(names_of("field")) == sorted(f.name for f in fields(Record))
    assert sorted(names_of("field of a row")) == sorted(f.name for f in fields(Row))
    assert f"| `schema` | {SCHEMA} |" in TEXT


def test_every_column_of_the_table_is_explained():
    for name in FIGURES:
        assert f"\n| {name} | " in TEXT
