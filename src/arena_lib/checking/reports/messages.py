"""What a learner reads about a `Result`: plain text of at most 25 lines, or a renderable for a terminal.

Text, terminal and HTML are three views of one `Message`, so they say the same. Nothing here loads
torch, so that `arena check` prints as a notebook does without waiting for it.

Raises:  nothing, whatever the learner's object gave.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from arena_lib.checking.comparison.texts import NO_EXCEPTION, clean, coordinates, shape_text
from arena_lib.checking.results import Mismatch, Result, Status
from arena_lib.wording import counted

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.text import Text

MAX_LINES = 25
"""The most lines that a message has."""
WIDTH = 100
"""Columns at which text is wrapped."""
MIN_WIDTH = 30
"""Narrower terminals are treated as this wide."""
LABEL_WIDTH = 9
"""Columns of the word before each fact."""
LOOKS_LIKE = "Looks like:"
"""Opens the line of the diagnosis."""
SHORT_VALUE = 60
"""Characters up to which a value stands in the line that says what it should be."""
MAX_FACT = 400
"""Characters of one fact."""
MAX_CHECKS = 3
"""Failed checks that are shown."""
MAX_NOTES = 3
"""Notes that are shown."""
MAX_PRINTED = 4
"""Lines of what the learner's code printed that are shown."""

_MARKS: dict[Status, tuple[str, str]] = {
    "passed": ("✓", "[ok]"),
    "failed": ("✗", "[x]"),
    "error": ("✗", "[x]"),
    "timeout": ("✗", "[x]"),
    "not_started": ("○", "[ ]"),
}
_STYLES: dict[Status, str] = {
    "passed": "green",
    "failed": "red",
    "error": "red",
    "timeout": "red",
    "not_started": "yellow",
}


@dataclass(frozen=True)
class Message:
    """A verdict in words: a headline, facts with a word before each, and the next step."""

    status: Status
    headline: str
    facts: tuple[tuple[str, str], ...] = ()
    next_step: str = ""

    def mark(self, encoding: str | None = None) -> str:
        """A sign for the verdict that the encoding can write."""
        mark, plain = _MARKS[self.status]
        return mark if _can_write(mark, encoding) else plain


def _can_write(text: str, encoding: str | None) -> bool:
    return encoding is None or text.encode(encoding, "replace").decode(encoding) == text


def compose(result: Result) -> Message:
    """The words for a result, before any layout."""
    status = result.status
    name = clean(result.exercise)
    hint = f"For a hint: arena hint {clean(result.hint_for or result.exercise)}"
    if status == "passed":
        return Message(status, _passed_headline(result, name), (*_notes(result), *_printed(result)))
    if status == "not_started":
        if result.needs:
            need = ("needs", f"{result.needs}, which isn't written yet: write that first")
            return Message(status, f"{name} can't run yet", (need, *_notes(result)), hint)
        body = "" if result.notes else "Write the body in place of `raise NotImplementedError`. "
        return Message(status, f"{name} is not started", tuple(_notes(result)), body + hint)
    headline = {
        "failed": f"{name} does not pass yet",
        "error": f"{name} stopped with an exception in your code",
        "timeout": f"{name} did not finish within its time limit"
        + (f" ({result.seconds:.0f} s)" if result.seconds else ""),
    }[status]
    mismatch = _mismatch_facts(result.mismatch, is_named=result.diagnosis is not None)
    facts = [*_call(result), *_stop(result), *_failed_checks(result), *mismatch, *_diagnosis(result), *_notes(result)]
    facts += _printed(result)
    return Message(status, headline, tuple(facts), hint)


def _passed_headline(result: Result, name: str) -> str:
    n_checks = len(result.checks)
    counted = f" ({n_checks} check{'s' if n_checks != 1 else ''})" if n_checks else ""
    text = f"{name} passed{counted}"
    return f"{text}; this is the library's own solution, so it is not recorded" if result.is_reference else text


def _call(result: Result) -> list[tuple[str, str]]:
    facts = [("call", result.call), ("case", result.case)]
    return [(label, text) for label, text in facts if text]


