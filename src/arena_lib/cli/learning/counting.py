"""How far the judging of a file is, in one line of a terminal that is written over and goes away at the end."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arena_lib.checking.results import Result

WIDTH = 36
"""Columns that are written over."""


@contextlib.contextmanager
def shown_count(n_exercises: int) -> Iterator[Callable[[Result], None]]:
    """What to tell of each verdict as it comes; it shows nothing where the error stream is no terminal."""
    if not sys.stderr.isatty():
        yield lambda result: None
        return
    n_judged = n_to_fix = 0

    def count(result: Result) -> None:
        nonlocal n_judged, n_to_fix
        n_judged += 1
        n_to_fix += result.status not in ("passed", "not_started")
        text = f"  {min(n_judged, n_exercises)} of {n_exercises} judged, {n_to_fix} to fix"
        _write(f"{text:<{WIDTH}}\r")  # what is printed next begins where this did

    try:
        yield count
    finally:
        if n_judged:
            _write(f"{'':<{WIDTH}}\r")


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
