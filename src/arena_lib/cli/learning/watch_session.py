"""`arena check --watch` in a terminal: one exercise at a time, with keys, and on to the next once it passes."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arena_lib.cli.learning.watching import QUIT, SAVED, Saved, WaitForKey, is_saved, take_stamp, wait_for_save
from arena_lib.cli.support.output import UsageError, print_table, show
from arena_lib.wording import counted

if TYPE_CHECKING:
    from arena_lib.checking.results import Result
    from arena_lib.course.content.catalog_types import ExerciseEntry
    from arena_lib.course.judging.judge_file import FileVerdict

KEYS = "h hint, n next, l list, q quit"
BAR_WIDTH = 30

Judge = Callable[..., "FileVerdict"]
"""Judges the exercises with these ids, the first of them first, and records the verdicts. It takes `on_result` and
`while_waiting` as `judge_file.Meanwhile` has them."""


class _Quit(Exception):
    """The learner has pressed q while something is judged."""


class WatchSession:
    """What has passed, and the exercise that the learner works on."""

    def __init__(
        self,
        path: Path,
        entries: list[ExerciseEntry],
        judge: Judge,
        show_verdict: Callable[..., None],
        *,
        more: str = "",
    ) -> None:
        self.path, self.entries = path, entries
        self._more = more
        """What the counts leave out, in words: " (2 more are to explore)"."""
        self._judge, self._show_verdict = judge, show_verdict
        self._statuses: dict[str, str] = {}
        self._stamp = take_stamp(path)
        self._sources: dict[str, tuple[str, ...]] = {}
        """By exercise, what its status is a verdict on."""
        self._sources_now: dict[str, tuple[str, ...]] = {}
        self._current: ExerciseEntry | None = entries[0]

    @property
    def is_well(self) -> bool:
        """Whether everything that was started passes."""
        return all(status in ("passed", "not_started") for status in self._statuses.values())

    def run(self, wait_for_key: WaitForKey) -> None:
        """Judges at every save until q is pressed; saves and keys are heeded while it judges, too."""
        with contextlib.suppress(_Quit):
            self._read()
            self._look([entry.id for entry in self.entries], wait_for_key)
            while True:
                event = wait_for_save(self.path, self._stamp, wait_for_key)
                if event != SAVED:
                    self._press(event)
                    continue
                self._read()
                edited = self._edited()
                if edited and self._current not in edited:  # that is what is worked on now
                    self._current = edited[0]
                ids = self._to_judge()
                show(saved_line(ids))
                self._look(ids, wait_for_key, {entry.id for entry in edited})

    def _read(self) -> None:
        """Takes in what the file holds now. A file that can't be read is told of when it is judged."""
        from arena_lib.course.judging.cells import read_learner_file
        from arena_lib.course.judging.collect import parse_file, sources_behind
        from arena_lib.errors import WorkspaceError

        self._stamp = take_stamp(self.path)
        with contextlib.suppress(WorkspaceError):
            parsed = parse_file(read_learner_file(self.path))
            self._sources_now = {entry.id: sources_behind(parsed, entry) for entry in self.entries}

    def _edited(self) -> list[ExerciseEntry]:
        """The exercises whose own definition isn't what was judged."""
        judged = [entry for entry in self.entries if entry.id in self._sources]
        return [e for e in judged if self._sources[e.id][:1] != self._sources_now.get(e.id, ())[:1]]

    def _to_judge(self) -> list[str]:
        """The exercise that is worked on, and those whose verdicts may not hold any more; all where that is none."""
        changed = [e.id for e in self.entries if self._sources.get(e.id) != self._sources_now.get(e.id)]
        current = [self._current.id] if self._current else []
        return list(dict.fromkeys([*current, *changed])) or [entry.id for entry in self.entries]

    def _press(self, key: str) -> None:
        if key == QUIT:
            raise _Quit
        if key == "h":
            self._show_hint()
        elif key == "n":
            self._move_on()
            self._show_place()
        elif key == "l":
            marks = {"passed": "✓", "not_started": " ", "": "…"}
            rows = [[marks.get(self._statuses.get(e.id, ""), "✗"), e.id, e.title] for e in self.entries]
            print_table(rows, indent="  ")
        elif key:
            show(f"{repr(key) if key.isprintable() else 'that'} is no key here: {KEYS}")

    def _look(self, ids: Sequence[str], wait_for_key: WaitForKey, edited: Collection[str] = ()) -> None:
        """Judges these, and each one after them for as long as the one before passes; a save ends it.

        Shown are the exercise that is worked on, those that were `edited`, and those of which the verdict is a new one.
        """

        def while_waiting() -> None:
            self._press(wait_for_key(0.0))
            if is_saved(self.path, self._stamp):
                raise Saved

        while ids:
            before, said, known = self._current, set[str](), dict(self._statuses)
            hear = functools.partial(self._hear, before if len(ids) > 1 else None, said)
            if before is not None:  # the one that is worked on comes first
                ids = sorted(ids, key=before.id.__ne__)
            try:
                verdict = self._judge(ids, on_result=hear, while_waiting=while_waiting)
            except Saved:
                return
            except UsageError as error:  # moved, or no notebook any more: the next save will do
                show(f"arena: {error}", err=True)
                return
            for result in verdict.results:
                self._note(result)
            if self._current is before and (before is None or self._statuses[before.id] == "passed"):
                self._move_on()
            worked_on = {entry.id for entry in (before, self._current) if entry}
            news = {r.exercise for r in verdict.results if r.status != known.get(r.exercise, r.status)}
            self._show_verdict(verdict, (worked_on | news | set(edited)) - said if worked_on else set(ids))
            is_further = self._current is not before and self._current is not None and self._current.id not in ids
            ids = [self._current.id] if is_further and self._current else []
        self._show_place()

    def _note(self, result: Result) -> None:
        self._statuses[result.exercise] = result.status
        self._sources[result.exercise] = self._sources_now.get(result.exercise, ())

    def _hear(self, current: ExerciseEntry | None, said: set[str], result: Result) -> None:
        """Notes a verdict as it comes, and shows that on the exercise which is worked on at once."""
        from arena_lib.checking.reports.reporting import print_result

        self._note(result)
        if current is not None and result.exercise == current.id:
            said.add(result.exercise)
            print_result(result)

    def _move_on(self) -> None:
        """To the next exercise that hasn't passed, from the start again after the last; to none if all have."""
        start = self.entries.index(self._current) + 1 if self._current else 0
        later = [*self.entries[start:], *self.entries[:start]]
        self._current = next((entry for entry in later if self._statuses.get(entry.id) != "passed"), None)

    def _show_place(self) -> None:
        n_passed = sum(status == "passed" for status in self._statuses.values())
        filled = BAR_WIDTH * n_passed // len(self.entries)
        bar = "#" * filled + "-" * (BAR_WIDTH - filled)
        place = f"now {self._current.id}, {self._current.title}" if self._current else "everything passes"
        show(f"[{bar}] {n_passed} of {len(self.entries)} passed{self._more}: {place}  ({KEYS})")

    def _show_hint(self) -> None:
        from arena_lib.course.record.hints import give_hint
        from arena_lib.course.record.progress import ProgressStore

        if self._current is not None:
            show(give_hint(self._current, ProgressStore()).text)


def saved_line(ids: Sequence[str]) -> str:
    """What is said at a save, at once: judging takes a while."""
    what = ids[0] if len(ids) == 1 else counted(len(ids), "exercise")
    return f"{time.strftime('%H:%M:%S')} saved, judging {what} ..."
