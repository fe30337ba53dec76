"""Progress: what follows from the events, and that they survive whatever happens to their file."""

import contextlib
import ctypes
import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import warnings

import pytest

from arena_lib.checking.results import Diagnosis, Result
from arena_lib.course.record.event_file import SCHEMA
from arena_lib.course.record.progress import Event, ProgressStore, home_folder, next_exercise
from arena_lib.errors import ProgressError

PLUS = "7.2/plus"


def result(status="failed", **values):
    return Result(exercise=PLUS, status=status, test_hash="t1", source_hash="s1", seconds=0.5, **values)


@pytest.fixture
def store(tmp_path):
    return ProgressStore(tmp_path / "home" / "progress.sqlite3")


def insert(store, *events):
    lines = [json.dumps(dataclasses.asdict(event)) for event in events]
    return store.import_lines(lines)


def event(minute, kind="verdict", exercise=PLUS, **values):
    return Event(
        id=f"{kind}{minute}{exercise}",
        time=f"2026-01-01T10:{minute:02}:00+00:00",
        kind=kind,
        exercise=exercise,
        **values,
    )


# what follows from events


def test_a_new_store_has_no_events_and_makes_no_file(store):
    assert store.events() == []
    assert store.status() == {}
    assert not store.path.parent.exists()


def test_a_verdict_is_kept_with_diagnosis_hashes_and_versions(store):
    assert store.record(result(diagnosis=Diagnosis(mistake="subtracts", why="a sum adds")))
    (kept,) = store.events()
    assert (kept.kind, kept.exercise, kept.status, kept.mistake) == ("verdict", PLUS, "failed", "subtracts")
    assert (kept.source_hash, kept.test_hash, kept.seconds) == ("s1", "t1", 0.5)
    assert set(json.loads(kept.versions)) == {"python", "arena-lib", "torch"}


def test_the_id_of_the_course_replaces_that_of_the_result(store):
    store.record(result(), "9.9/other")
    assert list(store.status()) == ["9.9/other"]


@pytest.mark.parametrize("unnoted", [result("passed", is_reference=True), result("not_started")])
def test_the_reference_and_an_untouched_stub_are_not_recorded(store, unnoted):
    assert not store.record(unnoted)
    assert store.events() == []


def test_repeats_are_skipped_only_when_asked(store):
    for skip_repeats in (False, False, True):
        store.record(result(), skip_repeats=skip_repeats)
    assert len(store.events()) == 2
    assert store.record(dataclasses.replace(result(), source_hash="s2"), skip_repeats=True)
    assert store.record(dataclasses.replace(result("passed"), source_hash="s2"), skip_repeats=True)


def test_attempts_count_up_to_the_first_pass(store):
    for status in ("error", "timeout", "passed", "failed", "passed"):
        store.record(result(status))
    state = store.status({PLUS: "t1"})[PLUS]
    assert (state.state, state.attempts, state.last_status) == ("done", 3, "passed")


@pytest.mark.parametrize(("current", "state"), [("t1", "done"), ("t2", "stale"), (None, "done")])
def test_a_pass_under_another_test_is_stale(store, current, state):
    store.record(result("passed"))
    assert store.status({PLUS: current})[PLUS].state == state


def test_a_failure_after_a_pass_leaves_it_done(store):
    store.record(result("passed"))
    store.record(result("failed"))
    assert store.status({PLUS: "t1"})[PLUS].state == "done"


def test_minutes_are_gaps_up_to_the_first_pass_without_breaks(store):
    insert(
        store,
        event(0, "opened", exercise=""),
        event(4, status="failed"),
        event(6, exercise="7.2/scaler", status="failed"),
        event(9, "hint", tier=2),
        event(55, status="failed"),  # 46 minutes later: a break
        event(57, status="passed"),
        event(59, status="passed"),
    )
    states = store.status()
    assert states[PLUS].minutes == 4 + 3 + 2
    assert states["7.2/scaler"].minutes == 2
    assert states[PLUS].n_hints == 1


def test_each_hint_that_was_looked_at_counts_once(store):
    for tier in (3, 1, 3):
        store.note("hint", PLUS, tier=tier)
    assert store.status()[PLUS].n_hints == 2


def test_hints_alone_are_no_attempt(store):
    store.note("hint", PLUS, tier=1)
    store.note("solution", PLUS)
    state = store.status()[PLUS]
    assert (state.state, state.attempts, state.n_hints, state.has_seen_solution) == ("not_started", 0, 1, True)


