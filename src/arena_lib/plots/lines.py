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
from arena_lib.plots.style import DASHES, MARKERS, SEQUENCE, add_references, escape, finish

MAX_MARKED = 40
"""With at most this many points, each point of a curve is marked."""
SAME = 0.01
"""Two points nearer than this share of the figure's height look like one."""


def lines(
    series: Mapping[str, Any],
    *,
    x: Any = None,
    x_title: str = "step",
    y_title: str = "loss (nats)",
    title: str = "",
    references: Mapping[str, float] | None = None,
) -> go.Figure:
    """One curve for each series; they differ in dash and marker as well as colour.

    A curve that others run over is drawn thicker than they are, so it shows at both sides of them.
    `references` are level lines, named in the legend.

    >>> figure = lines({"train": [3.0, 2.0], "test": [3.1, 2.5]}, references={"bigram": 2.9})
    >>> [trace.name for trace in figure.data]
    ['train', 'test']
    """
    if not series:
        raise ConfigError("lines needs at least one series: got none. Pass {name: values}.")
    curves = {name: with_axes(values, "n_points") for name, values in series.items()}
    n_hidden = _count_hidden(list(curves.values()))
    figure = go.Figure()
    for i, (name, heights) in enumerate(curves.items()):
        places = np.arange(len(heights)) if x is None else with_axes(x, "n_points")
        if len(places) != len(heights):
            raise ShapeError(
                f"{name!r} must have one value for each x: got {len(heights)} for {len(places)}. Leave x out to count from 0."
            )
        width, size = 2 + 1.5 * n_hidden[i], 6 + 3 * n_hidden[i]
        figure.add_trace(
            go.Scatter(
                x=places,
                y=heights,
                name=escape(name),
                showlegend=len(series) > 1,
                mode="lines+markers" if len(heights) <= MAX_MARKED else "lines",
                line={"color": SEQUENCE[i % len(SEQUENCE)], "dash": DASHES[i % len(DASHES)], "width": width},
                marker={"symbol": MARKERS[i % len(MARKERS)], "size": size},
                hovertemplate=f"{x_title} %{{x}}<br>{y_title} %{{y:.4g}}<extra>{escape(name)}</extra>",
            )
        )
    add_references(figure, references)
    figure.update_xaxes(title_text=escape(x_title))
    figure.update_yaxes(title_text=escape(y_title))
    figure.update_layout(showlegend=len(series) > 1 or bool(references), legend={"x": 1.02, "y": 1})
    return finish(figure, title, width=760, height=420)


def _count_hidden(curves: list[np.ndarray]) -> list[int]:
    """For each curve the number of later ones that run over a marked point of it."""
    values = np.concatenate(curves)
    finite = values[np.isfinite(values)]
    near = SAME * float(np.ptp(finite)) if finite.size else 0.0
    return [
        sum(
            len(curve) == len(later) <= MAX_MARKED and bool((np.abs(curve - later) <= near).any())
            for later in curves[i + 1 :]
        )
        for i, curve in enumerate(curves)
    ]
