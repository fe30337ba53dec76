"""Small grey pictures in rows, each with a caption.

Shapes:  images "n_images height width".
Raises:  ShapeError for other shapes, or another number of captions; ConfigError for no pictures.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import DIVERGING, escape, finish

SIDE, CAPTION = 84, 24
"""Pixels of a picture with the space beside it, and of its caption."""
LETTER = 6
"""Pixels of a caption's letter: where the longest caption needs more room than `SIDE`, all pictures are larger."""
INK = [[0.0, "#ffffff"], [1.0, "#000000"]]


def image_rows(
    images: Any, captions: Sequence[str] = (), *, n_columns: int = 10, is_signed: bool = False, title: str = ""
) -> go.Figure:
    """Pictures from white (0) to black (1); with `is_signed` from blue over white (0) to red, each up to its largest.

    >>> len(image_rows([[[0.0, 1.0]], [[1.0, 0.0]]], ["a", "b"]).data)
    2
    """
    pictures = with_axes(images, "n_images height width")
    if not len(pictures):
        raise ConfigError("image_rows needs at least one picture: got none.")
    if len(captions) not in (0, len(pictures)):
        raise ShapeError(f"every picture must have one caption: got {len(captions)} for {len(pictures)}.")
    n_columns = min(n_columns, len(pictures))
    n_rows = -(-len(pictures) // n_columns)
    figure = make_subplots(
        n_rows,
        n_columns,
        subplot_titles=[escape(caption) for caption in captions] or None,
        horizontal_spacing=0.12 / n_columns,
        vertical_spacing=(0.3 if captions else 0.1) / n_rows,
    )
    for i, picture in enumerate(pictures):
        limit = float(np.abs(picture).max()) or 1.0
        scale: dict[str, Any] = {"colorscale": INK, "zmin": 0, "zmax": 1}
        if is_signed:
            scale = {"colorscale": DIVERGING, "zmin": -limit, "zmax": limit}
        heat = go.Heatmap(z=picture, showscale=False, hovertemplate="%{z:.2f}<extra></extra>", **scale)
        figure.add_trace(heat, row=i // n_columns + 1, col=i % n_columns + 1)
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, autorange="reversed", scaleanchor="x", constrain="domain")
    for axis in range(1, len(pictures) + 1):
        figure.update_layout({f"yaxis{axis if axis > 1 else ''}": {"scaleanchor": f"x{axis if axis > 1 else ''}"}})
    figure.update_annotations(font={"size": 11})
    side = max(SIDE, LETTER * (2 + max(map(len, captions), default=0)))
    height = n_rows * (side + (CAPTION if captions else 0)) + 70
    return finish(figure, title, width=n_columns * side + 60, height=height)
