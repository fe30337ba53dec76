"""Goals are met at the worse end; shares are of the limit that binds."""

from dataclasses import replace

import pytest
from benchmarks.harness.declaring import Benchmark, Goal, Workload
from benchmarks.harness.measuring.goals import Verdict, compute_share, is_met, judge
from benchmarks.harness.record import Calibration, Row, Spread

TIME = Goal("batch", "rival", 1.5)
MEMORY = Goal("batch", "rival", 2.0, measure="memory")
ROW = Row(
    path="toy", case="batch", peer="rival", device="cpu", dtype="float32", size="cpu", environment="main",
    status="measured", ratio=Spread(2.0, 1.5, 3.0), memory_ours=100, memory_theirs=200,
)  # fmt: skip


def with_goals(*goals):
    return Benchmark("toy", "Toy", {"batch": ""}, "runs", make=None, peers=("rival",), goals=goals)  # type: ignore[arg-type]


@pytest.mark.parametrize(("low", "met"), [(1.5, True), (1.4999, False), (1.51, True)])
def test_the_slow_end_decides_on_time(low, met):
    assert is_met(TIME, replace(ROW, ratio=Spread(median=1.6, low=low, high=9.0))) is met


@pytest.mark.parametrize(
    ("ours", "theirs", "met"), [(100, 200, True), (100, 199, False), (0, 0, True), (200, 100, False)]
)
def test_memory_is_theirs_over_ours(ours, theirs, met):
    assert is_met(MEMORY, replace(ROW, memory_ours=ours, memory_theirs=theirs)) is met


def test_what_was_not_measured_is_neither_met_nor_missed():
    assert is_met(TIME, replace(ROW, ratio=None)) is None
    assert is_met(MEMORY, replace(ROW, memory_ours=None)) is None
    assert is_met(MEMORY, replace(ROW, memory_theirs=None)) is None


@pytest.mark.parametrize(
    ("goal", "row"),
    [
        (replace(TIME, case="another"), ROW),
        (replace(TIME, peer="another"), ROW),
        (replace(TIME, on="cuda"), ROW),
        (replace(TIME, on="cpu"), replace(ROW, device="cuda", size="gpu")),
        (replace(TIME, dtype="bfloat16"), ROW),
        (TIME, replace(ROW, size="tiny")),
        (TIME, replace(ROW, device="cuda", size="cpu")),
    ],
)
def test_goals_of_others_and_of_other_sizes_do_not_count(goal, row):
    assert judge(with_goals(goal), row) is None


@pytest.mark.parametrize(
    ("goal", "row"),
    [
        (TIME, ROW),
        (replace(TIME, on="cpu"), ROW),
        (replace(TIME, dtype="float32"), ROW),
        (TIME, replace(ROW, device="cuda", size="gpu")),
        (replace(TIME, on="cuda"), replace(ROW, device="cuda", size="gpu")),
    ],
)
def test_goals_of_the_row_count(goal, row):
    assert judge(with_goals(replace(goal, peer="another"), goal), row) == Verdict(goal, True)


def test_of_several_goals_the_first_that_is_missed_stands_for_the_row():
    missed = replace(TIME, at_least=9.0)
    assert judge(with_goals(MEMORY, TIME), ROW) == Verdict(MEMORY, True)
    assert judge(with_goals(MEMORY, missed), ROW) == Verdict(missed, False)
    unmeasured = replace(ROW, memory_ours=None)
    assert judge(with_goals(TIME, MEMORY), unmeasured) == Verdict(MEMORY, None)
    assert judge(with_goals(MEMORY, missed), unmeasured) == Verdict(missed, False)


WORKLOAD = Workload(ours=lambda: None, peers={}, agree=lambda ours, theirs: 0.0, flops=600.0, bytes=90.0)
LIMITS = Calibration({"float32": 400.0, "bfloat16": 1600.0}, 60.0)


@pytest.mark.parametrize(
    ("bound", "dtype", "workload", "share"),
    [
        ("flops", "float32", WORKLOAD, 0.5),
        ("flops", "bfloat16", WORKLOAD, 0.125),
        ("bytes", "float32", WORKLOAD, 0.5),
        (None, "float32", WORKLOAD, None),
        ("flops", "float32", replace(WORKLOAD, flops=None), None),
        ("bytes", "float32", replace(WORKLOAD, bytes=None), None),
    ],
)
def test_a_share_is_of_the_calibrated_limit_of_its_dtype(bound, dtype, workload, share):
    assert compute_share(3.0, workload, bound, dtype, LIMITS) == share
