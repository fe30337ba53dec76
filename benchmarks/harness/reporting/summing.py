"""What a table says in sum: goals met and missed, rows lost, rows without a figure and why."""

from collections.abc import Sequence

from arena_lib.wording import counted
from benchmarks.harness.record import Row
from benchmarks.harness.reporting.merging import Group, Shown
from benchmarks.harness.reporting.wording import FOOTNOTES, IN_PEERS, NOISY, describe_peer

NOTE = "note"
"""In place of a status: the reason why a figure of a row that has others is missing."""


def summarise(group: Group) -> str:
    """One sentence: how many goals are met, and in how many rows ours is the slower one.

    A row whose ratio's range has 1 in it counts as neither faster nor slower.
    """
    rows = [shown.row for shown in group.rows]
    goals = [row.is_met for row in rows if row.goal is not None]
    ratios = [shown.row.ratio for shown in group.rows if shown.has_ratio and shown.row.ratio is not None]
    parts = []
    if ratios:
        n_faster = sum(ratio.low > 1 for ratio in ratios)
        n_slower = sum(ratio.high < 1 for ratio in ratios)
        n_level = len(ratios) - n_faster - n_slower
        timed = counted(len(ratios), "timed row")
        parts.append(f"ours is faster in {n_faster} of {timed}, slower in {n_slower}, level in {n_level}")
    for status, words in (("agrees", "agree and were not timed"), ("skipped", "skipped"), ("failed", "failed")):
        if n_rows := sum(row.status == status for row in rows):
            parts.append(f"{n_rows} {words}")
    if goals:
        counts = ((True, "met"), (False, "missed"), (None, "not measured"))
        parts.append("goals: " + ", ".join(f"{goals.count(verdict)} {word}" for verdict, word in counts))
    return f"{counted(len(rows), 'row')}: {'; '.join(parts)}." if rows else "No row was finished."


def describe_facts(case: Sequence[Shown]) -> list[str]:
    """What is known of ours alone, whichever peer stands beside it: compile time, kernels, waits."""
    rows = [shown.row for shown in case]
    facts = []
    if (seconds := _first([row.compile_ours for row in rows])) is not None:
        facts.append(f"first run, which compiles: {seconds:.3g} s")
    if (launches := _first([row.launches for row in rows])) is not None:
        facts.append(f"{launches:.0f} launches")
    if (syncs := _first([row.syncs for row in rows])) is not None:
        facts.append(f"{syncs:.0f} waits for the device")
    return facts


def _first(values: Sequence[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)


def find_reasons(case: Sequence[Shown]) -> list[tuple[str, str, str]]:
    """Status, peers and reason of every row that has one; peers with the same reason together."""
    peers: dict[tuple[str, str], list[str]] = {}
    for shown in case:
        if shown.row.reason is not None:
            status = NOTE if has_figures(shown.row) else shown.row.status
            peers.setdefault((status, shown.row.reason), []).append(describe_peer(shown.row))
    return [(status, ", ".join(names), reason) for (status, reason), names in peers.items()]


def find_footnotes(rows: Sequence[Shown]) -> list[str]:
    """What the marks mean that are there."""
    used = {NOISY: any(map(is_marked_noisy, rows)), IN_PEERS: any(s.row.environment == "peers" for s in rows)}
    return [f"{mark} {FOOTNOTES[mark]}" for mark in used if used[mark]]


def is_marked_noisy(shown: Shown) -> bool:
    """Whether a reader must be told: a row without times can't be noisy."""
    return shown.is_noisy and shown.has_ratio


def has_figures(row: Row) -> bool:
    """Whether the row has a place in the table, and not only a reason."""
    return row.status in ("measured", "agrees")
