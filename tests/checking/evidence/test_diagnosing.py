"""A mistake is named only where it shows, in every case, exactly what the learner's object shows."""

import dataclasses

import numpy as np
import pytest
import torch

from arena_lib.checking import exercise, run
from arena_lib.checking.cases import Case
from arena_lib.checking.comparison.comparing import Raised
from arena_lib.checking.evidence.diagnosing import _forms, diagnose
from arena_lib.checking.evidence.expectations import cases_of, observe_or_raised, raised
from arena_lib.checking.evidence.sightings import Sighting
from arena_lib.checking.mistakes import Mistake, build_both_alone, stops_with
from arena_lib.checking.modules import Unfit


def observe(test, obj):
    return [observe_or_raised(test, obj, case, i) for i, case in enumerate(cases_of(test))]


def name_of(test, seen):
    diagnosis = diagnose(Sighting(test=test, seen=seen))
    return diagnosis.mistake if diagnosis else None


def fails(error):
    def fail(*_):
        raise error

    return fail


def test_the_mistake_that_shows_the_same_is_found(toy):
    test = toy.test_half_norm
    for mistake in test.mistakes:
        assert name_of(test, observe(test, mistake.build(test.reference))) == mistake.name


def test_looking_through_known_mistakes_makes_no_cases(toy):
    """Making them took more than half of the time in which a section with models in its cases was proved."""
    n_made = 0

    def counted(generator):
        nonlocal n_made
        n_made += 1
        return toy.half_norm_cases(generator)

    test = dataclasses.replace(toy.test_half_norm, cases=counted)
    seen = observe(test, test.mistakes[-1].build(test.reference))
    first = name_of(test, seen)
    n_made = 0
    assert name_of(test, seen) == first == test.mistakes[-1].name
    assert n_made == 0


def test_what_no_mistake_shows_has_no_name(toy):
    test = toy.test_half_norm
    assert name_of(test, observe(test, test.reference)) is None
    assert name_of(test, observe(test, lambda x, weight: x)) is None


def test_every_case_must_agree(toy):
    """The wrong version is wrong in the first case only: a mistake that is wrong in both isn't it."""
    test = toy.test_half_norm
    wrong = test.mistakes[0].build(test.reference)
    for at in (0, 1):
        seen = observe(test, wrong)
        seen[at] = observe_or_raised(test, test.reference, cases_of(test)[at], at)
        assert name_of(test, seen) is None


def test_of_two_that_show_the_same_the_first_is_named(toy):
    twins = [Mistake(name, function=lambda x, weight: x * 5) for name in ("one", "two")]
    test = dataclasses.replace(toy.test_half_norm, mistakes=twins)
    assert name_of(test, observe(test, lambda x, weight: 5 * x)) == "one"


def test_an_exception_is_seen_with_its_kind_and_text(toy):
    case = Case(label="any")
    assert observe_or_raised(toy.test_half_norm, fails(KeyError("k")), case, 0) == {"raised": Raised("KeyError", "'k'")}
    assert raised(OverflowError("far")) == {"raised": Raised("OverflowError", "far")}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_what_is_no_behaviour_of_the_object_goes_on(toy, error):
    with pytest.raises(type(error)):
        observe_or_raised(toy.test_half_norm, fails(error), Case(label="any"), 0)


def test_a_mistake_that_cannot_be_observed_is_named_where_the_learners_object_cannot(toy):
    test = dataclasses.replace(
        toy.test_half_norm,
        mistakes=[
            Mistake("returns a list", function=fails(Unfit("Return a tensor: got a list."))),
            Mistake("triples", function=lambda x, weight: 3 * x),
        ],
    )
    result = run(test, fails(Unfit("Return a tensor: got a list.")))
    assert result.diagnosis is not None
    assert result.diagnosis.mistake == "returns a list"
    assert "Return a tensor: got a list." in result.message
    assert run(test, fails(Unfit("Return a tensor: got a string."))).diagnosis is None
    assert name_of(test, observe(test, lambda x, weight: 3 * x)) == "triples"