def _stop(result: Result) -> list[tuple[str, str]]:
    """The learner's line, what it called, and the exception, whose message may have several lines."""
    if result.stop is None:
        return []
    first, *more = result.stop.raised.splitlines() or [""]
    facts = [("line", result.stop.line), ("within", result.stop.within), ("raised", first)]
    return [(label, text) for label, text in facts if text] + [("", line) for line in more]


def _failed_checks(result: Result) -> list[tuple[str, str]]:
    shown = result.mismatch is not None
    failed = [check for check in result.checks if not check.passed and (check.message or not shown)]
    facts = [("check", check.message or check.name) for check in failed]
    more = len(facts) - MAX_CHECKS
    return facts[:MAX_CHECKS] + ([("", f"and {more} more")] if more > 0 else [])


def _diagnosis(result: Result) -> list[tuple[str, str]]:
    if result.diagnosis is None:
        return []
    why = result.diagnosis.why
    return [(LOOKS_LIKE, result.diagnosis.mistake), *([("remember", why)] if why else [])]


def _notes(result: Result) -> list[tuple[str, str]]:
    return [("note", note) for note in result.notes[:MAX_NOTES]]


def _printed(result: Result) -> list[tuple[str, str]]:
    """The first lines that the learner's code printed."""
    lines = [line for line in result.printed.splitlines() if line.strip()]
    shown = [*lines[:MAX_PRINTED], *(["..."] if len(lines) > MAX_PRINTED else [])]
    return [("" if i else "printed", line) for i, line in enumerate(shown)]


def _mismatch_facts(mismatch: Mismatch | None, *, is_named: bool) -> list[tuple[str, str]]:
    """What differs, and how; advice on a type only where no mistake has a name, which says more."""
    if mismatch is None:
        return []
    mismatch = replace(mismatch, observation=_in_words(mismatch.observation))
    if mismatch.expected == "an empty list":
        facts = [("wrong", f"{mismatch.observation}: {mismatch.actual}, where there should be none")]
    elif mismatch.kind == "length":
        facts = [("wrong", f"{mismatch.observation} should be {mismatch.expected}"), ("got", mismatch.actual)]
    elif mismatch.kind in ("rank", "shape"):
        facts = _shape_facts(mismatch)
    elif mismatch.kind in ("values", "nonfinite"):
        facts = _value_facts(mismatch)
    elif mismatch.kind == "missing" and mismatch.pattern:
        lacking = ("wrong", f"{mismatch.observation} {mismatch.pattern}")
        return [lacking, *_two("value", mismatch.expected, mismatch.actual)]
    elif mismatch.kind == "raised" and (mismatch.observation == "raised" or mismatch.actual.startswith(NO_EXCEPTION)):
        facts = _exception_facts(mismatch)
    else:
        facts = _kind_facts(mismatch)
    if mismatch.kind == "type" and is_named:
        return facts
    label = "advice" if mismatch.kind == "type" else "pattern"
    return facts + ([(label, mismatch.pattern)] if mismatch.pattern else [])


def _in_words(observation: str) -> str:
    """An entry of what has a name in words: "loss of each update[0]" reads as code, and isn't."""
    match = re.fullmatch(r"([^\[\]()]* [^\[\]()]*)\[(\d+)\]", observation)
    return f"entry {match[2]} of {match[1]}" if match else observation


def _shape_facts(mismatch: Mismatch) -> list[tuple[str, str]]:
    if mismatch.expected_shape is None or mismatch.actual_shape is None:
        return _kind_facts(mismatch)
    if mismatch.expected_shape == ():
        return [("wrong", f"{mismatch.observation} should be {mismatch.expected}"), ("got", mismatch.actual)]
    expected = shape_text(mismatch.expected_shape, mismatch.axes)
    n_axes = len(mismatch.expected_shape), len(mismatch.actual_shape)
    rank = "" if n_axes[0] == n_axes[1] else f" ({counted(n_axes[0], 'axis', 'axes')} expected, {n_axes[1]} given)"
    return [
        ("wrong", f"{mismatch.observation} has the wrong shape{rank}"),
        *_two("shape", expected, str(mismatch.actual_shape)),
    ]


