"""Ways down a surface, seen from above: contour lines, and the points that each way goes through.

Shapes:  heights "n_y n_x", x "n_x", y "n_y", each way "n_points 2".
Raises:  ShapeError for other shapes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import DASHES, LIGHT_TO_DARK, MARKERS, SEQUENCE, escape, finish


def paths_over_surface(
    heights: Any, x: Any, y: Any, ways: Mapping[str, Any], *, x_title: str = "x", y_title: str = "y", title: str = ""
) -> go.Figure:
    """Contour lines of a surface, and ways over it, which differ in colour, dash and marker.

    >>> figure = paths_over_surface([[1.0, 2.0], [3.0, 4.0]], [0, 1], [0, 1], {"down": [[1, 1], [0, 0]]})
    >>> [trace.name for trace in figure.data]
    [None, 'down']
    """
    surface = with_axes(heights, "n_y n_x")
    places_x, places_y = with_axes(x, "n_x"), with_axes(y, "n_y")
    if surface.shape != (len(places_y), len(places_x)):
        raise ShapeError(
            f"heights must have a row for each y and a column for each x: got {surface.shape} for {len(places_y)} and "
            f"{len(places_x)}."
        )
    figure = go.Figure(
        go.Contour(
            z=surface,
            x=places_x,
            y=places_y,
            colorscale=LIGHT_TO_DARK,
            ncontours=24,
            showscale=False,
            opacity=0.55,
            hoverinfo="skip",
        )
    )
    for i, (name, points) in enumerate(ways.items()):
        array = with_axes(points, "n_points 2")
        if array.shape[1] != 2:
            raise ShapeError(f"the way {name!r} must have two numbers for each point: got shape {array.shape}.")
        figure.add_trace(
            go.Scatter(
                x=array[:, 0],
                y=array[:, 1],
                name=escape(name),
                mode="lines+markers",
                line={"color": SEQUENCE[1 + i % (len(SEQUENCE) - 1)], "dash": DASHES[i % len(DASHES)], "width": 2},
                marker={"symbol": MARKERS[i % len(MARKERS)], "size": 7},
            )
        )
    figure.update_xaxes(title_text=escape(x_title), range=[float(np.min(places_x)), float(np.max(places_x))])
    figure.update_yaxes(title_text=escape(y_title), range=[float(np.min(places_y)), float(np.max(places_y))])
    figure.update_layout(showlegend=True, legend={"x": 1.02, "y": 1})
    return finish(figure, title, width=760, height=460)
