"""Learning curves over seeds: the middle of them, how sure it is, and each seed behind it.

Shapes:  each band (center, low, high), three times "n_points"; seeds "n_seeds n_points"; x "n_points".
Raises:  ShapeError for other shapes, ConfigError for no curves.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import DASHES, SEQUENCE, add_references, escape, finish


def learning_curves(
    bands: Mapping[str, tuple[Any, Any, Any]],
    *,
    x: Any,
    seeds: Mapping[str, Any] | None = None,
    x_title: str = "environment steps",
    y_title: str = "return",
    title: str = "",
    references: Mapping[str, float] | None = None,
) -> go.Figure:
    """One curve for each name with its interval around it; `seeds` are drawn thin behind the curve of their name.

    A collapse of one seed shows in no mean, so draw the seeds too. `references` are level lines, such as the return
    from which a task counts as solved.

    >>> figure = learning_curves({"PPO": ([1.0, 2.0], [0.5, 1.5], [1.5, 2.5])}, x=[100, 200])
    >>> [trace.name for trace in figure.data if trace.showlegend is not False]
    ['PPO']
    """
    if not bands:
        raise ConfigError("learning_curves needs at least one curve: got none. Pass {name: (center, low, high)}.")
    places = with_axes(x, "n_points")
    figure = go.Figure()
    for i, (name, band) in enumerate(bands.items()):
        center, low, high = (with_axes(values, "n_points") for values in band)
        if not len(center) == len(low) == len(high) == len(places):
            raise ShapeError(
                f"{name!r} must have one value for each x: got {len(center)}, {len(low)} and {len(high)} for {len(places)}."
            )
        colour, dash = SEQUENCE[i % len(SEQUENCE)], DASHES[i % len(DASHES)]
        _add_band(figure, places, low, high, colour)
        for curve in with_axes(seeds[name], "n_seeds n_points") if seeds and name in seeds else ():
            thin = {"color": colour, "width": 0.7}
            figure.add_trace(
                go.Scatter(x=places, y=curve, mode="lines", line=thin, opacity=0.45, showlegend=False, hoverinfo="skip")
            )
        figure.add_trace(
            go.Scatter(
                x=places,
                y=center,
                name=escape(name),
                mode="lines",
                line={"color": colour, "dash": dash, "width": 2.5},
                hovertemplate=f"{x_title} %{{x}}<br>{y_title} %{{y:.4g}}<extra>{escape(name)}</extra>",
            )
        )
    add_references(figure, references)
    figure.update_xaxes(title_text=escape(x_title))
    figure.update_yaxes(title_text=escape(y_title))
    figure.update_layout(showlegend=len(bands) > 1 or bool(references), legend={"x": 1.02, "y": 1})
    return finish(figure, title, width=820, height=420)


def _add_band(figure: go.Figure, x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str) -> None:
    """The interval; points that have none (nothing had ended yet, or a failure) leave a gap."""
    is_known = np.isfinite(low) & np.isfinite(high)
    x, low, high = x[is_known], low[is_known], high[is_known]
    figure.add_trace(
        go.Scatter(
            x=np.concatenate([x, x[::-1]]),
            y=np.concatenate([high, low[::-1]]),
            mode="lines",
            fill="toself",
            fillcolor=colour,
            opacity=0.2,
            line={"width": 0},
            showlegend=False,
            hoverinfo="skip",
        )
    )
