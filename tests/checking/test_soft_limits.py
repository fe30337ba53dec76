"""An endless loop in a notebook or a script: it is ended there, with the call, and nothing of it stays behind."""

import functools
import signal
import threading
import time
import traceback

import pytest

from arena_lib.checking import running, soft_limits
from arena_lib.errors import CheckFailed

HAS_TIMERS = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the timers of Unix systems")
COUNTS_MEMORY = pytest.mark.skipif(not soft_limits._memory(), reason="only Linux counts memory so")


def endless(x, weight):
    while True:
        time.sleep(0.01)


def stubborn(x, weight):
    try:
        endless(x, weight)
    except:  # noqa: E722
        while True:
            time.sleep(0.01)


def growing(x, weight):
    kept = []
    while True:
        kept.append(x.new_ones(5_000_000))


@pytest.fixture
def short(monkeypatch):
    def use(**limits):
        monkeypatch.setattr(running, "soft_limits", functools.partial(soft_limits.soft_limits, **limits))

    return use


@HAS_TIMERS
@pytest.mark.parametrize("loop", [endless, stubborn])
def test_an_endless_loop_ends_with_the_call_and_the_learners_line(toy, short, loop):
    short(seconds=0.2)
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(CheckFailed) as caught:
        toy.test_half_norm(loop)
    message, result = str(caught.value), caught.value.result
    assert result.status == "timeout"
    assert "half_norm did not finish within its time limit (60 s)" in message
    assert "call     half_norm(" in message
    assert f"test_soft_limits.py, in {loop.__name__}: " in message
    assert "Look for a loop without an end." in message
    assert "arena check FILE --timeout 300" in message
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@HAS_TIMERS
@COUNTS_MEMORY
def test_a_list_that_grows_without_end_is_ended_too(toy, short):
    short(seconds=30.0, gib=0.25)
    with pytest.raises(CheckFailed, match="MemoryError") as caught:
        toy.test_half_norm(growing)
    assert caught.value.result.status == "error"
    assert "Look for a tensor that is too large" in str(caught.value)
    assert "in growing: " in str(caught.value)


@HAS_TIMERS
def test_a_timer_that_someone_else_has_set_is_left_alone(toy, short):
    short(seconds=0.1)
    signal.setitimer(signal.ITIMER_REAL, 300.0)
    try:
        toy.test_half_norm(lambda x, weight: 0.5 * weight * x + x.detach())
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 200.0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def test_in_another_thread_a_word_says_what_is_still_running(toy, monkeypatch, capsys):
    monkeypatch.setattr(soft_limits, "SECONDS_UNTIL_A_WORD", 0.05)

    def slow(x, weight):
        time.sleep(0.2)
        return 0.5 * weight * x + x.detach()

    thread = threading.Thread(target=toy.test_half_norm, args=(slow,))
    thread.start()
    thread.join()
    captured = capsys.readouterr()
    assert captured.err.startswith("still running half_norm(")
    assert captured.err.count("still running") == 1
    assert "passed" in captured.out


def test_what_is_stopped_by_hand_shows_the_learners_frames_and_the_call(toy):
    def stopped(x, weight):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        toy.test_half_norm(stopped)
    assert caught.value.__notes__[0].startswith("The call was half_norm(")
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[-1].name == "stopped"
    assert not {"observe", "_observe", "_observe_within_limits", "judge", "outputs"} & {frame.name for frame in frames}
