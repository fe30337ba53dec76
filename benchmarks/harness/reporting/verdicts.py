"""Which rows became slower, between two runs that need not be on one machine.

What is compared is the ratio to the peer, which ran in turns with ours in the same process:
a slower machine slows both. A row is called slower (or faster) when the two ranges don't
overlap and the median moved by more than a tenth. CPU time with one thread is a second
witness: in a noisy run a fall that it contradicts is called in doubt. Rows that can't be
compared are refused, with the reason.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.harness.record import Record, Row, Spread
from benchmarks.harness.reporting.wording import cpu_ratio

CHANGE = 0.10
"""By what fraction the median must fall, or its inverse rise, to be called slower or faster."""
NONE, REGRESSION, NOTHING_COMPARABLE = 0, 1, 2

Kind = Literal["slower", "fails", "in doubt", "faster", "same", "refused", "lost", "new", "left out"]
COMPARED: tuple[Kind, ...] = ("slower", "fails", "in doubt", "faster", "same")
REGRESSIONS: tuple[Kind, ...] = ("slower", "fails")
RAN = ("measured", "agrees")


@dataclass(frozen=True)
class Verdict:
    """What is said of one row."""

    kind: Kind
    old: Row | None
    new: Row | None
    reason: str | None = None

    @property
    def row(self) -> Row:
        """The row, of whichever run has it."""
        row = self.new or self.old
        assert row is not None
        return row

    @property
    def change(self) -> float | None:
        """The median ratio, now over then; None where one wasn't measured."""
        return find_change(self.old, self.new, lambda row: None if row.ratio is None else row.ratio.median)

    @property
    def cpu_change(self) -> float | None:
        """The ratio of CPU times with one thread, now over then; None where one wasn't measured."""
        return find_change(self.old, self.new, cpu_ratio)


@dataclass(frozen=True)
class Comparison:
    """Two runs and what is said of their rows."""

    old: Record
    new: Record
    verdicts: tuple[Verdict, ...]

    def of(self, *kinds: Kind) -> list[Verdict]:
        """The verdicts of these kinds, in the order of their rows."""
        return [verdict for verdict in self.verdicts if verdict.kind in kinds]

    @property
    def exit_code(self) -> int:
        """0 nothing became slower, 1 something did or fails now, 2 nothing could be compared."""
        if self.of(*REGRESSIONS):
            return REGRESSION
        return NONE if self.of(*COMPARED) else NOTHING_COMPARABLE


def compare_records(old: Record, new: Record) -> Comparison:
    """A verdict on every row that either run has, but for those that ran in neither."""
    verdicts = []
    for before, after in pair_rows(old.rows, new.rows):
        verdict = _judge(before, after, old, new)
        if verdict is not None:
            verdicts.append(verdict)
    return Comparison(old, new, tuple(verdicts))


def pair_rows(old: Sequence[Row], new: Sequence[Row]) -> Iterator[tuple[Row | None, Row | None]]:
    """Rows with the same key; then what is left with the same path, case and peer; then rows alone."""
    unmatched = list(new)
    alone = []
    for row in old:
        twin = _take(unmatched, row, lambda row: row.key)
        if twin is None:
            alone.append(row)
        else:
            yield row, twin
    for row in alone:
        yield row, _take(unmatched, row, lambda row: (row.path, row.case, row.peer))
    for row in unmatched:
        yield None, row


def _take(rows: list[Row], like: Row, key: Callable[[Row], tuple[str, ...]]) -> Row | None:
    """Remove the first row with the same key, and give it."""
    for place, row in enumerate(rows):
        if key(row) == key(like):
            return rows.pop(place)
    return None


def _judge(before: Row | None, after: Row | None, old: Record, new: Record) -> Verdict | None:
    """None where there is nothing to say: the row ran in neither, or both only agreed."""
    did_run = before is not None and before.status in RAN
    does_run = after is not None and after.status in RAN
    if before is not None and after is not None and (did_run or does_run):
        if reason := find_obstacle(before, after, old, new):
            return Verdict("refused", before, after, reason)
        if did_run and after.status == "failed":
            return Verdict("fails", before, after, after.reason)
        if did_run and does_run and before.ratio is not None and after.ratio is not None:
            kind, doubt = _weigh(before.ratio, after.ratio, find_change(before, after, cpu_ratio), old, new)
            return Verdict(kind, before, after, doubt)
    if before is not None and did_run and not does_run:
        return _describe_loss(before, after, new)
    return Verdict("new", before, after) if does_run and not did_run else None


def _describe_loss(before: Row, after: Row | None, new: Record) -> Verdict:
    if after is not None:
        return Verdict("lost", before, after, after.reason)
    if before.path not in new.options.get("names", []):
        return Verdict("left out", before, None, "the new run did not include this benchmark")
    stopped = "the new run was stopped before its end"
    return Verdict("lost", before, None, "the new run has no such row" if new.is_complete else stopped)


def find_obstacle(before: Row, after: Row, old: Record, new: Record) -> str | None:
    """Why two rows of one path, case and peer can't be compared; None if they can.

    The kind of device is the GPU's model where there is one, for models differ in what they
    are short of. Processors go by too many names for that: their ratios are compared, and
    the table says that they differ.
    """
    pairs: list[tuple[str, object, object]] = [
        ("size", before.size, after.size),
        ("device", _device(before, old), _device(after, new)),
        ("dtype", before.dtype, after.dtype),
        ("environment", before.environment, after.environment),
    ]
    if before.device == after.device == "cpu":
        pairs.append(("threads", old.machine.get("n_threads"), new.machine.get("n_threads")))
    if before.peer_version is not None and after.peer_version is not None:
        pairs.append(("peer", before.peer_version, after.peer_version))
    different = [f"{what} {then}, now {now}" for what, then, now in pairs if then != now]
    return "; ".join(different) or None


def _device(row: Row, record: Record) -> str:
    return str(record.machine.get("gpu")) if row.device == "cuda" else row.device


def _weigh(before: Spread, after: Spread, witness: float | None, old: Record, new: Record) -> tuple[Kind, str | None]:
    """Slower, faster or the same, and why it is in doubt; `witness` is the change of the CPU times' ratio."""
    if fell(before, after):
        is_noisy = old.is_noisy or new.is_noisy
        if is_noisy and witness is not None and witness >= 1 - CHANGE:
            return "in doubt", "the run was noisy, and CPU time with one thread does not show it"
        return "slower", None
    return ("faster" if fell(after, before) else "same"), None


def fell(before: Spread, after: Spread) -> bool:
    """Whether the ranges don't overlap and the median fell by more than a tenth.

    >>> fell(Spread(1.5, 1.4, 1.6), Spread(1.2, 1.1, 1.3)), fell(Spread(1.5, 1.4, 1.6), Spread(1.3, 1.2, 1.45))
    (True, False)
    """
    return after.high < before.low and after.median < (1 - CHANGE) * before.median


def find_change(old: Row | None, new: Row | None, figure: Callable[[Row], float | None]) -> float | None:
    """A figure of a row, now over then; None where it wasn't measured."""
    before = None if old is None else figure(old)
    after = None if new is None else figure(new)
    return None if not before or after is None else after / before
