"""Figures as files: HTML that opens without a network, or PNG where a browser can be found.

Raises:  ArenaError if an image cannot be made, because kaleido or a browser is missing.
"""

import html
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go

from arena_lib.errors import ArenaError

OTHERWISE = "or write HTML with save_html, which needs neither."


def save_html(figures: go.Figure | str | Sequence[go.Figure | str], path: str | Path, *, title: str = "") -> Path:
    """Writes figures, and pieces of HTML between them, to one page with plotly's script inside (about 5 MB)."""
    parts = [figures] if isinstance(figures, go.Figure | str) else list(figures)
    body, has_script = [], False
    for part in parts:
        if isinstance(part, str):
            body.append(part)
            continue
        body.append(part.to_html(full_html=False, include_plotlyjs=not has_script))
        has_script = True
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{html.escape(title or "Figures")}</title>'
        f'</head><body style="font-family:sans-serif">\n{"".join(body)}\n</body></html>\n'
    )
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    return target


def to_png(figure: go.Figure, path: str | Path, *, scale: float = 2.0) -> Path:
    """Writes the figure as an image; needs kaleido, and a Chrome or Chromium on this machine."""
    if importlib.util.find_spec("kaleido") is None:
        raise ArenaError(f"A PNG needs the package kaleido: it is not installed. Run pip install kaleido, {OTHERWISE}")
    try:
        image = figure.to_image(format="png", scale=scale)
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ArenaError(f"A PNG needs Chrome or Chromium: got {reason!r}. Install one, {OTHERWISE}") from error
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(image)
    return target
