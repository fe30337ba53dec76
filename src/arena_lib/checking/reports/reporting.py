"""Shows a verdict to the learner: the one place where tests and the command line print verdicts.

One line on success. On failure it raises CheckFailed, whose text is the whole
message; a notebook displays it with heat maps, and then the error is one line.
A learner's own exception goes on, with our frames cut out of its traceback; so it does where it ends a script.

Raises:  CheckFailed; the learner's exception.
"""

import contextlib
import importlib
import os
import shlex
import sys
import sysconfig
import traceback
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from arena_lib.checking.reports.messages import render_rich, render_text
from arena_lib.checking.results import Result
from arena_lib.errors import CheckFailed

_PACKAGE = str(Path(__file__).parents[2]) + os.sep
_CHECKING = str(Path(__file__).parents[1]) + os.sep
_PYTHON = sysconfig.get_path("stdlib") + os.sep
SECTION_IN_HEAD, MAX_HEAD = "arena: {", 1000
"""What the head of a section's script holds, and within how many characters."""
MOST_FRAMES, FRAMES_AT_EACH_END = 40, 5
"""A traceback with more frames is cut to its two ends."""
_GENERATED = ("<frozen ", "<string>", "<__", "<@")
"""How the names of code begin that Python, numpy and beartype make up themselves."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What a course adds to a verdict: where it is recorded, and the exercise's id."""

    record: Callable[[Result], None]
    identify: Callable[[str], str]
    """Turns `slug/name` into the exercise's id, `1.1/causal_mask`."""
    reword: Callable[[str], str] = str
    """Writes the commands of a message as the learner gives them there: `%arena hint` in a notebook."""
    explain: Callable[[Result, Any], Result] = lambda result, obj: result
    """Adds to the verdict on an object what the course knows beside the test, such as a helper that fails."""


_courses: list[Course] = []
_NAMING, _EXPLAINING = "arena_lib.course.naming", "arena_lib.course.judging.called_here"
"""What knows the exercises. They are loaded by name, since imports point from the course to this package."""


def use_course(course: Course | None) -> None:
    """From now on tests called in this process are recorded by `course`, or by none."""
    _courses[:] = [course] if course else []


def report(outcome: Any, obj: Any = None) -> None:
    """Prints the line of a pass, or raises what the learner should see. `outcome` is a `running.Outcome` on `obj`."""
    __tracebackhide__ = True
    result: Result = outcome.result
    reword: Callable[[str], str] = str
    for course in _courses or [_unrecorded()]:
        result, reword = course.explain(_identified(result, course), obj), course.reword
        if not result.is_reference:
            course.record(result)
        result = replace(result, message=reword(result.message))
    if not result.passed:
        _shorten_tracebacks()
    if outcome.error is not None:
        raise_learners(outcome.error, map(reword, _said_of(result)))
    if result.passed:
        print_result(result)
        return
    failure = CheckFailed(result.message, result)
    failure.is_drawn = _draw(result, outcome, reword)
    raise failure


def _identified(result: Result, course: Course) -> Result:
    identified = replace(result, exercise=course.identify(result.exercise))
    return replace(identified, message=render_text(identified))


def _said_of(result: Result) -> list[str]:
    """What is said beside an exception of the learner's code."""
    diagnosis = [f"Looks like: {d.mistake}. Remember: {d.why}." for d in (result.diagnosis,) if d is not None]
    call = [f"The call was {result.call}"] if result.call else []
    hint = [f"For a hint: arena hint {result.hint_for}"] if result.hint_for else []
    return [*call, *diagnosis, *result.notes, *hint]


def print_result(result: Result) -> None:
    """The verdict on standard output: with weight and colour in a terminal, as plain text everywhere else.

    With the environment variable NO_COLOR (no-color.org) a terminal gets plain text too.
    """
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        from rich.console import Console

        Console().print(render_rich(result), soft_wrap=True)
        return
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(result.message.encode(encoding, "replace").decode(encoding) + "\n")


