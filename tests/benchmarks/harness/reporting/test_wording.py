"""Figures in words."""

import pytest
from benchmarks.harness.record import Calibration, Spread
from benchmarks.harness.reporting.wording import (
    cpu_ratio,
    describe_goal,
    describe_machine,
    describe_milliseconds,
    describe_peer,
    describe_ratio,
    describe_run,
    describe_share,
    memory_ratio,
    three_digits,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (999.4, "999"),
        (999.6, "1,000"),
        (9.996, "10.0"),
        (9.994, "9.99"),
        (1234567.0, "1,234,567"),
        (0.04567, "0.0457"),
        (1e-6, "0.00000100"),
        (9e-7, "9.00e-07"),
        (2e9, "2.00e+09"),
        (-12.34, "-12.3"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_three_digits_count(value, text):
    assert three_digits(value) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(None, "–"), (1.0, "1.00"), (0.997, "1.00"), (0.1, "0.10"), (0.0951, "0.0951"), (1.005, "1.00")]
)
def test_a_ratio_has_two_decimals_near_one(ratio, text):
    assert describe_ratio(ratio) == text


def test_times_are_in_milliseconds():
    assert describe_milliseconds(Spread(1.4321, 1.0, 2.0)) == "1,432"
    assert describe_milliseconds(None) == "–"


def test_ratios_are_theirs_over_ours(make_row):
    row = make_row(cpu_ours=0.004, cpu_theirs=0.006, memory_ours=10, memory_theirs=25)
    assert cpu_ratio(row) == pytest.approx(1.5)
    assert memory_ratio(row) == 2.5


@pytest.mark.parametrize("memory", [(None, 5), (5, None), (0, 5)])
def test_a_ratio_to_nothing_is_none(make_row, memory):
    assert memory_ratio(make_row(memory_ours=memory[0], memory_theirs=memory[1])) is None


def test_nothing_over_something_is_a_ratio(make_row):
    assert memory_ratio(make_row(memory_ours=5, memory_theirs=0)) == 0


def test_a_share_names_what_bounds(make_row):
    assert describe_share(make_row(share=0.555, bound="bytes")) == "56 % bytes"
    assert describe_share(make_row(bound="bytes")) == "–"


@pytest.mark.parametrize(
    ("goal", "text"),
    [
        ({}, "–"),
        ({"goal": 1.5, "measure": "time", "is_met": True}, "≥ 1.5 met"),
        ({"goal": 1.0, "measure": "time", "is_met": False}, "≥ 1 missed"),
        ({"goal": 2.0, "measure": "memory", "is_met": False}, "memory ≥ 2 missed"),
        ({"goal": 2.0, "measure": "time", "is_met": None}, "≥ 2 not measured"),
    ],
)
def test_a_goal_says_whether_it_is_met(make_row, goal, text):
    assert describe_goal(make_row(**goal)) == text


def test_a_row_of_the_second_environment_is_marked(make_row):
    assert describe_peer(make_row(peer="x")) == "x"
    assert describe_peer(make_row(peer="x", environment="peers")) == "x †"


def test_a_machine_is_its_gpu_first():
    machine = {"cpu": "Xeon", "n_cores": 16, "n_threads": 1, "gpu": None}
    assert describe_machine(machine) == "Xeon, 16 cores, 1 thread"
    assert describe_machine(machine | {"gpu": "H200"}) == "H200 (Xeon, 16 cores, 1 thread)"


def test_a_run_is_told_in_one_line(make_record):
    assert describe_run(make_record()) == (
        "main: 2026-01-02, commit 012345678; python 3.11.7, torch 2.13.0, transformers 5.0; "
        "150 to 145 GFLOP/s float32, 40.0 to 41.0 GB/s"
    )


def test_what_is_wrong_with_a_run_is_told(make_record):
    before = {"before": Calibration({"float32": 150e9}, 40e9)}
    run = make_record(is_noisy=True, is_complete=False, calibration=before, options={"environment": "peers"})
    text = describe_run(run)
    assert text.startswith("peers: ")
    assert text.endswith("; 150 GFLOP/s float32, 40.0 GB/s; NOISY; STOPPED before its end")
    assert "GFLOP" not in describe_run(make_record(calibration={}))
