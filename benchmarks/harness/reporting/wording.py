"""Figures in words, the same in every table."""

import math
from typing import Any

from arena_lib.wording import counted
from benchmarks.harness.record import Record, Row, Spread

NOTHING = "–"
"""In place of a figure that wasn't measured."""
IN_PEERS = "†"
"""Marks rows of the second environment."""
NOISY = "*"
"""Marks rows of a noisy run."""
FOOTNOTES = {
    IN_PEERS: "measured in the second environment, nox -s peers, with older libraries",
    NOISY: "from a noisy run: the machine's own speed before and after it differs by more than a tenth",
}


def three_digits(value: float) -> str:
    """A figure with three digits that count, and no exponent between a millionth and a billion.

    >>> three_digits(1432.4), three_digits(12.34), three_digits(0.9996), three_digits(0.00123)
    ('1,432', '12.3', '1.00', '0.00123')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if not 1e-6 <= abs(value) < 1e9:
        return f"{value:.2e}"
    rounded = float(f"{value:.2e}")
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"


def describe_spread(spread: Spread) -> str:
    """A ratio with its range.

    >>> describe_spread(Spread(0.97, 0.934, 1.02))
    '0.97 (0.93–1.02)'
    """
    return f"{describe_ratio(spread.median)} ({describe_ratio(spread.low)}–{describe_ratio(spread.high)})"


def describe_milliseconds(spread: Spread | None) -> str:
    """The median in milliseconds."""
    return NOTHING if spread is None else three_digits(spread.median * 1e3)


def cpu_ratio(row: Row) -> float | None:
    """The peer's CPU time with one thread over ours."""
    return _divide(row.cpu_theirs, row.cpu_ours)


def memory_ratio(row: Row) -> float | None:
    """The peer's peak memory over ours: above 1 where ours takes less."""
    return _divide(row.memory_theirs, row.memory_ours)


def _divide(theirs: float | None, ours: float | None) -> float | None:
    return None if theirs is None or not ours else theirs / ours


def describe_ratio(ratio: float | None) -> str:
    """A plain ratio: two decimals where that is enough.

    >>> describe_ratio(1.526), describe_ratio(0.104), describe_ratio(0.0123), describe_ratio(123.4)
    ('1.53', '0.10', '0.0123', '123')
    """
    if ratio is None:
        return NOTHING
    return f"{ratio:.2f}" if 0.1 <= ratio < 1 else three_digits(ratio)


def describe_share(row: Row) -> str:
    """How much of what the machine can do, and of what.

    >>> from benchmarks.harness.record import Row
    >>> describe_share(Row("p", "c", "x", "cpu", "float32", "cpu", "main", "measured", share=0.834, bound="flops"))
    '83 % flops'
    """
    return NOTHING if row.share is None else f"{row.share * 100:.0f} % {row.bound}"


def describe_goal(row: Row) -> str:
    """The goal, and whether it is met."""
    if row.goal is None:
        return NOTHING
    of = "memory " if row.measure == "memory" else ""
    verdict = {True: "met", False: "missed", None: "not measured"}[row.is_met]
    return f"{of}≥ {row.goal:g} {verdict}"


def describe_peer(row: Row) -> str:
    """The peer's name, marked where it ran in the second environment."""
    return f"{row.peer} {IN_PEERS}" if row.environment == "peers" else row.peer


def describe_case(row: Row) -> str:
    """Path, case, device and dtype."""
    return f"{row.path}, {row.case} ({row.device}, {row.dtype})"


def describe_machine(machine: dict[str, Any]) -> str:
    """The GPU if it was measured, and the processor."""
    cpu = f"{machine['cpu']}, {counted(machine['n_cores'], 'core')}, {counted(machine['n_threads'], 'thread')}"
    return f"{machine['gpu']} ({cpu})" if machine["gpu"] else cpu


def describe_run(run: Record) -> str:
    """One line: environment, date, commit, versions, what the machine reached, and what isn't right with the run."""
    environment = run.options.get("environment", "main")
    versions = ", ".join(f"{name} {version}" for name, version in run.software.items())
    parts = [f"{environment}: {run.started[:10]}, commit {run.commit[:9]}", versions, *_describe_calibration(run)]
    if run.is_noisy:
        parts.append("NOISY")
    if not run.is_complete:
        parts.append("STOPPED before its end")
    return "; ".join(parts)


def _describe_calibration(run: Record) -> list[str]:
    """What the machine reached before the run, and after it."""
    before, after = run.calibration.get("before"), run.calibration.get("after")
    if before is None:
        return []
    figures = [
        (f"GFLOP/s {dtype}", flops, None if after is None else after.flops.get(dtype))
        for dtype, flops in before.flops.items()
    ]
    figures.append(("GB/s", before.bytes, None if after is None else after.bytes))
    return [", ".join(f"{_from_to(start, end)} {unit}" for unit, start, end in figures)]


def _from_to(before: float, after: float | None) -> str:
    start = three_digits(before / 1e9)
    return start if after is None else f"{start} to {three_digits(after / 1e9)}"