def test_a_mistake_that_raises_is_named_where_the_learners_code_raises_so(toy):
    breaks = Mistake("breaks", function=fails(ValueError("too few")))
    test = dataclasses.replace(toy.test_half_norm, mistakes=[breaks])
    assert name_of(test, observe(test, fails(ValueError("too few")))) == "breaks"
    assert name_of(test, observe(test, fails(IndexError("too few")))) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Sizes of tensors must match except in dimension 0. Expected 3", "adds sizes"),
        ("The size of tensor a (3) must match", None),
    ],
)
def test_an_exception_of_the_same_kind_that_says_something_else_is_another_mistake(toy, text, name):
    error = RuntimeError("Sizes of tensors must match except in dimension 1. Expected 2")
    test = dataclasses.replace(toy.test_half_norm, mistakes=[Mistake("adds sizes", function=fails(error))])
    assert name_of(test, observe(test, fails(RuntimeError(text)))) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The size of tensor a (7) must match the size of tensor b (4) at non-singleton dimension 2", "drops an axis"),
        ("The size of tensor a (4) must match the size of tensor b (7) at non-singleton dimension 2", "drops an axis"),
        ("The size of tensor a (2) must match the size of tensor b (3) at non-singleton dimension 0", None),
    ],
)
def test_sizes_that_do_not_fit_are_told_apart_by_the_sizes(toy, text, name):
    error = RuntimeError("The size of tensor a (7) must match the size of tensor b (4) at non-singleton dimension 2")
    test = dataclasses.replace(toy.test_half_norm, mistakes=[Mistake("drops an axis", function=fails(error))])
    assert name_of(test, observe(test, fails(RuntimeError(text)))) == name


def test_a_mistake_may_be_recognised_by_what_it_raises_in_some_case(toy):
    mistake = Mistake("breaks", function=fails(ValueError("it is too small")), shows=stops_with("too small"))
    test = dataclasses.replace(toy.test_half_norm, mistakes=[mistake])

    def breaks_for_one_row(x, weight):
        if len(x) == 1:
            raise ValueError("1 is too small")
        return toy.half_norm(x, weight)

    assert name_of(test, observe(test, breaks_for_one_row)) == "breaks"
    assert name_of(test, observe(test, lambda x, weight: x)) is None


def test_a_single_mistake_is_named_before_a_pair_that_shows_the_same(toy):
    both = Mistake("does both", function=lambda x, weight: x * weight + x)
    test = toy.test_half_norm
    assert name_of(test, observe(test, both.function)) == "does not halve; and it lets the gradient through"
    test = dataclasses.replace(test, mistakes=[*test.mistakes, both])
    assert name_of(test, observe(test, both.function)) == "does both"


def test_two_mistakes_at_once_are_both_named(toy):
    result = name_of(toy.test_half_norm, observe(toy.test_half_norm, lambda x, weight: x * weight + x))
    assert result == "does not halve; and it lets the gradient through"


def test_two_mistakes_of_one_name_are_named_once(toy):
    thirds = Mistake("scales wrongly", "/ 2", "/ 3", why="the formula has a half")
    adds = Mistake("scales wrongly", "x * weight", "x + weight", why="the formula has a half", within="scale")
    test = dataclasses.replace(toy.test_half_norm, mistakes=[thirds, adds])
    seen = observe(test, lambda x, weight: (x + weight) / 3 + x.detach())
    diagnosis = diagnose(Sighting(test=test, seen=seen))
    assert (diagnosis.mistake, diagnosis.why) == ("scales wrongly", "the formula has a half")


def test_pairs_that_can_have_the_shape_that_was_seen_are_tried_first(toy, monkeypatch):
    built = []

    def build(*args):
        built.append(args)
        return build_both_alone(*args)

    monkeypatch.setattr("arena_lib.checking.evidence.diagnosing.build_both_alone", build)
    halves, keeps = Mistake("does not halve", "/ 2", "/ 1"), Mistake("keeps the gradient", "x.detach()", "x")
    axis = Mistake("adds an axis", "x * weight", "(x * weight)[None]", within="scale")
    test = dataclasses.replace(toy.test_half_norm, mistakes=[keeps, halves, axis])
    seen = observe(test, lambda x, weight: (x * weight)[None] + x.detach())
    assert name_of(test, seen) == "does not halve; and it adds an axis"
    assert {halves, keeps} not in [{first, second} for first, second, _ in built]


def test_arrays_are_told_apart_by_shape_and_type_and_never_written_out():
    """To write large arrays out took half a minute where a learner waited for a verdict."""

    class Unwritable(np.ndarray):
        def __repr__(self):
            raise AssertionError("written out")

    wide, other = (np.zeros((3, 4)).view(Unwritable) for _ in "ab")
    assert _forms({"output": wide}) == _forms({"output": other + 1})
    assert _forms({"output": wide}) != _forms({"output": wide.T})
    assert _forms({"output": wide}) != _forms({"output": wide.astype(int)})


