"""A whole run: what it measures in which order, and what is left of it when it stops."""

import copy
from dataclasses import replace

import pytest
import torch
from benchmarks.harness import running
from benchmarks.harness.measuring.clocks import CPUClock
from benchmarks.harness.measuring.launches import measure_calls
from benchmarks.harness.measuring.memory import Peak
from benchmarks.harness.measuring.pairing import Plan
from benchmarks.harness.record import Calibration, Record
from benchmarks.harness.running import Job, make_tools, run_benchmarks

CPU = torch.device("cpu")


class Run:
    """A run, and what was kept and told of it."""

    def __init__(self, toys, benchmarks, *, size="cpu", pins=None, **tools):
        self.kept, self.told = [], []
        self.record = Record(machine={}, software={}, options={}, commit="", started="")
        run_benchmarks(
            Job(benchmarks, CPU, size, "peers", pins),
            self.record,
            toys.tools(**tools),
            lambda record: self.kept.append(copy.deepcopy(record)),
            self.told.append,
        )


@pytest.fixture
def run(toys):
    return lambda *benchmarks, **settings: Run(toys, benchmarks, **settings)


def stop(*_):
    raise KeyboardInterrupt


def test_every_benchmark_case_dtype_and_peer_has_a_row(toys, run):
    workload = toys.workload(peers={"one": toys.rival("one"), "other": toys.rival("other")})
    first = toys.benchmark(workload, name="first", cases={"a": "", "b": ""}, dtypes={"cpu": ("float32", "bfloat16")})
    done = run(first, toys.benchmark(name="second"), size="tiny")
    assert [(row.path, row.case, row.dtype, row.peer) for row in done.record.rows] == [
        ("first", "a", "float32", "one"),
        ("first", "a", "float32", "other"),
        ("first", "a", "bfloat16", "one"),
        ("first", "a", "bfloat16", "other"),
        ("first", "b", "float32", "one"),
        ("first", "b", "float32", "other"),
        ("first", "b", "bfloat16", "one"),
        ("first", "b", "bfloat16", "other"),
        ("second", "only", "float32", "rival"),
    ]
    assert {(row.size, row.environment, row.status) for row in done.record.rows} == {("tiny", "peers", "agrees")}


def test_a_workload_is_told_its_place(toys, run):
    places = []

    def make(place):
        places.append(place)
        return toys.workload()

    run(toys.benchmark(make=make, peers=("rival",), dtypes={"cpu": ("bfloat16",)}), size="tiny")
    (place,) = places
    assert (place.device, place.dtype, place.size, place.case) == (CPU, torch.bfloat16, "tiny", "only")


def test_a_benchmark_for_another_device_is_skipped_even_where_it_is_strict(toys, run):
    benchmark = toys.benchmark(make=stop, peers=("rival",), dtypes={"cuda": ("bfloat16", "float32")})
    rows = run(benchmark, pins={}).record.rows
    assert [(row.dtype, row.status, row.reason) for row in rows] == [
        ("bfloat16", "skipped", "is measured on cuda only"),
        ("float32", "skipped", "is measured on cuda only"),
    ]


def test_a_skipped_peer_fails_where_the_run_is_strict(toys, run):
    benchmark = toys.benchmark(toys.workload(peers={"rival": lambda: __import__("no_such_module")}))
    assert run(benchmark).record.rows[0].status == "skipped"
    assert run(benchmark, pins={}).record.rows[0].status == "failed"


def test_the_record_is_kept_before_the_first_row_and_after_each(toys, run):
    done = run(toys.benchmark(name="one"), toys.benchmark(name="two"))
    assert [len(record.rows) for record in done.kept] == [0, 1, 2, 2]
    assert [record.is_complete for record in done.kept] == [False, False, False, True]
    assert done.told == done.record.rows
    assert done.kept[-1] == done.record


def test_a_record_that_can_not_be_kept_is_found_out_before_anything_runs(toys):
    def keep(record):
        raise PermissionError("read only")

    record = Record(machine={}, software={}, options={}, commit="", started="")
    job = Job([toys.benchmark()], CPU, "cpu")
    with pytest.raises(PermissionError):
        run_benchmarks(job, record, toys.tools(calibrate=stop), keep, lambda row: None)
    assert toys.clock.log == []


