"""The table of a group: in a terminal 100 columns wide, and in Markdown."""

import re
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from benchmarks.harness.record import Row
from benchmarks.harness.reporting.merging import Group, Shown
from benchmarks.harness.reporting.summing import (
    NOTE,
    describe_facts,
    find_footnotes,
    find_reasons,
    has_figures,
    is_marked_noisy,
    summarise,
)
from benchmarks.harness.reporting.wording import (
    NOISY,
    cpu_ratio,
    describe_case,
    describe_goal,
    describe_machine,
    describe_milliseconds,
    describe_peer,
    describe_ratio,
    describe_run,
    describe_share,
    describe_spread,
    memory_ratio,
)

WIDTH = 100
"""Columns where no terminal says otherwise."""
FIGURES = ("ratio (10–90 %)", "ours, ms", "CPU ratio", "of limit", "memory", "goal")
"""The columns beside a row's names, in every form of the table."""
COLUMNS = (("peer", 22), (FIGURES[0], 20), (FIGURES[1], 8), (FIGURES[2], 9), (FIGURES[3], 11), (FIGURES[4], 6))
"""Of the terminal's table: names and widths; the goal takes what is left."""
LEGEND = (
    "Ratio: the peer's time over ours in the same run, the median of paired runs with its 10 to 90 % range; above 1 "
    "ours is faster. CPU ratio: the same of CPU time with one thread. Of limit: the share of what this machine "
    "reached just before in floating-point operations or in bytes. Memory: the peer's peak memory over ours. A goal "
    "on time is met when the low end of the range reaches it."
)
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
NO_RESULTS = "No run is stored yet."


def make_console() -> Console:
    """As wide as the terminal; 100 columns where there is none."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)


def print_groups(groups: Sequence[Group], console: Console) -> None:
    """Every group with its runs, its table and its sum."""
    for group in groups:
        console.print(Text(f"{describe_machine(group.machine)}; size {group.size}", style="bold"))
        for run in group.runs:
            console.print(Padding(Text(describe_run(run)), (0, 0, 0, 2)))
        is_first = True
        for case in group.cases:
            console.print()
            _print_case(case, console, has_header=is_first)
            is_first = False
        console.print()
        for line in (*find_footnotes(group.rows), summarise(group)):
            console.print(Text(line))
        console.print()
    console.print(Text(LEGEND, style="dim"))


def _print_case(case: Sequence[Shown], console: Console, *, has_header: bool) -> None:
    """One line for each row, reasons below."""
    title = Text(describe_case(case[0].row), style="bold")
    title.append("".join(f"; {fact}" for fact in describe_facts(case)), style="not bold")
    console.print(title)
    table = Table(box=None, show_header=has_header, padding=(0, 1, 0, 0), pad_edge=False, header_style="underline")
    for name, width in COLUMNS:
        table.add_column(name, width=width, justify="left" if name == "peer" else "right", overflow="fold")
    table.add_column(FIGURES[-1])
    for shown in case:
        if has_figures(shown.row):
            peer, *figures, goal = describe_peer(shown.row), *describe_figures(shown)
            table.add_row(Text(f"  {peer}"), *figures, Text(goal, style=_style(shown.row)))
    if table.rows or has_header:
        console.print(table)
    for status, peers, reason in find_reasons(case):
        line = Text(f"{status}: {peers}: {' '.join(reason.split())}")
        line.stylize("bold", 0, len(status))
        console.print(Padding(line, (0, 0, 0, 2)))


def _style(row: Row) -> str:
    """Weight and colour beside the words."""
    return {True: "green", False: "bold red", None: ""}[row.is_met]


def describe_figures(shown: Shown) -> list[str]:
    """The cells under `FIGURES`."""
    row = shown.row
    if row.ratio is None:
        ratio = {"agrees": "agrees, not timed"}.get(row.status, row.status)
    else:
        ratio = describe_spread(row.ratio) + (NOISY if is_marked_noisy(shown) else "")
    return [
        ratio,
        describe_milliseconds(row.ours),
        describe_ratio(cpu_ratio(row)),
        describe_share(row),
        describe_ratio(memory_ratio(row)),
        describe_goal(row),
    ]


def write_markdown(groups: Sequence[Group]) -> str:
    """The same in Markdown, for the README and a job's summary; ends with a newline."""
    if not groups:
        return f"{NO_RESULTS}\n"
    return "\n".join(_write_group(group) for group in groups) + f"\n{LEGEND}\n"


def _write_group(group: Group) -> str:
    lines = [f"### {describe_machine(group.machine)}; size {group.size}", ""]
    lines += [f"- {_escape(describe_run(run))}" for run in group.runs]
    lines += ["", summarise(group), ""]
    header = ("path", "case", "peer", "device", "dtype", *FIGURES)
    lines.append(_join(header))
    lines.append(_join(["---"] * 5 + ["---:"] * (len(FIGURES) - 1) + ["---"]))
    lines += [_join(write_row(shown)) for shown in group.rows]
    lines += ["", *(f"- {_escape(note)}" for note in (*find_notes(group), *find_footnotes(group.rows)))]
    return "\n".join(lines).rstrip() + "\n"


def find_notes(group: Group) -> list[str]:
    """What the cells of a group have no room for."""
    notes = []
    for case in group.cases:
        name = describe_case(case[0].row)
        if facts := describe_facts(case):
            notes.append(f"{name}: {', '.join(facts)}")
        notes += [f"{name}, {peers}: {reason}" for status, peers, reason in find_reasons(case) if status == NOTE]
    return notes


def write_row(shown: Shown) -> list[str]:
    """The cells of a row; one that has no figures says why."""
    row = shown.row
    figures = describe_figures(shown)
    if row.reason is not None and not has_figures(row):
        figures[0] = f"{row.status}: {row.reason}"
    return [row.path, row.case, describe_peer(row), row.device, row.dtype, *figures]


def _join(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_escape, cells))} |"


def _escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line: a reason may have anything in it. Names need no escape."""
    shown = " ".join(text.split())
    if NAME.fullmatch(shown):
        return shown
    for character in "\\`*_|<>[]":
        shown = shown.replace(character, f"\\{character}")
    return shown
