"""Rates from times, and when a machine was disturbed."""

import pytest
import torch
from benchmarks.harness.measuring.calibration import LOADS, N_RUNS, SMALLEST_N, WARM_UPS, Loads, calibrate, is_noisy
from benchmarks.harness.record import Calibration

CPU = torch.device("cpu")


class ScriptedClock:
    """Gives these times, and keeps what the runs returned."""

    def __init__(self, seconds):
        self.seconds, self.results = iter(seconds), []

    def time(self, run):
        self.results.append(run())
        return next(self.seconds)


def times(median):
    """Warm-ups that count for nothing, then as many below the median as above."""
    below, above = [median / 2] * (N_RUNS // 2), [median * 9] * (N_RUNS // 2)
    return [1000.0] * WARM_UPS + above + [median] + below


def test_rates_are_work_over_the_median_time():
    clock = ScriptedClock(times(2.0) + times(4.0) + times(0.5))
    figures = calibrate(CPU, ["float32", "bfloat16", "float32"], clock, Loads(n=6, copied=40))
    assert figures == Calibration(flops={"bfloat16": 2 * 6**3 / 2.0, "float32": 2 * 6**3 / 4.0}, bytes=2 * 40 / 0.5)


def test_the_product_is_of_random_matrices_in_its_dtype_and_the_copy_of_all_bytes():
    clock = ScriptedClock(times(1.0) * 2)
    calibrate(CPU, ["bfloat16"], clock, Loads(n=5, copied=33))
    product, copied = clock.results[0], clock.results[-1]
    assert (product.dtype, product.shape) == (torch.bfloat16, (5, 5))
    assert len(product.unique()) > 10
    assert (copied.numel() * copied.element_size(), copied.sum()) == (33, 33)


@pytest.mark.parametrize(
    ("first_runs", "n"),
    [
        ([0.002, 0.016], 1024),
        ([0.125, 0.125], 1024),  # eight of these are the longest allowed
        ([0.002, 0.126], 512),
        ([0.126], 256),
    ],
)
def test_a_product_grows_while_the_next_would_take_a_second_at_most(first_runs, n):
    assert SMALLEST_N == 256
    clock = ScriptedClock(first_runs + times(2.0) + times(1.0))
    assert calibrate(CPU, ["float32"], clock, Loads(n=1024, copied=8)).flops == {"float32": 2 * n**3 / 2.0}
    assert clock.results[-N_RUNS - WARM_UPS - 1].shape == (n, n)


def test_both_kinds_of_device_have_loads_that_pass_their_caches():
    assert LOADS["cuda"].copied > LOADS["cpu"].copied >= 2**28
    assert LOADS["cuda"].n > LOADS["cpu"].n >= 2048


QUIET = Calibration({"float32": 100.0, "bfloat16": 400.0}, 1000.0)


@pytest.mark.parametrize(
    ("after", "noisy"),
    [
        (QUIET, False),
        (Calibration({"float32": 110.0, "bfloat16": 400.0}, 1000.0), False),
        (Calibration({"float32": 112.0, "bfloat16": 400.0}, 1000.0), True),
        (Calibration({"float32": 100.0, "bfloat16": 350.0}, 1000.0), True),
        (Calibration({"float32": 100.0, "bfloat16": 400.0}, 1120.0), True),
        (Calibration({"float32": 95.0, "bfloat16": 420.0}, 950.0), False),
    ],
)
def test_a_run_is_noisy_when_any_figure_differs_by_more_than_a_tenth(after, noisy):
    assert is_noisy(QUIET, after) is noisy
    assert is_noisy(after, QUIET) is noisy
