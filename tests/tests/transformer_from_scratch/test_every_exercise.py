"""Every judge of section 1.1 accepts what is right, and rejects and names every mistake."""

import importlib

import pytest

from arena_lib.checking import verify
from arena_lib.checking.exercises import Exercise
from arena_lib.course.content.catalog import load_catalog

judges = importlib.import_module("arena_lib.tests.transformer_from_scratch")
EXERCISES = {name: judge for name, judge in vars(judges).items() if isinstance(judge, Exercise)}


@pytest.mark.parametrize("name", [name for name, judge in EXERCISES.items() if judge.only is None])
def test_judge_holds(name):
    verification = verify(EXERCISES[name])
    assert verification.holds, "\n".join(verification.problems)


@pytest.mark.parametrize("name", [name for name, judge in EXERCISES.items() if judge.only is None])
def test_judge_is_called_as_its_exercise(name):
    assert name == f"test_{EXERCISES[name].name}"


def test_every_judge_has_an_exercise_in_the_chapter_and_the_other_way_round():
    in_chapter = {entry.test_name for entry in load_catalog().section("1.1").exercises if entry.reference}
    assert in_chapter == {name for name, judge in EXERCISES.items() if judge.only is None}


def test_parts_cover_cases_that_are_there():
    part = judges.test_layer_norm_epsilon
    from arena_lib.checking.evidence.expectations import cases_of

    assert 0 < len(cases_of(part)) < len(cases_of(judges.test_layer_norm))
