"""A step of the demo is as expected only if all that it shows is."""

import dataclasses

import pytest

from arena_lib.checking import Mistake
from arena_lib.checking.results import Diagnosis, Result
from arena_lib.checking.running import Outcome
from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.demo import Step

PLUS = "7.2/plus"


def result(status, **values):
    return Result(exercise=PLUS, status=status, **values)


@pytest.fixture
def step(course):
    return Step(
        entry=load_catalog([course], strict=True).exercise(PLUS),
        stub=result("not_started"),
        mistake=Mistake("subtracts", "a + b", "a - b"),
        wrong=Outcome(result=result("failed", diagnosis=Diagnosis(mistake="subtracts", why="a sum adds"))),
        solution=result("passed"),
    )


def with_wrong(status, mistake):
    diagnosis = None if mistake is None else Diagnosis(mistake=mistake, why="")
    return {"wrong": Outcome(result=result(status, diagnosis=diagnosis))}


@pytest.mark.parametrize("status", ["failed", "error"])
def test_a_step_in_which_all_went_well_has_no_problem(step, status):
    step = dataclasses.replace(step, **with_wrong(status, "subtracts"))
    assert step.is_as_expected
    assert step.problem == ""


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ({"stub": result("failed")}, "failed, failed (named: subtracts) and passed"),
        (with_wrong("passed", "subtracts"), "not_started, passed (named: subtracts) and passed"),
        (with_wrong("failed", None), "not_started, failed (named: nothing) and passed"),
        (with_wrong("failed", "doubles"), "not_started, failed (named: doubles) and passed"),
        ({"solution": result("error")}, "not_started, failed (named: subtracts) and error"),
        ({"solution": result("passed", is_reference=True)}, "not_started, failed (named: subtracts) and passed"),
    ],
    ids=["stub", "accepted", "unnamed", "misnamed", "unsolved", "reference"],
)
def test_whatever_went_otherwise_is_said(step, change, got):
    step = dataclasses.replace(step, **change)
    assert not step.is_as_expected
    assert step.problem == (
        "7.2/plus: the stub must be not_started, the mistake 'subtracts' rejected and named, and the solution must "
        f"pass: got {got}. Run `arena verify 7.2/plus` to see why."
    )
