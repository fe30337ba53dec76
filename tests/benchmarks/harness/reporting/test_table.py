"""The table in a terminal and in Markdown."""

from io import StringIO

import pytest
from benchmarks.harness.record import Spread
from benchmarks.harness.reporting.merging import merge
from benchmarks.harness.reporting.table import (
    LEGEND,
    WIDTH,
    make_console,
    print_groups,
    write_markdown,
)
from rich.console import Console


def printed(*records):
    file = StringIO()
    print_groups(merge(records), Console(file=file, width=WIDTH, highlight=False))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


@pytest.fixture
def rows(make_row, make_bare_row):
    return [
        make_row(goal=1.0, measure="time", is_met=True, share=0.83, bound="flops", memory_ours=100, memory_theirs=152),
        make_row(peer="nanogpt", ratio=(0.81, 0.78, 0.85), goal=1.3, measure="time", is_met=False, cpu_theirs=None),
        make_bare_row("agrees", peer="bridge", goal=2.0, measure="memory"),
        make_bare_row("skipped", peer="old", reason="needs [old]<4:\n  5 is installed"),
        make_bare_row("failed", peer="bad", reason="bad: ValueError: x | y <b>"),
    ]


def test_every_row_is_in_the_terminals_table(make_record, rows):
    lines = printed(make_record(*rows))
    start = lines.index("forward, batch (cpu, float32)")
    assert [line.split() for line in lines[start + 1 : start + 5]] == [
        ["peer", "ratio", "(10–90", "%)", "ours,", "ms", "CPU", "ratio", "of", "limit", "memory", "goal"],
        ["huggingface", "1.50", "(1.40–1.60)", "3.00", "1.25", "83", "%", "flops", "1.52", "≥", "1", "met"],
        ["nanogpt", "0.81", "(0.78–0.85)", "3.00", "–", "–", "–", "≥", "1.3", "missed"],
        ["bridge", "agrees,", "not", "timed", "–", "–", "–", "–", "memory", "≥", "2", "not"],
    ]
    assert lines[start + 5].strip() == "measured"
    assert lines[start + 6 : start + 8] == [
        "  skipped: old: needs [old]<4: 5 is installed",
        "  failed: bad: bad: ValueError: x | y <b>",
    ]


def test_figures_stand_under_their_names(make_record, rows):
    lines = printed(make_record(*rows))
    header, first, *_ = lines[lines.index("forward, batch (cpu, float32)") + 1 :]
    for name, figure in (("ours, ms", "3.00"), ("CPU ratio", "1.25"), ("memory", "1.52")):
        assert header.index(name) + len(name) == first.index(figure) + len(figure)


def test_lines_fit_into_a_hundred_columns(make_record, make_row, make_bare_row):
    wide = make_row(
        peer="transformer-lens-compatible",
        environment="peers",
        ratio=(1234.4, 1100.0, 1300.0),
        ours=Spread(12345.0, 1.0, 2.0),
        share=1.234,
        bound="flops",
        goal=1.25,
        measure="memory",
        is_met=False,
        memory_ours=1,
        memory_theirs=123,
    )
    long = make_bare_row("failed", peer="x", reason="a reason of many words " * 20)
    lines = printed(make_record(wide, long, is_noisy=True))
    assert max(map(len, lines)) <= WIDTH
    text = " ".join(lines)
    assert "1,234 (1,100–1,300)*" in text
    assert "…" not in text


def test_the_header_stands_above_the_first_case_alone(make_record, make_row):
    lines = printed(make_record(make_row(), make_row(case="one_token")))
    assert sum(line.startswith("peer ") for line in lines) == 1


def test_facts_stand_beside_the_case(make_record, make_row):
    lines = printed(make_record(make_row(launches=45, syncs=1)))
    assert "forward, batch (cpu, float32); 45 launches; 1 waits for the device" in lines


