"""Code that never ends is stopped, whatever it catches, and the process is as before."""

import signal

import pytest

from arena_lib.checking.proofs.time_limit import OutOfTimeError, time_limit

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGPROF"), reason="signals of processor time are Unix's")


def loop_whatever_is_raised():
    while True:
        try:
            sum(range(1000))
        except Exception:
            continue


def test_an_endless_loop_that_catches_every_exception_is_stopped():
    with pytest.raises(OutOfTimeError), time_limit(0.1):
        loop_whatever_is_raised()


def test_what_ends_in_time_is_left_alone():
    before = signal.getsignal(signal.SIGPROF)
    with time_limit(30.0):
        total = sum(range(1000))
    assert total == 499500
    assert signal.getsignal(signal.SIGPROF) is before
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
