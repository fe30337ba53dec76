"""A matrix as a heat map with named rows and columns: circuits between tokens, attributions, scores of pairs.

Shapes:  values "rows columns".
Raises:  ShapeError for other shapes, or names that are not as many.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import DIVERGING, LIGHT_TO_DARK, colorbar, finish, name_text

MAX_WRITTEN = 18
"""With at most this many rows and columns, every cell shows its number."""
MAX_NAMED = 60
"""With at most this many rows or columns, each has its name on the axis; all have it in the hover text."""
CELL, SMALLEST, LARGEST = 36, 300, 720
"""Pixels of one cell where numbers are written, and of the shortest and longest side."""


def matrix(
    values: Any,
    *,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    row_title: str = "row",
    column_title: str = "column",
    quantity: str = "value",
    title: str = "",
    digits: int = 2,
    limit: float | None = None,
    is_signed: bool = False,
) -> go.Figure:
    """A heat map, white at zero, two colours where values have both signs; small ones with their numbers.

    For figures that share a scale: the colours end at `limit` (without it at the largest value), and
    `is_signed` gives two colours also where no value is negative.

    >>> matrix([[0.5, -1.0]], rows=["a"], columns=["b", "c"]).data[0].zmin
    -1.0
    """
    array = with_axes(values, "rows columns")
    names = [_names(rows, array.shape[0], "rows"), _names(columns, array.shape[1], "columns")]
    finite = np.abs(array[np.isfinite(array)])
    top = limit or (float(finite.max()) if finite.size and finite.max() > 0 else 1.0)
    has_both_signs = is_signed or bool((array < 0).any())
    has_room = max(array.shape) <= MAX_WRITTEN
    figure = go.Figure(
        go.Heatmap(
            z=array,
            x=list(range(array.shape[1])),
            y=list(range(array.shape[0])),
            customdata=[[f"{row_title} {row}<br>{column_title} {column}" for column in names[1]] for row in names[0]],
            colorscale=DIVERGING if has_both_signs else LIGHT_TO_DARK,
            zmin=-top if has_both_signs else 0.0,
            zmax=top,
            texttemplate=f"%{{z:.{digits}f}}" if has_room else None,
            colorbar=colorbar(quantity),
            xgap=int(has_room),
            ygap=int(has_room),
            hovertemplate=f"%{{customdata}}<br>{quantity} %{{z:.4g}}<extra></extra>",
        )
    )
    for axis, name, title_text in (
        (figure.layout.yaxis, names[0], row_title),
        (figure.layout.xaxis, names[1], column_title),
    ):
        is_named = len(name) <= MAX_NAMED
        axis.update(title_text=title_text, showgrid=False, zeroline=False)
        axis.update(tickvals=list(range(len(name))) if is_named else [], ticktext=name if is_named else [])
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(tickangle=-60 if max(map(len, names[1])) > 2 else 0)
    height, width = (min(LARGEST, max(SMALLEST, CELL * n)) for n in array.shape)
    return finish(figure, title, width=width + 220, height=height + 160)


def _names(given: Sequence[str] | None, n: int, kind: str) -> list[str]:
    """The names of one axis, spaces made visible; numbers where none are given."""
    if given is None:
        return [str(i) for i in range(n)]
    if len(given) != n:
        raise ShapeError(f"{kind} must have one name each: got {len(given)} for {n}. Leave them out to count from 0.")
    return [name_text(name) for name in given]
