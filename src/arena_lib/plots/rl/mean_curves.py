"""Regret and rewards over time: the mean over many runs, with a band of two standard errors.

Shapes:  each series "n_runs n_steps"; x "n_steps" if given.
Raises:  ShapeError for other shapes, ConfigError for no series.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.errors import ConfigError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import DASHES, SEQUENCE, add_references, escape, finish


def mean_curves(
    series: Mapping[str, Any],
    *,
    x_title: str = "step",
    y_title: str = "regret",
    title: str = "",
    window: int = 1,
    limits: tuple[float, float] = (-np.inf, np.inf),
    references: Mapping[str, float] | None = None,
) -> go.Figure:
    """One curve for each series, the mean of its runs; a `window` above 1 averages that many steps at a time.

    The band reaches two standard errors of the mean to either side, but not beyond `limits`: a share, for instance, is
    never below 0 or above 1. `references` are level lines, named in the legend.

    >>> mean_curves({"greedy": [[0.0, 1.0], [0.0, 3.0]]}).data[1].y.tolist()
    [0.0, 2.0]
    """
    if not series:
        raise ConfigError("mean_curves needs at least one series: got none. Pass {name: runs}.")
    figure = go.Figure()
    for i, (name, runs) in enumerate(series.items()):
        array = _averaged(with_axes(runs, "n_runs n_steps"), window)
        mean = array.mean(axis=0)
        spread = 2 * array.std(axis=0) / np.sqrt(len(array))
        x = (np.arange(array.shape[1]) + 0.5) * window - 0.5
        colour = SEQUENCE[i % len(SEQUENCE)]
        band = {"fill": "toself", "fillcolor": colour, "opacity": 0.15, "line": {"width": 0}, "hoverinfo": "skip"}
        outline = np.concatenate([mean + spread, (mean - spread)[::-1]]).clip(*limits)
        figure.add_trace(go.Scatter(x=np.concatenate([x, x[::-1]]), y=outline, mode="lines", showlegend=False, **band))
        line = {"color": colour, "dash": DASHES[i % len(DASHES)], "width": 2}
        hover = f"{x_title} %{{x}}<br>{y_title} %{{y:.4g}}<extra>{escape(name)}</extra>"
        figure.add_trace(go.Scatter(x=x, y=mean, name=escape(name), mode="lines", line=line, hovertemplate=hover))
    add_references(figure, references)
    figure.update_xaxes(title_text=escape(x_title))
    figure.update_yaxes(title_text=escape(y_title))
    figure.update_layout(showlegend=len(series) > 1 or bool(references), legend={"x": 1.02, "y": 1})
    return finish(figure, title, width=820, height=420)


def _averaged(runs: np.ndarray, window: int) -> np.ndarray:
    """Means of `window` steps at a time; what is left at the end is dropped."""
    n_windows = runs.shape[1] // window
    return runs[:, : n_windows * window].reshape(len(runs), n_windows, window).mean(axis=2)
