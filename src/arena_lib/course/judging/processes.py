"""Runs jobs, each in a fresh process with limits on time and memory: what one of them does costs no other.

On Linux the processes are forked by multiprocessing's fork server, which has loaded torch and the modules to
`preload` once; that takes milliseconds. It is safe because that server never computes and has one thread.
Elsewhere (macOS's system libraries don't survive a fork, Windows has none), and for a job that needs an
environment of its own, each process is a new interpreter.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from arena_lib.course.judging.preloaded import MODULES_VARIABLE
from arena_lib.errors import ArenaError

IS_FORKING = sys.platform == "linux"
LOST = 255
"""The exit code of a process whose starter was killed, so that nobody knows the real one."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

_GIB = 2**30
_outlets: list[Connection] = []
"""Where a job of this process hands its texts on; none in a process that runs no job."""
_GRACE_SECONDS = 5
"""A process that nobody kills in time, as its starter is gone, ends so much later by itself."""
_N_STARTS = 20
_SECONDS_BETWEEN_STARTS = 0.05
_SECONDS_BETWEEN_CALLS = 0.1


@dataclass(frozen=True, kw_only=True)
class Job:
    """One call in a process of its own."""

    name: str
    function: Callable[..., Iterable[str]]
    """Its texts are handed on as they come. It must be importable: its process knows it by name."""
    arguments: tuple[Any, ...] = ()
    environment: Mapping[str, str] | None = None
    """What its process must find in its environment when it begins, such as a hash seed."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one process may take."""

    seconds: float = math.inf
    memory: float = math.inf
    """GiB beside what its process holds when the job begins (torch, for one); only Linux counts them."""


@dataclass(frozen=True)
class Ending:
    """How a process came to its end."""

    exit_code: int | None
    """0 if the job ran to its end, negative for a signal; None if its time was up."""


