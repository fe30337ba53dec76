"""What isn't written yet is asked for: a `return`, or another function."""

import pytest

from arena_lib.checking.evidence.unwritten import nothing_returned, unwritten_function, with_question


def test_none_in_an_observers_words_asks_for_a_return():
    assert with_question("must return a tensor: got NoneType.").endswith("Is there a `return` on every path?")
    assert with_question("must return a tensor: got str.") == "must return a tensor: got str."


def test_an_error_of_the_learners_own_code_asks_for_no_return(toy):
    with pytest.raises(TypeError) as caught:
        None + 1
    assert nothing_returned(toy.test_half_norm, caught.value) == []


def needed():
    raise NotImplementedError


def needs_another():
    return needed()


class Part:
    def __init__(self):
        raise NotImplementedError


class Whole:
    def __init__(self, attribute):
        self.own() if attribute == "own" else Part()

    def own(self):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("candidate", "arguments", "name"),
    [
        (needed, (), ""),
        (needs_another, (), "needed"),
        (Part, (), ""),
        (Whole, ("own",), ""),
        (Whole, ("another",), "Part.__init__"),
    ],
)
def test_another_function_that_is_not_written_is_named(candidate, arguments, name):
    with pytest.raises(NotImplementedError) as caught:
        candidate(*arguments)
    assert unwritten_function(candidate, caught.value) == name
