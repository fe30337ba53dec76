"""Slips in cases are said with exercise, label and the author's line, whatever they would break later."""

from dataclasses import replace

import pytest
import torch

from arena_lib.checking import Case
from arena_lib.checking.proofs.case_problems import case_problems, exception_problems


def no_comma(generator):
    return [Case(label="a row", args=(torch.ones(2)))]


def one_too_many(generator):
    return [
        Case(label="a row", args=(torch.ones(2), torch.ones(2))),
        Case(label="a long row", args=(torch.ones(2), torch.ones(2), 3)),
    ]


def misnamed(generator):
    return [Case(label="a row", args=(torch.ones(2),), kwargs={"wieght": 1})]


def forgets_to_return(generator):
    [Case(label="a row", args=(torch.ones(2), torch.ones(2)))]


def returns_tuples(generator):
    return [("a row", torch.ones(2))]


def none_at_all(generator):
    return []


def without_arguments(generator):
    return [
        Case(label="a row", args=(torch.ones(2), torch.ones(2))),
        Case(label="nothing", given={"x": torch.ones(2)}),
    ]


def labelled_twice(generator):
    return [Case(label="a row", args=(torch.ones(n), torch.ones(n))) for n in (2, 3)]


def for_affine(generator):
    return [Case(label="a row", args=(torch.ones(2), 3))]


def one_is_text(raises):
    def make_cases(generator):
        ones = torch.ones(2)
        return [
            Case(label="a row", args=(ones, ones)),
            Case(label="a text", args=(ones, "0.8"), raises=raises),
        ]

    return make_cases


def of(toy, cases, test="test_half_norm"):
    return case_problems(replace(getattr(toy, test), cases=cases, module=__name__))


def at(function, offset):
    return f"{__file__}:{function.__code__.co_firstlineno + offset}: "


@pytest.mark.parametrize(
    ("cases", "offset", "problem"),
    [
        (no_comma, 1, "the case 'a row' must have a tuple of arguments: got args of type Tensor. Write args=(x,)"),
        (one_too_many, 3, "the case 'a long row' must fit half_norm(x, weight): got 3 by position and none by name"),
        (without_arguments, 3, "the case 'nothing' must fit half_norm(x, weight): got 0 by position and none by name"),
        (misnamed, 1, "the case 'a row' must fit half_norm(x, weight): got 1 by position and ['wieght'] by name"),
        (forgets_to_return, 0, "forgets_to_return must return a list of Case: got NoneType."),
        (returns_tuples, 0, "returns_tuples must return a list of Case: got tuple."),
        (
            labelled_twice,
            1,
            "cases must have different labels, by which a learner tells them apart: got 'a row' 2 times.",
        ),
        (none_at_all, 0, "none_at_all must make a case: got none."),
    ],
)
def test_a_slip_in_cases_is_said_where_it_is(toy, as_an_author, cases, offset, problem):
    (said,) = of(toy, cases)
    assert said.startswith(at(cases, offset) + problem)


def test_an_observer_may_take_its_arguments_from_elsewhere(toy):
    observed = replace(
        toy.test_half_norm,
        cases=without_arguments,
        module=__name__,
        observe=lambda function, case: {"output": function(torch.ones(2), torch.ones(2))},
    )
    assert case_problems(observed) == []


def test_a_modules_arguments_are_those_of_forward(toy):
    (said,) = of(toy, for_affine, "test_affine")
    assert "the case 'a row' must fit Affine(x): got 2 by position" in said
    assert case_problems(toy.test_affine) == case_problems(toy.test_half_norm) == []


def exceptions_of(toy, raises):
    return exception_problems(replace(toy.test_half_norm, cases=one_is_text(raises), module=__name__))


def test_an_exception_of_the_reference_must_be_declared_by_the_case(toy, as_an_author):
    (said,) = exceptions_of(toy, "")
    line = one_is_text("").__code__.co_firstlineno + 4
    assert said.startswith(
        f"{__file__}:{line}: in the case 'a text' the reference, or the observer that calls it, raises TypeError: "
    )
    assert ": is that meant? If a correct solution must raise it, add raises='TypeError' to the case; else fix" in said
    assert exceptions_of(toy, "TypeError") == []


def test_a_declared_exception_must_come(toy, as_an_author):
    (said,) = exceptions_of(toy, "ValueError")
    assert "must raise what the case declares: got TypeError: " in said
    assert said.endswith(". Drop raises='ValueError', or change the arguments.")
    first_raises = replace(one_is_text("TypeError")(None)[0], raises="KeyError")
    test = replace(toy.test_half_norm, cases=lambda generator: [first_raises])
    (said,) = exception_problems(test)
    assert "got no exception. Drop raises='KeyError'" in said


def test_one_label_for_two_calls_that_are_written_out_is_no_slip(toy):
    def cases(generator):
        return [Case(label="a row", args=(torch.ones(n), torch.ones(n)), call=f"ones({n})") for n in (2, 3)]

    assert case_problems(replace(toy.test_half_norm, cases=cases)) == []