@dataclass
class _Child:
    job: Job
    process: Any
    connection: Connection
    deadline: float
    is_alone: bool
    """Whether no other job runs beside it."""
    texts: deque[str] = field(default_factory=deque)

    def read(self) -> Ending | None:
        """Takes in what it has sent; how it ended, if it has."""
        code = self.process.exitcode  # before its texts, so that none is sent in between
        try:
            while self.connection.poll():
                self.texts.append(self.connection.recv_bytes().decode())
        except (EOFError, OSError):
            self.process.join(_GRACE_SECONDS)
            code = self.process.exitcode
            return Ending(LOST if code is None else code)
        if code not in (None, LOST):
            return Ending(code)
        return Ending(None) if time.monotonic() >= self.deadline else None

    def close(self) -> None:
        """Kills it, with whatever it left running."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        self.process.close()
        self.connection.close()


def run_jobs(
    jobs: Iterable[Job],
    limits: Limits,
    *,
    n_parallel: int,
    preload: Sequence[str] = (),
    while_waiting: Callable[[], None] | None = None,
) -> Iterator[tuple[Job, str | Ending]]:
    """Each text of each job as it comes, and its Ending after them.

    The modules to `preload` are those of the first call in this process. Where one job kills the fork server,
    all that run beside it are lost, and run once more, alone: then only the one that did it is lost again.
    `while_waiting` is called several times a second; what it raises ends every process.
    """
    waiting, lost = deque(jobs), deque[Job]()
    running: list[_Child] = []
    try:
        while waiting or lost or running:
            while waiting and len(running) < n_parallel:
                running.append(_start(waiting.popleft(), limits, preload))
            if not running:
                running.append(_start(lost.popleft(), limits, preload, is_alone=True))
            _wait_for_any(running, math.inf if while_waiting is None else _SECONDS_BETWEEN_CALLS)
            if while_waiting is not None:
                while_waiting()
            for child in list(running):
                ending = child.read()
                yield from ((child.job, child.texts.popleft()) for _ in range(len(child.texts)))
                if ending is None:
                    continue
                running.remove(child)
                child.close()
                if ending.exit_code == LOST and not child.is_alone:
                    lost.append(child.job)
                else:
                    yield child.job, ending
    finally:
        for child in running:
            child.close()


def _wait_for_any(running: Sequence[_Child], most: float) -> None:
    """Returns once a process has sent something or ended, or its time is up; after `most` seconds anyway."""
    signs = [sign for child in running for sign in _signs_of(child)]
    seconds = min(most, *(child.deadline - time.monotonic() for child in running))
    wait(signs, None if seconds == math.inf else max(0.0, seconds))


def _signs_of(child: _Child) -> list[Any]:
    is_known_to_end = child.process.exitcode is not None
    return [child.connection] if is_known_to_end else [child.connection, child.process.sentinel]


def _start(job: Job, limits: Limits, preload: Sequence[str], *, is_alone: bool = False) -> _Child:
    """Starts the job; several times if the fork server was just killed."""
    context: Any = multiprocessing.get_context("forkserver" if IS_FORKING and job.environment is None else "spawn")
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload(["arena_lib.course.judging.preloaded", __name__])
    environment = {**ONE_THREAD, MODULES_VARIABLE: " ".join(preload), **(job.environment or {})}
    for _ in range(_N_STARTS):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(theirs, job.function, job.arguments, limits), name=job.name)
        try:
            with _changed(os.environ, environment), _changed(sys.modules, {"__main__": types.ModuleType("__main__")}):
                process.start()
        except (EOFError, OSError):
            ours.close()
            time.sleep(_SECONDS_BETWEEN_STARTS)
        else:
            return _Child(job, process, ours, time.monotonic() + limits.seconds, is_alone)
        finally:
            theirs.close()
    raise ArenaError(
        f"a process must start for {job.name}: got {_N_STARTS} failures. Run `arena doctor`, then try again."
    )


@contextlib.contextmanager
def _changed(mapping: MutableMapping[str, Any], values: Mapping[str, Any]) -> Iterator[None]:
    """The mapping with these values for a while.

    With an empty `__main__` a new process doesn't run the caller's script again, as multiprocessing would have it.
    """
    before = {name: mapping[name] for name in values if name in mapping}
    mapping.update(values)
    try:
        yield
    finally:
        for name in values:
            del mapping[name]
        mapping.update(before)


def _run(
    connection: Connection, function: Callable[..., Iterable[str]], arguments: tuple[Any, ...], limits: Limits
) -> None:
    """What a child does: runs the job in a process group of its own and sends its texts."""
    if hasattr(os, "setsid"):
        os.setsid()
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    if hasattr(signal, "alarm") and limits.seconds < math.inf:
        signal.alarm(math.ceil(limits.seconds) + _GRACE_SECONDS)
    if IS_FORKING:  # then no lock, such as a tqdm bar's, has a name that the os._exit below would leave behind
        multiprocessing.set_start_method("fork", force=True)
    limit_memory(limits.memory)
    _outlets.append(connection)
    for text in function(*arguments):
        hand_on(text)
    connection.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # whatever threads the learner's code left


def _end_with_the_caller() -> None:
    """Ends this process, and what it left running, when the one that asked for the job is gone, however it went."""
    caller = multiprocessing.parent_process()
    if caller is None:
        return
    caller.join()
    if hasattr(os, "killpg"):
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(LOST)


def hand_on(text: str) -> None:
    """Sends a text of this process's job at once, from wherever in the job it is called."""
    for outlet in _outlets:
        outlet.send_bytes(text.encode())


def limit_memory(gib: float) -> None:
    """Lets this process take so many GiB more than it has; only Linux counts them."""
    if sys.platform != "linux" or gib == math.inf:
        return
    import resource

    n_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    _, highest = resource.getrlimit(resource.RLIMIT_DATA)
    most = n_pages * resource.getpagesize() + round(gib * _GIB)
    most = most if highest == resource.RLIM_INFINITY else min(most, highest)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
