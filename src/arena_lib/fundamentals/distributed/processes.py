"""The same function in several real processes, which talk through gloo, with a limit on their time.

Each rank is a fresh Python of its own on this machine. Functions may come from a notebook: cloudpickle brings them, with what they
use, to the processes. No network is needed; all talk over the loopback interface.

Raises:  DeadlockError when the processes haven't ended after the time limit; ProcessError when one fails; ConfigError for no ranks.
Source:  own design.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cloudpickle

from arena_lib.errors import ConfigError, DeadlockError, ProcessError

WORKER = "arena_lib.fundamentals.distributed.worker"
LAST_LINES = 12
"""Lines of a failed process's error that are shown."""


def run_processes(
    function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], *, time_limit: int | float = 60.0
) -> list[Any]:
    """Call a function in a process for each rank, each with its own arguments, and give what it returned on each.

    In each process `torch.distributed` is ready to use, with the backend gloo, and PyTorch works with one thread.

    Args:
        function: the same for all ranks; also one from a notebook.
        arguments: for each rank a tuple; their number is the size of the world.
        time_limit: seconds, the start of the processes counted in. Whoever hasn't ended by then is stopped.
    """
    if not arguments:
        raise ConfigError("a world must have at least one rank: got arguments for none.")
    if not 0 < time_limit < float("inf"):
        raise ConfigError(f"time_limit must be a finite number of seconds above 0: got {time_limit}.")
    with tempfile.TemporaryDirectory() as folder:
        workers = [_start(Path(folder), function, arguments, rank, time_limit) for rank in range(len(arguments))]
        try:
            _wait(workers, Path(folder), time_limit)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        return [cloudpickle.loads((Path(folder) / f"result{rank}").read_bytes()) for rank in range(len(arguments))]


def _start(
    folder: Path, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], rank: int, time_limit: int | float
) -> subprocess.Popen[bytes]:
    (folder / f"call{rank}").write_bytes(cloudpickle.dumps((function, arguments[rank])))
    places = os.pathsep.join(place for place in sys.path if place)
    environment = os.environ | {"PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    with (folder / f"error{rank}").open("wb") as errors:
        command = [sys.executable, "-m", WORKER, str(folder), str(rank), str(len(arguments)), str(time_limit)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors)


def _wait(workers: Sequence["subprocess.Popen[bytes]"], folder: Path, time_limit: int | float) -> None:
    """Wait for all, but no longer than the limit, and not for the others once one has failed."""
    end = time.monotonic() + time_limit
    while any(worker.poll() is None for worker in workers):
        _look_for_failures(workers, folder)
        if time.monotonic() > end:
            late = [rank for rank, worker in enumerate(workers) if worker.poll() is None]
            raise DeadlockError(
                f"all processes must end within {time_limit:g} seconds: got rank{'s' * (len(late) > 1)} "
                f"{', '.join(map(str, late))} still at work or waiting. Does each send have a receive? "
                "run_simulated says who waits for whom. If there is no deadlock, raise time_limit."
            )
        time.sleep(0.02)
    _look_for_failures(workers, folder)


def _look_for_failures(workers: Sequence["subprocess.Popen[bytes]"], folder: Path) -> None:
    """Raise for a rank that ended without a result; after it, once in many runs, gloo's threads end badly."""
    for rank, worker in enumerate(workers):
        if worker.poll() is not None and not (folder / f"result{rank}").exists():
            text = (folder / f"error{rank}").read_text(encoding="utf-8", errors="replace")
            lines = "\n".join(text.strip().splitlines()[-LAST_LINES:])
            raise ProcessError(f"the function must work on every rank: got an error on rank {rank}.\n{lines}")
