"""The table of a comparison."""

from io import StringIO

import pytest
from benchmarks.harness.reporting.changes import conclude, describe_change, find_remarks, name_row, print_comparison
from benchmarks.harness.reporting.table import WIDTH
from benchmarks.harness.reporting.verdicts import compare_records
from rich.console import Console

SLOWER = (1.1, 1.0, 1.2)


def printed(old, new):
    file = StringIO()
    print_comparison(compare_records(old, new), Console(file=file, width=WIDTH, highlight=False))
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert max(map(len, lines)) <= WIDTH
    return lines


def test_every_compared_row_is_in_the_table(make_record, make_row, make_bare_row):
    old = make_record(make_row(peer="a"), make_row(peer="b"), make_row(peer="c"), make_row(peer="d"))
    new = make_record(
        make_row(peer="a", ratio=SLOWER, cpu_ours=0.005),
        make_row(peer="b", cpu_ours=None),
        make_row(peer="c", ratio=(12.3, 11.0, 13.0)),
        make_bare_row("failed", peer="d", reason="d: ValueError: [bad]"),
    )
    lines = printed(old, new)
    start = lines.index("") + 1
    assert [line.split() for line in lines[start : start + 5]] == [
        ["row", "ratio", "then", "ratio", "now", "change", "CPU", "verdict"],
        [
            "forward,",
            "batch,",
            "f32:",
            "a",
            "1.50",
            "(1.40–1.60)",
            "1.10",
            "(1.00–1.20)",
            "-27",
            "%",
            "-20",
            "%",
            "slower",
        ],
        ["forward,", "batch,", "f32:", "b", "1.50", "(1.40–1.60)", "1.50", "(1.40–1.60)", "+0", "%", "–", "same"],
        [
            "forward,",
            "batch,",
            "f32:",
            "c",
            "1.50",
            "(1.40–1.60)",
            "12.3",
            "(11.0–13.0)",
            "+720",
            "%",
            "+0",
            "%",
            "faster",
        ],
        ["forward,", "batch,", "f32:", "d", "1.50", "(1.40–1.60)", "–", "–", "–", "fails"],
    ]
    assert lines[-1] == "REGRESSION: 1 slower, 1 fails, 1 faster, 1 same."
    assert lines[lines.index("Fails now: d: ValueError: [bad]") + 1] == "  forward, batch, f32: d"


def test_what_is_not_compared_is_listed_by_reason(make_record, make_row, make_bare_row):
    old = make_record(
        make_row(peer="a"),
        make_row(peer="b"),
        make_row(peer="c"),
        make_row(peer="d"),
        make_row(peer="e", path="gone"),
    )
    new = make_record(
        make_row(peer="a", size="gpu"),
        make_row(peer="b", size="gpu"),
        make_bare_row("skipped", peer="c", reason="needs c"),
        make_row(peer="f", dtype="int8"),
    )
    lines = printed(old, new)
    text = "\n".join(lines)
    assert "\nNot comparable: size cpu, now gpu\n  forward, batch, f32: a\n  forward, batch, f32: b\n" in text
    assert "\nLost: needs c\n  forward, batch, f32: c\n" in text
    assert "\nLost: the new run has no such row\n  forward, batch, f32: d\n" in text
    assert "\nLeft out: the new run did not include this benchmark\n  gone, batch, f32: e\n" in text
    assert "\nNew\n  forward, batch, int8: f\n" in text
    assert "ratio then" not in text
    assert lines[-1] == "Nothing could be compared."


def test_doubt_says_what_to_do(make_record, make_row):
    lines = printed(make_record(make_row()), make_record(make_row(ratio=SLOWER), is_noisy=True))
    (title,) = [line for line in lines if line.startswith("In doubt: run again: ")]
    assert "CPU time" in title
    assert lines[-1] == "No regression: 1 in doubt."


def test_both_runs_are_named(make_record, make_row):
    old = make_record(make_row(), commit="aaaaaaaaaaaa")
    lines = printed(old, make_record(make_row(), started="2027-01-01T00:00:00+00:00", machine={"gpu": "H200"}))
    assert lines[0] == "old: 2026-01-02, commit aaaaaaaaa; Some CPU, 2 cores, 2 threads"
    assert lines[1] == "new: 2027-01-01, commit 012345678; H200 (Some CPU, 2 cores, 2 threads)"


@pytest.mark.parametrize(
    ("old", "new", "remarks"),
    [
        ({}, {}, []),
        (
            {},
            {"machine": {"cpu": "Other"}},
            ["another processor: ratios to the peer are compared, and may differ for that reason alone"],
        ),
        ({}, {"software": {"torch": "2.14.0"}}, ["torch 2.13.0, now 2.14.0"]),
        (
            {"software": {"cuda": "13.0"}},
            {"software": {"python": "3.12"}},
            ["python 3.11.7, now 3.12", "cuda 13.0, now None"],
        ),
        ({}, {"software": {"transformers": "6.0"}}, []),
        ({"is_noisy": True}, {}, ["the old run was noisy: the machine's own speed changed by more than a tenth"]),
        ({}, {"is_noisy": True}, ["the new run was noisy: the machine's own speed changed by more than a tenth"]),
        ({}, {"is_complete": False}, ["the new run was stopped before its end"]),
    ],
)
def test_what_a_reader_must_know_of_the_runs(make_record, make_row, old, new, remarks):
    assert find_remarks(make_record(make_row(), **old), make_record(make_row(), **new)) == remarks


def test_a_run_that_timed_nothing_is_told(make_record, make_row, make_bare_row):
    tiny = make_record(make_bare_row("agrees"))
    assert find_remarks(tiny, make_record(make_bare_row("agrees"), make_row(peer="b"))) == [
        "the old run has no timed row"
    ]
    assert printed(tiny, tiny)[-1] == "Nothing could be compared."


def test_remarks_stand_below_the_runs(make_record, make_row):
    lines = printed(make_record(make_row()), make_record(make_row(), is_noisy=True))
    assert lines[2].startswith("  the new run was noisy")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (True, False, "same; goal missed now"),
        (False, True, "same; goal met now"),
        (True, True, "same"),
        (None, False, "same"),
    ],
)
def test_a_goal_that_was_crossed_is_told(make_record, make_row, before, after, said):
    goal = {"goal": 1.4, "measure": "time"}
    lines = printed(make_record(make_row(**goal, is_met=before)), make_record(make_row(**goal, is_met=after)))
    place = next(i for i, line in enumerate(lines) if line.startswith("forward"))
    shown = f"{lines[place]} {lines[place + 1].strip()}".strip()
    assert shown.endswith(f" % {said}")


def test_a_row_is_named_whole(make_row):
    row = make_row(dtype="bfloat16", environment="peers", peer="p", case="one_token")
    assert name_row(row) == "forward, one_token, bf16: p †"


def test_a_change_is_of_medians(make_record, make_row):
    comparison = compare_records(make_record(make_row()), make_record(make_row(ratio=SLOWER)))
    (verdict,) = comparison.verdicts
    assert describe_change(verdict) == ["1.50 (1.40–1.60)", "1.10 (1.00–1.20)", "-27 %", "+0 %"]
    assert conclude(comparison) == "REGRESSION: 1 slower."
