"""Curves: training losses and other series over a common axis.

Shapes:  each series "n_points"; x "n_points" if given.
Raises:  ShapeError for other shapes, ConfigError for no series.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import DASHES, MARKERS, SEQUENCE, escape, finish

MAX_MARKED = 40
"""Points of a curve up to which each is marked."""


def lines(
    series: Mapping[str, Any],
    *,
    x: Any = None,
    x_title: str = "step",
    y_title: str = "loss (nats)",
    title: str = "",
    references: Mapping[str, float] | None = None,
) -> go.Figure:
    """One curve for each series, told apart by dash and marker as well as colour; `references` are level lines.

    >>> figure = lines({"train": [3.0, 2.0], "test": [3.1, 2.5]}, references={"bigram": 2.9})
    >>> [trace.name for trace in figure.data]
    ['train', 'test']
    """
    if not series:
        raise ConfigError("lines needs at least one series: got none. Pass {name: values}.")
    figure = go.Figure()
    for i, (name, values) in enumerate(series.items()):
        heights = with_axes(values, "n_points")
        places = np.arange(len(heights)) if x is None else with_axes(x, "n_points")
        if len(places) != len(heights):
            raise ShapeError(
                f"{name!r} must have one value for each x: got {len(heights)} for {len(places)}. Leave x out to count from 0."
            )
        figure.add_trace(
            go.Scatter(
                x=places,
                y=heights,
                name=escape(name),
                mode="lines+markers" if len(heights) <= MAX_MARKED else "lines",
                line={"color": SEQUENCE[i % len(SEQUENCE)], "dash": DASHES[i % len(DASHES)], "width": 2},
                marker={"symbol": MARKERS[i % len(MARKERS)], "size": 6},
                hovertemplate=f"{x_title} %{{x}}<br>{y_title} %{{y:.4g}}<extra>{escape(name)}</extra>",
            )
        )
    for name, height in (references or {}).items():
        figure.add_hline(
            y=height,
            line={"color": "#555555", "dash": "dot", "width": 1.5},
            annotation_text=f"{escape(name)} {height:.3g}",
        )
    figure.update_xaxes(title_text=escape(x_title))
    figure.update_yaxes(title_text=escape(y_title))
    figure.update_layout(showlegend=len(series) > 1, legend={"x": 1.02, "y": 1})
    return finish(figure, title, width=760, height=420)
