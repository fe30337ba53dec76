"""Where a learner stands: what `arena progress` shows and prints."""

import json
from pathlib import Path

import pytest

from arena_lib.course.content.catalog import Catalog, load_catalog
from arena_lib.course.content.catalog_types import Cell, ExerciseEntry, Section
from arena_lib.course.content.judge_hashes import current_test_hash
from arena_lib.course.record.progress import ExerciseProgress, ProgressStore
from arena_lib.course.record.summary import NOT_STARTED, STALE, Summary, load_summary

PLUS, SCALER, LARGEST = "7.2/plus", "7.2/scaler", "7.2/find_largest"
SCALED = ExerciseProgress(
    state="tried", attempts=4, n_hints=2, minutes=7.6, last_status="failed", last_mistake="forgets to shift"
)
DONE = ExerciseProgress(
    state="done",
    attempts=2,
    n_hints=1,
    has_seen_solution=True,
    minutes=2.4,
    passed_at="2026-01-01T10:00:00+00:00",
    last_status="passed",
)


@pytest.fixture
def catalog(course):
    return load_catalog([course], strict=True)


@pytest.fixture
def store(tmp_path):
    return ProgressStore(tmp_path / "home" / "progress.sqlite3")


def write_event(store, exercise, status, test_hash, minute):
    """A verdict at a time of the test's own."""
    record = {"id": f"{minute}", "time": f"2026-01-01T10:{minute:02}:00+00:00", "kind": "verdict"}
    store.import_lines([json.dumps(record | {"exercise": exercise, "status": status, "test_hash": test_hash})])


# what comes next


def test_what_was_never_touched_is_not_started(catalog):
    summary = Summary(catalog, {PLUS: DONE})
    assert [summary.state(entry) for entry in catalog.exercises] == [DONE, NOT_STARTED, NOT_STARTED]
    assert NOT_STARTED.state == "not_started"


@pytest.mark.parametrize(
    ("states", "upcoming"),
    [
        ({}, PLUS),
        ({PLUS: SCALED}, PLUS),
        ({PLUS: DONE}, SCALER),
        ({PLUS: DONE, SCALER: ExerciseProgress(state="stale")}, SCALER),
        ({PLUS: DONE, SCALER: DONE}, LARGEST),  # no test judges it: its cell says that it is done
        ({PLUS: DONE, SCALER: DONE, LARGEST: DONE}, None),
    ],
)
def test_the_first_exercise_that_is_not_done_comes_next(catalog, states, upcoming):
    summary = Summary(catalog, states)
    found = summary.next()
    assert (found and found.id) == upcoming
    assert summary.to_json()["next"] == upcoming


def entry(section, name):
    return ExerciseEntry(id=f"{section}/{name}", name=name, title=name, difficulty=1, importance=1, minutes=1)


def section(number, slug, package, *names):
    cells = [Cell(kind="exercise", source="", line=1, exercise=entry(number, name)) for name in names]
    return Section(
        id=number, slug=slug, title=slug, hours=1.0, path=Path(f"{number}.py"), cells=tuple(cells),
        tests_module=f"{package}.tests.{slug}",
    )  # fmt: skip


BOTH = Catalog(
    (
        section("1.1", "first", "ours", "a"),
        section("other.1", "basics", "other", "b"),
        section("other.2", "more", "other", "c", "d"),
    )
)


@pytest.mark.parametrize(
    ("latest", "upcoming"),
    [
        ({"1.1/a": "tried", "other.2/c": "tried"}, "other.2/c"),
        ({"1.1/a": "tried", "other.2/c": "done"}, "other.2/d"),
        ({"1.1/a": "tried", "other.2/c": "done", "other.2/d": "done"}, "other.1/b"),
        ({"1.1/a": "tried", "other.1/b": "done", "other.2/c": "done", "other.2/d": "done"}, "1.1/a"),
        ({"other.2/c": "tried", "1.1/a": "tried"}, "1.1/a"),
        ({"gone.1/x": "tried"}, "1.1/a"),
    ],
)
def test_what_comes_next_is_of_the_section_last_worked_on_then_of_its_course(latest, upcoming):
    times = [f"2026-01-01T10:{minute:02}:00+00:00" for minute in range(len(latest))]
    states = {
        name: ExerciseProgress(state=state, last_at=time)
        for (name, state), time in zip(latest.items(), times, strict=True)
    }
    assert Summary(BOTH, states).next().id == upcoming


def test_a_summary_can_be_of_some_sections_alone():
    states = {"1.1/a": ExerciseProgress(state="tried", last_at="2026-01-01T10:00:00+00:00")}
    part = Summary(BOTH, states).of(BOTH.sections[1:2])
    assert part.text == "other.1 basics: 0 of 1 done\nNext: other.1/b, b (1 min)"