def test_a_noisy_run_is_marked_and_explained(make_record, make_row):
    lines = printed(make_record(make_row(), is_noisy=True))
    assert any("1.50 (1.40–1.60)* " in line for line in lines)
    assert any(line.startswith("* from a noisy run") for line in lines)
    quiet = printed(make_record(make_row()))
    assert not any("*" in line for line in quiet)


def test_missed_goals_are_heavier_and_still_say_so(make_record, make_row):
    rows = [make_row(goal=1.0, is_met=True), make_row(peer="b", goal=9.0, is_met=False)]
    file = StringIO()
    print_groups(merge([make_record(*rows)]), Console(file=file, width=WIDTH, force_terminal=True, highlight=False))
    assert "\x1b[32m≥ 1 met" in file.getvalue()
    assert "\x1b[1;31m≥ 9 missed" in file.getvalue()


def test_groups_have_their_machine_and_their_runs_above(make_record, make_row):
    lines = printed(make_record(make_row()), make_record(make_row(), machine={"gpu": "H200"}))
    titles = ["Some CPU, 2 cores, 2 threads; size cpu", "H200 (Some CPU, 2 cores, 2 threads); size cpu"]
    assert [line for line in lines if line in titles] == titles
    assert sum(line.startswith("  main: 2026-01-02") for line in lines) == 2
    assert lines.count("1 row: ours is faster in 1 of 1 timed row, slower in 0, level in 0.") == 2


def test_the_markdown_has_the_same_cells(make_record, rows):
    lines = write_markdown(merge([make_record(*rows)])).splitlines()
    start = lines.index(
        "| path | case | peer | device | dtype | ratio (10–90 %) | ours, ms | CPU ratio | of limit | memory | goal |"
    )
    assert lines[start + 1] == "| --- | --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"
    table = [cells(line) for line in lines[start + 2 : start + 7]]
    assert [row[2] for row in table] == ["huggingface", "nanogpt", "bridge", "old", "bad"]
    assert table[0] == [
        "forward",
        "batch",
        "huggingface",
        "cpu",
        "float32",
        "1.50 (1.40–1.60)",
        "3.00",
        "1.25",
        "83 % flops",
        "1.52",
        "≥ 1 met",
    ]
    assert table[2][5:] == ["agrees, not timed", "–", "–", "–", "–", "memory ≥ 2 not measured"]
    assert table[3][5] == r"skipped: needs \[old\]\<4: 5 is installed"
    assert table[4][5] == r"failed: bad: ValueError: x \| y \<b\>"
    assert lines[start + 7] == ""


def test_the_markdown_names_machine_runs_and_sum(make_record, make_row):
    text = write_markdown(merge([make_record(make_row(launches=3, reason="no memory: x"), is_noisy=True)]))
    lines = text.splitlines()
    assert lines[0] == "### Some CPU, 2 cores, 2 threads; size cpu"
    assert lines[2].startswith("- main: 2026-01-02, commit 012345678; python 3.11.7")
    assert "1 row: ours is faster in 1 of 1 timed row, slower in 0, level in 0." in lines
    assert "- forward, batch (cpu, float32): 3 launches" in lines
    assert "- forward, batch (cpu, float32), huggingface: no memory: x" in lines
    assert r"- \* from a noisy run: the machine's own speed before and after it differs by more than a tenth" in lines
    assert r"1.50 (1.40–1.60)\*" in text
    assert text.endswith(f"\n{LEGEND}\n")
    assert (
        "no memory"
        not in lines[lines.index("| --- | --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |") + 1]
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [("run_with_cache", "run_with_cache"), ("transformer-lens-3", "transformer-lens-3"), ("_x_ [y]", r"\_x\_ \[y\]")],
)
def test_names_stay_as_they_are_and_all_else_is_escaped(make_record, make_row, name, shown):
    assert f"| {shown} | batch |" in write_markdown(merge([make_record(make_row(path=name))]))


def test_no_record_is_no_table():
    assert write_markdown([]) == "No run is stored yet.\n"


def test_a_pipe_gets_a_hundred_columns(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    assert make_console().width == WIDTH
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "123")
    assert make_console().width == 123
