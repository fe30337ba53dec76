"""Points with two measured numbers each, by class: whether one goes with the other.

Shapes:  x and y of each class "n_points".
Raises:  ShapeError for an x without its y; ConfigError for no classes.
"""

from collections.abc import Mapping
from typing import Any

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
) -> go.Figure:
    """One cloud for each class; they differ in marker as well as colour. `points` maps a class to its x and y.

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
    figure.update_layout(showlegend=len(points) > 1)
    return finish(figure, title, width=640, height=440)