def test_pairs_are_looked_for_within_their_time(toy, monkeypatch):
    monkeypatch.setattr("arena_lib.checking.evidence.diagnosing.SECONDS_FOR_PAIRS", -1.0)
    assert name_of(toy.test_half_norm, observe(toy.test_half_norm, lambda x, weight: x * weight + x)) is None


def rows_are_alike(seen):
    return bool((seen[0]["output"][0] == seen[0]["output"][1]).all())


def test_a_mistake_may_be_recognised_by_what_is_seen(toy):
    def noise(x, weight):
        return torch.randn(x.shape[1]).expand_as(x)

    draws = Mistake("draws one row", function=noise, shows=rows_are_alike)
    test = dataclasses.replace(toy.test_half_norm, mistakes=[draws])
    assert name_of(test, observe(test, lambda x, weight: torch.rand(x.shape[1]).expand_as(x))) == "draws one row"
    assert name_of(test, observe(test, lambda x, weight: torch.rand(x.shape))) is None


def test_what_cannot_be_asked_is_not_recognised(toy):
    draws = Mistake("draws one row", function=fails(KeyError("none")), shows=rows_are_alike)
    test = dataclasses.replace(toy.test_half_norm, mistakes=[draws])
    assert name_of(test, observe(test, fails(ValueError("no output")))) is None
    assert name_of(test, observe(test, lambda x, weight: None)) is None


def test_a_mistake_is_observed_once_in_a_process(toy):
    n_calls = 0

    def counts(x, weight):
        nonlocal n_calls
        n_calls += 1
        return x * 3

    test = dataclasses.replace(toy.test_half_norm, mistakes=[Mistake("triples", function=counts)])
    for _ in range(3):
        assert name_of(test, observe(test, lambda x, weight: 3 * x)) == "triples"
    assert n_calls == len(cases_of(test))


def test_an_exception_is_not_taken_for_two_mistakes_that_together_raise_it(toy):
    axis = Mistake("adds an axis", "x * weight", "(x * weight)[None]", within="scale")
    by_axes = Mistake("divides by axes", "/ 2", "/ [3][scaled.ndim - 2]")
    test = dataclasses.replace(toy.test_half_norm, mistakes=[axis, by_axes])
    assert name_of(test, observe(test, fails(IndexError("list index out of range")))) is None


def test_where_an_exception_is_asked_for_its_words_are_free(toy):
    def check(x):
        if x < 0:
            raise ValueError(f"x must be 0 or more: got {x}. Pass another.")
        return x * 2

    def cases(generator):
        return [Case(label="a number", args=(3,)), Case(label="below 0", args=(-1,), raises="ValueError")]

    def theirs(x):
        if x < 0:
            raise ValueError("no")
        return x * 3

    tripled = Mistake("triples", function=lambda x: check(x) * 3 // 2)
    plain = {"observe": lambda function, case: {"output": function(*case.args)}, "properties": (), "accepts": ()}
    test = dataclasses.replace(toy.test_half_norm, reference=check, cases=cases, mistakes=(tripled,), **plain)
    assert name_of(test, observe(test, theirs)) == "triples"


def spread(x, factor=2.0, *, offset=1.0):
    """How far each entry is from the mean."""
    return factor * (x - x.mean()) + offset


def spread_cases(generator):
    given = [(5, {}), (7, {"factor": 3.0}), (4, {"offset": -2.0})]
    return [Case(label=f"{n}", args=(torch.randn(n, generator=generator),), kwargs=kwargs) for n, kwargs in given]


@pytest.mark.parametrize(
    ("slip", "name"),
    [
        (lambda x, factor=2.0, *, offset=1.0: 2.0 * (x - x.mean()) + offset, "ignores factor"),
        (lambda x, factor=2.0, *, offset=1.0: 1.0 - factor * (x.mean() - x), "ignores offset"),
        (lambda x, factor=2.0, *, offset=1.0: 2.0 * (x - x.mean()) + 1.0, None),
        (lambda x, factor=2.0, *, offset=1.0: factor * (x - x.median()) + offset, None),
    ],
)
def test_an_ignored_parameter_is_named_though_no_mistake_is_declared(slip, name):
    test = exercise(reference=spread, cases=spread_cases)
    assert name_of(test, observe(test, slip)) == name
