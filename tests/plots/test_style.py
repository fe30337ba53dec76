import plotly.graph_objects as go
import pytest

from arena_lib.plots.style import DASHES, MARKERS, SEQUENCE, escape, finish, token_labels, token_text


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


def test_a_title_wider_than_its_figure_goes_on_in_another_line_and_gets_room():
    short = finish(go.Figure(), "Short <b>", width=560, height=300).layout
    assert short.title.text == "Short &lt;b&gt;"
    title = "What the model expects after a story in which Tina & Jack went to the garden and one gave the lamp to"
    long = finish(go.Figure(), title, width=560, height=300).layout
    lines = long.title.text.split("<br>")
    assert len(lines) == 2
    assert " ".join(lines).replace("&amp;", "&") == title
    assert long.height - short.height == long.margin.t - short.margin.t > 0
