"""Hints come one at a time, the solution once it is earned, and the learner's file is found."""

import dataclasses
import datetime
import os
from pathlib import Path

import pytest

from arena_lib.checking.results import Result
from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.solutions import solution_diff, solution_text
from arena_lib.course.judging.cells import LearnerFile, SourceCell
from arena_lib.course.record.hints import GivenHint, GivenSolution, give_hint, give_solution
from arena_lib.course.record.progress import ProgressStore
from arena_lib.errors import WorkspaceError

MINE = "def plus(a, b):\n    return a - b\n"


@pytest.fixture
def section(course):
    return load_catalog([course], strict=True).section("7.2")


@pytest.fixture
def plus(section):
    return section.exercises[0]


@pytest.fixture
def store(tmp_path):
    return ProgressStore(tmp_path / "home" / "progress.sqlite3")


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch) -> Path:
    """An empty folder to work in."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def write(path, text=MINE, *, at):
    """A file changed `at` so many seconds."""
    path.write_text(text)
    os.utime(path, (at, at))
    return path


# hints


def test_each_hint_is_one_further_and_the_last_one_stays(plus, store):
    given = [give_hint(plus, store) for _ in range(4)]
    assert [(hint.tier, hint.hint) for hint in given] == [
        (1, plus.hints[0]), (2, plus.hints[1]), (3, plus.hints[2]), (3, plus.hints[2]),
    ]  # fmt: skip
    assert {(hint.exercise, hint.n_tiers) for hint in given} == {("7.2/plus", 3)}
    assert [(event.kind, event.exercise, event.tier) for event in store.events()] == [
        ("hint", "7.2/plus", tier) for tier in (1, 2, 3, 3)
    ]


def test_a_chosen_hint_counts_as_shown(plus, store):
    assert give_hint(plus, store, tier=2).hint == plus.hints[1]
    assert give_hint(plus, store, tier=1).hint == plus.hints[0]
    assert give_hint(plus, store).tier == 3


def test_a_tier_beyond_the_last_is_the_last(plus, store):
    assert give_hint(plus, store, tier=9).tier == 3


def test_only_hints_of_the_exercise_itself_count(section, plus, store):
    give_hint(section.exercises[1], store, tier=3)
    store.note("solution", plus.id, tier=2)
    store.note("hint", plus.id)
    assert give_hint(plus, store).tier == 1


def test_an_exercise_without_hints_says_so_and_nothing_is_noted(section, store):
    given = give_hint(section.exercises[2], store)
    assert (given.tier, given.n_tiers, given.hint) == (0, 0, "")
    assert given.text == "7.2/find_largest has no hints: it is short, and yours to explore."
    assert store.events() == []


def test_a_hint_says_what_comes_after_it(plus, store):
    one, _, last = [give_hint(plus, store) for _ in range(3)]
    assert one.text == "7.2/plus, hint 1 of 3: What is a sum?\n(Another step: arena hint 7.2/plus)"
    assert last.text == (
        "7.2/plus, hint 3 of 3: The operator is a cross.\n"
        "(That was the last one. If you give up: arena solution 7.2/plus --give-up)"
    )


def test_once_the_last_hint_is_shown_the_next_call_says_that_no_other_follows(plus, store):
    *_, last, repeated = [give_hint(plus, store) for _ in range(4)]
    assert not last.is_repeated
    assert repeated.text == (
        "That was the last hint; arena solution 7.2/plus --give-up shows the solution. "
        "Hint 3 again: The operator is a cross."
    )
    assert not give_hint(plus, store, tier=3).is_repeated, "the learner asked for this one"


def test_a_hint_in_json_has_stable_keys():
    hint = GivenHint(exercise="7.2/plus", tier=2, n_tiers=3, hint="look")
    assert hint.to_json() == {"exercise": "7.2/plus", "tier": 2, "of": 3, "hint": "look"}


# solutions


def test_a_solution_waits_for_a_pass(section, plus, store):
    with pytest.raises(WorkspaceError) as caught:
        give_solution(section, plus, store)
    assert str(caught.value) == (
        "You haven't passed 7.2/plus yet (0 attempts); its solution is shown once you have. For a hint: arena hint "
        "7.2/plus. To see the solution all the same: arena solution 7.2/plus --give-up"
    )
    for told in (r"yet \(1 attempt\)", r"yet \(2 attempts\)"):
        store.record(Result(exercise=plus.id, status="failed"))
        with pytest.raises(WorkspaceError, match=told):
            give_solution(section, plus, store)
    assert [event.kind for event in store.events()] == ["verdict", "verdict"]


def test_giving_up_shows_it_and_is_noted_once(section, plus, store):
    for gives_up in (True, True, False):
        given = give_solution(section, plus, store, gives_up=gives_up)
        assert given == GivenSolution(exercise="7.2/plus", solution=solution_text(section, plus), diff=None, file=None)
    assert [(event.kind, event.exercise) for event in store.events()] == [("solution", "7.2/plus")]


def test_a_pass_earns_it_and_nothing_is_noted(section, plus, store):
    store.record(Result(exercise=plus.id, status="passed"))
    assert give_solution(section, plus, store, gives_up=True).solution == solution_text(section, plus)
    assert give_solution(section, plus, store).exercise == "7.2/plus"
    assert [event.kind for event in store.events()] == ["verdict"]


def test_the_solution_is_held_against_the_learners_latest_file(section, plus, store, work):
    write(work / "7.2_little.py", at=1000)
    latest = write(work / "7.2_little_2.py", MINE.replace("a - b", "a * b"), at=2000)
    given = give_solution(section, plus, store, gives_up=True)
    assert given.file == Path(latest.name)
    assert given.diff == solution_diff(section, plus, latest.read_text())
    saved_at = datetime.datetime.fromtimestamp(2000)
    assert given.saved_at == saved_at
    assert given.text == f"Compared with {latest.name} (as saved at {saved_at:%H:%M}):\n{given.diff}"
    assert "-    return a * b" in given.text


def test_helpers_follow_the_solution_and_the_difference():
    solution = GivenSolution(exercise="7.2/plus", solution="plus = add\n", diff=None, file=None, helpers="def add")
    assert solution.text == "plus = add\n\n\ndef add"
    assert dataclasses.replace(solution, diff="-a\n", file=Path("a.py")).text == "Compared with a.py:\n-a\n\n\ndef add"


def test_what_a_notebook_has_executed_comes_before_what_is_saved(section, plus, store, work):
    saved = write(work / "7.2_little.py", at=1000)

    def executed(source):
        cells = (SourceCell(number=1, source=source, filename="<cell 1>"),)
        return LearnerFile(path=Path("this notebook"), cells=cells)

    given = give_solution(section, plus, store, gives_up=True, executed=executed(MINE.replace("a - b", "a * b")))
    assert given.text == f"Compared with this notebook:\n{given.diff}"
    assert "-    return a * b" in given.text
    given = give_solution(section, plus, store, executed=executed(solution_text(section, plus)))
    assert given.text == "Your 7.2/plus in this notebook is the library's, word for word."
    given = give_solution(section, plus, store, executed=executed("1 + 1"))
    assert given.file == Path(saved.name)
    assert "as saved at" in given.text


def test_what_cannot_be_read_or_lacks_the_exercise_is_passed_over(section, plus, store, work):
    write(work / "7.2_little.py", at=1000)
    write(work / "7.2_little_2.ipynb", "no notebook", at=3000)
    write(work / "7.2_little_3.py", "x = 1\n", at=2000)
    assert give_solution(section, plus, store, gives_up=True).file == Path("7.2_little.py")


def test_a_named_file_is_the_only_one_looked_at(section, plus, store, work):
    write(work / "7.2_little.py", at=1000)
    named = write(work / "other.py", MINE.replace("a - b", "b - a"), at=500)
    given = give_solution(section, plus, store, gives_up=True, file=named)
    assert (given.file, "-    return b - a" in given.diff) == (named, True)
    named.write_text("x = 1\n")
    given = give_solution(section, plus, store, gives_up=True, file=named)
    assert (given.diff, given.file) == (None, None)


def test_a_named_file_that_cannot_be_read_is_said(section, plus, store, work):
    with pytest.raises(WorkspaceError, match="There is no file"):
        give_solution(section, plus, store, gives_up=True, file=work / "gone.py")


def test_the_code_is_what_the_learner_hands_to_the_test(section, plus, store, work):
    text = "def plus(a, b):\n    return 0\n\n\nclass Mine:\n    plus = sum\n\n\ntests.test_plus(Mine.plus)\n"
    write(work / "7.2_little.py", text, at=1000)
    given = give_solution(section, plus, store, gives_up=True)
    assert given.diff == solution_diff(section, plus, "class Mine:\n    plus = sum\n")


def test_the_librarys_own_code_word_for_word_is_said(section, plus, store, work):
    path = write(work / "7.2_little.py", solution_text(section, plus), at=1000)
    given = give_solution(section, plus, store, gives_up=True)
    assert given.diff == ""
    saved_at = datetime.datetime.fromtimestamp(1000)
    assert given.text == f"Your 7.2/plus in {path.name} (as saved at {saved_at:%H:%M}) is the library's, word for word."


def test_a_solution_without_a_difference_is_shown_whole():
    given = GivenSolution(exercise="7.2/plus", solution="def plus", diff=None, file=None)
    assert given.text == "def plus"
    assert given.to_json() == {"exercise": "7.2/plus", "solution": "def plus", "diff": None, "file": None}
    there = dataclasses.replace(given, diff="- a\n+ b\n", file=Path("mine.py"))
    assert there.to_json() == {"exercise": "7.2/plus", "solution": "def plus", "diff": "- a\n+ b\n", "file": "mine.py"}
