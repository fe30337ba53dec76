"""Points with two measured numbers each, by class: whether one goes with the other.

Shapes:  x and y of each class "n_points".
Raises:  ShapeError for an x without its y; ConfigError for no classes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import MARKERS, SEQUENCE, escape, finish


def scatter(
    points: Mapping[str, tuple[Any, Any]],
    *,
    x_title: str = "x",
    y_title: str = "y",
    title: str = "",
    diagonal: str = "",
) -> go.Figure:
    """One cloud for each class; they differ in marker as well as colour. `points` maps a class to its x and y.

    `diagonal` names a dashed line on which y is x, such as "both agree"; without a name there is none.

    >>> [cloud.name for cloud in scatter({"IO": ([0.1, 0.9], [1.0, 8.0]), "S": ([0.2], [2.0])}).data]
    ['IO', 'S']
    """
    if not points:
        raise ConfigError("scatter needs at least one class of points: got none. Pass {name: (x, y)}.")
    figure = go.Figure()
    for i, (name, (x, y)) in enumerate(points.items()):
        across, up = with_axes(x, "n_points"), with_axes(y, "n_points")
        if len(across) != len(up):
            raise ShapeError(f"{name!r} must have one y for each x: got {len(up)} for {len(across)}. Pair them.")
        figure.add_trace(
            go.Scatter(
                x=across,
                y=up,
                name=escape(name),
                mode="markers",
                marker={
                    "color": SEQUENCE[i % len(SEQUENCE)],
                    "symbol": MARKERS[i % len(MARKERS)],
                    "size": 8,
                    "opacity": 0.7,
                },
                hovertemplate=f"{x_title} %{{x:.3g}}<br>{y_title} %{{y:.3g}}<extra>{escape(name)}</extra>",
            )
        )
    figure.update_xaxes(title_text=escape(x_title), zeroline=True, zerolinecolor="#999999")
    figure.update_yaxes(title_text=escape(y_title), zeroline=True, zerolinecolor="#999999")
    if diagonal:
        figure.add_trace(_draw_diagonal(figure, diagonal))
    figure.update_layout(showlegend=len(points) > 1 or bool(diagonal))
    return finish(figure, title, width=640 + 120 * bool(diagonal), height=440)


def _draw_diagonal(figure: go.Figure, name: str) -> go.Scatter:
    """The line of equal x and y, over the range of x, or of y where that is smaller: a longer one would shrink the clouds."""
    ranges = [
        (min(values), max(values))
        for values in ([v for cloud in figure.data for v in cloud[axis] if np.isfinite(v)] for axis in ("x", "y"))
        if values
    ] or [(0.0, 1.0)]
    left, right = min(ranges, key=lambda ends: ends[1] - ends[0])
    return go.Scatter(
        x=[left, right],
        y=[left, right],
        name=escape(name),
        mode="lines",
        line={"color": "#555555", "dash": "dash", "width": 1.5},
        hoverinfo="skip",
    )
