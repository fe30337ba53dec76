"""One number for each attention head: layers down, heads across.

Shapes:  values "n_layers n_heads".
Raises:  ShapeError for other shapes.
"""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import DIVERGING, LIGHT_TO_DARK, colorbar, finish

MAX_WRITTEN = 16
"""With at most this many heads and layers, every cell shows its number."""
CELL = 44
"""Pixels of one cell."""


def heads(
    values: Any,
    *,
    title: str = "",
    quantity: str = "score",
    mark: Any = None,
    limit: float | None = None,
    is_signed: bool = False,
) -> go.Figure:
    """A heat map by layer and head; `mark` (true or false for each head) puts a square around heads.

    White is zero. Values of both signs get two colours, and their numbers are written in. Figures that are
    compared share a scale: the colours end at `limit` (without it at the largest value), and `is_signed` gives
    two colours also where no value is negative.

    >>> heads([[0.1, 0.9]], quantity="induction score").data[0].z.shape
    (1, 2)
    """
    array = with_axes(values, "n_layers n_heads")
    n_layers, n_heads = array.shape
    finite = np.abs(array[np.isfinite(array)])
    top = limit or (float(finite.max()) if finite.size and finite.max() > 0 else 1.0)
    has_both_signs = is_signed or bool((array < 0).any())
    figure = go.Figure(
        go.Heatmap(
            z=array,
            x=[str(i) for i in range(n_heads)],
            y=[str(i) for i in range(n_layers)],
            colorscale=DIVERGING if has_both_signs else LIGHT_TO_DARK,
            zmin=-top if has_both_signs else 0.0,
            zmax=top,
            texttemplate="%{z:.2f}" if max(array.shape) <= MAX_WRITTEN else None,
            colorbar=colorbar(quantity),
            xgap=1,
            ygap=1,
            hovertemplate=f"layer %{{y}}, head %{{x}}<br>{quantity} %{{z:.4f}}<extra></extra>",
        )
    )
    if mark is not None:
        figure.add_trace(_squares(np.asarray(with_axes(mark, "n_layers n_heads"), dtype=bool)))
    figure.update_xaxes(title_text="head", type="category", showgrid=False)
    figure.update_yaxes(title_text="layer", type="category", autorange="reversed", showgrid=False)
    return finish(figure, title, width=max(420, 220 + CELL * n_heads), height=max(260, 150 + CELL * n_layers))


def _squares(mark: np.ndarray) -> go.Scatter:
    layers, chosen = np.nonzero(mark)
    return go.Scatter(
        x=[str(i) for i in chosen],
        y=[str(i) for i in layers],
        mode="markers",
        marker={"symbol": "square-open", "size": CELL - 8, "color": "black", "line": {"width": 3}},
        showlegend=False,
        hoverinfo="skip",
        name="marked",
    )
