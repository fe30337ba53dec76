"""Slips in observers, properties and tolerances are said with the author's line."""

from dataclasses import replace

import pytest

from arena_lib.checking import Tolerance, verify
from arena_lib.checking.proofs.declaration_problems import observation_problems, shared_names, signature_problems


def without_case(function):
    return {}


def only_seen(seen):
    return None


def bare(function, case):
    return function(*case.args)


def answers_yes(seen, case):
    return True


def answers_no(seen, case):
    return False if case.label == "one row" else None


def at(function):
    return f"{__file__}:{function.__code__.co_firstlineno}: "


def test_a_sound_declaration_has_no_problem(toy):
    assert signature_problems(toy.test_half_norm) == observation_problems(toy.test_half_norm) == []
    assert signature_problems(replace(toy.test_half_norm, observe=lambda *args: {}, properties=(max,))) == []


@pytest.mark.parametrize(
    ("field", "function", "words"),
    [
        ("observe", without_case, "the observer without_case must take (object, case): got (function)."),
        ("properties", only_seen, "the property only_seen must take (seen, case): got (seen)."),
    ],
)
def test_what_cannot_be_called_with_what_it_gets_is_said(toy, field, function, words):
    test = replace(toy.test_half_norm, **{field: function if field == "observe" else (function,)})
    assert signature_problems(test) == [at(function) + words]
    assert list(verify(test).problems) == [at(function) + words]


def test_observations_without_names_are_said(toy):
    (problem,) = observation_problems(replace(toy.test_half_norm, observe=bare, properties=()))
    assert problem.startswith(
        at(bare) + "the observer bare must return a dictionary of named observations: got Tensor."
    )


def test_a_property_answers_with_none_or_a_text(toy):
    (no,) = observation_problems(replace(toy.test_half_norm, properties=(answers_no,)))
    assert no.startswith(at(answers_no) + "the property answers_no must return None where it holds")
    assert no.endswith("got False in the case 'one row'.")
    assert len(observation_problems(replace(toy.test_half_norm, properties=(answers_yes,)))) == 2


ROOM = Tolerance(rtol=0.1, atol=0.1)


@pytest.mark.parametrize(
    ("names", "misnamed"),
    [
        (["output"], []),
        (["outptu"], ["outptu"]),
        (["gradient of wieght"], ["gradient of wieght"]),
        (["output", "gradient of wieght"], ["gradient of wieght"]),
        (["output", "frequencies"], []),
        (["gradient of weight", "gradient of weights"], []),
    ],
)
def test_a_tolerance_of_nothing_observed_is_said_unless_it_is_shared_with_other_tests(toy, names, misnamed):
    problems = observation_problems(replace(toy.test_half_norm, tolerance=dict.fromkeys(names, ROOM)))
    assert [problem.partition("got ")[2].partition(". Observed are ['arg")[0] for problem in problems] == [
        repr(name) for name in misnamed
    ]


def test_what_raises_is_left_to_those_who_run_it(toy):
    def raises(*_):
        raise ValueError("no")

    assert observation_problems(replace(toy.test_half_norm, observe=raises, tolerance={})) == []
    assert observation_problems(replace(toy.test_half_norm, properties=(raises,))) == []


def test_two_mistakes_with_one_name_are_one_mistake_with_one_reason(toy):
    first, second, *others = toy.test_half_norm.mistakes
    same = replace(second, name=first.name, why=first.why)
    assert shared_names(replace(toy.test_half_norm, mistakes=(first, same, *others))) == []
    copied = replace(second, name=first.name)
    (problem,) = shared_names(replace(toy.test_half_norm, mistakes=(first, copied, *others)))
    assert f"{first.name!r} names mistakes with 2 different reasons. Rename one" in problem
    assert problem.startswith(f"{toy.__file__}:")
