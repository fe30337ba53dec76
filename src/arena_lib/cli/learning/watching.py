"""What `arena check --watch` waits for: the next save of a file and, in a terminal, a key."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

POLL_SECONDS = 0.3
STEADY_SECONDS = 0.15
"""For so long a file must stay as it is before it is read: an editor may still be writing it."""
QUIT = "q"
SECONDS_UNTIL_STOPPED = 1.0
MOST_BYTES = 1024
_KEY = re.compile(r"\x1b\[[0-9;?]*.|\x1bO.|.", re.DOTALL)
SAVED = "saved"
"""What is waited for in place of a key."""

Stamp = tuple[int, int] | None
WaitForKey = Callable[[float], str]
"""Waits so many seconds at most; the key, or nothing."""


class Saved(Exception):
    """The file was saved while it is judged, so that the verdict to come would be on what is no longer there."""


def take_stamp(path: Path) -> Stamp:
    """What changes with every save. It must be taken before the file is read, else a save between is missed."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def wait_for_save(path: Path, stamp: Stamp, wait_for_key: WaitForKey) -> str:
    """SAVED once the file isn't as it was at the stamp, or the key that was pressed before that.

    A file that is still being written, or is empty for now, isn't saved yet.
    """
    while not is_saved(path, stamp):
        if key := wait_for_key(POLL_SECONDS):
            return key
    return SAVED


def is_saved(path: Path, stamp: Stamp) -> bool:
    """Whether the file isn't as it was at the stamp, and nobody writes it now."""
    now = take_stamp(path)
    if now is None or now == stamp or now[1] == 0:
        return False
    time.sleep(STEADY_SECONDS)
    return take_stamp(path) == now


@contextlib.contextmanager
def read_keys() -> Iterator[WaitForKey]:
    """A function that waits a moment for a key, with a terminal that hands over each at once.

    Called in the main thread. Ctrl-C and q stop the program also where it was started with that signal ignored, as shells
    start what runs in the background.
    """
    import termios
    import tty

    settings = termios.tcgetattr(sys.stdin)
    on_interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    tty.setcbreak(sys.stdin)
    keys, is_over = queue.SimpleQueue[str](), threading.Event()
    threading.Thread(target=_read_into, args=(keys, is_over), daemon=True).start()

    def wait_for_key(seconds: float) -> str:
        try:
            return keys.get(timeout=seconds) if seconds else keys.get_nowait()
        except queue.Empty:
            return ""

    try:
        yield wait_for_key
    finally:
        is_over.set()
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)
        signal.signal(signal.SIGINT, signal.SIG_DFL if on_interrupt is None else on_interrupt)


def _read_into(keys: queue.SimpleQueue[str], is_over: threading.Event) -> None:
    """Collects the keys. A q that nobody takes, as while processes are started, stops the program as Ctrl-C does."""
    while not is_over.is_set():
        is_ready, _, _ = select.select([sys.stdin], [], [], POLL_SECONDS)
        if not is_ready:
            continue
        # Not sys.stdin.read, which keeps what it doesn't return, so that `select` knows nothing of it.
        text = os.read(sys.stdin.fileno(), MOST_BYTES).decode("utf-8", "replace")
        if not text:  # the terminal is gone
            return
        for key in split_keys(text):
            keys.put(key)
            if key == QUIT and not is_over.wait(SECONDS_UNTIL_STOPPED):
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def split_keys(text: str) -> list[str]:
    r"""What a terminal sends, key by key: letters as small ones, and an arrow, which is several characters, as one key.

    >>> split_keys("nQ\x1b[A\x1b[1;5Bé")
    ['n', 'q', '\x1b[A', '\x1b[1;5B', 'é']
    """
    return [key if key.startswith("\x1b") else key.lower() for key in _KEY.findall(text)]


def has_keys() -> bool:
    """Whether someone sits at a terminal whose keys can be read one by one; not so on Windows."""
    return sys.platform != "win32" and sys.stdin.isatty() and sys.stdout.isatty()


def wait_without_keys(seconds: float) -> str:
    """Waits a moment, where there is nobody to press a key."""
    time.sleep(seconds)
    return ""
