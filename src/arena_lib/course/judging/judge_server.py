"""The process behind `judging`: reads jobs, judges each one in a child of its own, writes Results.

On Linux the children are forked after torch and the tests were loaded, which takes milliseconds.
That is safe because this process never computes and has one thread. Elsewhere (macOS's system
libraries don't survive a fork, Windows has none) each child is a new interpreter.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arena_lib.checking.reports.messages import spoken
from arena_lib.checking.results import Result
from arena_lib.course.judging.judge_exercise import judge_job

POLL_SECONDS = 0.01
IS_FORKING = sys.platform == "linux"


@dataclass
class Child:
    """One exercise being judged."""

    job: dict[str, Any]
    answer: Path
    """Where it leaves its Result."""
    deadline: float
    poll: Callable[[], int | None]
    """Its exit code, negative for a signal; None while it runs."""
    kill: Callable[[], None]


def main() -> None:
    """Serves one line of jobs after the other, until there are no more."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1)
    os.set_inheritable(replies.fileno(), False)
    running: list[Child] = []

    def stop(*_: object) -> None:
        for child in running:
            child.kill()
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        request = json.loads(line)
        if IS_FORKING:
            preload([*{job["test"].partition(":")[0]: None for job in request["jobs"]}, *request["preload"]])
        with tempfile.TemporaryDirectory(prefix="arena-judge-", ignore_cleanup_errors=True) as folder:
            serve(request, Path(folder), running, lambda result: replies.write(result.to_json() + "\n"))
    stop()


def preload(modules: list[str]) -> None:
    """Loads torch and the modules, so that the children needn't. What can't be loaded fails in its child."""
    import torch

    torch.set_num_threads(1)
    importlib.import_module("arena_lib.checking.running")
    for module in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(module)


def serve(request: dict[str, Any], folder: Path, running: list[Child], reply: Callable[[Result], object]) -> None:
    """Keeps as many children going as it may until every job has its Result."""
    waiting = list(request["jobs"])
    limit, n_parallel = request["limit"], request["n_parallel"]
    start = fork if IS_FORKING else spawn
    while waiting or running:
        while waiting and len(running) < n_parallel:
            job = waiting.pop(0)
            running.append(start(job, folder / str(len(waiting)), time.monotonic() + limit))
        time.sleep(POLL_SECONDS)
        for child in list(running):
            result = look_at(child, limit)
            if result is not None:
                running.remove(child)
                reply(result)


def look_at(child: Child, limit: float) -> Result | None:
    """The Result of a child that ended or whose time is up; None while it may run on."""
    exercise = child.job["exercise"]
    code = child.poll()
    if code is None:
        if time.monotonic() < child.deadline:
            return None
        child.kill()
        message = f"it must end within {limit:g} seconds: it was still running. Look for a loop without an end."
        return spoken(exercise, "timeout", message, seconds=limit)
    child.kill()  # whatever it left running
    try:
        return Result.from_json(child.answer.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return spoken(exercise, "error", f"your code must return to its test: {describe_exit(code)}.")


def describe_exit(code: int) -> str:
    """What became of a process, in words."""
    if code >= 0:
        return f"it ended its process with exit code {code}. Don't call os._exit or exit"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    if name == "SIGKILL":
        return "its process was killed (SIGKILL), most likely for want of memory. Look for a tensor that is too large"
    return f"its process crashed ({name}). Look for indices out of range in native code, and for endless recursion"


def fork(job: dict[str, Any], answer: Path, deadline: float) -> Child:
    """A child with everything loaded, in a process group of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            silence()
            judge_job(job, answer)
        finally:
            os._exit(0)

    def poll() -> int | None:
        done, status = os.waitpid(pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if done else None

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)

    return Child(job, answer, deadline, poll, kill)


def silence() -> None:
    """Sends what the learner's code prints nowhere and gives it nothing to read: it may print without end."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    sys.stdin, sys.stdout, sys.stderr = (open(os.devnull, mode, encoding="utf-8") for mode in "rww")  # noqa: SIM115


def spawn(job: dict[str, Any], answer: Path, deadline: float) -> Child:
    """A child that loads everything anew."""
    process = subprocess.Popen(
        [sys.executable, "-m", "arena_lib.course.judging.judge_exercise", json.dumps(job), str(answer)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
        process.wait()

    return Child(job, answer, deadline, process.poll, kill)


if __name__ == "__main__":
    main()
