"""`%arena` in notebooks, and the recorder that notes the verdict of every test called there.

    %load_ext arena_lib
    %arena next            what comes next
    %arena hint            the next hint of the exercise tried last; or `%arena hint causal_mask`
    %arena progress
    %arena solution causal_mask [--give-up]

Raises:  nothing; errors are shown as messages.
"""

from __future__ import annotations

import re
import shlex
import sys
import traceback
import types
from pathlib import Path
from typing import Any

from arena_lib.checking.reports.reporting import Course, use_course
from arena_lib.checking.results import Result
from arena_lib.course.content.catalog_types import ExerciseEntry
from arena_lib.course.judging.called_here import explain
from arena_lib.course.judging.cells import LearnerFile, SourceCell
from arena_lib.course.naming import catalog_once, identify
from arena_lib.course.record.hints import give_hint, give_solution
from arena_lib.course.record.progress import ProgressStore
from arena_lib.course.record.summary import current_exercise, load_summary
from arena_lib.errors import ArenaError, WorkspaceError

USAGE = """\
%arena hint                    the next hint of the exercise that you tried last
%arena hint NAME [NUMBER]      the next hint of an exercise, or the one with this number
%arena next                    the exercise that comes next
%arena progress                what is done
%arena solution NAME           ours beside yours, once you have passed; or with --give-up
To check an exercise, run its cell. Commands for the shell begin with an exclamation mark: !arena list"""
_SHELL_VERBS = ("bench", "check", "demo", "doctor", "list", "new", "reset", "rl", "start", "verify", "zoo")

GAP = "this line stands in place of your code: write yours, then delete the line."
"""What is said of a cell whose own gap isn't filled yet."""

_COMMAND = re.compile(r"(?<![\w%!])arena (check|doctor|hint|list|progress|solution|start|zoo)\b")


def load(shell: Any) -> None:
    """Registers `%arena`, and records the verdicts of this kernel from now on."""
    store = ProgressStore()
    use_course(make_course(store))
    store.note("opened")

    def arena(line: str) -> None:
        """Hints, solutions and progress: see `%arena`."""
        _print(answer(line, _executed_cells(shell)))

    shell.register_magic_function(arena, magic_kind="line", magic_name="arena")
    shell.set_custom_exc((NotImplementedError,), _show_unwritten)


def unload(shell: Any) -> None:
    """Stops recording and takes `%arena` away."""
    use_course(None)
    shell.magics_manager.magics["line"].pop("arena", None)
    shell.set_custom_exc((), None)


def _show_unwritten(
    shell: Any,
    kind: type[BaseException],
    error: BaseException,
    frames: types.TracebackType | None,
    tb_offset: int | None = None,
) -> None:
    """Shows an exception as IPython does; that of a stub says which exercise it is, and how to go on without it."""
    if not error.args and frames is not None:
        *_, (last, _) = traceback.walk_tb(frames)
        text = GAP if last.f_locals is last.f_globals else _unwritten_text(last.f_code.co_qualname)
        if text:
            error.args = (text,)
    shell.showtraceback((kind, error, frames), tb_offset=tb_offset)


def _unwritten_text(qualname: str) -> str:
    """What is said of a stub with this name; nothing for a function that no exercise asks for."""
    root = qualname.partition(".")[0]
    matches = {
        entry.reference: entry for entry in catalog_once().exercises if (entry.reference or "").endswith(f":{root}")
    }
    if len(matches) != 1:  # with several, nobody knows which is meant
        return ""
    ((reference, entry),) = matches.items()
    module = str(reference).partition(":")[0]
    return (
        f"{qualname} isn't written yet: it is the exercise {entry.id}. "
        f"Write it, or go on with the library's: from {module} import {root}"
    )


def make_course(store: ProgressStore) -> Course:
    """What turns `slug/name` into the exercise's id and notes verdicts; a test that no course has isn't noted."""

    def record(result: Result) -> None:
        if any(entry.id == result.exercise for entry in catalog_once().exercises):
            store.record(result)

    return Course(record=record, identify=identify, reword=in_notebook, explain=explain)


def _executed_cells(shell: Any) -> LearnerFile:
    """Every cell that this kernel has run, in that order."""
    sources = enumerate(shell.history_manager.input_hist_raw)
    cells = [SourceCell(number=number, source=source, filename=f"<cell {number}>") for number, source in sources]
    return LearnerFile(path=Path("this notebook"), cells=tuple(cells))


def answer(line: str, executed: LearnerFile) -> str:
    """The answer to `%arena line` as text, errors too; a solution is compared with the cells that were executed."""
    try:
        words = shlex.split(line)
        if words and words[0] in _SHELL_VERBS:
            return f"arena {words[0]} is a command for the shell. Write: !arena {line.strip()}"
        return _answer(words, executed) or (f"%arena doesn't know {line!r}. It takes:\n{USAGE}" if words else USAGE)
    except ArenaError as error:
        return in_notebook(str(error))
    except ValueError as error:  # an unclosed quote
        return f"%arena can't read {line!r}: {error}. It takes:\n{USAGE}"


def _answer(words: list[str], executed: LearnerFile) -> str | None:
    """None for words that `%arena` doesn't take."""
    store = ProgressStore()
    match words:
        case ["next"]:
            return _next_text(store)
        case ["progress"]:
            return load_summary(catalog_once(), store).text
        case ["hint", *rest] if len(rest) <= 2:
            tier = int(rest.pop()) if rest and rest[-1].isdecimal() else None
            if len(rest) == 2:
                raise WorkspaceError(
                    f"a hint's number must be a number: got {rest[1]!r}. Write: %arena hint {rest[0]} 1"
                )
            entry = catalog_once().exercise(rest[0]) if rest else current_exercise(catalog_once(), store)
            return _next_text(store) if entry is None else _hint_text(entry, store, tier)
        case ["solution", name, *rest] if rest in ([], ["--give-up"]):
            entry = catalog_once().exercise(name)
            section = catalog_once().section_of(entry)
            return give_solution(section, entry, store, gives_up=bool(rest), executed=executed).text.rstrip()
    return None


def _hint_text(entry: ExerciseEntry, store: ProgressStore, tier: int | None) -> str:
    if tier is not None and not 1 <= tier <= max(1, len(entry.hints)):
        raise WorkspaceError(f"{entry.id} has the hints 1 to {len(entry.hints)}: got {tier}. Choose one of them.")
    return in_notebook(give_hint(entry, store, tier).text)


def in_notebook(text: str) -> str:
    """The text with every command as a notebook takes it: a magic where there is one, else a line for the shell.

    >>> in_notebook("For a hint: arena hint plus. All of them: arena list")
    'For a hint: %arena hint plus. All of them: !arena list'
    """
    return _COMMAND.sub(lambda match: ("%" if match[1] in ("hint", "solution") else "!") + match[0], text)


def _next_text(store: ProgressStore) -> str:
    upcoming = load_summary(catalog_once(), store).next()
    return "Everything is done." if upcoming is None else f"{upcoming.id}: {upcoming.title} ({upcoming.minutes} min)"


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
