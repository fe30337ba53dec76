"""Points in the plane, panel by panel: how classes are arranged at each layer.

Shapes:  each panel "n_points 2"; classes "n_points".
Raises:  ShapeError for other shapes; ConfigError for no panels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import MARKERS, SEQUENCE, escape, finish
from arena_lib.wording import counted

PANEL = 250
"""Pixels of one panel."""


def clouds(
    panels: Mapping[str, Any],
    classes: Sequence[str],
    *,
    names: Sequence[str] | None = None,
    x_title: str = "first component",
    y_title: str = "second component",
    title: str = "",
) -> go.Figure:
    """One panel for each set of points; each class has a colour and a marker, `names` are shown on hover.

    Points of smaller classes lie on top of those of larger ones.

    >>> figure = clouds({"layer 0": [[0.0, 1.0], [2.0, 1.0]]}, ["true", "false"])
    >>> [trace.name for trace in figure.data]
    ['true', 'false']
    """
    if not panels:
        raise ConfigError("clouds needs at least one panel: got none. Pass {name: points}.")
    kinds = list(dict.fromkeys(classes))
    # Classes with fewer points are drawn later, so that they lie on top; colours and the legend keep the order.
    drawn = sorted(enumerate(kinds), key=lambda kind: -list(classes).count(kind[1]))
    labels = np.asarray(classes)
    hover = np.asarray([escape(name) for name in (names or classes)])
    _check_lengths(panels, len(labels), len(hover))
    figure = make_subplots(rows=1, cols=len(panels), subplot_titles=[escape(name) for name in panels])
    for column, points in enumerate(panels.values(), start=1):
        array = with_axes(points, "n_points 2")
        for i, kind in drawn:
            figure.add_trace(
                go.Scatter(
                    x=array[labels == kind, 0],
                    y=array[labels == kind, 1],
                    text=hover[labels == kind],
                    name=escape(kind),
                    legendgroup=kind,
                    legendrank=i + 1,
                    showlegend=column == 1,
                    mode="markers",
                    marker={
                        "color": SEQUENCE[i % len(SEQUENCE)],
                        "symbol": MARKERS[i % len(MARKERS)],
                        "size": 7,
                        "opacity": 0.7,
                    },
                    hovertemplate=f"%{{text}}<extra>{escape(kind)}</extra>",
                ),
                row=1,
                col=column,
            )
    figure.update_xaxes(title_text=escape(x_title), showticklabels=False, zeroline=False)
    figure.update_yaxes(showticklabels=False, zeroline=False)
    figure.update_yaxes(title_text=escape(y_title), col=1)
    figure.update_layout(legend={"orientation": "h", "y": -0.2, "x": 0.0})
    return finish(figure, title, width=90 + PANEL * len(panels), height=130 + PANEL)


def _check_lengths(panels: Mapping[str, Any], n_classes: int, n_names: int) -> None:
    for name, points in panels.items():
        shape = with_axes(points, "n_points 2").shape
        if shape != (n_classes, 2) or n_names != n_classes:
            raise ShapeError(
                f"{name!r} must have two numbers, one class and one name for each point: got shape {shape}, "
                f"{counted(n_classes, 'class', 'classes')} and {counted(n_names, 'name')}. Project the points onto two directions."
            )
