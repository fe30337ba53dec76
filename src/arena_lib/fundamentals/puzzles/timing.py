"""A time that you estimate from operations and bytes before the code runs, and what was measured.

A computation must do its operations and must move its bytes. Whichever takes longer is about how long it takes.

Raises:  ConfigError for a number of operations, bytes or seconds that cannot be, or a result in place of a function.
Source:  Williams, Waterman and Patterson 2009, "Roofline: an insightful visual performance model".
Differs: a fixed time for each call is added, which decides where tensors are small.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from arena_lib.core.configs import check_numbers
from arena_lib.errors import ConfigError

FACTOR = 10.0
"""An estimate is good if it is within this factor."""
SHORTEST_RUN = 2e-3
"""Seconds that one measurement takes at least: shorter calls are repeated within it."""
N_MEASUREMENTS = 5
"""Measurements of which the median is taken."""
MATMUL_SIZE, N_ADDED, N_SMALL = 512, 4_000_000, 4
"""Rows of the matrices, and numbers of the vectors, by which a machine is measured: large, and small."""
BYTES_PER_FLOAT32 = 4


@dataclass(frozen=True, kw_only=True)
class Machine:
    """How fast a machine is, in three numbers; `measure_machine()` measures them."""

    operations_per_second: float
    """Additions and multiplications of float32 numbers in a second, at best."""
    bytes_per_second: float
    """Bytes that go from memory to the processor or back in a second, at best."""
    seconds_per_call: float
    """Seconds that any call takes, however little it does."""

    def __post_init__(self) -> None:
        """ConfigError unless all three are above zero."""
        check_numbers(self, "operations_per_second", "bytes_per_second", "seconds_per_call")

    def __str__(self) -> str:
        """The three numbers in words."""
        return (
            f"{self.operations_per_second / 1e9:.3g} billion operations and {self.bytes_per_second / 1e9:.3g} billion bytes "
            f"in a second; {in_words(self.seconds_per_call)} for each call"
        )


def matmul_cost(n_rows: int, n_inner: int, n_columns: int, bytes_per_number: int = 4) -> tuple[int, int]:
    """Operations and bytes of a product of matrices, "n_rows n_inner" times "n_inner n_columns".

    Each of the entries of the result takes n_inner multiplications and as many additions. (The first addition, to 0,
    counts too.) Both matrices are read once and the result is written once, at `bytes_per_number` for each number.

    >>> matmul_cost(2, 3, 5)
    (60, 124)
    """
    n_operations = 2 * n_rows * n_inner * n_columns
    n_numbers = n_rows * n_inner + n_inner * n_columns + n_rows * n_columns
    return n_operations, n_numbers * bytes_per_number


def estimate_seconds(n_operations: int | float, n_bytes: int | float, machine: Machine) -> float:
    """About how long a call takes that does so many operations and moves so many bytes.

    The seconds for the operations and those for the bytes pass at the same time, so the longer of the two counts. To it
    comes `machine.seconds_per_call`.

    >>> machine = Machine(operations_per_second=100.0, bytes_per_second=10.0, seconds_per_call=1.0)
    >>> estimate_seconds(500, 20, machine), estimate_seconds(500, 90, machine)
    (6.0, 10.0)
    """
    check_amounts(n_operations, n_bytes)
    slower = max(n_operations / machine.operations_per_second, n_bytes / machine.bytes_per_second)
    return slower + machine.seconds_per_call


def check_amounts(n_operations: int | float, n_bytes: int | float) -> None:
    """ConfigError unless both are finite and at least 0."""
    for name, amount in (("n_operations", n_operations), ("n_bytes", n_bytes)):
        if not 0 <= amount < float("inf"):
            raise ConfigError(f"{name} must be finite and at least 0: got {amount}. Count it from the shapes.")


def measure_seconds(function: Callable[[], Any]) -> float:
    """Seconds that one call takes: the median of five measurements, after a first call that doesn't count.

    Short calls are repeated within a measurement. Work on a GPU is waited for.

    >>> measure_seconds(lambda: torch.ones(10) + 1) < 1
    True
    """
    if not callable(function):
        raise ConfigError(
            f"what is measured must be a function: got {type(function).__name__}. Write lambda in front: lambda: a @ b."
        )
    function()
    n_calls = 1
    while (seconds := _run(function, n_calls)) < SHORTEST_RUN:
        n_calls *= 2
    measured = [seconds, *(_run(function, n_calls) for _ in range(N_MEASUREMENTS - 1))]
    return statistics.median(measured) / n_calls


def measure_machine(device: str | torch.device = "cpu") -> Machine:
    """The three numbers of this machine, measured in about a second: a product, a long sum, and a short one."""
    square = torch.ones(MATMUL_SIZE, MATMUL_SIZE, device=device)
    long, short = torch.ones(N_ADDED, device=device), torch.ones(N_SMALL, device=device)
    per_call = measure_seconds(lambda: short + short)
    n_operations, _ = matmul_cost(MATMUL_SIZE, MATMUL_SIZE, MATMUL_SIZE)
    written = torch.empty_like(long)
    return Machine(
        operations_per_second=n_operations / measure_seconds(lambda: square @ square),
        bytes_per_second=2 * N_ADDED * BYTES_PER_FLOAT32 / measure_seconds(lambda: torch.add(long, 1.0, out=written)),
        seconds_per_call=per_call,
    )


@dataclass(frozen=True, repr=False)
class TimePrediction:
    """What was estimated, and what was measured; printed, it says how far they are apart."""

    predicted: float
    measured: float
    """Both in seconds."""

    @property
    def is_close(self) -> bool:
        """Whether they are within a factor of ten."""
        return self.predicted <= FACTOR * self.measured and self.measured <= FACTOR * self.predicted

    def __repr__(self) -> str:
        """The comparison in words."""
        both = f"you said {in_words(self.predicted)}, it took {in_words(self.measured)}"
        if self.is_close:
            return f"Good: {both}. That is within a factor of ten."
        ratio = max(self.measured / self.predicted, self.predicted / self.measured)
        direction = "longer" if self.measured > self.predicted else "shorter"
        return f"Not yet: {both}, {ratio:,.0f} times {direction}. Count again: operations, bytes, calls."


def predict_seconds(seconds: int | float, function: Callable[[], Any]) -> TimePrediction:
    """Compares your estimate with what one call of `function` takes, which runs only afterwards.

    What was measured depends on the machine and on what else it is doing, so nothing is judged by it.

    >>> predict_seconds(1.0, lambda: torch.ones(10) + 1).is_close
    False
    """
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"an estimate must be finite and above 0 seconds: got {seconds}. A microsecond is 1e-6.")
    return TimePrediction(seconds, measure_seconds(function))


def in_words(seconds: float) -> str:
    """A time in the unit that suits it, with two digits.

    >>> in_words(0.0000042), in_words(0.0256), in_words(61.0)
    ('4.2 µs', '26 ms', '61 s')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{_two_digits(seconds / size)} {unit}"
    return f"{_two_digits(seconds / 1e-9)} ns"


def _two_digits(number: float) -> str:
    return f"{number:.0f}" if number >= 9.95 else f"{number:.1f}"


def _run(function: Callable[[], Any], n_calls: int) -> float:
    """Seconds of so many calls; what runs on a GPU has ended before and after."""
    _wait()
    started = time.perf_counter()
    for _ in range(n_calls):
        function()
    _wait()
    return time.perf_counter() - started


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