def test_the_machine_is_calibrated_before_and_after_in_the_dtypes_of_the_run(toys, run):
    asked = []

    def calibrate(dtypes):
        asked.append((set(dtypes), len(toys.clock.log)))
        return Calibration({"float32": 1000.0, "bfloat16": 1.0}, 100.0 * len(asked))

    first = toys.benchmark(dtypes={"cpu": ("float32",), "cuda": ("float16",)}, name="first")
    done = run(first, toys.benchmark(dtypes={"cpu": ("bfloat16",)}, name="second"), calibrate=calibrate)
    assert [dtypes for dtypes, _ in asked] == [{"float32", "bfloat16"}] * 2
    assert [at for _, at in asked] == [0, len(toys.clock.log)]
    assert {when: figures.bytes for when, figures in done.record.calibration.items()} == {
        "before": 100.0,
        "after": 200.0,
    }
    assert done.record.is_noisy


def test_shares_are_of_the_limits_of_before(toys, run):
    workload = toys.workload(bytes=5.0)
    benchmark = toys.benchmark(workload, limits={"only": "bytes"})
    limits = iter([Calibration({"float32": 1.0}, 100.0), Calibration({"float32": 1.0}, 999.0)])
    (row,) = run(benchmark, calibrate=lambda dtypes: next(limits)).record.rows
    assert row.share == 5.0 / 0.25 / 100.0


def test_a_quiet_run_is_not_noisy(toys, run):
    assert not run(toys.benchmark()).record.is_noisy


def test_at_tiny_the_machine_is_not_calibrated(toys, run):
    done = run(toys.benchmark(), size="tiny", calibrate=lambda dtypes: pytest.fail("it was calibrated"))
    assert (done.record.calibration, done.record.is_noisy, done.record.is_complete) == ({}, False, True)
    assert not toys.clock.was_used


def test_ctrl_c_midway_keeps_the_rows_that_are_finished(toys, run):
    peers = {"first": toys.rival("first"), "second": toys.rival("second", before=stop), "third": toys.rival("third")}
    done = run(toys.benchmark(name="one"), toys.benchmark(toys.workload(peers=peers)), toys.benchmark(name="last"))
    assert [(row.path, row.peer) for row in done.record.rows] == [("one", "rival"), ("toy", "first")]
    assert {row.status for row in done.record.rows} == {"measured"}
    assert not done.record.is_complete
    assert set(done.record.calibration) == {"before"}
    assert done.kept[-1] == done.record


@pytest.mark.parametrize("n_calibrations", [0, 1])
def test_ctrl_c_while_calibrating_keeps_what_there_is(toys, run, n_calibrations):
    limits = iter([toys.limits] * n_calibrations)
    done = run(toys.benchmark(), calibrate=lambda dtypes: next(limits, None) or stop())
    assert len(done.record.rows) == n_calibrations
    assert not done.record.is_complete


def test_memory_is_given_back_after_each_peer_and_each_case(toys, run, monkeypatch):
    monkeypatch.setattr("benchmarks.harness.rows.gc.collect", lambda *_: toys.clock.log.append("collect"))
    peers = {"first": toys.rival("first"), "second": toys.rival("second")}
    run(toys.benchmark(toys.workload(peers=peers)), size="tiny")
    log = toys.clock.log
    assert "collect" in log[log.index("first") : log.index("second")]
    assert log[-2:] == ["collect", "collect"]


@pytest.mark.parametrize(("size", "is_timed"), [("tiny", False), ("cpu", True), ("gpu", True)])
def test_only_tiny_is_not_timed(size, is_timed):
    assert Job([], CPU, size).is_timed is is_timed


def test_the_tools_of_a_processor_measure_with_its_clock_and_count_no_launches():
    tools = make_tools(CPU)
    assert type(tools.clock) is CPUClock
    assert (tools.plan, tools.measure_calls) == (Plan(), None)
    assert tools.measure_peak(lambda: torch.zeros(40, dtype=torch.uint8), lambda: None) == Peak(40)


def test_the_tools_of_cuda_count_launches_and_calibrate_by_its_clock(monkeypatch):
    cuda = torch.device("cuda")
    monkeypatch.setattr(running, "make_clock", lambda device: f"clock of {device}")
    monkeypatch.setattr(running, "calibrate", lambda device, dtypes, *, clock: (device, dtypes, clock))
    tools = make_tools(cuda)
    assert tools.measure_calls is measure_calls
    assert tools.calibrate({"float32"}) == (cuda, {"float32"}, "clock of cuda")
    assert replace(tools, clock=None).measure_peak.keywords == {"device": cuda}
