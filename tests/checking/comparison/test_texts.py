import pytest

from arena_lib.checking.comparison.texts import clean, coordinate, quote, shape_text, thing


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


@pytest.mark.parametrize(
    ("axis", "word"),
    [
        ("n_layers", "layer"), ("n_heads", "head"), ("n_kv_heads", "kv head"), ("n_comp", "component"),
        ("n_classes", "class"), ("d_vocab", "token"), ("seq", "position"), ("component", "component"),
        ("d_model", None), ("batch", None), ("seq_k", None), ("axis 1", None), ("seq-1", None), ("n_", None),
    ],
)  # fmt: skip
def test_an_axis_counts_things_unless_it_is_a_width_or_only_a_number(axis, word):
    assert thing(axis) == word
    assert coordinate(axis, 3) == (f"{word} 3" if word else f"{axis} = 3")
