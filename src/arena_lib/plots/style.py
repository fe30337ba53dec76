"""What all figures share: colours that differ in lightness too, fonts, margins, labels for tokens.

Source:  Okabe and Ito 2008, "Color Universal Design" (the eight colours that most colour-blind readers tell apart).
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

SEQUENCE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
"""Okabe and Ito's colours, the darkest first; yellow is left out, for it fades on white."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "cross")
LIGHT_TO_DARK = [[0.0, "#ffffff"], [0.25, "#d6e6f4"], [0.5, "#89bedc"], [0.75, "#3787c0"], [1.0, "#08306b"]]
"""For values from zero up: lightness falls steadily, so it survives a grey printout."""
DIVERGING = [[0.0, "#2166ac"], [0.25, "#92c5de"], [0.5, "#ffffff"], [0.75, "#f4a582"], [1.0, "#b2182b"]]
"""For values of both signs, white at zero."""
TITLE_SIZE, TITLE_LETTER, TITLE_LINE = 16, 8.5, 21
"""Of a title in pixels: its letters' height, the width of a wide letter with its share of the margin, a line."""
MAX_LABEL = 14
"""Characters of a token shown on an axis."""


def finish(figure: go.Figure, title: str, *, width: int, height: int) -> go.Figure:
    """One look for every figure; a title that is wider than the figure goes on in another line."""
    lines = textwrap.wrap(title, int(width / TITLE_LETTER))
    more = TITLE_LINE * max(len(lines) - 1, 0)
    text = "<br>".join(map(escape, lines))
    figure.update_layout(
        template="plotly_white",
        title={"text": text, "x": 0.02, "xanchor": "left", "font": {"size": TITLE_SIZE}},
        font={"size": 12, "color": "#1a1a1a"},
        margin={"l": 60, "r": 30, "t": 60 + more if title else 30, "b": 50},
        width=width,
        height=height + more,
    )
    return figure


def add_references(figure: go.Figure, references: Mapping[str, float] | None) -> None:
    """Level lines, named in the legend: beside the line a name would lie on bars, markers or numbers."""
    for i, (name, height) in enumerate((references or {}).items()):
        line = {"color": "#555555", "dash": DASHES[(i + 2) % len(DASHES)], "width": 1.5}
        number = f"{height:.3g}" if abs(height) < 999.5 else f"{height:,.0f}"
        figure.add_hline(y=height, line=line, name=f"{escape(name)} {number}", showlegend=True)


def colorbar(quantity: str) -> dict[str, Any]:
    """A colour bar whose title runs along it (on top it would lie on a tick), a line away from the ticks."""
    return {"title": {"text": f"<br>{quantity}", "side": "right"}}


def escape(text: str) -> str:
    """Text that plotly shows as it is: it reads <b> and the like as markup.

    >>> escape("a <b> & c")
    'a &lt;b&gt; &amp; c'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def token_text(token: str) -> str:
    r"""A token with its spaces made visible, as it stands in hover texts and bars.

    >>> token_text(" cat\n")
    '␣cat⏎'
    """
    visible = token.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")
    return escape(visible) if visible else "(empty)"


def name_text(name: str) -> str:
    """A name as it is; a token that begins or ends with a space, with its spaces made visible.

    >>> name_text("best five"), name_text(" cat")
    ('best five', '␣cat')
    """
    return escape(name) if name and name == name.strip() else token_text(name)


def token_labels(tokens: Sequence[str]) -> list[str]:
    """One label for each position, short, and unlike all others because it carries its index."""
    return [f"{token_text(_shorten(token))} {i}" for i, token in enumerate(tokens)]


def _shorten(token: str) -> str:
    return token if len(token) <= MAX_LABEL else token[: MAX_LABEL - 1] + "…"
