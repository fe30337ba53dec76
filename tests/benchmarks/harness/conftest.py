"""A clock that goes only when told, so that nothing here depends on the machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


class FakeClock:
    """Toy runs spend its seconds; `log` has what ran, with "|" where a timed run begins and ends."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.log: list[str] = []

    def spend(self, seconds: float, cpu_seconds: float = 0.0) -> None:
        self.seconds += seconds
        self.cpu_seconds += cpu_seconds

    def now(self) -> float:
        return self.seconds

    def time(self, run: Callable[[], Any]) -> float:
        start = self.seconds
        self.log.append("|")
        run()
        self.log.append("|")
        return self.seconds - start

    def time_cpu(self, run: Callable[[], Any]) -> float | None:
        start = self.cpu_seconds
        run()
        return self.cpu_seconds - start

    @property
    def was_used(self) -> bool:
        return "|" in self.log


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
