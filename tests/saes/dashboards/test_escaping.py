"""Any text as HTML: it shows, and does nothing else."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.saes.dashboards.hostile import HOSTILE, Reading

from arena_lib.saes.dashboards.escaping import show_text, show_token


@given(st.text(alphabet=st.characters(codec=None, exclude_categories=())))
def test_what_a_browser_reads_is_the_text_with_signs_for_what_cant_be_seen(text):
    shown = show_text(text)
    shown.encode()  # no halves of characters
    reading = Reading(f'<p title="{shown}">{shown}</p>')
    assert reading.tags == ["p"]
    assert reading.attributes == [("title", reading.text)] or not text
    seen = [c for c in text if c.isprintable() and unicodedata.category(c) not in ("Co",)]
    kept = iter(reading.text)
    assert all(character in kept for character in seen)  # in order
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in reading.text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a<b", "a&lt;b"),
        ("\"'", "&quot;&#x27;"),
        ("&amp;", "&amp;amp;"),
        ("\x00\n\t\r\x7f", "⟨0000⟩⏎⇥⟨000D⟩⟨007F⟩"),
        ("\u202e\u2066\u200f\ufeff", "⟨202E⟩⟨2066⟩⟨200F⟩⟨FEFF⟩"),
        ("\ud800", "⟨D800⟩"),
        ("👩\u200d🔬", "👩\u200d🔬"),
        ("مرحبا", "مرحبا"),
    ],
)
def test_by_hand(text, shown):
    assert show_text(text) == shown


def test_a_tokens_spaces_are_seen():
    assert show_token("  a ") == "␣␣a␣"
    assert show_token("") == "(empty)"
    assert all(show_token(text) for text in HOSTILE)
