"""What one run asks of a CUDA device: launches and waits, counted from the profiler's events.

A launch costs the host about 5 µs; a graph of a hundred kernels is one launch. A wait
(`.item()`, a copy to the host, a branch on a tensor) lets the device run dry.

Raises:  HostSync where a run that must not wait for the device does.
Source:  names of the CUDA runtime and driver API, as Kineto records them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.profiler import profile, record_function

from benchmarks.harness.declaring import Run
from benchmarks.harness.measuring.memory import RANGE

LAUNCHES = ("cudaLaunchKernel", "cudaLaunchCooperativeKernel", "cudaGraphLaunch", "cuLaunchKernel", "cuGraphLaunch")
"""Beginnings of the calls that start work: `cudaLaunchKernelExC` and the like are variants."""
WAITS = (
    "cudaDeviceSynchronize",
    "cudaStreamSynchronize",
    "cudaEventSynchronize",
    "cuCtxSynchronize",
    "cuStreamSynchronize",
    "cuEventSynchronize",
)
"""Calls that wait; torch ends a copy to the host with one of them."""


class HostSync(Exception):
    """A run that must not wait for the device does."""


@dataclass(frozen=True)
class Event:
    """One entry of a profile; times in any unit."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Counts:
    """Of one run."""

    launches: int
    syncs: int


def count_calls(events: Iterable[Event]) -> Counts:
    """Launches and waits that begin within the marked range: the profiler itself waits before and after it."""
    events = list(events)
    (run,) = (event for event in events if event.name == RANGE)
    names = [event.name for event in events if run.start <= event.start <= run.end]
    return Counts(
        launches=sum(name.startswith(LAUNCHES) for name in names),
        syncs=sum(name.startswith(WAITS) for name in names),
    )


def measure_calls(run: Run) -> Counts:
    """Profile one run on CUDA."""
    with profile(use_device="cuda") as profiler, record_function(RANGE):
        run()
    on_host = (event for event in profiler.function_events or () if event.device_type == torch.autograd.DeviceType.CPU)
    return count_calls(Event(event.name, event.time_range.start, event.time_range.end) for event in on_host)


@contextmanager
def syncs_forbidden(cuda: Any = torch.cuda) -> Iterator[None]:
    """Torch raises inside where it would wait for the device, and that becomes `HostSync`; afterwards as before."""
    mode = cuda.get_sync_debug_mode()
    cuda.set_sync_debug_mode("error")
    try:
        yield
    except RuntimeError as error:
        if "synchronizing CUDA operation" not in str(error):
            raise
        raise HostSync(f"a run must not wait for the device: {error}. Keep the value on the device.") from error
    finally:
        cuda.set_sync_debug_mode(mode)
