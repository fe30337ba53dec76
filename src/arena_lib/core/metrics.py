"""Metrics of a run: always a CSV file, and TensorBoard or Weights & Biases where asked for.

`metrics.csv` has one row for each logged step and one column for each metric;
a metric that first appears later gets its column then, empty above.

Raises:  MissingDependencyError for a tracker that is not installed, UnknownNameError for an unknown one.
"""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from arena_lib.core.files import write_atomically
from arena_lib.errors import MissingDependencyError, UnknownNameError

METRICS_FILE = "metrics.csv"

TRACKERS = {"tensorboard": "tensorboard", "wandb": "wandb"}
"""The trackers by name, each with the package that it needs."""


class MetricsLog:
    """Logs metrics by step into `folder`; use it as a context manager.

    `resume_step` keeps the rows up to that step and drops later ones, which a run that
    was killed after its last checkpoint leaves behind; None starts an empty file.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        trackers: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
        resume_step: int | None = None,
    ) -> None:
        check_trackers(trackers)
        self.path = Path(folder) / METRICS_FILE
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = read_metrics(self.path) if resume_step is not None and self.path.exists() else []
        self._rows = [row for row in rows if row["step"] <= (resume_step or 0)]
        self._columns = ["step"]
        for row in self._rows:
            self._columns += [name for name in row if name not in self._columns]
        self._rewrite()
        self._trackers = [make_tracker(name, self.path.parent, config or {}) for name in trackers]

    def log(self, step: int, values: Mapping[str, float | int]) -> None:
        """Write one row; it is on disk, for other readers too, when this returns."""
        row: dict[str, float | int] = {"step": step, **{name: float(value) for name, value in values.items()}}
        self._rows.append(row)
        new = [name for name in row if name not in self._columns]
        if new:
            self._columns += new
            self._rewrite()
        else:
            with self.path.open("a", newline="", encoding="utf-8") as stream:
                csv.DictWriter(stream, self._columns).writerow(row)
        for tracker in self._trackers:
            tracker.log(step, values)

    def close(self) -> None:
        """Close the trackers; the CSV file is complete after every `log`."""
        for tracker in self._trackers:
            tracker.close()
        self._trackers = []

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _rewrite(self) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns)
        writer.writeheader()
        writer.writerows(self._rows)
        write_atomically(self.path, text.getvalue().encode())


def read_metrics(path: str | os.PathLike[str]) -> list[dict[str, float | int]]:
    """Read a metrics file as one dict for each row; `step` is an int, and empty cells are left out.

    An unfinished last line, which a kill in the middle of a write leaves, is left out too.
    """
    with Path(path).open(newline="", encoding="utf-8") as stream:
        text = stream.read()
    whole = text[: text.rfind("\n") + 1]
    rows: list[dict[str, float | int]] = []
    for cells in csv.DictReader(io.StringIO(whole, newline="")):
        step = cells.pop("step")
        rows.append({"step": int(step), **{name: float(cell) for name, cell in cells.items() if cell}})
    return rows


def check_trackers(names: Sequence[str]) -> None:
    """Raise unless each tracker is known and its package is installed."""
    for name in names:
        if name not in TRACKERS:
            raise UnknownNameError("tracker", name, TRACKERS)
        if find_spec(TRACKERS[name]) is None:
            raise MissingDependencyError(TRACKERS[name], "tracking", f"logging to {name}")


def make_tracker(name: str, folder: Path, config: Mapping[str, Any]) -> "TensorBoardTracker | WandbTracker":
    """Open the tracker called `name`, writing under `folder`."""
    return TensorBoardTracker(folder) if name == "tensorboard" else WandbTracker(folder, config)


class TensorBoardTracker:
    """Writes TensorBoard event files into `folder`/tensorboard."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder / "tensorboard"))

    def log(self, step: int, values: Mapping[str, float | int]) -> None:
        """Add one scalar for each metric."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush the event file."""
        self._writer.close()


class WandbTracker:
    """Logs to Weights & Biases, as its environment variables (WANDB_MODE, WANDB_PROJECT) say."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        import wandb

        self._run: Any = wandb.init(dir=str(folder), config=dict(config))

    def log(self, step: int, values: Mapping[str, float | int]) -> None:
        """Log the metrics of one step together."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Finish the W&B run."""
        self._run.finish()
