"""A whole run: calibration, every case of every benchmark, calibration again.

The record is kept after every row, so that Ctrl-C loses none that is finished.

Source:  benchmarks/README.md, "How it is measured".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from benchmarks.harness.declaring import Benchmark, Place
from benchmarks.harness.measuring.calibration import calibrate, is_noisy
from benchmarks.harness.measuring.clocks import make_clock
from benchmarks.harness.measuring.launches import measure_calls, syncs_forbidden
from benchmarks.harness.measuring.memory import measure_peak
from benchmarks.harness.measuring.pairing import Plan
from benchmarks.harness.record import Calibration, Record, Row
from benchmarks.harness.rows import Terms, Tools, make_rows, measure_case, release_memory


@dataclass(frozen=True)
class Job:
    """What a run is of."""

    benchmarks: Sequence[Benchmark]
    device: torch.device
    size: str
    environment: str = "main"
    pins: Mapping[str, str] | None = None
    """Versions that the environment lists, where a skipped peer among them is a failure."""
    main_pins: Mapping[str, str] | None = None
    """In another environment than `main`: what `main` lists, and so measures."""

    @property
    def is_timed(self) -> bool:
        """At size `tiny` nothing is."""
        return self.size != "tiny"

    @property
    def dtypes(self) -> set[str]:
        """Every dtype that something is measured in."""
        return {dtype for benchmark in self.benchmarks for dtype in benchmark.dtypes.get(self.device.type, ())}


def make_tools(device: torch.device) -> Tools:
    """What measures on this device."""
    clock = make_clock(device)
    return Tools(
        clock=clock,
        plan=Plan(),
        calibrate=partial(calibrate, device, clock=clock),
        measure_peak=partial(measure_peak, device=device),
        measure_calls=measure_calls if device.type == "cuda" else None,
        forbid_syncs=syncs_forbidden,
    )


def run_benchmarks(
    job: Job,
    record: Record,
    tools: Tools,
    keep: Callable[[Record], None],
    tell: Callable[[Row], None],
) -> None:
    """Fill in the record; `keep` gets it at the start and after each row, `tell` each row that is finished."""
    keep(record)  # a file that can't be written is found out now, not hours later
    try:
        limits = None
        if job.is_timed:
            limits = record.calibration["before"] = tools.calibrate(job.dtypes)
        for row in measure_all(job, limits, tools):
            record.rows.append(row)
            tell(row)
            keep(record)
        if limits is not None:
            after = record.calibration["after"] = tools.calibrate(job.dtypes)
            record.is_noisy = is_noisy(limits, after)
        record.is_complete = True
    except KeyboardInterrupt:
        pass  # the record says that it isn't complete
    keep(record)


def measure_all(job: Job, limits: Calibration | None, tools: Tools) -> Iterator[Row]:
    """Every row, benchmark by benchmark."""
    terms = Terms(job.environment, limits, job.pins, job.main_pins)
    for benchmark in job.benchmarks:
        dtypes = benchmark.dtypes.get(job.device.type, ())
        for case in benchmark.cases:
            for dtype in dtypes:
                yield from measure_case(benchmark, _place(job, dtype, case), terms, tools)
                release_memory(job.device)
            if not dtypes:
                yield from _skip_case(benchmark, job, case, terms)


def _place(job: Job, dtype: str, case: str) -> Place:
    return Place(job.device, getattr(torch, dtype), job.size, case)


def _skip_case(benchmark: Benchmark, job: Job, case: str, terms: Terms) -> Iterator[Row]:
    """Rows of a benchmark that isn't measured on this kind of device."""
    kinds = " and ".join(sorted(benchmark.dtypes))
    for dtype in sorted({dtype for dtypes in benchmark.dtypes.values() for dtype in dtypes}):
        for row in make_rows(benchmark, _place(job, dtype, case), terms):
            row.status, row.reason = "skipped", f"is measured on {kinds} only"
            yield row
