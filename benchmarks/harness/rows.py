"""One case of a path on one device in one dtype: a row for each peer.

What a row goes through, in this order: the peer is set up, the results are compared, facts
that need no stopwatch are gathered, and only then it is timed. Whatever is raised on the way
ends the row, with its reason, and not the run.

Source:  benchmarks/README.md, "How it is measured".
"""

import gc
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from benchmarks.harness.declaring import Benchmark, Disagreement, Place, Run, Skip, Workload
from benchmarks.harness.measuring.clocks import Clock
from benchmarks.harness.measuring.goals import compute_share, judge
from benchmarks.harness.measuring.launches import Counts, HostSync
from benchmarks.harness.measuring.memory import Peak
from benchmarks.harness.measuring.pairing import Plan, time_one_thread, time_pairs
from benchmarks.harness.measuring.spreads import compute_ratios, compute_spread
from benchmarks.harness.packages import name_version, should_be_here, why_missing
from benchmarks.harness.record import Calibration, Row, Status

LONGEST_REASON = 300
"""Characters of a reason; some libraries put a page into their message."""


@dataclass(frozen=True)
class Tools:
    """What measures, on one device."""

    clock: Clock
    plan: Plan
    calibrate: Callable[[Iterable[str]], Calibration]
    """Given dtypes: what the device reaches just now."""
    measure_peak: Callable[[Run, Callable[[], None]], Peak]
    """Given a run and what is called before it."""
    measure_calls: Callable[[Run], Counts] | None
    """None on a device that nothing is launched on."""
    forbid_syncs: Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Terms:
    """What holds for every row of a run."""

    environment: str
    limits: Calibration | None
    """The machine's calibrated limits; None where nothing is timed."""
    pins: Mapping[str, str] | None = None
    """Versions that the environment lists, where a skipped peer among them is a failure."""
    main_pins: Mapping[str, str] | None = None
    """In another environment than `main`: what `main` lists, and so measures; those peers have no row here."""


@dataclass(frozen=True)
class _Ours:
    """What is found of ours once, for all peers."""

    first: Any
    """The result of the very first run: a step of training has another one each time."""
    compile_seconds: float | None
    peak: Peak
    counts: Counts | None


