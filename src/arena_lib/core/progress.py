"""Progress bars that suit where they run, and are silent with ARENA_QUIET=1.

Raises:  TypeError from tqdm for what is neither a number nor iterable.
Source:  own derivation, over tqdm.
Differs: in a notebook without ipywidgets the text bar is drawn, without tqdm's warning.
"""

import os
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

from tqdm.std import tqdm as text_bar

SECONDS_BETWEEN_LINES = 10.0
"""Into a file or pipe a bar is a new line each time, so it is drawn seldom."""


def is_quiet() -> bool:
    """Say whether the environment variable ARENA_QUIET asks for no bars (anything but empty and "0")."""
    return os.environ.get("ARENA_QUIET", "") not in ("", "0")


def progress(work: Iterable[Any] | int, desc: str = "", *, initial: int = 0) -> Any:
    """Wrap an iterable in a bar, or make a bar of `work` steps to `update()` and `set_postfix()` by hand.

    The bar starts at `initial` steps done. It is a tqdm object: use it as a context manager
    if the loop may end early.

    >>> [2 * item for item in progress([1, 2, 3], "doubling")]
    [2, 4, 6]
    """
    is_count = isinstance(work, int)
    bar = _pick_bar()
    return bar(
        None if is_count else work,
        total=work if is_count else None,
        desc=desc or None,
        initial=initial,
        disable=is_quiet(),
        mininterval=0.1 if bar is not text_bar or sys.stderr.isatty() else SECONDS_BETWEEN_LINES,
        dynamic_ncols=True,
    )


def _pick_bar() -> Any:
    """Take tqdm's widget where a notebook can show it, and the text bar everywhere else."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None and type(shell).__name__ == "ZMQInteractiveShell" and find_spec("ipywidgets"):
        from tqdm.notebook import tqdm as notebook_bar

        return notebook_bar
    return text_bar
