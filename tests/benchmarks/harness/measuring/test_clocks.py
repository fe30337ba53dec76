"""Both clocks, the CUDA one with a device that only writes down what it is asked."""

from types import SimpleNamespace

import pytest
import torch
from benchmarks.harness.measuring import clocks
from benchmarks.harness.measuring.clocks import CPUClock, CUDAClock, make_clock

CPU = torch.device("cpu")


class FakeCUDA:
    """Events read a clock that the run moves."""

    def __init__(self):
        self.log, self.milliseconds = [], 0.0

    def get_device_properties(self, device):
        return SimpleNamespace(L2_cache_size=48)

    def synchronize(self, device):
        self.log.append(f"synchronize {device}")

    def Event(self, *, enable_timing):
        assert enable_timing
        cuda = self

        class Event:
            def record(self):
                cuda.log.append("record")
                self.at = cuda.milliseconds

            def elapsed_time(self, end):
                assert cuda.log[-1].startswith("synchronize"), "events are read once the device is done"
                return end.at - self.at

        return Event()


@pytest.fixture
def ticking(monkeypatch):
    """Wall time in steps of 3 seconds, the processor's in steps of 5."""
    wall, processor = iter(range(0, 99, 3)), iter(range(0, 99, 5))
    fake = SimpleNamespace(perf_counter=lambda: next(wall), process_time=lambda: next(processor))
    monkeypatch.setattr(clocks, "time", fake)


def test_wall_and_processor_time_are_read_around_the_run(ticking):
    runs = []
    clock = CPUClock()
    assert clock.time(lambda: runs.append("wall")) == 3
    assert clock.time_cpu(lambda: runs.append("processor")) == 5
    assert runs == ["wall", "processor"]
    assert clock.now() == 6


def test_a_run_on_cuda_begins_on_an_idle_device_with_a_cold_cache(monkeypatch):
    cuda = FakeCUDA()
    clock = CUDAClock(CPU, cuda)
    assert clock._flush.numel() * clock._flush.element_size() == 2 * 48
    clock._flush = SimpleNamespace(zero_=lambda: cuda.log.append("flush"))

    def run():
        cuda.log.append("run")
        cuda.milliseconds += 250.0

    assert clock.time(run) == 0.25
    assert cuda.log == ["flush", "synchronize cpu", "record", "run", "record", "synchronize cpu"]


def test_cuda_gives_no_processor_time_and_runs_nothing_for_it():
    assert CUDAClock(CPU, FakeCUDA()).time_cpu(lambda: pytest.fail("it ran")) is None


def test_the_budget_of_a_cuda_run_goes_by_the_wall(ticking):
    clock = CUDAClock(CPU, FakeCUDA())
    assert (clock.now(), clock.now()) == (0, 3)


def test_which_clock_goes_by_the_device(monkeypatch):
    assert type(make_clock(CPU)) is CPUClock
    monkeypatch.setattr(clocks, "CUDAClock", lambda device: f"events of {device}")
    assert make_clock(torch.device("cuda")) == "events of cuda"


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_a_product_on_cuda_takes_time():
    device = torch.device("cuda")
    matrix = torch.randn(512, 512, device=device)
    assert 0 < make_clock(device).time(lambda: matrix @ matrix) < 10
