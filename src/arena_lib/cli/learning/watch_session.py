"""`arena check --watch` in a terminal: one exercise at a time, with keys, and on to the next once it passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from arena_lib.cli.learning.watching import SAVED, WaitForKey, take_stamp, wait_for_save
from arena_lib.cli.support.output import UsageError, print_table, show

if TYPE_CHECKING:
    from arena_lib.course.content.catalog_types import ExerciseEntry
    from arena_lib.course.judging.judge_file import FileVerdict

KEYS = "h hint, n next, l list, q quit"
BAR_WIDTH = 30

Judge = Callable[[set[str]], "FileVerdict"]
"""Judges the exercises with these ids, and records the verdicts."""


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
        self._current: ExerciseEntry | None = entries[0]

    @property
    def is_well(self) -> bool:
        """Whether everything that was started passes."""
        return all(status in ("passed", "not_started") for status in self._statuses.values())

    def run(self, wait_for_key: WaitForKey) -> None:
        """Judges at every save until q is pressed."""
        stamp = take_stamp(self.path)
        self._look({entry.id for entry in self.entries})
        while (event := wait_for_save(self.path, stamp, wait_for_key)) != "q":
            if event == SAVED:
                stamp = take_stamp(self.path)
                self._look({self._current.id} if self._current else {entry.id for entry in self.entries})
            elif event == "h":
                self._show_hint()
            elif event == "n":
                self._move_on()
                self._show_place()
            elif event == "l":
                marks = {"passed": "✓", "not_started": " "}
                rows = [[marks.get(self._statuses[e.id], "✗"), e.id, e.title] for e in self.entries]
                print_table(rows, indent="  ")

    def _look(self, ids: set[str]) -> None:
        """Judges these, and each one after them for as long as the one before passes."""
        while ids:
            try:
                verdict = self._judge(ids)
            except UsageError as error:  # half written, or moved: the next save will do
                show(f"arena: {error}", err=True)
                return
            self._statuses |= {result.exercise: result.status for result in verdict.results}
            before = self._current
            if before is None or self._statuses[before.id] == "passed":
                self._move_on()
            shown = {before.id, self._current.id} if before and self._current and len(ids) > 1 else ids
            self._show_verdict(verdict, shown)
            is_further = self._current is not before and self._current is not None and len(ids) == 1
            ids = {self._current.id} if is_further and self._current else set()
        self._show_place()

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
