"""Where a learner's code stopped with an exception: in their own last line, and in what that line called.

Raises:  nothing.
"""

from __future__ import annotations

import re
import traceback
import types
from pathlib import Path

from arena_lib.checking.comparison.texts import clean
from arena_lib.checking.reports.reporting import is_library, without_ours
from arena_lib.checking.results import Stop

MOST_LINES, MOST_CHARACTERS = 6, 400
"""How much of an exception's message is repeated: torch's longest sentences end with what to do."""

LONG_WORD = 40
"""Letters within which a word should end."""
MOST_OF_A_LINE = 200
"""How much of the learner's own line is repeated."""


def stop_of(error: BaseException) -> Stop:
    """The exception, the learner's own innermost line, and the library's function that it called."""
    walked = list(traceback.walk_tb(without_ours(error.__traceback__)))
    frames = traceback.StackSummary.extract(iter(walked))
    own = [i for i, frame in enumerate(frames) if not is_library(frame.filename)]
    beyond = [frame.f_code for frame, _ in walked[own[-1] + 1 :]] if own else []
    raised = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    lines = [_shortened(line) for line in raised.splitlines()[:MOST_LINES]]
    return Stop(
        raised="\n".join(lines),
        line=_line_text(frames[own[-1]]) if own else "",
        within=_within_text(beyond),
    )


def _shortened(line: str) -> str:
    """A line that is cut, after a word where one ends near, with dots for what is left out."""
    if len(line) <= MOST_CHARACTERS:
        return line
    start, words = line[: MOST_CHARACTERS - LONG_WORD], line[MOST_CHARACTERS - LONG_WORD : MOST_CHARACTERS]
    return f"{start}{words.rpartition(' ')[0] or words} ..."


def _line_text(frame: traceback.FrameSummary) -> str:
    function = "" if frame.name.startswith("<") else f", in {frame.name}"
    return f"{frame.lineno} of {place_name(frame.filename)}{function}: {clean(frame.line or '', MOST_OF_A_LINE)}"


def place_name(file: str) -> str:
    """The file or cell as a learner knows it.

    >>> place_name("<1.1.ipynb, cell 12>"), place_name("/tmp/ipykernel_1/2.py"), place_name("/home/me/mine.py")
    ('cell 12', 'your cell', 'mine.py')
    """
    if match := re.search(r"\b(cell \d+)>$", file):
        return match[1]
    if "ipykernel_" in file or file.startswith("<ipython-input"):
        return "your cell"
    return Path(file.partition(" (")[0]).name


def _within_text(codes: list[types.CodeType]) -> str:
    """The first function of a library that has a public name, of a method with its class, and its package.

    What a decorator makes (`wrapped`) has no name that a learner would know.
    """
    public = (c for c in codes if not c.co_name.startswith(("_", "<")) and "<locals>" not in c.co_qualname)
    code = next(public, None)
    return f"{code.co_qualname} of {_package_of(code.co_filename)}" if code else ""


def _package_of(file: str) -> str:
    """The package that a library's file belongs to; Python for its own library."""
    parts = Path(file).parts
    for folder in ("site-packages", "dist-packages"):
        if folder in parts[:-1]:
            return Path(parts[parts.index(folder) + 1]).stem
    return "arena_lib" if "arena_lib" in parts else "Python"
