"""What this machine reaches just now: the rate of a large product, and of a large copy.

A path's share is of these figures, measured minutes before it, not of a data sheet. Measured
again after the run, they show whether other programs took part of the machine meanwhile.

Source:  benchmarks/README.md, "How it is measured"; a product of two n by n matrices takes 2 n^3
         multiplications and additions, a copy reads and writes every byte once.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

import torch
import torch.nn.functional as F

from benchmarks.harness.declaring import Run
from benchmarks.harness.measuring.clocks import Clock
from benchmarks.harness.measuring.spreads import relative_difference
from benchmarks.harness.record import NOISE, Calibration

N_RUNS = 7
"""Timed runs of each, after as many as WARM_UPS."""
WARM_UPS = 2


@dataclass(frozen=True, kw_only=True)
class Loads:
    """How large the product and the copy are."""

    n: int
    """Rows and columns of the product's matrices; a power of two times SMALLEST_N, or less than that."""
    copied: int
    """Bytes that are copied: several times the last cache."""


SMALLEST_N = 256
"""The product starts this large, and doubles while that stays cheap: some CPUs have no bfloat16 arithmetic."""
LONGEST_RUN = 1.0
"""Seconds that one run of the product may take."""
LOADS = {"cpu": Loads(n=2048, copied=2**28), "cuda": Loads(n=8192, copied=2**30)}
"""By kind of device: enough to fill it."""


def calibrate(device: torch.device, dtypes: Iterable[str], clock: Clock, loads: Loads | None = None) -> Calibration:
    """Measure both rates, the product's in each of these dtypes."""
    loads = loads or LOADS[device.type]
    flops = {dtype: measure_product(device, dtype, clock, loads.n) for dtype in sorted(set(dtypes))}
    return Calibration(flops, measure_copy(device, clock, loads.copied))


def measure_product(device: torch.device, dtype: str, clock: Clock, largest_n: int) -> float:
    """Multiplications and additions a second of a product of matrices of `largest_n` rows and columns.

    Fewer where that would take longer than LONGEST_RUN. The values are random, since a processor computes
    zeros faster, and laid out as a linear layer has them.
    """
    n = min(SMALLEST_N, largest_n)
    product = _make_product(device, dtype, n)
    while n < largest_n and 8 * clock.time(product) <= LONGEST_RUN:  # twice the rows are eight times the work
        n *= 2
        product = _make_product(device, dtype, n)
    return 2 * n**3 / _time_load(clock, product)


def _make_product(device: torch.device, dtype: str, n: int) -> Run:
    generator = torch.Generator(device).manual_seed(0)
    x, weight = (torch.randn(n, n, generator=generator, device=device).to(getattr(torch, dtype)) for _ in range(2))
    return lambda: F.linear(x, weight)


def measure_copy(device: torch.device, clock: Clock, n_bytes: int) -> float:
    """Bytes a second, read and written, of a copy into memory that is there already."""
    source = torch.ones(n_bytes, dtype=torch.int8, device=device)
    target = torch.zeros_like(source)
    return 2 * n_bytes / _time_load(clock, lambda: target.copy_(source))


def _time_load(clock: Clock, run: Run) -> float:
    seconds = [clock.time(run) for _ in range(WARM_UPS + N_RUNS)]
    return median(seconds[WARM_UPS:])


def is_noisy(before: Calibration, after: Calibration) -> bool:
    """Whether any figure of the two differs by more than NOISE."""
    figures = itertools.chain(
        ((before.bytes, after.bytes),), ((before.flops[dtype], after.flops[dtype]) for dtype in before.flops)
    )
    return any(relative_difference(*pair) > NOISE for pair in figures)
