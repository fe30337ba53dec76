"""Small tensors as cells with their numbers, side by side: what went in, what was wanted, what came out.

Shapes:  each tensor of up to three axes; of three, a panel for each entry of the first.
Raises:  ShapeError for more axes, more cells than one can look at, or none.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import to_array
from arena_lib.plots.style import DIVERGING, LIGHT_TO_DARK, escape, finish

MOST_CELLS = 1000
MAX_WRITTEN = 16
"""With at most this many rows and columns in every panel, each cell shows its number."""
CELL, GAP, HEAD, LABEL = 34, 46, 110, 20
"""Pixels of a cell, between two panels, for title and margins, and for the panels' names."""
NARROWEST = 4
"""Cells of the narrowest panel, so that its title has room."""
ZERO = "#eef1f4"
"""The colour of zero: not quite white, so that a cell of zero is seen as a cell."""
FROM_ZERO = [[0.0, ZERO], *LIGHT_TO_DARK[1:3], [1.0, "#3787c0"]]
BOTH_SIGNS = [*DIVERGING[:2], [0.5, ZERO], *DIVERGING[3:]]


def cells(tensors: Mapping[str, Any], *, title: str = "") -> go.Figure:
    """Each tensor as cells with their numbers; one scale of colours for all.

    A single number is one cell, a vector one row, a matrix rows and columns. Of three axes each entry of the first is a
    panel of its own. The panels say the names and shapes.

    >>> [panel.text for panel in cells({"x": [[1, 2, 3], [4, 5, 6]], "row 1": [4, 5, 6]}).layout.annotations]
    ['x, (2, 3)', 'row 1, (3,)']
    """
    panels = [panel for name, values in tensors.items() for panel in _panels(name, to_array(values))]
    if not panels or sum(values.size for _, values in panels) > MOST_CELLS:
        raise ShapeError(
            f"this figure shows 1 to {MOST_CELLS} cells: got {sum(values.size for _, values in panels)}. Cut a part out."
        )
    heights, widths = [v.shape[0] for _, v in panels], [max(v.shape[1], NARROWEST) for _, v in panels]
    figure = make_subplots(
        rows=1,
        cols=len(panels),
        subplot_titles=[escape(name) for name, _ in panels],
        column_widths=widths,
        horizontal_spacing=min(GAP / (CELL * sum(widths) + GAP * len(panels)), 1 / len(panels)),
    )
    finite = np.concatenate([np.abs(values[np.isfinite(values)]) for _, values in panels])
    limit = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    has_both_signs = any(bool((values < 0).any()) for _, values in panels)
    has_room = max(max(values.shape) for _, values in panels) <= MAX_WRITTEN
    for column, (name, values) in enumerate(panels, start=1):
        figure.add_trace(
            go.Heatmap(
                z=values,
                text=[[f"{value:.3g}" for value in row] for row in values] if has_room else None,
                texttemplate="%{text}" if has_room else None,
                colorscale=BOTH_SIGNS if has_both_signs else FROM_ZERO,
                zmin=-limit if has_both_signs else 0.0,
                zmax=limit,
                showscale=False,
                xgap=1,
                ygap=1,
                hovertemplate=f"{escape(name)}<br>[%{{y}}, %{{x}}] %{{z:.4g}}<extra></extra>",
            ),
            row=1,
            col=column,
        )
        figure.update_yaxes(range=[max(heights) - 0.5, -0.5], row=1, col=column)
        figure.update_xaxes(range=[-0.5, widths[column - 1] - 0.5], row=1, col=column)
    figure.update_xaxes(showgrid=False, zeroline=False, showticklabels=False)
    figure.update_yaxes(showgrid=False, zeroline=False, showticklabels=False)
    figure.update_annotations(font={"size": 13})
    width = CELL * sum(widths) + GAP * len(panels)
    figure = finish(figure, title, width=max(width + 90, 300), height=CELL * max(heights) + HEAD + LABEL)
    figure.layout.margin.t += LABEL
    return figure


def _panels(name: str, array: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The tensor as named matrices."""
    if array.ndim > 3:
        raise ShapeError(
            f"{name} must have at most three axes: got the shape {array.shape}. Pick one entry of the first."
        )
    whole = f"{name}, {array.shape}"
    if array.ndim < 3:
        return [(whole, np.atleast_2d(array))] if array.size else []
    return [(whole if i == 0 else f"[{i}]", matrix) for i, matrix in enumerate(array) if matrix.size]
