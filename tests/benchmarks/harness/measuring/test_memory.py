"""Peaks to the byte."""

import gc

import pytest
import torch
from benchmarks.harness.measuring.memory import PROFILED_BLOCK, RANGE, Peak, find_peak, find_peak_of_last, measure_peak

CPU = torch.device("cpu")


def nothing():
    """What a workload without anything to put back has."""


def zeros(n_bytes):
    return torch.zeros(n_bytes, dtype=torch.uint8)


def one_after_the_other():
    zeros(3000)
    zeros(5000)


def both_at_once():
    first = zeros(3000)
    return first, zeros(5000)


def in_a_cycle():
    """Garbage that only the collector frees, and it comes at the start of the next run."""
    gc.collect()
    kept = [zeros(3000)]
    kept.append(kept)


@pytest.mark.parametrize(
    ("run", "peak"), [(one_after_the_other, 5000), (both_at_once, 8000), (in_a_cycle, 3000), (nothing, 0)]
)
def test_a_peak_is_what_is_held_at_once(run, peak):
    assert measure_peak(run, nothing, CPU) == Peak(peak)


def test_memory_of_before_is_not_counted_and_what_the_last_run_left_is_given_back():
    kept = [zeros(2000)]

    def run():
        kept[0] = None  # as zero_grad does
        kept[0] = zeros(2000)
        zeros(700)

    assert measure_peak(run, nothing, CPU) == Peak(700)


def test_what_prepare_takes_is_not_the_runs():
    state = []

    def prepare():
        state[:] = [zeros(9000)]

    def run():
        assert state, "it runs after prepare"
        return zeros(100)

    assert measure_peak(run, prepare, CPU) == Peak(100)


def test_events_are_ordered_by_time_and_only_blocks_since_the_last_run_count():
    block = PROFILED_BLOCK
    events = [
        (block, 90, -50),
        (block, 80, 50),
        (block, 85, 30),
        ("aten::mm", 86, 1000),
        (RANGE, 70, 0),
        (block, 70, 7),
        (RANGE, 10, 0),
        (block, 20, 4000),
        (block, 69, 500),
    ]
    assert find_peak_of_last(events) == 7 + 50 + 30


@pytest.mark.parametrize(("changes", "peak"), [([], 0), ([-5, 3], 0), ([5, -5, 4], 5), ([5, -5, 6], 6), ([2, 2], 4)])
def test_a_running_sum_has_a_highest_point(changes, peak):
    assert find_peak(changes) == peak


def test_without_a_profiler_the_reason_is_given(monkeypatch):
    monkeypatch.setattr(torch.autograd, "kineto_available", lambda: False)
    assert measure_peak(lambda: pytest.fail("it ran"), nothing, CPU) == Peak(
        None, "this build of torch has no profiler to count it"
    )


class FakeCUDA:
    """An allocator that holds 1000 bytes, and whose mark is at 9000 until it is reset."""

    def __init__(self):
        self.log, self.held, self.most = [], 1000, 9000

    def synchronize(self, device):
        self.log.append("synchronize")

    def reset_peak_memory_stats(self, device):
        self.log.append("reset")
        self.most = self.held

    def memory_allocated(self, device):
        return self.held

    def max_memory_allocated(self, device):
        self.log.append("read")
        return self.most


def test_on_cuda_it_is_the_allocators_mark_above_what_was_held():
    cuda = FakeCUDA()

    def prepare():
        cuda.log.append("prepare")
        cuda.held = cuda.most = 2500

    def run():
        cuda.log.append("run")
        cuda.most = 3200

    assert measure_peak(run, prepare, torch.device("cuda"), cuda) == Peak(700)
    assert cuda.log == ["prepare", "synchronize", "reset", "run", "synchronize", "read"]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_on_a_real_device_blocks_are_counted():
    device = torch.device("cuda")
    peak = measure_peak(lambda: torch.zeros(2**22, dtype=torch.uint8, device=device), nothing, device)
    assert peak == Peak(2**22)