def test_the_next_exercise_is_the_first_that_is_not_done(store):
    entries = [type("Entry", (), {"id": name})() for name in (PLUS, "7.2/scaler", "7.2/last")]
    assert next_exercise(entries, {}).id == PLUS
    store.record(result("passed"))
    store.record(result("failed"), "7.2/scaler")
    assert next_exercise(entries, store.status()).id == "7.2/scaler"
    assert next_exercise(entries, store.status({PLUS: "t2"})).id == PLUS
    assert next_exercise(entries[:1], store.status()) is None


def test_arena_home_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("ARENA_HOME", str(tmp_path))
    assert ProgressStore().path == tmp_path / "progress.sqlite3"
    monkeypatch.delenv("ARENA_HOME")
    assert home_folder().name == "arena_lib"


# export and import


def test_an_export_imports_once(store, tmp_path):
    store.record(result())
    store.note("hint", PLUS, tier=1)
    lines = list(store.export_lines())
    other = ProgressStore(tmp_path / "other.sqlite3")
    assert other.import_lines(lines) == 2
    assert other.import_lines([*lines, "", "\n"]) == 0
    assert other.events() == store.events()


GOOD_FIELDS = {"id": "x", "time": "2026-01-01T00:00:00+00:00", "kind": "hint", "exercise": "e"}


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        "[" * 100_000,
        '{"id": "x"}',
        *(
            json.dumps(GOOD_FIELDS | {key: value})
            for key, value in [
                ("id", 3),
                ("id", ""),
                ("time", "now"),
                ("time", 5),
                ("time", "2026-01-01T00:00:00"),
                ("time", "2026-01-01T00:00:00+05:00"),
                ("kind", "joy"),
                ("kind", ["hint"]),
                ("exercise", None),
                ("exercise", "\ud800"),
                ("status", 17),
                ("status", "splendid"),
                ("mistake", {}),
                ("source_hash", 1),
                ("test_hash", []),
                ("seconds", "long"),
                ("seconds", -1),
                ("seconds", float("nan")),
                ("seconds", True),
                ("versions", {"python": "3.11"}),
                ("tier", "two"),
                ("tier", 1.5),
                ("tier", 0),
                ("tier", 10**30),
            ]
        ),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_imported(store, line):
    store.record(result())
    good = next(iter(store.export_lines())).replace(store.events()[0].id, "fresh")
    with pytest.raises(ProgressError, match="in line 2"):
        store.import_lines([good, line])
    assert len(store.events()) == 1


def test_the_field_that_is_wrong_is_named(store):
    with pytest.raises(ProgressError, match="tier must be null or a whole number from 1 to 99: got 'two'"):
        store.import_lines([json.dumps(GOOD_FIELDS | {"tier": "two"})])


def test_a_bad_row_that_is_there_already_is_left_out_with_one_warning(store):
    store.note("hint", PLUS, tier=1)
    store.record(result())
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as connection:
        for number, tier in enumerate(("two", "three")):
            row = (f"bad{number}", "2030-01-01T00:00:00+00:00", "hint", PLUS, tier)
            connection.execute("INSERT INTO events (id, time, kind, exercise, tier) VALUES (?, ?, ?, ?, ?)", row)
        connection.execute("INSERT INTO events (id, time, kind, exercise) VALUES ('b', 'now', 'verdict', ?)", [PLUS])
    with pytest.warns(UserWarning, match="tier must be .*: got 'two'.* Left out: 3 events") as told:  # noqa: PT031
        assert [e.kind for e in store.events()] == ["hint", "verdict"]
        assert store.status()[PLUS].n_hints == 1
        assert len(list(store.export_lines())) == 2
    assert len(told) == 1
    assert store.record(result(), skip_repeats=True)  # the last row is no verdict


def test_recording_looks_at_one_row_of_the_record(store, monkeypatch):
    insert(store, *(event(minute, status="failed") for minute in range(50)))
    monkeypatch.setattr(store._file, "read", lambda: pytest.fail("the whole record was read"))
    assert store.record(result(), skip_repeats=True)
    assert not store.record(result(), skip_repeats=True)


def test_an_export_of_a_later_version_may_have_more_keys(store):
    record = dataclasses.asdict(event(1, status="passed")) | {"mood": "good"}
    assert store.import_lines([json.dumps(record)]) == 1


# the file


@pytest.mark.parametrize("content", [b"this is no database, and longer than a header would be " * 100, b"\0" * 5000])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(store, content):
    store.path.parent.mkdir()
    store.path.write_bytes(content)
    with pytest.warns(UserWarning, match=r"is damaged. It was set aside as progress\.damaged-.*\.sqlite3"):
        assert store.record(result())
    (aside,) = store.path.parent.glob("*damaged*")
    assert aside.read_bytes() == content
    assert len(ProgressStore(store.path).events()) == 1


