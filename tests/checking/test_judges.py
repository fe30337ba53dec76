"""A judge called directly, as in a script or a notebook's cell."""

import pytest

from arena_lib.checking import Judge, also_called, exercise, instead_of
from arena_lib.checking.comparison.arrays import Tolerance
from arena_lib.errors import AuthoringError, CheckFailed


def right(x, weight):
    return 0.5 * weight * x + x.detach()


def wrong(x, weight):
    return x * weight + x.detach()


def test_a_pass_is_one_line_and_nothing_is_returned(toy, capsys):
    assert toy.test_half_norm(right) is None
    captured = capsys.readouterr()
    assert captured.out == "✓ toy_exercises/half_norm passed (7 checks)\n"
    assert captured.err == ""


def test_a_failure_raises_what_the_learner_reads_and_prints_nothing(toy, capsys):
    with pytest.raises(CheckFailed, match="does not halve") as caught:
        toy.test_half_norm(wrong)
    assert caught.value.result.diagnosis.mistake == "does not halve"
    assert capsys.readouterr() == ("", "")


def test_another_name_is_the_same_judge_and_no_second_one(toy, capsys):
    test_halve = also_called(toy.test_half_norm)
    assert not isinstance(test_halve, Judge)
    test_halve(right, "a cache", device="cpu")
    assert capsys.readouterr().out == "✓ toy_exercises/half_norm passed (7 checks)\n"
    with pytest.raises(CheckFailed, match="does not halve"):
        test_halve(wrong)


def test_further_positional_arguments_change_nothing(toy, capsys):
    toy.test_half_norm(right, wrong, "a cache", device="cpu")
    assert capsys.readouterr().out == "✓ toy_exercises/half_norm passed (7 checks)\n"
    with pytest.raises(CheckFailed):
        toy.test_half_norm(wrong, right)


def test_a_call_without_an_object_says_what_to_write(toy):
    with pytest.raises(CheckFailed) as caught:
        toy.test_half_norm()
    assert str(caught.value) == (
        "test_half_norm must be given your half_norm: got nothing. Write: tests.test_half_norm(half_norm)"
    )


def test_the_device_is_a_word_of_its_own(toy):
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        toy.test_half_norm(right, model="tiny-gpt")


def test_a_declaration_is_named_after_its_reference_and_lies_where_its_cases_do(toy):
    judge = toy.test_half_norm
    assert isinstance(judge, Judge)
    assert (judge.name, judge.module) == ("half_norm", "toy_exercises")
    assert toy.test_affine.name == "affine"


def test_a_declared_tolerance_is_what_counts(toy):
    wanted = {"output": Tolerance(rtol=0.0, atol=0.5)}
    judge = exercise(reference=toy.half_norm, cases=toy.half_norm_cases, tolerance=wanted)
    assert judge.tolerance == wanted


def test_mistakes_without_their_star_are_refused(toy, as_an_author):
    with pytest.raises(AuthoringError, match=r"got one of type tuple. Write Mistake\(...\), or \*instead_of\(...\)"):
        exercise(reference=toy.half_norm, cases=toy.half_norm_cases, mistakes=[instead_of("x", {"y": ("a", "b")})])