# as text


def test_a_section_that_was_not_begun_is_one_line(catalog):
    assert Summary(catalog, {}).text == "7.2 Little things: 0 of 3 done\nNext: 7.2/plus, Add two numbers (3 min)"


def test_what_was_begun_is_shown_with_its_counts(catalog):
    assert Summary(catalog, {PLUS: DONE, SCALER: SCALED, LARGEST: DONE}).text.splitlines() == [
        "7.2 Little things: 2 of 3 done",
        "     exercise          attempts  hints  minutes  estimate  last",
        "  ✓  7.2/plus          2         1      2        3         passed",
        "  …  7.2/scaler        4         2      8        12        forgets to shift",
        "  ✓  7.2/find_largest  2         1      2        10        passed",
        "Next: 7.2/scaler, Scale and shift (12 min)",
    ]


@pytest.mark.parametrize(
    ("known", "mark", "last"),
    [
        (ExerciseProgress(state="stale", last_status="passed", last_mistake="swaps"), "~", STALE),
        (ExerciseProgress(state="tried", last_status="error"), "…", "error"),
        (ExerciseProgress(state="not_started", n_hints=1), "", ""),
    ],
)
def test_the_last_column_says_what_matters_most(catalog, known, mark, last):
    _, header, row, _ = Summary(catalog, {PLUS: known}).text.splitlines()
    assert row.startswith(f"  {mark:<1}  7.2/plus  ")
    assert row[header.index("last") :] == last
    assert "check it again" in STALE


def test_the_end_is_said(catalog):
    text = Summary(catalog, {PLUS: DONE, SCALER: DONE, LARGEST: DONE}).text
    assert text.startswith("7.2 Little things: 3 of 3 done\n")
    assert text.endswith("\nEverything is done.")


def test_a_course_without_sections_is_done():
    summary = Summary(Catalog(()), {})
    assert summary.text == "Everything is done."
    assert summary.to_json() == {"next": None, "sections": []}


# as JSON


def test_every_exercise_is_in_the_json(catalog):
    summary = Summary(catalog, {PLUS: DONE})
    untouched = {
        "id": SCALER, "state": "not_started", "attempts": 0, "hints": 0, "solution_seen": False, "minutes": 0.0,
        "estimate": 12, "passed_at": None, "last_status": None, "last_mistake": None,
    }  # fmt: skip
    done = {
        "id": PLUS, "state": "done", "attempts": 2, "hints": 1, "solution_seen": True, "minutes": 2.4, "estimate": 3,
        "passed_at": "2026-01-01T10:00:00+00:00", "last_status": "passed", "last_mistake": None,
    }  # fmt: skip
    explored = untouched | {"id": LARGEST, "estimate": 10}
    section = {"id": "7.2", "done": 1, "of": 3, "exercises": [done, untouched, explored]}
    assert summary.to_json() == {"next": SCALER, "sections": [section]}
    mistaken = Summary(catalog, {PLUS: SCALED}).to_json()["sections"][0]
    assert (mistaken["done"], mistaken["exercises"][0]["last_mistake"]) == (0, "forgets to shift")


# from the progress file


def test_a_pass_under_todays_test_is_done_and_under_another_stale(catalog, store):
    write_event(store, PLUS, "passed", current_test_hash(catalog.exercise(PLUS)), 1)
    write_event(store, SCALER, "passed", "another", 2)
    summary = load_summary(catalog, store)
    assert summary.catalog is catalog
    assert {name: known.state for name, known in summary.states.items()} == {PLUS: "done", SCALER: "stale"}
    assert summary.states[SCALER].last_at == "2026-01-01T10:02:00+00:00"


def test_only_tests_of_what_has_passed_are_read(catalog, store, monkeypatch):
    looked_at = []
    monkeypatch.setattr("arena_lib.course.record.summary.current_test_hash", lambda e: looked_at.append(e.id))
    write_event(store, PLUS, "failed", "t1", 1)
    assert load_summary(catalog, store).states[PLUS].state == "tried"
    assert looked_at == []
    write_event(store, SCALER, "passed", "t1", 2)
    write_event(store, "9.9/of_another_course", "passed", "t1", 3)
    assert load_summary(catalog, store).states[SCALER].state == "done"
    assert looked_at == [SCALER]


def test_the_learners_own_file_is_read_unless_another_is_given(catalog, store, tmp_path, monkeypatch):
    monkeypatch.setenv("ARENA_HOME", str(tmp_path / "own"))
    assert load_summary(catalog).states == {}
    write_event(ProgressStore(), PLUS, "passed", "another", 1)
    assert load_summary(catalog).states[PLUS].state == "stale"
    assert load_summary(catalog, store).states == {}
