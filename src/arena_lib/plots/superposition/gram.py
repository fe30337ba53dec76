"""What features share, for any number of dimensions: W^T W, and each feature's length.

Shapes:  each panel "d_hidden n_feats".
Raises:  ShapeError for other shapes; ConfigError for no panels.
Source:  Elhage et al. 2022, arXiv:2209.10652, section "Demonstrating Superposition" (this pair of pictures).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import DIVERGING, colorbar, finish
from arena_lib.plots.superposition.panels import COLUMNS, make_panels

PANEL = 190
"""Pixels of one panel."""
OWN_TO_SHARED = [[0.0, "#0072B2"], [0.5, "#CC79A7"], [1.0, "#D55E00"]]
"""From a feature that has its directions to itself to one that shares them wholly."""


def gram_matrices(panels: Mapping[str, Any], *, title: str = "") -> go.Figure:
    """For each instance W^T W as a heat map, and beneath it the length of each feature as a bar.

    Bars are blue where a feature has its direction to itself and orange where others lie in it: the colour is
    sum over j != i of (W_i_hat . W_j)^2, cut off at 1.

    >>> figure = gram_matrices({"pair": [[1.0, -1.0]]})
    >>> figure.data[0].z.tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    figure, places = make_panels(list(panels), n_below=1, horizontal_spacing=0.03, vertical_spacing=0.04)
    for i, ((row, column), W) in enumerate(zip(places, panels.values(), strict=True)):
        array = with_axes(W, "d_hidden n_feats")
        gram = array.T @ array
        figure.add_trace(
            go.Heatmap(
                z=gram,
                colorscale=DIVERGING,
                zmin=-1.0,
                zmax=1.0,
                showscale=i == 0,
                colorbar=colorbar("W<sup>T</sup>W") | {"len": 0.5, "y": 0.75},
                hovertemplate="features %{y} and %{x}<br>%{z:.3g}<extra></extra>",
            ),
            row=row,
            col=column,
        )
        frame = {"showline": True, "mirror": True, "linecolor": "#cccccc", "row": row, "col": column}
        figure.update_xaxes(**frame)
        figure.update_yaxes(autorange="reversed", **frame)
        figure.add_trace(_bars(array), row=row + 1, col=column)
    figure.update_xaxes(showticklabels=False, showgrid=False)
    figure.update_yaxes(showticklabels=False, showgrid=False)
    for row in {row for row, _ in places}:
        figure.update_yaxes(title_text="length of each feature", row=row + 1, col=1)
        figure.update_yaxes(range=[0, 1.3], row=row + 1)
    n_rows = places[-1][0] + 1
    return finish(figure, title, width=150 + PANEL * min(COLUMNS, len(panels)), height=90 + PANEL * n_rows)


def _bars(W: np.ndarray) -> go.Bar:
    lengths = np.linalg.norm(W, axis=0)
    overlaps = (W / np.maximum(lengths, 1e-12)).T @ W
    shared = (overlaps**2).sum(axis=1) - np.diag(overlaps) ** 2
    return go.Bar(
        y=lengths,
        marker={"color": sample_colorscale(OWN_TO_SHARED, list(shared.clip(0, 1)))},
        customdata=shared,
        showlegend=False,
        hovertemplate="feature %{x}<br>length %{y:.3g}<br>shared %{customdata:.3g}<extra></extra>",
    )
