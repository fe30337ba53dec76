import pytest

from arena_lib.plots.style import DASHES, MARKERS, SEQUENCE, escape, token_labels, token_text


@pytest.mark.parametrize(
    ("token", "text"), [(" a\n", "␣a⏎"), ("\t", "⇥"), ("", "(empty)"), ("<b>&", "&lt;b&gt;&amp;"), ("a b", "a␣b")]
)
def test_token_text_makes_blanks_visible_and_escapes(token, text):
    assert token_text(token) == text


def test_labels_are_short_and_unlike():
    labels = token_labels(["a", "a", "x" * 14, "x" * 15])
    assert labels == ["a 0", "a 1", "x" * 14 + " 2", "x" * 13 + "… 3"]


def test_escape():
    assert escape("<a> & b") == "&lt;a&gt; &amp; b"


def test_curves_stay_unlike_for_long():
    looks = {(SEQUENCE[i % len(SEQUENCE)], DASHES[i % len(DASHES)], MARKERS[i % len(MARKERS)]) for i in range(42)}
    assert len(looks) == 42
