"""Whether a row reaches its goals, and how near its limit it comes.

Source:  benchmarks/README.md, "How it is measured": a goal is met when the worse end of the spread is on its right side.
"""

from dataclasses import dataclass

from benchmarks.harness.declaring import Benchmark, Goal, Workload
from benchmarks.harness.record import Calibration, Row

PUBLISHED = {"cpu": "cpu", "cuda": "gpu"}
"""By kind of device: the size that goals are set for."""


@dataclass(frozen=True)
class Verdict:
    """One goal beside what was measured."""

    goal: Goal
    is_met: bool | None
    """None where it was not measured."""


def judge(benchmark: Benchmark, row: Row) -> Verdict | None:
    """The first goal that the row misses; else the first that wasn't measured; else the first of all.

    None for a row without a goal, or of another than the published size.
    """
    if row.size != PUBLISHED[row.device]:
        return None
    verdicts = [Verdict(goal, is_met(goal, row)) for goal in benchmark.goals if _applies(goal, row)]
    return min(verdicts, key=lambda verdict: (False, None, True).index(verdict.is_met), default=None)


def _applies(goal: Goal, row: Row) -> bool:
    return (
        (goal.case, goal.peer) == (row.case, row.peer)
        and goal.on in (row.device, "any")
        and goal.dtype in (row.dtype, None)
    )


def is_met(goal: Goal, row: Row) -> bool | None:
    """Whether the slow end of the ratio, or the peer's peak memory over ours, is at least the goal's."""
    if goal.measure == "time":
        return None if row.ratio is None else row.ratio.low >= goal.at_least
    if row.memory_ours is None or row.memory_theirs is None:
        return None
    return row.memory_theirs >= goal.at_least * row.memory_ours


def compute_share(
    seconds: float, workload: Workload, bound: str | None, dtype: str, limits: Calibration
) -> float | None:
    """The share of the calibrated limit that runs of this many seconds reach; None where nothing is declared."""
    if bound == "flops":
        return None if workload.flops is None else workload.flops / seconds / limits.flops[dtype]
    if bound == "bytes":
        return None if workload.bytes is None else workload.bytes / seconds / limits.bytes
    return None
