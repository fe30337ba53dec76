"""What can be said without trusting a clock: how measurements are made, and what follows from them."""

import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.puzzles import timing
from arena_lib.fundamentals.puzzles.timing import (
    Machine,
    TimePrediction,
    estimate_seconds,
    in_words,
    matmul_cost,
    measure_machine,
    measure_seconds,
    predict_seconds,
)

MACHINE = Machine(operations_per_second=1e9, bytes_per_second=1e8, seconds_per_call=1e-6)


@pytest.fixture
def clock(monkeypatch):
    """A clock that only what is called moves on."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def passes(seconds):
        now[0] += seconds

    return passes


def test_a_product_is_counted_multiplication_by_multiplication():
    n_operations = 0
    for _ in range(3 * 5):
        n_operations += 4 + 4
    assert matmul_cost(3, 4, 5) == (n_operations, 4 * (3 * 4 + 4 * 5 + 3 * 5))
    assert matmul_cost(3, 4, 5, 2) == (n_operations, 2 * (3 * 4 + 4 * 5 + 3 * 5))


def test_the_slower_of_operations_and_bytes_decides():
    assert estimate_seconds(2e9, 1e6, MACHINE) == pytest.approx(2.000001)
    assert estimate_seconds(1e6, 3e8, MACHINE) == pytest.approx(3.000001)
    assert estimate_seconds(0, 0, MACHINE) == 1e-6


@pytest.mark.parametrize("seconds", [1e-6, 1e-4, 0.7])
def test_what_is_measured_is_the_time_of_one_call(clock, seconds):
    assert measure_seconds(lambda: clock(seconds)) == pytest.approx(seconds)


def test_neither_a_slow_first_call_nor_one_hiccup_counts(clock):
    n_calls = 0

    def sometimes_slow():
        nonlocal n_calls
        n_calls += 1
        clock(9.0 if n_calls in (1, 4) else 0.01)

    assert measure_seconds(sometimes_slow) == pytest.approx(0.01)


def test_a_machine_is_measured_in_units_that_make_sense(monkeypatch):
    seconds = iter([2e-6, 0.01, 0.004])
    monkeypatch.setattr(timing, "measure_seconds", lambda function: (function(), next(seconds))[1])
    machine = measure_machine()
    assert machine.seconds_per_call == 2e-6
    assert machine.operations_per_second == pytest.approx(2 * 512**3 / 0.01)
    assert machine.bytes_per_second == pytest.approx(2 * 4 * 4_000_000 / 0.004)
    assert str(machine) == "26.8 billion operations and 8 billion bytes in a second; 2.0 µs for each call"


def test_this_machine_can_be_measured():
    machine = measure_machine()
    assert machine.operations_per_second > 1e6
    assert machine.bytes_per_second > 1e6
    assert machine.seconds_per_call < 0.1


@pytest.mark.parametrize(
    ("predicted", "measured", "says"),
    [
        (1e-3, 9.9e-3, "Good: you said 1.0 ms, it took 9.9 ms. That is within a factor of ten."),
        (9.9e-3, 1e-3, "Good: you said 9.9 ms, it took 1.0 ms. That is within a factor of ten."),
        (1e-6, 2.0, "Not yet: you said 1.0 µs, it took 2.0 s, 2,000,000 times longer. Count again"),
        (2.0, 0.1, "Not yet: you said 2.0 s, it took 100 ms, 20 times shorter. Count again"),
    ],
)
def test_an_estimate_is_compared_in_words(predicted, measured, says):
    prediction = TimePrediction(predicted, measured)
    assert repr(prediction).startswith(says)
    assert prediction.is_close == says.startswith("Good")


def test_the_estimate_is_compared_with_what_was_measured(clock):
    prediction = predict_seconds(0.02, lambda: clock(0.1))
    assert (prediction.predicted, prediction.measured) == (0.02, pytest.approx(0.1))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4e-10, "0.4 ns"), (1.26e-8, "13 ns"), (9.96e-7, "996 ns"), (3e-3, "3.0 ms"), (0.25, "250 ms"), (75.0, "75 s")],
)
def test_times_have_two_digits_or_all_before_the_point(seconds, text):
    assert in_words(seconds) == text


@pytest.mark.usefixtures("without_types")
def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match=r"Machine.bytes_per_second must be finite and above 0: got 0"):
        Machine(operations_per_second=1.0, bytes_per_second=0.0, seconds_per_call=1.0)
    with pytest.raises(ConfigError, match="n_bytes must be finite and at least 0: got -1"):
        estimate_seconds(1, -1, MACHINE)
    with pytest.raises(ConfigError, match="n_operations must be finite and at least 0: got nan"):
        estimate_seconds(float("nan"), 1, MACHINE)
    with pytest.raises(ConfigError, match=r"must be a function: got Tensor. Write lambda in front"):
        measure_seconds(torch.ones(2))
    with pytest.raises(ConfigError, match="an estimate must be finite and above 0 seconds: got 0"):
        predict_seconds(0, lambda: None)
