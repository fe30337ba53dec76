"""Tokens with a number each, as HTML: the number sets the shade, and stands below the token.

Shapes:  values "seq", as many as the tokens.
Raises:  ShapeError if they are not as many.
"""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import token_text

_SPAN = "display:inline-block;text-align:center;padding:1px 4px;margin:1px;border:1px solid #ccc"
DARK = 110
"""Luminance (0 to 255) of a background below which its text is white."""
_POSITIVE, _NEGATIVE = (230, 97, 1), (33, 102, 172)


def coloured_text(tokens: Sequence[str], values: Any, *, title: str = "", digits: int = 2) -> str:
    """HTML to display: each token on a shade of its value (orange above zero, blue below), the number under it.

    >>> coloured_text(["a"], [0.5]).count("0.50")
    2
    """
    numbers = with_axes(values, "seq")
    if len(numbers) != len(tokens):
        raise ShapeError(
            f"values must be as many as the tokens: got {len(numbers)} for {len(tokens)}. Pass one for each."
        )
    finite = np.abs(numbers[np.isfinite(numbers)])
    top = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    head = f"<div><b>{html.escape(title)}</b></div>" if title else ""
    spans = "".join(_span(token, float(value), top, digits) for token, value in zip(tokens, numbers, strict=True))
    return f'<div style="font-family:ui-monospace,Menlo,Consolas,monospace;line-height:1.2">{head}{spans}</div>'


def _span(token: str, value: float, top: float, digits: int) -> str:
    share = min(abs(value) / top, 1.0) if np.isfinite(value) else 0.0
    target = _POSITIVE if value > 0 else _NEGATIVE
    red, green, blue = (round(255 - share * (255 - channel)) for channel in target)
    ink = "#000" if 0.299 * red + 0.587 * green + 0.114 * blue > DARK else "#fff"
    written = f"{value:.{digits}f}"
    style = f"{_SPAN};background:rgb({red},{green},{blue});color:{ink}"
    small = f'<br><span style="font-size:9px">{written}</span>'
    return f'<span title="{written}" style="{style}">{token_text(token)}{small}</span>'
