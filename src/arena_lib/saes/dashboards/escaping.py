"""Any text as HTML that shows it and does nothing else.

Models' tokens hold whatever was in their training data: tags, quotes, control characters, characters that turn the
direction of writing round, halves of characters. All of it must be seen on a page, and none of it may act on the page.

Source:  WHATWG HTML, section 13.1.4 (character references); Unicode Standard Annex 9 (directional formatting characters).
"""

import html
import unicodedata

VISIBLE = {"\n": "⏎", "\t": "⇥"}
"""Signs for the most frequent characters that would only move the text; others show their number in Unicode."""
JOINERS = "\u200c\u200d"
"""Invisible, but words and emoji are written with them."""
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Unicode's categories of controls, formats, halves of characters, private and unassigned ones, line separators."""


def show_text(text: str) -> str:
    r"""The text as HTML, for an element or an attribute in quotes: what can't be seen is written as a sign or its number.

    >>> show_text('</script>"\n')
    '&lt;/script&gt;&quot;⏎'
    >>> show_text("a\x00b\u202ec")
    'a⟨0000⟩b⟨202E⟩c'
    """
    return html.escape("".join(map(_show_character, text)), quote=True)


def show_token(token: str) -> str:
    """A token by itself: its spaces are shown too, and nothing at all as such.

    >>> show_token(" the"), show_token("")
    ('␣the', '(empty)')
    """
    return show_text(token.replace(" ", "␣")) if token else "(empty)"


def _show_character(character: str) -> str:
    if character in VISIBLE:
        return VISIBLE[character]
    if character not in JOINERS and unicodedata.category(character) in UNSEEN:
        return f"⟨{ord(character):04X}⟩"
    return character
