"""How long one run takes: by the processor's clock, or by CUDA's events.

Source:  benchmarks/README.md, "How it is measured"; the flush of the L2 cache is Triton's `do_bench`'s.
Differs: the device is idle when the clock starts, so that a run which keeps it waiting pays
         for that, as its users do; `do_bench` lets the flush hide it.
"""

import time
from typing import Any, Protocol

import torch

from benchmarks.harness.declaring import Run


class Clock(Protocol):
    """What times runs."""

    def now(self) -> float:
        """Seconds since some moment, for budgets."""

    def time(self, run: Run) -> float:
        """Seconds that one run takes, until its result is there."""

    def time_cpu(self, run: Run) -> float | None:
        """Seconds of the processor in one run; None where another device does the work."""


class CPUClock:
    """Wall time by `perf_counter`, processor time of all threads by `process_time`."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.perf_counter()

    def time(self, run: Run) -> float:
        """Seconds that pass."""
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    def time_cpu(self, run: Run) -> float | None:
        """Seconds that the processor works for this process, in all its threads."""
        start = time.process_time()
        run()
        return time.process_time() - start


class CUDAClock:
    """Events before and after a run, on an idle device with a cold L2 cache."""

    def __init__(self, device: torch.device, cuda: Any = torch.cuda) -> None:
        self._device, self._cuda = device, cuda
        n_bytes = 2 * cuda.get_device_properties(device).L2_cache_size  # twice, so that nothing of before is left
        self._flush = torch.empty(n_bytes, dtype=torch.int8, device=device)

    def now(self) -> float:
        """Seconds since some moment."""
        return time.perf_counter()

    def time(self, run: Run) -> float:
        """Seconds from the host's first call to the end of the device's last work."""
        start, end = (self._cuda.Event(enable_timing=True) for _ in range(2))
        self._flush.zero_()
        self._cuda.synchronize(self._device)
        start.record()
        run()
        end.record()
        self._cuda.synchronize(self._device)
        return start.elapsed_time(end) / 1000  # torch gives milliseconds

    def time_cpu(self, run: Run) -> float | None:
        """None, and nothing runs: waiting for the device would count as the processor's work."""


def make_clock(device: torch.device) -> Clock:
    """The clock for what runs on this device."""
    return CUDAClock(device) if device.type == "cuda" else CPUClock()
