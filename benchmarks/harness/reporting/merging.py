"""Several records as one: both environments of a machine together, machines and sizes apart.

Raises:  RecordError for a file that is no record.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.harness.record import Record, Row, read_record

MACHINE = ("cpu", "n_cores", "n_threads", "gpu")
"""What makes two machines one for a reader; the system's patch level and the memory to the byte don't."""


@dataclass(frozen=True)
class Shown:
    """A row, and what is known of its run."""

    row: Row
    is_noisy: bool

    @property
    def has_ratio(self) -> bool:
        """Whether it was timed."""
        return self.row.status == "measured" and self.row.ratio is not None


@dataclass(frozen=True)
class Group:
    """The rows of one machine at one size, case by case, and the runs that they are from."""

    machine: dict[str, Any]
    size: str
    runs: tuple[Record, ...]
    cases: tuple[tuple[Shown, ...], ...]
    """Rows with the same path, case, device and dtype together, in the order of their first appearance."""

    @property
    def rows(self) -> tuple[Shown, ...]:
        """Every row, in the order of the cases."""
        return tuple(shown for case in self.cases for shown in case)


def read_groups(paths: Iterable[Path]) -> list[Group]:
    """The records in files, merged."""
    return merge([read_record(path) for path in paths])


def merge(records: Sequence[Record]) -> list[Group]:
    """One group for each machine and size; a row that several runs have is the latest run's."""
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        machine = tuple(record.machine.get(key) for key in MACHINE)
        groups.setdefault((*machine, record.options.get("size")), []).append(record)
    return [_merge_group(key[-1], runs) for key, runs in groups.items()]


def _merge_group(size: str, runs: Sequence[Record]) -> Group:
    latest: dict[tuple[str, ...], Shown] = {}
    for run in sorted(runs, key=lambda run: run.started):
        latest |= {row.key: Shown(row, run.is_noisy) for row in run.rows}
    order = dict.fromkeys(row.key for run in runs for row in run.rows)
    cases = _split(_drop_skips([latest[key] for key in order]))
    return Group(runs[0].machine, size, tuple(runs), tuple(cases))


def _drop_skips(rows: Sequence[Shown]) -> list[Shown]:
    """Without rows that are skipped in one environment and run in the other, and one of two skipped for one reason."""
    run = {_without_environment(shown.row) for shown in rows if shown.row.status != "skipped"}
    kept: dict[tuple[Any, ...], Shown] = {}
    for shown in rows:
        row, where = shown.row, _without_environment(shown.row)
        if row.status == "skipped" and where not in run:
            kept.setdefault((where, row.reason), shown)
        elif row.status != "skipped":
            kept[row.key] = shown
    return list(kept.values())


def _split(rows: Sequence[Shown]) -> list[tuple[Shown, ...]]:
    cases: dict[tuple[str, ...], list[Shown]] = {}
    for shown in rows:
        row = shown.row
        cases.setdefault((row.path, row.case, row.device, row.dtype), []).append(shown)
    return [tuple(case) for case in cases.values()]


def _without_environment(row: Row) -> tuple[str, ...]:
    return replace(row, environment="").key
