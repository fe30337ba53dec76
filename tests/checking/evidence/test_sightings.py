"""Whether two sets of observations agree, and in which case a learner's object first goes wrong."""

import dataclasses

import torch

from arena_lib.checking.comparison.comparing import Tolerance
from arena_lib.checking.evidence.expectations import cases_of, observe_or_raised
from arena_lib.checking.evidence.sightings import Sighting, first_wrong_case, reproduces, same_observations
from arena_lib.checking.observing import CHANGED


def sighting_of(test, *objects):
    """What is seen where each case is given an object of its own."""
    cases = cases_of(test)
    seen = [observe_or_raised(test, obj, case, i) for i, (obj, case) in enumerate(zip(objects, cases, strict=True))]
    return Sighting(test=test, seen=seen)


def negated(x, weight):
    return -(x * weight / 2 + x.detach())


def stops(x, weight):
    raise ValueError("no")


def test_the_first_case_that_is_wrong_and_can_be_compared(toy):
    test, right = toy.test_half_norm, toy.half_norm
    assert first_wrong_case(sighting_of(test, right, right)) is None
    assert first_wrong_case(sighting_of(test, right, negated)) == 1
    assert first_wrong_case(sighting_of(test, negated, negated)) == 0
    assert first_wrong_case(sighting_of(test, stops, negated)) is None


def test_a_version_reproduces_what_was_seen_only_in_every_case(toy):
    test = toy.test_half_norm
    assert reproduces(negated, sighting_of(test, negated, negated))
    assert not reproduces(negated, sighting_of(test, negated, toy.half_norm))


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
