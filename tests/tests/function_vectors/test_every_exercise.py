"""Every judge of section 1.3.2 accepts what is right, and rejects and names every mistake."""

import importlib

import pytest
import torch

from arena_lib.checking import verify
from arena_lib.checking.exercises import Exercise
from arena_lib.checking.isolation import isolated
from arena_lib.course.content.catalog import load_catalog

judges = importlib.import_module("arena_lib.tests.function_vectors")
steering = importlib.import_module("arena_lib.tests.function_vectors.steering")
EXERCISES = {name: judge for name, judge in vars(judges).items() if isinstance(judge, Exercise)}


@pytest.mark.parametrize("name", [name for name, judge in EXERCISES.items() if judge.only is None])
def test_judge_holds(name):
    verification = verify(EXERCISES[name])
    assert verification.holds, "\n".join(verification.problems)


@pytest.mark.parametrize("name", [name for name, judge in EXERCISES.items() if judge.only is None])
def test_judge_is_called_as_its_exercise(name):
    assert name == f"test_{EXERCISES[name].name}"


def test_every_judge_has_an_exercise_in_the_chapter_and_the_other_way_round():
    in_chapter = {entry.test_name for entry in load_catalog().section("1.3.2").exercises if entry.reference}
    assert in_chapter == {name for name, judge in EXERCISES.items() if judge.only is None}


def test_draws_of_the_sharp_models_are_sure():
    reference = judges.test_calculate_and_apply_steering_vector.reference
    cases = steering.steering_cases(torch.Generator().manual_seed(0))
    for case in cases[:-1]:
        seen = []
        for seed in range(4):
            with isolated(seed):
                seen.append(steering.steered_texts(reference, case))
        assert all(other == seen[0] for other in seen), case.label
