"""Limits on learner's code that is judged in their own process, a notebook's kernel or a script: time, and memory.

An endless loop ends with a verdict there too. A timer's signal looks once a second, which only a main thread of a
Unix system can have, and only if no other timer runs. Everywhere else a thread says, once, what is still running.

Raises:  Overrun in the block that takes too much.
"""

import contextlib
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

LIMIT_SECONDS = 60.0
"""Seconds that one exercise may take, in `arena check` as well."""
LIMIT_GIB = 4.0
"""GiB that one exercise may take beside what is there when it begins, in `arena check` as well; only Linux counts."""
OUT_OF_MEMORY = (
    "An exercise may take no more memory than this. "
    "Look for a tensor that is too large, or a list that never stops growing."
)
SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_UNTIL_A_WORD = 30.0
"""When the thread speaks."""

_GIB = 2**30


def notes_on_time(file: str = "FILE") -> tuple[str, str]:
    """What is said of code that was still running, and how it gets more time in the learner's `file`."""
    return (
        "It was still running. Look for a loop without an end.",
        f"If it only needs longer on your machine: arena check {file} --timeout 300",
    )


class Overrun(BaseException):
    """What was taken too much of. No Exception, so that the code which is judged can't catch it by accident."""

    def __init__(self, of: Literal["time", "memory"]) -> None:
        super().__init__(of)
        self.of = of


@contextlib.contextmanager
def soft_limits(
    current_call: Callable[[], str], *, seconds: float = LIMIT_SECONDS, gib: float = LIMIT_GIB
) -> Iterator[None]:
    """Ends the block with Overrun after so many seconds, or once it has taken so much memory; `current_call` is what runs."""
    with _ended_by_a_timer(seconds, gib) if _can_have_a_timer() else _told_by_a_thread(current_call):
        yield


def _can_have_a_timer() -> bool:
    """Whether this is the main thread of a system with such timers, and nobody else has one set."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and hasattr(signal, "setitimer") and signal.getitimer(signal.ITIMER_REAL)[0] == 0.0


@contextlib.contextmanager
def _ended_by_a_timer(seconds: float, gib: float) -> Iterator[None]:
    started, most = time.perf_counter(), _memory() + round(gib * _GIB)

    def look(number: int, frame: types.FrameType | None) -> None:
        if time.perf_counter() - started >= seconds:
            raise Overrun("time")
        if _memory() > most:
            raise Overrun("memory")

    before = signal.signal(signal.SIGALRM, look)
    interval = min(seconds, SECONDS_BETWEEN_LOOKS)
    try:
        # It goes on ticking: a bare `except` of the learner's may swallow the first.
        signal.setitimer(signal.ITIMER_REAL, interval, interval)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before if before is not None else signal.SIG_DFL)


def _memory() -> int:
    """Bytes of memory that this process has filled; 0 where the system doesn't count them as Linux does."""
    if sys.platform != "linux":
        return 0
    import resource

    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


@contextlib.contextmanager
def _told_by_a_thread(current_call: Callable[[], str]) -> Iterator[None]:
    def tell() -> None:
        sys.stderr.write(
            f"still running {current_call()}: a loop without an end? Stop it with the square button, or Ctrl-C.\n"
        )

    timer = threading.Timer(SECONDS_UNTIL_A_WORD, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
