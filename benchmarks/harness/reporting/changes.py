"""The table of a comparison."""

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from benchmarks.harness.record import Record, Row
from benchmarks.harness.reporting.verdicts import (
    COMPARED,
    NOTHING_COMPARABLE,
    REGRESSION,
    Comparison,
    Kind,
    Verdict,
)
from benchmarks.harness.reporting.wording import (
    NOTHING,
    describe_machine,
    describe_peer,
    describe_spread,
)

COLUMNS = (("row", 35), ("ratio then", 17), ("ratio now", 17), ("change", 7), ("CPU", 6))
"""Names and widths; the verdict takes what is left of 100."""
STYLES: dict[Kind, str] = {"slower": "bold red", "fails": "bold red", "in doubt": "bold", "faster": "green"}
"""Weight and colour beside the words."""
LISTED: dict[Kind, str] = {
    "fails": "Fails now",
    "in doubt": "In doubt: run again",
    "refused": "Not comparable",
    "lost": "Lost",
    "left out": "Left out",
    "new": "New",
}
"""Listed below the table with their reasons."""
SHORT = {"float64": "f64", "float32": "f32", "float16": "f16", "bfloat16": "bf16"}
LEGEND = (
    "Ratio: the peer's time over ours in the same run, so that the machine's speed cancels out. CPU: the change of the "
    "same ratio of CPU time with one thread. Slower: the ranges don't overlap and the median fell by more than a tenth."
)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Both runs, what differs between them, every row, and what it comes to."""
    for name, run in (("old", comparison.old), ("new", comparison.new)):
        console.print(Text(f"{name}: {run.started[:10]}, commit {run.commit[:9]}; {describe_machine(run.machine)}"))
    for remark in find_remarks(comparison.old, comparison.new):
        console.print(Padding(Text(remark), (0, 0, 0, 2)))
    if rows := comparison.of(*COMPARED):
        console.print()
        console.print(_make_table(rows))
    for kind, title in LISTED.items():
        _print_list(title, comparison.of(kind), console)
    console.print()
    console.print(Text(LEGEND, style="dim"))
    console.print(Text(conclude(comparison), style="bold"))


def find_remarks(old: Record, new: Record) -> list[str]:
    """What a reader must know of the runs before believing a change."""
    remarks = []
    if old.machine.get("cpu") != new.machine.get("cpu"):
        remarks.append("another processor: ratios to the peer are compared, and may differ for that reason alone")
    versions = {name: (old.software.get(name), new.software.get(name)) for name in ("python", "torch", "cuda")}
    remarks += [f"{name} {then}, now {now}" for name, (then, now) in versions.items() if then != now]
    for name, run in (("old", old), ("new", new)):
        if run.is_noisy:
            remarks.append(f"the {name} run was noisy: the machine's own speed changed by more than a tenth")
        if all(row.ratio is None for row in run.rows):
            remarks.append(f"the {name} run has no timed row")
        if not run.is_complete:
            remarks.append(f"the {name} run was stopped before its end")
    return remarks


def conclude(comparison: Comparison) -> str:
    """One sentence for the exit code."""
    if comparison.exit_code == NOTHING_COMPARABLE:
        return "Nothing could be compared."
    counts = ", ".join(f"{n_rows} {kind}" for kind in COMPARED if (n_rows := len(comparison.of(kind))))
    word = "REGRESSION" if comparison.exit_code == REGRESSION else "No regression"
    return f"{word}: {counts}."


def _make_table(verdicts: Sequence[Verdict]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="underline")
    for name, width in COLUMNS:
        table.add_column(name, width=width, justify="left" if name == "row" else "right", overflow="fold")
    table.add_column("verdict")
    for verdict in verdicts:
        table.add_row(Text(name_row(verdict.row)), *describe_change(verdict), _describe_verdict(verdict))
    return table


def describe_change(verdict: Verdict) -> list[str]:
    """Both ratios, and the change of their medians and of the CPU times' ratio."""
    spreads = [None if row is None else row.ratio for row in (verdict.old, verdict.new)]
    then, now = (NOTHING if spread is None else describe_spread(spread) for spread in spreads)
    return [then, now, _percent(verdict.change), _percent(verdict.cpu_change)]


def _percent(factor: float | None) -> str:
    return NOTHING if factor is None else f"{(factor - 1) * 100:+.0f} %"


def _describe_verdict(verdict: Verdict) -> Text:
    """The word, and a goal that this row crossed."""
    old, new = verdict.old, verdict.new
    crossed = ""
    if old is not None and new is not None and {old.is_met, new.is_met} == {True, False}:
        crossed = f"; goal {'met' if new.is_met else 'missed'} now"
    return Text(verdict.kind + crossed, style=STYLES.get(verdict.kind, ""))


def name_row(row: Row) -> str:
    """Path, case, peer and dtype."""
    return f"{row.path}, {row.case}, {SHORT.get(row.dtype, row.dtype)}: {describe_peer(row)}"


def _print_list(title: str, verdicts: Sequence[Verdict], console: Console) -> None:
    """Rows with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for verdict in verdicts:
        reasons.setdefault(verdict.reason or "", []).append(name_row(verdict.row))
    for reason, names in reasons.items():
        console.print()
        console.print(Text(f"{title}{f': {reason}' if reason else ''}", style="bold"))
        console.print(Padding(Text("\n".join(names)), (0, 0, 0, 2)))