def test_a_file_damaged_inside_is_set_aside_when_read(store):
    for _ in range(200):
        store.note("hint", PLUS, tier=1)
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(store.path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    store.path.write_bytes(bytes(content))
    with pytest.warns(UserWarning, match="set aside"):
        assert store.events() == []
    assert store.record(result())


def test_a_folder_in_place_of_the_file_costs_one_warning(store):
    store.path.mkdir(parents=True)
    with pytest.warns(UserWarning, match="must be writable") as told:  # noqa: PT031
        assert not store.record(result())
        assert not store.record(result())
    assert len(told) == 1


def test_a_file_in_place_of_the_folder_costs_a_warning_and_an_import_an_error(tmp_path):
    (tmp_path / "home").write_text("")
    store = ProgressStore(tmp_path / "home" / "progress.sqlite3")
    with pytest.warns(UserWarning, match="set ARENA_HOME to a folder of yours"):
        assert not store.record(result())
    with pytest.raises(ProgressError, match="must be writable"):
        insert(store, event(1))


READ_ONLY = """
import sys, warnings
from pathlib import Path
from arena_lib.checking.results import Result
from arena_lib.course.record.progress import ProgressStore
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    store = ProgressStore(Path(sys.argv[1]))
    print(len(store.events()), store.record(Result(exercise="7.2/plus", status="passed")), len(store.events()))
    store.record(Result(exercise="7.2/plus", status="passed"))
print(len(told), *(str(w.message) for w in told))
"""
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
DROP_FROM_BOUNDING_SET, MAY_WRITE_ANYWHERE, MAY_READ_ANYWHERE = 24, 1, 2
"""Numbers of linux/prctl.h and linux/capability.h."""


def obey_permissions():
    """Takes from root, in a process about to start another program, what lets it pass over permissions."""
    if IS_ROOT:
        for capability in (MAY_WRITE_ANYWHERE, MAY_READ_ANYWHERE):
            assert ctypes.CDLL(None).prctl(DROP_FROM_BOUNDING_SET, capability, 0, 0, 0) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no permissions of this kind")
@pytest.mark.skipif(IS_ROOT and sys.platform != "linux", reason="to root nothing is read-only")
def test_a_read_only_folder_is_read_and_costs_one_warning(tmp_path):
    folder = tmp_path / "read-only"
    folder.mkdir()
    store = ProgressStore(folder / "progress.sqlite3")
    store.record(result())
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.chmod(store.path, 0o444)
    os.chmod(folder, 0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(store.path)],
            capture_output=True, text=True, check=True, preexec_fn=obey_permissions,
        )  # fmt: skip
    finally:
        os.chmod(folder, 0o755)
    first, second = done.stdout.splitlines()
    assert first == "1 False 1"
    assert second.startswith("1 the progress file")
    assert "must be writable" in second


def test_a_newer_schema_is_left_alone(store):
    store.record(result())
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = store.path.read_bytes()
    with pytest.warns(UserWarning, match=f"schema {SCHEMA + 1} of a newer arena_lib") as told:  # noqa: PT031
        assert not store.record(result("passed"))
        assert not store.record(result("passed"))
    assert len(told) == 1
    assert store.path.read_bytes() == before


WRITER = """
import sys
from pathlib import Path
from arena_lib.checking.results import Result
from arena_lib.course.record.progress import ProgressStore
store = ProgressStore(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    assert store.record(Result(exercise=sys.argv[3], status="failed", seconds=float(number)))
    print(number, flush=True)
"""


def writer(path, count, exercise):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WRITER, str(path), str(count), exercise],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_several_kernels_write_at_once_into_a_new_file(store):
    processes = [writer(store.path, 20, f"7.2/e{number}") for number in range(4)]
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    events = store.events()
    assert len(events) == 80
    for number in range(4):
        assert [e.seconds for e in events if e.exercise == f"7.2/e{number}"] == [float(n) for n in range(20)]


def test_kill_9_while_writing_loses_nothing_that_was_said_to_be_written(store):
    for round_number in range(3):
        process = writer(store.path, 100_000, f"7.2/e{round_number}")
        lines = [process.stdout.readline() for _ in range(5 + 7 * round_number)]
        time.sleep(0.003 * round_number)
        process.send_signal(signal.SIGKILL)
        lines += process.communicate()[0].splitlines()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kept = [e for e in store.events() if e.exercise == f"7.2/e{round_number}"]
        said = sum(bool(line.strip()) for line in lines)
        assert said <= len(kept) <= said + 1
        assert store.record(result())
