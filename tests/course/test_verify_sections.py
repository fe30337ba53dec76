"""The authors' gate over a section: what it says of exercises that hold and of those that don't."""

import subprocess
import sys
from pathlib import Path

import pytest

from arena_lib.course import verify_sections
from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.catalog_types import ExerciseEntry
from arena_lib.errors import ArenaError

HERE = Path(__file__).parent


def entry(name):
    return ExerciseEntry(
        id=f"7.3/{name}", name=name, title=name, difficulty=1, importance=1, minutes=1,
        reference="judged_course:plus", test=f"judged_course:test_{name}",
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _path(monkeypatch):
    monkeypatch.syspath_prepend(HERE)


def test_a_record_has_the_keys_of_the_contract():
    record = verify_sections.verify_entry(entry("plus"))
    assert {"id", "reference", "accepts", "stub", "mistakes", "seconds"} <= set(record)
    assert (record["id"], record["reference"], record["stub"]) == ("7.3/plus", "passed", "not_started")
    assert {"name", "rejected", "named"} <= set(record["mistakes"][0])
    assert record["mistakes"][0]["rejected"]
    assert record["mistakes"][0]["named"]
    assert any("accepted solution" in problem for problem in record["problems"])


def test_the_stub_is_run_among_the_names_of_its_module():
    stub = verify_sections.make_stub_object(entry("plus"))
    with pytest.raises(NotImplementedError):
        stub(1, 2)


def test_two_runs_that_differ_are_a_problem():
    one = {
        "id": "x",
        "reference": "passed",
        "accepts": [],
        "stub": "not_started",
        "mistakes": [],
        "problems": [],
        "seconds": 1,
    }
    assert verify_sections._merge(one, one | {"seconds": 2.0}) == one | {"seconds": 1.5, "holds": True}
    merged = verify_sections._merge(one, one | {"stub": "failed"})
    assert not merged["holds"]
    assert merged["problems"] == ["two runs with different hash seeds must agree: got stub 'not_started' and 'failed'"]


@pytest.fixture
def little(course):
    # The engine needs cases; the chapter's own run doesn't need the engine.
    (course.chapters.parent / "tests" / "little" / "__init__.py").write_text("test_plus = test_scaler = print\n")
    return course


def test_an_exploratory_exercise_runs_its_solution(little):
    section = load_catalog([little]).sections[0]
    (record,) = verify_sections.verify_here(section, ["find_largest"])
    assert (record["id"], record["reference"], record["stub"], record["problems"]) == (
        "7.2/find_largest", "passed", "not_started", [],
    )  # fmt: skip


def test_an_exploratory_exercise_whose_solution_is_wrong_fails(little):
    chapter = next(little.chapters.glob("*/*.py"))
    chapter.write_text(chapter.read_text().replace("max(numbers)", "min(numbers)"))
    (record,) = verify_sections.verify_here(load_catalog([little]).sections[0], ["find_largest"])
    assert record["reference"] == "failed"
    assert "the largest of 3, 9 and 4 is 9" in record["problems"][0]


def test_a_chapter_that_does_not_run_is_a_problem_of_its_exploratory_exercises(little):
    chapter = next(little.chapters.glob("*/*.py"))
    chapter.write_text(chapter.read_text().replace("import math\n", "import no_such_module\n"))
    (record,) = verify_sections.verify_here(load_catalog([little]).sections[0], ["find_largest"])
    assert "a chapter must run with its solutions" in record["problems"][0]


def test_two_processes_verify_one_exercise_of_the_course_and_each_tells_of_it():
    told = []
    (record,) = verify_sections.verify_sections(["1.1"], ["causal_mask"], told.append)
    assert record["holds"], record["problems"]
    assert record["id"] == "1.1/causal_mask"
    assert told == ["1.1/causal_mask"] * 2


def test_records_are_told_as_they_are_written_and_only_whole_ones(tmp_path):
    """The process writes its next line only once it has seen that the last one was told."""
    answer, seen = tmp_path / "answer", tmp_path / "seen"
    script = """
import sys, time, pathlib
answer, seen = map(pathlib.Path, sys.argv[1:])
answer.write_text('{"id": "a"}\\n{"id": ')
while not seen.exists():
    time.sleep(0.01)
answer.write_text('{"id": "a"}\\n{"id": "b"}\\n')
"""
    told = []

    def on_record(exercise):
        told.append(exercise)
        seen.touch()

    process = subprocess.Popen([sys.executable, "-c", script, str(answer), str(seen)])
    verify_sections._wait([process], [answer], on_record)
    assert told == ["a", "b"]


def test_a_process_that_fails_is_said_even_after_records(tmp_path):
    answer = tmp_path / "answer"
    answer.write_text('{"id": "a"}\n')
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    process.wait()
    with pytest.raises(ArenaError, match="exit code 3"):
        verify_sections._read(answer, process)