def _two(label: str, expected: str, actual: str) -> list[tuple[str, str]]:
    return [(label, f"expected {expected}"), ("", f"got {actual}")]


def _value_facts(mismatch: Mismatch) -> list[tuple[str, str]]:
    if mismatch.n_wrong is None and max(len(mismatch.expected), len(mismatch.actual)) > SHORT_VALUE:
        return [("wrong", mismatch.observation), *_two("value", mismatch.expected, mismatch.actual)]
    if mismatch.n_wrong is None:
        return [("wrong", f"{mismatch.observation} should be {mismatch.expected}"), ("got", mismatch.actual)]
    if mismatch.n_total == 1 and not mismatch.expected_shape:
        return _number_facts(mismatch)
    what = ", with NaN or infinity" if mismatch.kind == "nonfinite" else ""
    counted = f"{mismatch.n_wrong} of {mismatch.n_total} entries"
    if mismatch.n_wrong == mismatch.n_total:
        counted = f"all {mismatch.n_total} entries" if mismatch.n_total != 1 else "its one entry"
    facts = [("wrong", f"{mismatch.observation}: wrong in {counted}{what}")]
    if mismatch.expected_shape:
        facts.append(("shape", f"{shape_text(mismatch.expected_shape, mismatch.axes)}, as expected"))
    return [*facts, ("first", f"{_where(mismatch)}expected {mismatch.expected}, got {mismatch.actual}")]


def _number_facts(mismatch: Mismatch) -> list[tuple[str, str]]:
    """Of one number, what it should be; of a sentence that holds or not, which it should do."""
    is_sentence = " " in mismatch.observation and mismatch.expected in ("True", "False")
    if is_sentence:
        verdict = "this doesn't hold" if mismatch.expected == "True" else "this holds, but it shouldn't"
        return [("wrong", f"{verdict}: {mismatch.observation}")]
    return [("wrong", f"{mismatch.observation} should be {mismatch.expected}"), ("got", mismatch.actual)]


def _where(mismatch: Mismatch) -> str:
    index = mismatch.first_index
    if not index:
        return ""
    if len(mismatch.axes) == len(index):
        return f"at {coordinates(mismatch.axes, index)}: "
    return f"at index {list(index)}: "


def _exception_facts(mismatch: Mismatch) -> list[tuple[str, str]]:
    """Of an exception that must be raised: which one, and what came instead."""
    kind, _, text = mismatch.expected.partition(": ")
    where = "" if mismatch.observation == "raised" else f"{mismatch.observation} "
    demand = f"{where}must raise {kind}{f' ({text})' if text else ''}"
    none_raised, _, returned = mismatch.actual.partition(": ")
    if none_raised != NO_EXCEPTION:
        return [("wrong", f"{demand}: it raised another exception"), ("raised", mismatch.actual)]
    return [("wrong", f"{demand}: it returned {NO_EXCEPTION}"), *([("got", returned)] if returned else [])]


def _kind_facts(mismatch: Mismatch) -> list[tuple[str, str]]:
    difference = {
        "dtype": "has the wrong dtype",
        "type": "is of the wrong type",
        "missing": "is missing",
        "raised": "differs in the exception it raises",
    }.get(mismatch.kind, "is wrong")
    label = {"dtype": "dtype", "raised": "raised"}.get(mismatch.kind, "value")
    return [("wrong", f"{mismatch.observation} {difference}"), *_two(label, mismatch.expected, mismatch.actual)]


def fact_lines(label: str, text: str, width: int) -> list[str]:
    """One fact, wrapped, with its word in a column of its own."""
    body = clean(text, MAX_FACT)
    indent = " " * (LABEL_WIDTH + 2)
    if len(label) > LABEL_WIDTH:
        return textwrap.wrap(f"{label} {body}", width, initial_indent="  ", subsequent_indent=indent)
    lines = textwrap.wrap(body, max(width - len(indent), MIN_WIDTH)) or [""]
    return [f"  {label:<{LABEL_WIDTH}}{lines[0]}".rstrip(), *(indent + line for line in lines[1:])]


