import pytest

from arena_lib.checking.comparison.texts import clean, quote, shape_text


def test_shape_text_drops_names_that_do_not_fit():
    assert shape_text((2, 3), ("batch", "seq")) == "(batch 2, seq 3)"
    assert shape_text((2, 3), ("batch",)) == "(2, 3)"
    assert shape_text((2,), ("batch",)) == "(batch 2)"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\x1b[31mb", "a [31mb"),
        (" a \t\n b ", "a b"),
        ("x" * 100, "x" * 77 + "..."),
        ("x" * 80, "x" * 80),
        ("é✓", "é✓"),
    ],
)
def test_clean(text, cleaned):
    assert clean(text) == cleaned


def test_quote_escapes():
    assert quote("\x00'") == '"\\x00\'"'
    assert quote("abcdef", 5) == "'ab'..."
