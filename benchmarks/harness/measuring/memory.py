"""Peak memory of one run, above what was held before it: weights, inputs and whatever lasts.

On CUDA the allocator keeps its own high-water mark. On a CPU torch's profiler reports every
block that torch's allocator gives out or takes back, and their running sum has a highest
point: exact, the same at every repetition, and the same notion as on CUDA. The resident set
is none of these: what the C library keeps for later hides growth, and pages that nobody
touched are missing. What numpy or a library's own scratch takes is not counted.
"""

import gc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.profiler import profile, record_function

from benchmarks.harness.declaring import Run

PROFILED_BLOCK = "[memory]"
"""The profiler's name for a block given out (positive) or taken back (negative)."""
RANGE = "arena_lib benchmark run"
"""What a profiled run is marked with."""


@dataclass(frozen=True)
class Peak:
    """Bytes, or why they can't be had."""

    n_bytes: int | None
    reason: str | None = None


def measure_peak(run: Run, prepare: Callable[[], None], device: torch.device, cuda: Any = torch.cuda) -> Peak:
    """The most that one run holds at any moment above what was held before it."""
    if device.type == "cuda":
        return _measure_on_cuda(run, prepare, device, cuda)
    if not torch.autograd.kineto_available():
        return Peak(None, "this build of torch has no profiler to count it")
    with profile(profile_memory=True) as profiler:
        for _ in range(2):  # a block is only seen to go if it was seen to come: what the first run leaves, say
            _settle(prepare)
            with record_function(RANGE):
                run()
    events = [(event.name(), event.start_ns(), event.nbytes()) for event in profiler.kineto_results.events()]
    return Peak(find_peak_of_last(events))


def find_peak_of_last(events: Iterable[tuple[str, int, int]]) -> int:
    """Given names, times and bytes in any order: the peak of the blocks since the last run began."""
    events = sorted(events, key=lambda event: event[1])
    start = max(time for name, time, _ in events if name == RANGE)
    return find_peak(n_bytes for name, time, n_bytes in events if name == PROFILED_BLOCK and time >= start)


def find_peak(changes: Iterable[int]) -> int:
    """The highest point of the running sum of these changes; 0 where it only falls.

    >>> find_peak([100, 30, -100, 60, -30])
    130
    """
    held = peak = 0
    for change in changes:
        held += change
        peak = max(peak, held)
    return peak


def _measure_on_cuda(run: Run, prepare: Callable[[], None], device: torch.device, cuda: Any) -> Peak:
    _settle(prepare)
    cuda.synchronize(device)
    cuda.reset_peak_memory_stats(device)
    before = cuda.memory_allocated(device)
    run()
    cuda.synchronize(device)
    return Peak(cuda.max_memory_allocated(device) - before)


def _settle(prepare: Callable[[], None]) -> None:
    """What earlier runs left in cycles would count against the growth of this one when it goes."""
    prepare()
    gc.collect()