def lay_out(message: Message, encoding: str | None = None, width: int = WIDTH) -> list[str]:
    """The lines of a message: headline, facts, next step, never more than `MAX_LINES`."""
    width = max(width, MIN_WIDTH)
    head = textwrap.wrap(f"{message.mark(encoding)} {message.headline}", width, subsequent_indent="  ")[:3]
    tail = textwrap.wrap(message.next_step, width - 2, initial_indent="  ", subsequent_indent="  ")[:3]
    body = [line for label, text in message.facts for line in fact_lines(label, text, width)]
    room = MAX_LINES - len(head) - len(tail)
    if len(body) > room:
        body = [*body[: room - 1], "  ..."]
    return head + body + tail


def render_text(result: Result, *, encoding: str | None = None) -> str:
    """The verdict as plain text; pass the stream's `encoding` to get only what it can write.

    >>> render_text(Result(exercise="1.1/causal_mask", status="passed"), encoding="ascii")
    '[ok] 1.1/causal_mask passed'
    """
    text = "\n".join(lay_out(compose(result), encoding))
    return text if encoding is None else text.encode(encoding, "replace").decode(encoding)


def spoken(exercise: str, status: Status, text: str, *, seconds: float = 0.0) -> Result:
    """A verdict that no test gave, such as that of a time limit, in words of its own.

    >>> spoken("1.1/causal_mask", "timeout", "it must end.").message
    '✗ 1.1/causal_mask: it must end.'
    """
    message = f"{_MARKS[status][0]} {exercise}: {text}"
    return Result(exercise=exercise, status=status, message=message, seconds=seconds)


def with_note(result: Result, note: str) -> Result:
    """The verdict with one more note before the others, in its message too."""
    return _with(result, [("note", note)], notes=(note, *result.notes))


def with_cause(result: Result, note: str, exercise: str) -> Result:
    """The verdict with a note that another exercise may be its cause, from which hints are taken then.

    No mistake is named any more: it may be that one's.
    """
    return _with(result, [("note", note)], notes=(note, *result.notes), diagnosis=None, hint_for=exercise)


def with_printed(result: Result, printed: str) -> Result:
    """The verdict with what the learner's code printed, in its message too."""
    return _with(result, _printed(replace(result, printed=printed)), printed=printed)


def with_hint_for(result: Result, exercise: str) -> Result:
    """The verdict with another exercise as the one to take a hint for, in its message too."""
    return _with(result, [], hint_for=exercise)


def _with(result: Result, facts: Iterable[tuple[str, str]], **changes: Any) -> Result:
    """The changed verdict; a message in words of its own stays, and gets these facts after it."""
    changed = replace(result, **changes)
    if result.message == render_text(result):
        return replace(changed, message=render_text(changed))
    lines = [line for label, text in facts for line in fact_lines(label, text, WIDTH)]
    return replace(changed, message="\n".join([result.message, *lines]))


@dataclass(frozen=True)
class RichMessage:
    """A verdict that rich lays out to the terminal's width; words of its own are kept as they are."""

    result: Result

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """The lines, with the verdict and the diagnosis set off by weight as well as colour."""
        from rich.text import Text

        composed, message = render_text(self.result), compose(self.result)
        lines = (self.result.message or composed).splitlines()
        if self.result.message in ("", composed):
            lines = lay_out(message, options.encoding, min(WIDTH, options.max_width))
        labels = {label for label, _ in message.facts if label}
        for i, line in enumerate(lines):
            text = Text(line.encode(options.encoding, "replace").decode(options.encoding))
            if i == 0:
                text.stylize(f"bold {_STYLES[self.result.status]}")
            elif line.strip().startswith(LOOKS_LIKE):
                text.stylize("bold")
            elif line[2 : LABEL_WIDTH + 2].rstrip() in labels:
                text.stylize("dim", 0, LABEL_WIDTH + 2)
            yield text


def render_rich(result: Result) -> RichMessage:
    """The verdict for a terminal: print it with a `rich.console.Console`."""
    return RichMessage(result)
