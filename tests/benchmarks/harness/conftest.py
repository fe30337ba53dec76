"""A clock that goes only when told, so that nothing here depends on the machine."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from benchmarks.harness.declaring import Benchmark, Disagreement, Place, Workload
from benchmarks.harness.measuring.memory import Peak
from benchmarks.harness.measuring.pairing import Plan
from benchmarks.harness.record import Calibration, Row
from benchmarks.harness.rows import Terms, Tools, measure_case


class FakeClock:
    """Toy runs spend its seconds; `log` has what ran, with "|" where a timed run begins and ends."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.log: list[str] = []

    def spend(self, seconds: float, cpu_seconds: float = 0.0) -> None:
        self.seconds += seconds
        self.cpu_seconds += cpu_seconds

    def now(self) -> float:
        return self.seconds

    def time(self, run: Callable[[], Any]) -> float:
        start = self.seconds
        self.log.append("|")
        run()
        self.log.append("|")
        return self.seconds - start

    def time_cpu(self, run: Callable[[], Any]) -> float | None:
        start = self.cpu_seconds
        run()
        return self.cpu_seconds - start

    @property
    def was_used(self) -> bool:
        return "|" in self.log


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


LIMITS = Calibration({"float32": 1000.0, "bfloat16": 4000.0}, 100.0)


@dataclass
class ToyRun:
    """Gives a number, and takes the fake clock's seconds for it."""

    clock: FakeClock
    name: str
    result: float = 1.0
    seconds: float = 0.25
    cpu_seconds: float = 0.5
    peak: Peak | None = None
    before: Callable[[], Any] = lambda: None
    """What happens at the start of a run: it may raise."""

    def __call__(self) -> float:
        self.clock.log.append(self.name)
        self.before()
        self.clock.spend(self.seconds, self.cpu_seconds)
        return self.result


def agree(ours: float, theirs: float) -> float:
    if abs(ours - theirs) > 0.25:
        raise Disagreement(f"{ours} is not {theirs}")
    return abs(ours - theirs)


class Toys:
    """Makes benchmarks of toy runs, and the tools that measure them."""

    agree = staticmethod(agree)
    limits = LIMITS

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock

    def run(self, name: str = "ours", **settings: Any) -> ToyRun:
        return ToyRun(self.clock, name, **settings)

    def rival(self, name: str = "rival", **settings: Any) -> Callable[[], ToyRun]:
        """A peer's set-up."""
        return lambda: self.run(name, **{"result": 1.125, "seconds": 0.5, "cpu_seconds": 2.0, **settings})

    def workload(self, ours: Callable[[], Any] | None = None, **fields: Any) -> Workload:
        return Workload(**{"ours": ours or self.run(), "peers": {"rival": self.rival()}, "agree": agree, **fields})

    def benchmark(self, workload: Workload | None = None, **fields: Any) -> Benchmark:
        workload = workload or self.workload()
        defaults = {
            "name": "toy",
            "title": "A toy",
            "cases": {"only": "the only case"},
            "unit": "numbers",
            "make": lambda place: workload,
            "peers": tuple(workload.peers),
        }
        return Benchmark(**{**defaults, **fields})

    def tools(self, **fields: Any) -> Tools:
        defaults = {
            "clock": self.clock,
            "plan": Plan(short_run=0.25, pairs_of_slow=4, pair_seconds=0.0),
            "calibrate": lambda dtypes: LIMITS,
            "measure_peak": self._measure_peak,
            "measure_calls": None,
            "forbid_syncs": nullcontext,
        }
        return Tools(**{**defaults, **fields})

    def _measure_peak(self, run: Callable[[], Any], prepare: Callable[[], None]) -> Peak:
        prepare()
        self.clock.log.append("peak")
        run()
        return getattr(run, "peak", None) or Peak(100)


@pytest.fixture
def toys(clock: FakeClock) -> Toys:
    return Toys(clock)


@pytest.fixture
def measure(toys: Toys) -> Callable[..., dict[str, Row]]:
    """The rows of a benchmark by peer."""

    def run(
        benchmark: Benchmark, *, size: str = "cpu", pins: Any = None, main_pins: Any = None, **tools: Any
    ) -> dict[str, Row]:
        place = Place(torch.device("cpu"), torch.float32, size, "only")
        terms = Terms("main", None if size == "tiny" else toys.limits, pins, main_pins)
        rows = list(measure_case(benchmark, place, terms, toys.tools(**tools)))
        assert len({row.peer for row in rows}) == len(rows)
        return {row.peer: row for row in rows}

    return run


@pytest.fixture(autouse=True, scope="module")
def young_heap() -> Iterator[None]:
    """Every measurement collects garbage; what torch's import left behind need not be searched each time."""
    gc.freeze()
    yield
    gc.unfreeze()
