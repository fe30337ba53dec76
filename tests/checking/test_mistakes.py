import inspect

import pytest
import torch

from arena_lib.checking.mistakes import Mistake, build_both, build_both_alone, instead_of, substitute
from arena_lib.errors import AuthoringError

SOURCE = '''
def other(x):
    return x + 1


@decorate(x + 1)
def wanted(x):
    """Adds: x + 1."""
    return x + 1


class Holder:
    def wanted(self, x):
        return x + 1
'''


def test_substitution_stays_inside_the_definition_and_outside_its_docstring():
    changed = substitute(SOURCE, "wanted", "return x + 1", "return x - 1")
    assert changed.count("x - 1") == 1
    assert changed.index("x - 1") > changed.index('"""Adds: x + 1."""')
    assert changed.replace("x - 1", "x + 1") == SOURCE


def test_substitution_finds_a_method_by_its_qualified_name():
    changed = substitute(SOURCE, "Holder.wanted", "x + 1", "x - 1")
    assert changed.rstrip().endswith("return x - 1")
    assert changed.count("x - 1") == 1


def test_substitution_reaches_decorators():
    changed = substitute(SOURCE, "wanted", "@decorate(x + 1)", "@decorate(x)")
    assert changed == SOURCE.replace("@decorate(x + 1)", "@decorate(x)")


def test_substitution_of_text_only_in_the_docstring_is_refused():
    with pytest.raises(AuthoringError, match=r"'Adds' was found 0 times"):
        substitute(SOURCE, "wanted", "Adds", "Takes")


def test_ambiguous_substitution_is_refused():
    with pytest.raises(AuthoringError, match=r"'x' was found 2 times"):
        substitute("def f(a):\n    y = x\n    return x", "f", "x", "y")


def test_empty_substitution_is_refused():
    with pytest.raises(AuthoringError, match="found 0 times"):
        substitute(SOURCE, "wanted", "", "y")


def test_unknown_definition_is_refused():
    with pytest.raises(AuthoringError, match="no 'missing'"):
        substitute(SOURCE, "missing", "x", "y")


def test_mistake_in_a_helper_is_seen_by_the_reference(toy):
    wrong = Mistake("adds", "x * weight", "x + weight", within="scale").build(toy.half_norm)
    x, weight = torch.tensor([[1.0, 2.0]]), torch.tensor([3.0, 5.0])
    torch.testing.assert_close(wrong(x, weight), (x + weight) / 2 + x)
    torch.testing.assert_close(toy.half_norm(x, weight), x * weight / 2 + x)


def test_mistake_may_be_given_as_a_function(toy):
    assert Mistake("whole", function=toy.scale).build(toy.half_norm) is toy.scale


def test_the_source_of_a_mistake_can_be_read_back(toy):
    wrong = Mistake("adds", "x * weight", "x + weight", within="scale").build(toy.half_norm)
    assert "x + weight" in inspect.getsource(wrong.__globals__["scale"])
    assert "x * weight" in inspect.getsource(toy.scale)


def test_mistakes_that_share_a_place_are_written_once(toy):
    wrong = {"/ 1": ("does not halve", "the formula has a half"), "/ 3": ("takes a third", "it is a half")}
    grouped = instead_of("/ 2", wrong)
    assert grouped == (
        Mistake("does not halve", "/ 2", "/ 1", why="the formula has a half"),
        Mistake("takes a third", "/ 2", "/ 3", why="it is a half"),
    )
    assert instead_of("x * weight", {"x": ("?", "?")}, within="scale")[0].within == "scale"


@pytest.mark.parametrize("build", [build_both, build_both_alone])
def test_two_substitutions_are_made_at_once(toy, build):
    halves, _, adds = toy.test_half_norm.mistakes
    wrong = build(halves, adds, toy.half_norm)
    assert wrong(torch.tensor(3.0), torch.tensor(5.0)) == (3 + 5) / 1 + 3
    with pytest.raises(AuthoringError, match="must not overlap"):
        build(halves, halves, toy.half_norm)


def test_a_first_look_at_two_mistakes_executes_no_other_definition(toy):
    halves, _, _ = toy.test_half_norm.mistakes
    shifts = Mistake("shifts", "scale(x, weight)", "scale(x, weight) + 1")
    alone, whole = (build(halves, shifts, toy.half_norm) for build in (build_both_alone, build_both))
    x, weight = torch.tensor(3.0), torch.tensor(5.0)
    assert alone(x, weight) == whole(x, weight) == 15 + 1 + 3
    assert alone.__globals__["scale"] is toy.scale
    assert whole.__globals__["scale"] is not toy.scale
    with pytest.raises(AuthoringError, match="must not overlap"):
        build_both_alone(halves, halves, toy.half_norm)


def test_two_substitutions_whose_texts_overlap_in_part_are_refused(toy):
    before = Mistake("doubles", "x * weight", "2 * x", within="scale")
    after = Mistake("adds", "return x *", "return x +", within="scale")
    with pytest.raises(AuthoringError, match="must not overlap"):
        build_both(before, after, toy.half_norm)


def test_the_second_substitution_is_made_in_the_reference_not_in_the_first(toy):
    halves, shifts = Mistake("does not halve", "/ 2", "/ 1"), Mistake("halves x", "x.detach()", "x / 2")
    assert build_both(shifts, halves, toy.half_norm)(torch.tensor(3.0), torch.tensor(5.0)) == 3 * 5 + 3 / 2


def test_words_that_are_no_pair_are_refused(as_an_author):
    with pytest.raises(AuthoringError, match=r"instead_of takes \(name, why\)"):
        instead_of("/ 2", {"/ 1": "does not halve"})


def test_the_third_word_is_what_a_mistake_raises():
    plain, raising = instead_of("x", {"y": ("reads y", "it is x"), "z": ("reads z", "it is x", "NameError")})
    assert (plain.raises, raising.raises) == ("", "NameError")


def test_new_text_that_is_not_python_is_shown_as_it_would_stand(toy):
    broken = Mistake("halves", "scaled / 2", "scaled / / 2", why="?")
    with pytest.raises(AuthoringError) as caught:
        broken.build(toy.half_norm)
    assert str(caught.value) == (
        "toy_exercises.py must still be Python with the substitution: got invalid syntax, where it says "
        "'return scaled / / 2 + x.detach()'. Fix the new text."
    )


def test_a_mistake_is_a_substitution_or_a_function():
    with pytest.raises(AuthoringError, match="the mistake 'adds 2' must be a substitution or a function: got both"):
        Mistake("adds 2", "x + 1", "x + 2", function=lambda x: x + 2)
