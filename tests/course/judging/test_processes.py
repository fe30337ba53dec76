"""Jobs in processes of their own: texts come as they are sent, limits hold, and none can take another with it."""

import os
import signal
import sys
import time

import pytest

from arena_lib.course.judging import processes
from arena_lib.course.judging.processes import LOST, Ending, Job, Limits, limit_memory, run_jobs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

KILL_THE_STARTER = "import os, time; os.kill(os.getppid(), 9); time.sleep(0.5)"


def run_source(source):
    """What a job runs here: the texts that the source puts into `texts`."""
    texts = ["begun"]
    yield texts[0]
    exec(source, {"texts": texts})
    yield from texts[1:]


def run(*sources, limits=Limits(seconds=30.0), n_parallel=2, environment=None):  # noqa: B008
    jobs = [
        Job(name=str(i), function=run_source, arguments=(source,), environment=environment)
        for i, source in enumerate(sources)
    ]
    return [(job.name, message) for job, message in run_jobs(jobs, limits, n_parallel=n_parallel)]


def wait_until(holds, *, seconds):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it didn't happen in time"
        time.sleep(0.05)


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """This module, under a name by which a new process can import it."""
    monkeypatch.syspath_prepend(os.path.dirname(__file__))
    monkeypatch.setitem(sys.modules, "test_processes", sys.modules[__name__])
    monkeypatch.setattr(run_source, "__module__", "test_processes")


@pytest.mark.parametrize("environment", [None, {"PYTHONHASHSEED": "7"}])
def test_texts_come_in_order_and_the_ending_after_them(environment):
    assert run("texts.append('done')", environment=environment) == [("0", "begun"), ("0", "done"), ("0", Ending(0))]


def test_what_is_raised_while_it_waits_ends_every_job(tmp_path):
    note = tmp_path / "pid"
    source = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    jobs = [Job(name="endless", function=run_source, arguments=(source,))]

    def stop_once_it_runs():
        if note.exists() and note.read_text():
            raise KeyError("quit")

    with pytest.raises(KeyError, match="quit"):
        list(run_jobs(jobs, Limits(), n_parallel=1, while_waiting=stop_once_it_runs))
    wait_until(lambda: is_gone(int(note.read_text())), seconds=30)


@pytest.mark.skipif(not processes.IS_FORKING, reason="elsewhere a lock is registered under a name")
def test_a_lock_is_not_registered_so_that_nothing_of_it_is_left():
    source = "from multiprocessing import RLock, resource_tracker as r; r.register = lambda *what: texts.append(what[1]); RLock()"
    assert run(source) == [("0", "begun"), ("0", Ending(0))]


def test_a_text_is_handed_on_while_its_job_goes_on():
    jobs = [Job(name="slow", function=run_source, arguments=("import time; time.sleep(60)",))]
    started = time.monotonic()
    messages = run_jobs(jobs, Limits(), n_parallel=1)
    assert next(messages)[1] == "begun"
    messages.close()
    assert time.monotonic() - started < 30


def test_a_job_finds_its_environment_and_the_caller_keeps_its_own(monkeypatch):
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    source = "import os, sys; texts += [os.environ['PYTHONHASHSEED'], os.environ['OMP_NUM_THREADS']]"
    assert [message for _, message in run(source, environment={"PYTHONHASHSEED": "7"})][1:3] == ["7", "1"]
    assert "PYTHONHASHSEED" not in os.environ


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("import os; os._exit(3)", 3),
        ("raise SystemExit(4)", 4),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("import time; time.sleep(60)", None),
    ],
)
def test_the_ending_says_how_a_process_came_to_its_end(source, code):
    assert run(source, limits=Limits(seconds=2.0)) == [("0", "begun"), ("0", Ending(code))]


@pytest.mark.skipif(not processes.IS_FORKING, reason="elsewhere the starter is the caller")
def test_only_the_job_that_kills_the_fork_server_is_lost():
    endings = {}
    for name, message in run("import time; time.sleep(1)", KILL_THE_STARTER, "texts.append('later')"):
        if isinstance(message, Ending):
            endings[name] = message.exit_code
    assert endings == {"0": 0, "1": LOST, "2": 0}


def test_what_a_process_left_running_is_killed(tmp_path):
    source = f"import subprocess; p = subprocess.Popen(['sleep', '600']); open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid))"
    run(source)
    wait_until(lambda: is_gone(int((tmp_path / "pid").read_text())), seconds=10)


def test_the_callers_script_is_not_run_again(tmp_path):
    """multiprocessing runs a script anew in each process, which a script without a guard doesn't survive."""
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from arena_lib.course.judging.processes import Job, Limits, run_jobs\n"
        "print('run')\n"
        "jobs = [Job(name='x', function=str.splitlines, arguments=('done',), environment={'A': 'b'})]\n"
        "print([message for _, message in run_jobs(jobs, Limits(), n_parallel=1)])\n"
    )
    import subprocess

    output = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True).stdout
    assert output.splitlines() == ["run", "['done', Ending(exit_code=0)]"]


@pytest.mark.parametrize("environment", [None, {"A": "b"}])
def test_a_job_ends_with_the_process_that_asked_for_it(tmp_path, environment):
    import subprocess

    source = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    script = (
        "import test_processes\n"
        "from arena_lib.course.judging.processes import Job, Limits, run_jobs\n"
        f"job = Job(name='x', function=test_processes.run_source, arguments=({source!r},), environment={environment!r})\n"
        "list(run_jobs([job], Limits(), n_parallel=1))\n"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])},
    )
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), seconds=60)
    caller.kill()
    caller.wait()
    wait_until(lambda: is_gone(int((tmp_path / "pid").read_text())), seconds=10)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts")
def test_the_limit_on_memory_is_beside_what_a_process_holds():
    sources = ["held = bytearray(2**28)", "held = bytearray(2**30)"]
    found = run(*sources, limits=Limits(seconds=30.0, memory=0.5), n_parallel=1)
    assert [message for _, message in found] == ["begun", Ending(0), "begun", Ending(1)]


def test_no_limit_on_memory_sets_none(monkeypatch):
    import resource

    monkeypatch.setattr(resource, "setrlimit", lambda *_: pytest.fail("a limit was set"))
    limit_memory(float("inf"))
