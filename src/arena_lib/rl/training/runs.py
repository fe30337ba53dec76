"""A training run: its curve, its folder, and how it stops and goes on.

`Run` is what every trainer's loop reports to. It draws the progress bar with return and steps a second, logs
metrics, keeps checkpoints, and lets Ctrl-C end an update in order. With a folder, a run that was stopped goes on:

    with Run(trainer, algorithm="ppo", env_id="CartPole-v1", config=config, n_steps=100_000, folder="runs/1") as run:
        while not run.is_over:
            run.advance(trainer.train_phase())
    return run.result()

The environments' state isn't in a checkpoint: a run that goes on begins new episodes, with a seed made from
the run's seed and its step. So it is exact in weights, optimizer and draws, and the same whenever it is repeated, but
not the run that was never stopped.

Raises:  CheckpointError for a checkpoint of another algorithm, environment or configuration; KeyboardInterrupt, which
         says where the checkpoint is.
Source:  own derivation, over core's checkpoints, metrics and manifest.
"""

import dataclasses
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from arena_lib.core.checkpoints import has_checkpoint, load_checkpoint, remove_checkpoint, restoring, save_checkpoint
from arena_lib.core.manifest import find_commit, find_versions, make_manifest, read_manifest, write_manifest
from arena_lib.core.metrics import MetricsLog, check_trackers
from arena_lib.core.progress import progress
from arena_lib.core.training import InterruptFlag
from arena_lib.errors import CheckpointError, ConfigError
from arena_lib.rl.environments.making import Maker
from arena_lib.rl.environments.stepping import Episode, Stepper

N_RECENT = 20
"""Episodes whose mean return is shown and logged."""
N_ROWS = 200
"""Rows of metrics in a whole run, about."""
N_CHECKPOINTS = 10
"""Checkpoints in a whole run, each over the one before."""


@runtime_checkable
class Trainable(Protocol):
    """What a trainer gives to its run."""

    stepper: Stepper

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights, optimizer and generators as tensors, and everything else as JSON-able values."""

    def set_state(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go back to what `get_state` returned."""


@dataclass(frozen=True)
class TrainingRun:
    """What happened in training."""

    episodes: list[tuple[int, float, int]]
    """Of each episode that ended: environment steps of the run until then, return, length."""
    metrics: list[dict[str, float | int]]
    """The rows of metrics, each with its `step`."""
    n_steps: int
    """Environment steps of the whole run so far."""
    is_finished: bool
    """False if `max_seconds` ended it early."""
    seconds: float
    """How long this call took."""
    folder: Path | None
    """Where checkpoint, metrics and manifest are."""

    @property
    def steps_per_second(self) -> float:
        """Environment steps a second; of a run that went on, too high."""
        return self.n_steps / self.seconds

    def mean_return(self, last_steps: int) -> float:
        """The mean return of the episodes that ended in the last `last_steps` steps; NaN if none did."""
        recent = [total for step, total, _ in self.episodes if step > self.n_steps - last_steps]
        return float(np.mean(recent)) if recent else float("nan")

    def first_step_over(self, threshold: float | int, *, n_episodes: int = N_RECENT) -> int | None:
        """The first step at which the mean return of the last `n_episodes` reached `threshold`; None if never."""
        returns = [total for _, total, _ in self.episodes]
        for last in range(n_episodes, len(returns) + 1):
            if np.mean(returns[last - n_episodes : last]) >= threshold:
                return self.episodes[last - 1][0]
        return None


