"""Launches and waits, from profiles written by hand."""

from contextlib import nullcontext

import pytest
import torch
from benchmarks.harness.measuring.launches import Counts, Event, HostSync, count_calls, measure_calls, syncs_forbidden
from benchmarks.harness.measuring.memory import RANGE


def profile_of(*names, start=100.0):
    """A marked range from 100 to 200 with these calls in it, and the profiler's own waits around it."""
    inside = [Event(name, start + i, start + i + 0.5) for i, name in enumerate(names)]
    waits = [Event("cudaDeviceSynchronize", at, at + 1) for at in (50.0, 201.0)]
    return [waits[1], *inside, Event(RANGE, 100.0, 200.0), waits[0], Event("cudaLaunchKernel", 99.0, 150.0)]


@pytest.mark.parametrize(
    ("names", "launches", "syncs"),
    [
        ([], 0, 0),
        (["cudaLaunchKernel"] * 3, 3, 0),
        (["cudaLaunchKernelExC", "cuLaunchKernelEx", "cuLaunchKernel", "cudaLaunchCooperativeKernel"], 4, 0),
        (["cudaGraphLaunch"], 1, 0),
        (["cudaMemcpyAsync", "cudaStreamSynchronize"], 0, 1),
        (["cudaDeviceSynchronize", "cudaEventSynchronize", "cuStreamSynchronize"], 0, 3),
        (["aten::add", "cudaEventRecord", "cudaStreamIsCapturing", "cudaMalloc"], 0, 0),
    ],
)
def test_calls_within_the_run_are_counted(names, launches, syncs):
    assert count_calls(profile_of(*names)) == Counts(launches, syncs)


def test_both_ends_of_the_run_belong_to_it():
    assert count_calls(profile_of("cudaLaunchKernel", start=200.0)).launches == 1
    assert count_calls(profile_of("cudaLaunchKernel", start=200.5)).launches == 0


class FakeCUDA:
    """Remembers the mode."""

    def __init__(self, mode):
        self.mode = mode

    def get_sync_debug_mode(self):
        return self.mode

    def set_sync_debug_mode(self, mode):
        self.mode = mode


@pytest.mark.parametrize(
    ("error", "seen", "message"),
    [
        (None, None, None),
        (RuntimeError("called a synchronizing CUDA operation"), HostSync, "must not wait for the device"),
        (RuntimeError("shapes differ"), RuntimeError, "^shapes differ"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
    ],
)
def test_waiting_is_forbidden_inside_and_the_mode_is_as_before_afterwards(error, seen, message):
    cuda = FakeCUDA(1)
    with nullcontext() if seen is None else pytest.raises(seen, match=message), syncs_forbidden(cuda):
        assert cuda.mode == "error"
        if error is not None:
            raise error
    assert cuda.mode == 1


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_on_a_real_device_a_product_is_a_launch_and_item_a_wait():
    matrix = torch.randn(64, 64, device="cuda")
    matrix @ matrix
    calls = measure_calls(lambda: (matrix @ matrix).add_(1))
    assert calls.launches >= 2
    assert calls.syncs == 0
    assert measure_calls(lambda: matrix.sum().item()).syncs >= 1
    with pytest.raises(HostSync), syncs_forbidden():
        matrix.sum().item()
