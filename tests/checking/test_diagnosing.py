"""A mistake is named only where it shows, in every case, exactly what the learner's object shows."""

import dataclasses

import pytest
import torch

from arena_lib.checking.cases import Case
from arena_lib.checking.comparison.comparing import Raised, Tolerance
from arena_lib.checking.diagnosing import diagnose, observe_or_raised, raised, same_observations
from arena_lib.checking.mistakes import Mistake
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import CHANGED
from arena_lib.checking.running import cases_of


def observe(test, obj):
    cases = cases_of(test)
    return cases, [observe_or_raised(test, obj, case) for case in cases]


def fails(error):
    def fail(*_):
        raise error

    return fail


def test_the_mistake_that_shows_the_same_is_found(toy):
    test = toy.test_half_norm
    for mistake in test.mistakes:
        assert diagnose(test, *observe(test, mistake.build(test.reference))) is mistake


def test_what_no_mistake_shows_has_no_name(toy):
    test = toy.test_half_norm
    assert diagnose(test, *observe(test, test.reference)) is None
    assert diagnose(test, *observe(test, lambda x, weight: x)) is None


def test_every_case_must_agree(toy):
    """The wrong version is wrong in the first case only: a mistake that is wrong in both isn't it."""
    test = toy.test_half_norm
    wrong = test.mistakes[0].build(test.reference)
    for at in (0, 1):
        cases, seen = observe(test, wrong)
        seen[at] = observe_or_raised(test, test.reference, cases[at])
        assert diagnose(test, cases, seen) is None


def test_of_two_that_show_the_same_the_first_is_named(toy):
    twins = [Mistake(name, function=lambda x, weight: x * 5) for name in ("one", "two")]
    test = dataclasses.replace(toy.test_half_norm, mistakes=twins)
    assert diagnose(test, *observe(test, lambda x, weight: 5 * x)).name == "one"


def test_an_exception_is_seen_with_its_kind_and_text(toy):
    case = Case(label="any")
    assert observe_or_raised(toy.test_half_norm, fails(KeyError("k")), case) == {"raised": Raised("KeyError", "'k'")}
    assert raised(OverflowError("far")) == {"raised": Raised("OverflowError", "far")}


@pytest.mark.parametrize("error", [Unfit("no"), KeyboardInterrupt(), SystemExit()])
def test_what_is_no_behaviour_of_the_object_goes_on(toy, error):
    with pytest.raises(type(error)):
        observe_or_raised(toy.test_half_norm, fails(error), Case(label="any"))


def test_a_mistake_that_raises_is_named_where_the_learners_code_raises_so(toy):
    breaks = Mistake("breaks", function=fails(ValueError("too few")))
    test = dataclasses.replace(toy.test_half_norm, mistakes=[breaks])
    assert diagnose(test, *observe(test, fails(ValueError("too few")))) is breaks
    assert diagnose(test, *observe(test, fails(IndexError("too few")))) is None


def same(test, expected, actual):
    return same_observations(test, {"output": expected, CHANGED: []}, {"output": actual, CHANGED: []})


def test_observations_agree_within_the_tolerance(toy):
    one, near, far = (torch.tensor([value]) for value in (1.0, 1.0 + 1e-7, 1.01))
    assert same(toy.test_half_norm, one, near)
    assert not same(toy.test_half_norm, one, far)
    loose = dataclasses.replace(toy.test_half_norm, tolerance={"output": Tolerance(rtol=0.0, atol=0.02)})
    assert same(loose, one, far)
    elsewhere = dataclasses.replace(toy.test_half_norm, tolerance={"gradient of x": Tolerance(rtol=0.0, atol=0.02)})
    assert not same(elsewhere, one, far)


def test_the_same_things_must_have_been_observed(toy):
    assert same_observations(toy.test_half_norm, {"output": 1}, {"output": 1})
    assert not same_observations(toy.test_half_norm, {"output": 1}, {"output": 1, "more": 2})
    assert not same_observations(toy.test_half_norm, {"output": 1, "more": 2}, {"output": 1})
    assert not same_observations(toy.test_half_norm, {"output": 1, "more": 2}, {"output": 1, "more": 3})


def test_changed_arguments_count_unless_they_may_change(toy):
    before, after = {"output": 1, CHANGED: []}, {"output": 1, CHANGED: ["x"]}
    assert not same_observations(toy.test_half_norm, before, after)
    lenient = dataclasses.replace(toy.test_half_norm, may_change_arguments=True)
    assert same_observations(lenient, before, after)
    assert same_observations(lenient, {"output": 1}, after)
