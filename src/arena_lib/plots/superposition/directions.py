"""Features as arrows in two hidden dimensions, panel by panel.

Shapes:  each panel "d_hidden n_feats" with d_hidden 2; weights "n_feats".
Raises:  ShapeError for other shapes; ConfigError for no panels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import LIGHT_TO_DARK, SEQUENCE, escape, finish
from arena_lib.plots.superposition.panels import COLUMNS, make_panels, make_square

PANEL = 190
"""Pixels of one panel."""
FAINTEST = 0.4
"""Where on the scale from light to dark the least important feature stands: lower, it would fade on white."""
MAX_MARKED = 40
"""With at most this many features, the end of each arrow is marked."""


def feature_directions(
    panels: Mapping[str, Any],
    *,
    weights: Any = None,
    groups: Sequence[int] | None = None,
    columns: int = COLUMNS,
    title: str = "",
    limit: float | None = None,
) -> go.Figure:
    """One panel for each instance: each feature is a line from the origin to its column of W.

    Darker features weigh more (`weights`: their importance); or those of one group have one colour (`groups`: a number
    for each feature, of which a panel with fewer features takes the first ones). All panels reach `limit` to each side;
    without it, a bit beyond the longest arrow. A dotted circle has radius 1.

    >>> figure = feature_directions({"dense": [[1.0, 0.0], [0.0, 1.0]], "sparse": [[1.0, -1.0], [0.0, 0.0]]})
    >>> [annotation.text for annotation in figure.layout.annotations]
    ['dense', 'sparse']
    """
    figure, places = make_panels(list(panels), columns=columns, horizontal_spacing=0.02, vertical_spacing=0.08)
    arrays = {name: _checked(name, W) for name, W in panels.items()}
    reach = limit or 1.15 * max(1.0, *(float(np.abs(array).max()) for array in arrays.values()))
    for (row, column), array in zip(places, arrays.values(), strict=True):
        _draw_arrows(figure, array, _colours(weights, groups, array.shape[1]), row, column)
    figure.update_xaxes(
        range=[-reach, reach], showgrid=False, zeroline=True, zerolinecolor="#cccccc", showticklabels=False
    )
    figure.update_yaxes(
        range=[-reach, reach], showgrid=False, zeroline=True, zerolinecolor="#cccccc", showticklabels=False
    )
    make_square(figure)
    n_rows = places[-1][0]
    return finish(figure, title, width=60 + PANEL * min(columns, len(panels)), height=100 + (PANEL + 25) * n_rows)


def _checked(name: str, W: Any) -> np.ndarray:
    array = with_axes(W, "d_hidden n_feats")
    if array.shape[0] != 2:
        raise ShapeError(
            f"{escape(name)!r} must have two hidden dimensions to be drawn: got shape {array.shape}. "
            "Project it onto two directions, or draw gram_matrices."
        )
    return array


def _colours(weights: Any, groups: Sequence[int] | None, n_feats: int) -> list[str]:
    """By group, or from light to dark with the weight."""
    if groups is not None:
        return [SEQUENCE[group % len(SEQUENCE)] for group in groups[:n_feats]]
    heights = np.ones(n_feats) if weights is None else with_axes(weights, "n_feats")
    shares = FAINTEST + (1 - FAINTEST) * heights / heights.max()
    return sample_colorscale(LIGHT_TO_DARK, list(shares))


def _draw_arrows(figure: go.Figure, W: np.ndarray, colours: list[str], row: int, column: int) -> None:
    angles = np.linspace(0, 2 * np.pi, 90)
    circle = {"color": "#999999", "width": 1, "dash": "dot"}
    place = {"row": row, "col": column}
    figure.add_trace(
        go.Scatter(x=np.cos(angles), y=np.sin(angles), mode="lines", line=circle, hoverinfo="skip", showlegend=False),
        **place,
    )
    is_marked = W.shape[1] <= MAX_MARKED
    for i, (x, y) in enumerate(W.T):
        figure.add_trace(
            go.Scatter(
                x=[0.0, x],
                y=[0.0, y],
                mode="lines+markers" if is_marked else "lines",
                line={"color": colours[i], "width": 2 if is_marked else 1},
                marker={"size": [0, 7]},
                showlegend=False,
                hovertemplate=f"feature {i}<br>length {np.hypot(x, y):.3g}<extra></extra>",
            ),
            **place,
        )
