"""What `arena verify` leaves for authors to read: the table of edits, and every message of every mistake."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template
from typing import Any

from arena_lib.course.tables import format_table

LEAST_SHARE = 0.97
"""Of all references' edits, those that the course's tests must reject together."""

Record = dict[str, Any]

_ABOUT_EDITS = Template("""# What the tests catch

Written by `$command`. Every operator, comparison, constant, keyword, term, slice and
condition of each reference is changed once, and the exercise's test must reject the result. *Equivalent* edits leave
the reference right, and the test's file says why. CONTRIBUTING.md says how to read this table.
""")


def edits_share(records: Sequence[Record]) -> float:
    """Rejected edits among those that aren't equivalent, over all records; 1 if there are none."""
    scores = [record["mutants"] for record in records if record["mutants"]]
    n_wrong = sum(score["n_tried"] - score["n_equivalent"] for score in scores)
    return sum(score["n_rejected"] for score in scores) / n_wrong if n_wrong else 1.0


def edits_page(records: Sequence[Record], command: str) -> str:
    """The table of edits as a Markdown page: the command that writes it, a row for each exercise, the edits that pass."""
    scored = [(record["id"], record["mutants"]) for record in records if record["mutants"]]
    lines = [
        _ABOUT_EDITS.substitute(command=command),
        "| exercise | edits | equivalent | rejected |",
        "|---|---|---|---|",
    ]
    lines += [f"| {name} | {s['n_tried']} | {s['n_equivalent']} | {s['n_rejected']} |" for name, s in scored]
    total = [sum(score[key] for _, score in scored) for key in ("n_tried", "n_equivalent", "n_rejected")]
    lines += [f"| **all** | {total[0]} | {total[1]} | {total[2]} ({edits_share(records):.1%}) |", ""]
    passing = [(name, survivor) for name, score in scored for survivor in score["survivors"]]
    lines += ["Edits that pass:" if passing else "No edit passes.", ""]
    lines += [f"- {name}: `{survivor}`" for name, survivor in passing]
    return "\n".join(lines).rstrip() + "\n"


def messages_text(records: Sequence[Record]) -> str:
    """What a learner reads of each mistake of each exercise, under the mistake that was made; for a person to read."""
    parts = [
        f"{record['id']}: {mistake['name']}\n{'-' * 100}\n{mistake['message']}\n"
        for record in records
        for mistake in record["mistakes"]
    ]
    return "\n".join(parts)


def rows_text(records: Sequence[Record]) -> list[str]:
    """A head, and a line for each record."""
    header = ["", "exercise", "reference", "accepts", "stub", "mistakes", "edits", "seconds"]
    return format_table([_row(record) for record in records], header=header).splitlines()


def _row(record: Record) -> list[str]:
    n_named = sum(mistake["rejected"] and mistake["named"] for mistake in record["mistakes"])
    n_accepted = sum(status == "passed" for status in record["accepts"])
    score = record["mutants"]
    return [
        "✓" if record["holds"] else "✗",
        record["id"],
        record["reference"],
        f"{n_accepted}/{len(record['accepts'])}",
        record["stub"] or "",
        f"{n_named}/{len(record['mistakes'])} named",
        f"{score['n_rejected']}/{score['n_tried'] - score['n_equivalent']}" if score else "",
        f"{record['seconds']:.2f}",
    ]
