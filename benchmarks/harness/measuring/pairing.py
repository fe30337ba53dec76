"""Timing ours and a peer in turns, so that what disturbs one disturbs the other.

Both are warmed up until they are steady, then run A B A B with the garbage collector off.
Other programs slow both of a pair, so the ratio of the two survives where times do not.

Source:  benchmarks/README.md, "How it is measured", points 1 to 3.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

import torch

from benchmarks.harness.declaring import Run
from benchmarks.harness.measuring.clocks import Clock
from benchmarks.harness.measuring.spreads import relative_difference

Seconds = TypeVar("Seconds", float, float | None)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How often runs are repeated."""

    short_run: float = 0.050
    """Seconds under which a run is short (protocol, point 3)."""
    pairs_of_short: int = 30
    """Least pairs of short runs."""
    pairs_of_slow: int = 10
    """Least pairs where either side is slow."""
    most_pairs: int = 200
    """Where they cost little: the median of 200 is steady to a tenth of its spread."""
    pair_seconds: float = 10.0
    """After the least pairs, no further one starts later than this."""
    agreement: float = 0.05
    """Two medians closer than this fraction end the warm-up (protocol, point 2)."""
    block: int = 3
    """Runs to a median of the warm-up."""
    most_blocks: int = 20
    """A machine that never gets steady ends the warm-up here; the spread will show it."""
    warm_up_seconds: float = 30.0
    """After two blocks, no further one starts later than this."""
    cpu_runs: int = 3
    """Runs with one thread, after one to warm up."""
    cpu_seconds: float = 5.0
    """After the first of them, no further one starts later than this."""


@dataclass(frozen=True)
class Pairs:
    """Seconds of each run, ours and theirs in the order they ran."""

    ours: list[float]
    theirs: list[float]


def time_pairs(clock: Clock, ours: Run, theirs: Run, prepare: Callable[[], None], plan: Plan) -> Pairs:
    """Warm both up and time them in turns; `prepare` is called before each run, outside the clock."""
    with collector_off():
        slower = max(warm_up(clock, run, prepare, plan) for run in (ours, theirs))
        least = plan.pairs_of_short if slower < plan.short_run else plan.pairs_of_slow
        pairs = Pairs([], [])
        start = clock.now()
        while len(pairs.ours) < least or (
            len(pairs.ours) < plan.most_pairs and clock.now() - start < plan.pair_seconds
        ):
            pairs.ours.append(_time_once(clock.time, ours, prepare))
            pairs.theirs.append(_time_once(clock.time, theirs, prepare))
    return pairs


def warm_up(clock: Clock, run: Run, prepare: Callable[[], None], plan: Plan) -> float:
    """Run until two consecutive medians agree or the plan's cap is reached; the last median, in seconds."""
    start = clock.now()
    before = _time_block(clock, run, prepare, plan.block)
    for _ in range(plan.most_blocks - 1):
        after = _time_block(clock, run, prepare, plan.block)
        if relative_difference(before, after) <= plan.agreement:
            return after
        before = after
        if clock.now() - start >= plan.warm_up_seconds:
            break
    return before


def _time_block(clock: Clock, run: Run, prepare: Callable[[], None], n_runs: int) -> float:
    return median(_time_once(clock.time, run, prepare) for _ in range(n_runs))


def _time_once(time: Callable[[Run], Seconds], run: Run, prepare: Callable[[], None]) -> Seconds:
    prepare()
    gc.collect(0)  # what the last run left in cycles may hold tensors, and nobody else collects it now
    return time(run)


def time_one_thread(clock: Clock, run: Run, prepare: Callable[[], None], plan: Plan) -> float | None:
    """The median of CPU seconds with one thread; None where the clock has no CPU time to give."""
    seconds: list[float] = []
    start = clock.now()
    with collector_off(), one_thread():
        while len(seconds) < 2 or (len(seconds) <= plan.cpu_runs and clock.now() - start < plan.cpu_seconds):
            used = _time_once(clock.time_cpu, run, prepare)
            if used is None:
                return None
            seconds.append(used)
    return median(seconds[1:])  # the first warms up: compiled code may depend on the number of threads


@contextmanager
def collector_off() -> Iterator[None]:
    """Collects garbage once, then not by itself until the end; on or off as before afterwards."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes with one thread inside, and with as many as before afterwards."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
