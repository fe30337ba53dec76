import pytest

from arena_lib.wording import counted


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 axes"), (1, "1 axis"), (1.0, "1 axis"), (0.5, "0.5 axes"), (2, "2 axes"), (12345, "12,345 axes")],
)
def test_a_noun_is_singular_for_one_thing_only(number, text):
    assert counted(number, "axis", "axes") == text


def test_the_plural_is_the_noun_with_an_s_where_none_is_given():
    assert (counted(1, "hour"), counted(3, "hour")) == ("1 hour", "3 hours")