class Run:
    """Follows `trainer` for `n_steps` environment steps; use it as a context manager around the loop.

    `config` is the trainer's dataclass with a field `seed`. Without a `folder` nothing is written. With
    `resume` a checkpoint that is there is gone on from; without it, it is replaced.
    """

    def __init__(
        self,
        trainer: Trainable,
        *,
        algorithm: str,
        env_id: str | Maker,
        config: Any,
        n_steps: int,
        folder: str | os.PathLike[str] | None = None,
        resume: bool = True,
        trackers: Sequence[str] = (),
        max_seconds: float | int | None = None,
    ) -> None:
        check_trackers(trackers)
        if n_steps < 1:
            raise ConfigError(f"n_steps must be at least 1: got {n_steps}. It counts steps of all environments.")
        self.trainer, self.n_steps, self.trackers = trainer, n_steps, trackers
        settings = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
        self.description = _as_json({"algorithm": algorithm, "env_id": env_id, "config": settings})
        self.folder = None if folder is None else Path(folder)
        self.step = trainer.stepper.n_steps
        self.episodes: list[tuple[int, float, int]] = []
        self.metrics: list[dict[str, float | int]] = []
        self._is_resumed = self._start(resume)
        self._deadline = float("inf") if max_seconds is None else time.monotonic() + max_seconds
        self._log_every, self._save_every = max(n_steps // N_ROWS, 1), max(n_steps // N_CHECKPOINTS, 1)

    @property
    def is_over(self) -> bool:
        """Whether the loop must end: all steps are made, the time is up, or Ctrl-C was pressed."""
        return self.step >= self.n_steps or self._interrupt.is_set or time.monotonic() >= self._deadline

    def advance(
        self, values: Mapping[str, float | int] | None = None, episodes: Sequence[Episode] | None = None
    ) -> None:
        """Take in the steps since the last call; `values` are the metrics of an update.

        `episodes` are those that ended since; left out, the stepper is asked for them.
        """
        before, self.step = self.step, self.trainer.stepper.n_steps
        ended = self.trainer.stepper.finished() if episodes is None else episodes
        self.episodes += [(episode.step, episode.total_reward, episode.length) for episode in ended]
        self._bar.update(self.step - before)
        self._values.update(values or {})
        if self.step // self._log_every > before // self._log_every or self.step >= self.n_steps:
            self._report()
        if self.step // self._save_every > before // self._save_every and self.step < self.n_steps:
            self.save()

    def save(self) -> None:
        """Write a checkpoint of this moment over the one before; without a folder do nothing."""
        if self.folder is None:
            return
        tensors, state = self.trainer.get_state()
        kept = {"step": self.step, "episodes": self.episodes, "metrics": self.metrics, "trainer": state}
        save_checkpoint(self.folder, tensors=tensors, state={**self.description, **kept})

    def result(self) -> TrainingRun:
        """Return what happened, once the loop is over."""
        is_finished = self.step >= self.n_steps
        return TrainingRun(self.episodes, self.metrics, self.step, is_finished, self._seconds, self.folder)

    def __enter__(self) -> "Run":
        self._values: dict[str, float | int] = {}
        resume_step = self.step if self._is_resumed else None
        self._log = None
        if self.folder is not None:
            self._log = MetricsLog(
                self.folder, trackers=self.trackers, config=self.description, resume_step=resume_step
            )
        self._bar = progress(self.n_steps, self.description["algorithm"], initial=self.step)
        self._interrupt = InterruptFlag()
        self._interrupt.__enter__()
        self._first, self._started = self.step, time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._seconds = time.monotonic() - self._started
        self._interrupt.__exit__()
        self._bar.close()
        if kind is None:
            self.save()
        if self._log is not None:
            self._log.close()
        if kind is None and self._interrupt.is_set:
            raise KeyboardInterrupt(self._explain_interrupt())

    def _start(self, resume: bool) -> bool:
        """Go to the checkpoint, or write the manifest of a new run; say which."""
        if self.folder is None:
            return False
        if resume and has_checkpoint(self.folder):
            self._restore(self.folder)
            manifest = read_manifest(self.folder) or {}
            again = {"step": self.step, "commit": find_commit(), "versions": find_versions()}
            write_manifest(self.folder, {**manifest, "resumed": [*manifest.get("resumed", []), again]})
            return True
        remove_checkpoint(self.folder)  # a kill before the first save must not bring the old run back
        write_manifest(self.folder, make_manifest(self.description, self.description["config"]["seed"]))
        return False

    def _restore(self, folder: Path) -> None:
        tensors, state = load_checkpoint(folder)
        with restoring(folder):
            require_same_run(self.description, state, folder)
            self.trainer.set_state(tensors, state["trainer"])
            self.step, self.metrics = state["step"], state["metrics"]
            self.episodes = [(step, total, length) for step, total, length in state["episodes"]]
        self.trainer.stepper.n_steps = self.step
        self.trainer.stepper.restart(seed_after(self.description["config"]["seed"], self.step))

    def _report(self) -> None:
        recent = self.episodes[-N_RECENT:]
        row = dict(self._values)
        if recent:
            row |= {"return": float(np.mean([total for _, total, _ in recent]))}
            row |= {"length": float(np.mean([length for *_, length in recent]))}
            self._bar.set_postfix({"return": f"{row['return']:.4g}"}, refresh=False)
        self.metrics.append({"step": self.step, **row})
        if self._log is not None:
            speed = (self.step - self._first) / (time.monotonic() - self._started)
            self._log.log(self.step, {**row, "steps_per_second": speed})

    def _explain_interrupt(self) -> str:
        where = f"training stopped after {self.step} of {self.n_steps} steps"
        if self.folder is None:
            return f"{where}; no checkpoint was kept, because the run has no folder."
        return f"{where}; the checkpoint is in {self.folder}. Train with the same folder to go on."


def seed_after(seed: int, step: int) -> int:
    """Make the seed with which the environments of a run go on after `step` steps."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])


def require_same_run(ours: Mapping[str, Any], kept: Mapping[str, Any], folder: Path) -> None:
    """Raise CheckpointError, naming what differs, unless a checkpoint is of this algorithm, environment and config."""
    flat_ours, flat_kept = ({**run["config"], **{k: run[k] for k in ("algorithm", "env_id")}} for run in (ours, kept))
    differing = [
        f"{name} is {flat_kept.get(name, 'absent')!r} there and {flat_ours.get(name, 'absent')!r} here"
        for name in {**flat_kept, **flat_ours}
        if flat_kept.get(name, "absent") != flat_ours.get(name, "absent")
    ]
    if differing:
        raise CheckpointError(
            f"a run must go on as it began, in {folder}: {'; '.join(differing)}. "
            "Use the same settings, give another folder, or pass resume=False to begin again there."
        )


def read_run(folder: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Any]]:
    """Return (description, tensors, trainer's state) of the run in `folder`, to watch it or to go on from it."""
    tensors, state = load_checkpoint(folder)
    missing = {"algorithm", "env_id", "config", "trainer"} - state.keys()
    if missing:
        raise CheckpointError(
            f"{folder} must hold a run of reinforcement learning: its checkpoint has no {sorted(missing)}. "
            "Give a folder that `arena rl train` wrote."
        )
    return {name: state[name] for name in ("algorithm", "env_id", "config", "step")}, tensors, state["trainer"]


def _as_json(value: Any) -> Any:
    """Return a value as it comes back from JSON: tuples are lists, and what JSON lacks is its text."""
    return json.loads(json.dumps(value, default=lambda other: getattr(other, "__qualname__", str(other))))