def _draw(result: Result, outcome: Any, reword: Callable[[str], str]) -> bool:
    """In a notebook: the message as HTML, with heat maps where the result has two axes; False elsewhere."""
    if not _is_notebook():
        return False
    from IPython.display import display

    from arena_lib.checking.reports.html import render_html

    page = reword(render_html(result, expected=outcome.expected, actual=outcome.actual))
    display({"text/html": page, "text/plain": result.message}, raw=True)
    return True


def _is_notebook() -> bool:
    """Whether this process is a notebook's kernel, rather than one that has only imported such things."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def raise_learners(error: BaseException, notes: Iterable[str] = ()) -> NoReturn:
    """Raises an exception of the learner's code again with the frames of the library and of torch's callers cut out."""
    __tracebackhide__ = True
    _shorten_tracebacks()
    frames = without_ours(error.__traceback__)
    n_left_out = leave_out_the_middle(frames)
    left_out = [f"{n_left_out} calls in the middle of this traceback are left out."] if n_left_out else []
    for note in [*left_out, *notes]:
        error.add_note(note)
    raise error.with_traceback(frames)


def _unrecorded() -> Course:
    """A course that names exercises and records nothing."""
    naming, explaining = importlib.import_module(_NAMING), importlib.import_module(_EXPLAINING)
    return Course(record=lambda result: None, identify=naming.identify, explain=explaining.explain)


def _shorten_tracebacks() -> None:
    """From now on an exception that ends a script is shown without this package's frames, unless others show it."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _show_uncaught


def _show_uncaught(kind: type[BaseException], error: BaseException, frames: types.TracebackType | None) -> None:
    """As Python does, without our frames; a verdict as its message alone, under the learner's lines."""
    shown = traceback.TracebackException(kind, error, frames)
    is_verdict = isinstance(error, CheckFailed)
    kept = [f for f in shown.stack if not (is_library(f.filename) if is_verdict else f.filename.startswith(_CHECKING))]
    shown.stack = traceback.StackSummary.from_list(kept)
    if is_verdict:
        text = "".join(["Traceback (most recent call last):\n", *shown.stack.format(), f"{error}\n", _other_way()])
    else:
        text = "".join(shown.format())
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    sys.stderr.write(text.encode(encoding, "replace").decode(encoding))


def _other_way() -> str:
    """How to have all exercises of a section's script judged, which stops at the first that fails when it runs."""
    path = getattr(sys.modules.get("__main__"), "__file__", None) or ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if SECTION_IN_HEAD in Path(path).read_text(encoding="utf-8")[:MAX_HEAD]:
            return f"  Python stops here. To judge every exercise of this file: arena check {shlex.quote(path)}\n"
    return ""


def without_ours(frames: types.TracebackType | None) -> types.TracebackType | None:
    """The traceback from the learner's first frame on; whole if no frame is the learner's."""
    learners = frames
    while learners is not None and is_library(learners.tb_frame.f_code.co_filename):
        learners = learners.tb_next
    return learners or frames


def leave_out_the_middle(frames: types.TracebackType | None) -> int:
    """Cuts a traceback without end, as endless recursion leaves it, in place; how many frames went.

    A notebook would print thousands of lines.
    """
    chain = []
    while frames is not None:
        chain.append(frames)
        frames = frames.tb_next
    if len(chain) <= MOST_FRAMES:
        return 0
    chain[FRAMES_AT_EACH_END - 1].tb_next = chain[-FRAMES_AT_EACH_END]
    return len(chain) - 2 * FRAMES_AT_EACH_END


def is_library(file: str) -> bool:
    """Whether the file of a frame belongs to this library, an installed one or Python's own, not to the learner.

    The edited copies of our own modules that stand for a learner's mistakes have names that don't end as a file's.
    """
    if file.startswith(_PACKAGE):
        return file.endswith(".py")
    return file.startswith((_PYTHON, *_GENERATED)) or "site-packages" in file or "dist-packages" in file
