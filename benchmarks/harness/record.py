"""The record of a run: one JSON file, its schema and its version.

Schema (version 1). A run has `schema`, `machine`, `software`, `options`, `calibration`
(`before` and `after`; the run `is_noisy` when a figure of the two differs by more than a
tenth), `commit`, `started`, `is_complete` (false after Ctrl-C) and `rows`. A row is
one case of one path against one peer on one device in one dtype; its key is
(path, case, peer, device, dtype, size, environment). Times are in seconds, memory in bytes.

Raises:  RecordError for a file that is not such a record, or one of another schema.
"""

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

SCHEMA = 1
NOISE = 0.10
"""How far calibration before and after may differ, as a fraction."""

Status = Literal["measured", "agrees", "skipped", "failed"]
"""`agrees`: set up and checked but not timed, as at size `tiny`; `failed`: ours or the peer raised."""


class RecordError(ValueError):
    """A file that is not a record of this schema; the message says what to do."""


@dataclass(frozen=True)
class Spread:
    """A median and the range from the 10th to the 90th percentile."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """What the machine reached just now."""

    flops: dict[str, float]
    """By dtype: multiplications and additions a second of a large matrix product."""
    bytes: float
    """Bytes a second, read and written, of a large copy."""


@dataclass
class Row:
    """One case of one path against one peer."""

    path: str
    case: str
    peer: str
    device: str
    dtype: str
    size: str
    environment: str
    """`main`, or `peers` for the second environment with older libraries."""
    status: Status
    reason: str | None = None
    """Why it was skipped or failed, or why a figure of a measured row is missing."""
    peer_version: str | None = None
    """The peer's distribution and version, as `transformers 5.23.0`; None for a baseline of our own."""
    n_pairs: int = 0
    ours: Spread | None = None
    """Seconds per run."""
    theirs: Spread | None = None
    ratio: Spread | None = None
    """Of paired runs: their time over ours, above 1 where ours is faster."""
    cpu_ours: float | None = None
    """Seconds of CPU time of one run with one thread: what other programs disturb least."""
    cpu_theirs: float | None = None
    compile_ours: float | None = None
    """Seconds of the first run, where ours compiles."""
    difference: float | None = None
    """The largest difference of the two results."""
    memory_ours: int | None = None
    """Peak bytes above what weights and inputs take."""
    memory_theirs: int | None = None
    launches: int | None = None
    """Calls of one run of ours that start kernels, on CUDA; a graph is one."""
    syncs: int | None = None
    """Waits for the device in one run of ours, on CUDA."""
    rate: float | None = None
    """Units per second of ours."""
    unit: str | None = None
    share: float | None = None
    """Of the limit that bounds the path, as calibrated in this run."""
    bound: str | None = None
    """`flops` or `bytes`."""
    goal: float | None = None
    """The first of its goals that the row misses, or the first of all; none at another than the published size."""
    measure: str | None = None
    """What the goal is on: `time` or `memory`."""
    is_met: bool | None = None
    """Whether the worse end of the spread is on the right side of the goal."""

    @property
    def key(self) -> tuple[str, ...]:
        """What makes two rows of two runs the same measurement."""
        return (self.path, self.case, self.peer, self.device, self.dtype, self.size, self.environment)


@dataclass
class Record:
    """One run."""

    machine: dict[str, Any]
    """`cpu`, `n_cores`, `n_threads`, `memory`, `gpu` (or null), `system`."""
    software: dict[str, str]
    """Versions: `python`, `torch`, `cuda` and every peer that is installed."""
    options: dict[str, Any]
    """`size`, `device`, `names`, `environment`."""
    commit: str
    started: str
    """UTC, ISO 8601."""
    calibration: dict[str, Calibration] = field(default_factory=dict)
    """`before` and `after`."""
    is_noisy: bool = False
    is_complete: bool = False
    rows: list[Row] = field(default_factory=list)
    schema: int = SCHEMA


def write_record(record: Record, path: Path) -> None:
    """Write atomically, so that a run that is stopped leaves the rows it finished."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(asdict(record), indent=1, sort_keys=False) + "\n", encoding="utf-8")
    os.replace(partial, path)


def read_record(path: Path) -> Record:
    """The record in a file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RecordError(
            f"a record must be a JSON file that `python -m benchmarks run --json` wrote: "
            f"{path} cannot be read ({error}). Run the benchmarks again."
        ) from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        raise RecordError(f"a record must have schema {SCHEMA}: {path} has {schema!r}. Run the benchmarks again.")
    known = {f.name for f in fields(Record)}
    if set(data) != known:
        raise RecordError(
            f"a record must have the keys {', '.join(sorted(known))}: {path} lacks or adds "
            f"{', '.join(sorted(set(data) ^ known))}. Run the benchmarks again."
        )
    data["calibration"] = {when: Calibration(**figures) for when, figures in data["calibration"].items()}
    data["rows"] = [_read_row(row, path) for row in data["rows"]]
    return Record(**data)


def _read_row(data: dict[str, Any], path: Path) -> Row:
    try:
        spreads = {name: Spread(**data[name]) for name in ("ours", "theirs", "ratio") if data[name] is not None}
        return Row(**{**data, **spreads})
    except (KeyError, TypeError) as error:
        raise RecordError(
            f"a row of {path} is not one of schema {SCHEMA}: {error}. Run the benchmarks again."
        ) from error