class _Ended(Exception):
    """A row, or every row of a case, goes no further."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def measure_case(benchmark: Benchmark, place: Place, terms: Terms, tools: Tools) -> Iterator[Row]:
    """Every row of a case, each as soon as it is finished."""
    rows = make_rows(benchmark, place, terms)
    if not rows:
        return
    try:
        with _stage("ours"):
            workload = benchmark.make(place)
            rows = _keep_peers(rows, benchmark, workload)
            with _autograd(workload):
                ours = _measure_ours(workload, place, terms, tools)
    except _Ended as end:
        for row in rows:
            row.status, row.reason = end.status, end.reason
        yield from rows
        return
    for row in rows:
        _measure_peer(row, benchmark, workload, ours, terms, tools)
        release_memory(place.device)
        yield row


def make_rows(benchmark: Benchmark, place: Place, terms: Terms) -> list[Row]:
    """A row for each peer, before anything is known of it."""
    rows = [
        Row(
            path=benchmark.name,
            case=place.case,
            peer=peer,
            device=place.device.type,
            dtype=str(place.dtype).removeprefix("torch."),
            size=place.size,
            environment=terms.environment,
            status="failed",
            unit=benchmark.unit,
            bound=benchmark.limits.get(place.case),
        )
        for peer in benchmark.peers
        if terms.main_pins is None or not should_be_here(benchmark.peer_packages.get(peer), terms.main_pins)
    ]
    for row in rows:
        _set_goal(benchmark, row)
    return rows


def _set_goal(benchmark: Benchmark, row: Row) -> None:
    verdict = judge(benchmark, row)
    if verdict is not None:
        row.goal, row.measure, row.is_met = verdict.goal.at_least, verdict.goal.measure, verdict.is_met


def _keep_peers(rows: list[Row], benchmark: Benchmark, workload: Workload) -> list[Row]:
    """The rows of the peers that this case has."""
    unknown = set(workload.peers) - set(benchmark.peers)
    if unknown:
        raise ValueError(f"a case's peers must be among the benchmark's: {', '.join(sorted(unknown))} are not")
    return [row for row in rows if row.peer in workload.peers]


def _measure_ours(workload: Workload, place: Place, terms: Terms, tools: Tools) -> _Ours:
    """The first run of ours and what needs no stopwatch; how long the first took where it compiles."""
    _prepare(workload)
    compile_seconds = None
    if workload.ours_compiles and terms.limits is not None:
        results: list[Any] = []
        compile_seconds = tools.clock.time(lambda: results.append(workload.ours()))
        (first,) = results
    else:
        first = workload.ours()
    counts = None
    if tools.measure_calls is not None:
        if workload.must_not_sync:
            _prepare(workload)
            with tools.forbid_syncs():
                workload.ours()
        _prepare(workload)
        counts = tools.measure_calls(workload.ours)
        if workload.must_not_sync and counts.syncs:
            raise HostSync(f"a run must not wait for the device: it does {counts.syncs} times. Profile it.")
    peak = tools.measure_peak(workload.ours, partial(_prepare, workload))
    return _Ours(first, compile_seconds, peak, counts)


def _measure_peer(row: Row, benchmark: Benchmark, workload: Workload, ours: _Ours, terms: Terms, tools: Tools) -> None:
    """Fill in a row."""
    requirement = benchmark.peer_packages.get(row.peer)
    try:
        with _stage(row.peer, may_be_missing=True):
            if requirement is not None:
                if reason := why_missing(requirement):
                    raise Skip(reason)
                row.peer_version = name_version(requirement)
            theirs = workload.peers[row.peer]()
        with _autograd(workload):
            _compare(row, workload, theirs, ours)
            _gather_facts(row, workload, theirs, ours, tools)
            row.status = "agrees"
            if terms.limits is not None:
                with _stage("timing"):
                    _time(row, workload, theirs, terms.limits, tools)
                row.compile_ours = ours.compile_seconds
                row.status = "measured"
        _set_goal(benchmark, row)
    except _Ended as end:
        row.status, row.reason = end.status, end.reason
        if end.status == "skipped" and terms.pins is not None and should_be_here(requirement, terms.pins):
            row.status, row.reason = "failed", f"should run in this environment: {end.reason}"


def _compare(row: Row, workload: Workload, theirs: Run, ours: _Ours) -> None:
    with _stage(row.peer, may_be_missing=True):
        _prepare(workload)
        result = theirs()
    with _stage("the agreement check"):
        difference = workload.agree(ours.first, result)
        if not math.isfinite(difference):
            raise Disagreement(f"the difference is {difference}")
    row.difference = difference


def _gather_facts(row: Row, workload: Workload, theirs: Run, ours: _Ours, tools: Tools) -> None:
    """What is the same at every repetition."""
    with _stage(row.peer):
        peak = tools.measure_peak(theirs, partial(_prepare, workload))
    row.memory_ours, row.memory_theirs = ours.peak.n_bytes, peak.n_bytes
    if reason := ours.peak.reason or peak.reason:
        row.reason = f"no memory: {reason}"
    if ours.counts is not None:
        row.launches, row.syncs = ours.counts.launches, ours.counts.syncs


def _time(row: Row, workload: Workload, theirs: Run, limits: Calibration, tools: Tools) -> None:
    prepare = partial(_prepare, workload)
    pairs = time_pairs(tools.clock, workload.ours, theirs, prepare, tools.plan)
    row.n_pairs = len(pairs.ours)
    row.ours, row.theirs = compute_spread(pairs.ours), compute_spread(pairs.theirs)
    row.ratio = compute_spread(compute_ratios(pairs.ours, pairs.theirs))
    row.cpu_ours = time_one_thread(tools.clock, workload.ours, prepare, tools.plan)
    row.cpu_theirs = time_one_thread(tools.clock, theirs, prepare, tools.plan)
    row.rate = workload.units / row.ours.median
    row.share = compute_share(row.ours.median, workload, row.bound, row.dtype, limits)


def _prepare(workload: Workload) -> None:
    if workload.prepare is not None:
        workload.prepare()


def _autograd(workload: Workload) -> AbstractContextManager[Any]:
    return torch.enable_grad() if workload.needs_grad else torch.inference_mode()


@contextmanager
def _stage(who: str, *, may_be_missing: bool = False) -> Iterator[None]:
    """Turns what is raised inside into the end of the row; Ctrl-C and the like pass."""
    try:
        yield
    except Skip as skip:
        raise _Ended("skipped", str(skip)) from skip
    except Disagreement as error:
        raise _Ended("failed", f"disagrees: {error}") from error
    except Exception as error:
        is_missing = may_be_missing and isinstance(error, ImportError)
        raise _Ended("skipped" if is_missing else "failed", describe_error(who, error)) from error


def describe_error(who: str, error: Exception) -> str:
    """One line that says whose error it is; memory that runs out is named first, whatever type says so."""
    first_line = (str(error).splitlines() or [""])[0][:LONGEST_REASON]
    if is_out_of_memory(error):
        return f"out of memory in {who}: {first_line}"
    return f"{who}: {type(error).__name__}: {first_line}"


def is_out_of_memory(error: Exception) -> bool:
    """Torch has a type for CUDA's, and a plain RuntimeError for its CPU allocator's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error).lower() for words in ("out of memory", "can't allocate memory", "not enough memory")
    )


def release_memory(device: torch.device) -> None:
    """Give back what nobody holds any more, so that the last peer finds as much memory as the first."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
