"""What a docstring shows is asked of a solution as well."""

import dataclasses

import pytest
import torch

from arena_lib.checking import run
from arena_lib.checking.evidence.examples import LABEL, examples_case, is_examples_case, observe_examples
from arena_lib.checking.evidence.expectations import cases_of

SHOWS_DOUBLES = """Doubles.

>>> half_norm(4, 1), {"a": half_norm(6, 1)}
>>> import math
>>> half_norm(math.inf, 1)
>>> half_norm("a", 1)
Traceback (most recent call last):
TypeError: no string
>>> object()
"""


@pytest.fixture
def shown(toy, monkeypatch):
    monkeypatch.setattr(toy.half_norm, "__doc__", SHOWS_DOUBLES)
    return dataclasses.replace(toy.test_half_norm, reference=toy.half_norm)


def test_examples_are_evaluated_with_the_learners_object(toy, shown):
    seen = observe_examples(lambda x, weight: 2 * x, examples_case(toy.half_norm))
    assert list(seen.values()) == [[8, {"a": 12}], float("inf"), "object"]


def test_keywords_of_an_example_come_by_position(toy, monkeypatch):
    monkeypatch.setattr(toy.half_norm, "__doc__", "Halves.\n\n>>> half_norm(4, weight=3)")
    seen = observe_examples(lambda vector, w: vector * w, examples_case(toy.half_norm))
    assert list(seen.values()) == [12]


@pytest.mark.parametrize(
    ("example", "wrong", "note"),
    [
        (
            "round(scale(4.0, 1), 2)",
            torch.tensor,
            "scale should return a float: got a float32 tensor of shape (). `.item()` takes the number out of a tensor.",
        ),
        (
            "scale(4, 1) + 1",
            lambda x: None,
            "scale should return an int: got None. Is there a `return` on every path?",
        ),
        ("scale(4, 1) / 0 if scale(4, 1) == 0 else 2", lambda x: 0, None),
    ],
)
def test_an_example_that_stops_says_its_line_and_what_was_returned(toy, monkeypatch, example, wrong, note):
    monkeypatch.setattr(toy.scale, "__doc__", f"Scales.\n\n>>> 0\n0\n>>> {example}")
    test = dataclasses.replace(toy.test_half_norm, reference=toy.scale, mistakes=(), cases=lambda generator: [])
    result = run(test, lambda x, weight: wrong(x))
    assert result.stop.line == f"1 of {LABEL}: {example}"
    assert result.notes == ((note,) if note else ())


def test_without_examples_there_is_no_case(toy):
    assert examples_case(toy.scale) is None
    assert not any(is_examples_case(case) for case in cases_of(toy.test_half_norm))
    assert not any(is_examples_case(case) for case in cases_of(toy.test_half_norm.part("one")))


def test_a_solution_that_breaks_an_example_fails_with_it(toy, monkeypatch):
    def doubled(x, weight):
        return 2 * x * weight

    monkeypatch.setattr(
        toy.half_norm, "__doc__", "Halves.\n\n>>> half_norm(3, 2) if False else 6\n>>> scale(half_norm.__name__, 2)"
    )
    test = dataclasses.replace(toy.test_half_norm, reference=toy.half_norm)
    result = run(test, toy.half_norm_in_one_line)
    assert result.status == "failed"
    assert result.mismatch is not None
    assert result.mismatch.observation == "scale(half_norm.__name__, 2)"
    assert result.call == LABEL
    assert run(test, toy.half_norm).status == "passed"
