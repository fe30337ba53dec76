"""Ways down a surface as a moving picture: all optimizers begin together, and each frame shows how far they have come.

Shapes:  heights "n_y n_x", x "n_x", y "n_y", each way "n_points 2".
Raises:  ShapeError for other shapes; ConfigError for no ways.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.errors import ConfigError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.backprop.paths import paths_over_surface
from arena_lib.plots.superposition.playing import controls

MAX_FRAMES = 50
"""More points than this are shown several at a time."""


def descent_film(
    heights: Any,
    x: Any,
    y: Any,
    ways: Mapping[str, Any],
    *,
    lowest: Any = (),
    x_title: str = "x",
    y_title: str = "y",
    title: str = "",
) -> go.Figure:
    """As `paths_over_surface`, with a slider over the steps; the figure shows the whole ways, and plays from the start.

    `lowest` are points to mark with a star. Colours go with the logarithm of the height above the lowest of the surface, so that
    a valley's floor shows.

    >>> figure = descent_film([[1.0, 2.0], [3.0, 4.0]], [0, 1], [0, 1], {"down": [[1, 1], [0.5, 0], [0, 0]]})
    >>> [len(frame.data[0].x) for frame in figure.frames]
    [1, 2, 3]
    """
    if not ways:
        raise ConfigError("descent_film needs at least one way: got none. Pass {name: points}.")
    surface = with_axes(heights, "n_y n_x")
    above = surface - surface.min()
    shades = np.log(above + 1e-3 * max(float(above.max()), 1e-12))
    points = {name: with_axes(way, "n_points 2") for name, way in ways.items()}
    figure = paths_over_surface(shades, x, y, points, x_title=x_title, y_title=y_title, title=title)
    figure.update_traces(marker={"size": 4}, selector={"type": "scatter"})
    figure.update_traces(line={"dash": "solid"}, selector={"type": "scatter"})
    if len(lowest):
        stars = with_axes(lowest, "n_stars 2")
        star = {"symbol": "star", "size": 14, "color": "#E69F00", "line": {"width": 1, "color": "#1a1a1a"}}
        figure.add_trace(go.Scatter(x=stars[:, 0], y=stars[:, 1], mode="markers", marker=star, name="lowest"))
    n_points = max(map(len, points.values()))
    shown = np.unique(np.linspace(0, n_points - 1, min(n_points, MAX_FRAMES)).round().astype(int)).tolist()
    figure.frames = [
        go.Frame(
            name=str(step),
            data=[go.Scatter(x=way[: step + 1, 0], y=way[: step + 1, 1]) for way in points.values()],
            traces=list(range(1, 1 + len(points))),
        )
        for step in shown
    ]
    figure.update_layout(**controls(shown, prefix="after step "), height=figure.layout.height + 130)
    return figure.update_layout(margin={"b": 150})
