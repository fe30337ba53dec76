"""A limit on the processor time of code that may never end.

Raises:  OutOfTimeError in the block whose time is up.
"""

import signal
import types
from collections.abc import Iterator
from contextlib import contextmanager


class OutOfTimeError(BaseException):
    """No Exception, so that the code which is judged can't catch it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises in the block after so many seconds of processor time; Unix only, and in the main thread."""

    def stop(number: int, frame: types.FrameType | None) -> None:
        raise OutOfTimeError

    if not hasattr(signal, "SIGPROF"):
        yield
        return
    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)
