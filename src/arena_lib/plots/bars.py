"""Bars with names: what each part adds to a logit, accuracies, a circuit's heads.

Shapes:  values "n_bars", for each series.
Raises:  ShapeError if the names are not as many; ConfigError for no series.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import SEQUENCE, add_references, escape, finish, name_text

PATTERNS = ("", "/", "x", ".", "|", "-", "+")
"""Hatching, so that series differ without colour."""
MAX_WRITTEN = 24
"""With at most this many bars, each shows its number."""
LEGEND = 120
"""Pixels of a legend's width."""


def bars(
    values: Any,
    names: Sequence[str],
    *,
    y_title: str = "value",
    x_title: str = "",
    title: str = "",
    references: Mapping[str, float] | None = None,
) -> go.Figure:
    """One bar for each name, or, where `values` maps series to values, one of each series side by side.

    `references` are level lines, named in the legend.

    >>> [bar.name for bar in bars({"zero": [1.0, 2.0], "mean": [0.5, 1.5]}, ["0.0", "0.1"]).data]
    ['zero', 'mean']
    """
    series: Mapping[str, Any] = values if isinstance(values, Mapping) else {y_title: values}
    if not series:
        raise ConfigError("bars needs at least one series: got none. Pass values, or {name: values}.")
    n_bars = len(series) * len(names)
    figure = go.Figure()
    for i, (name, heights) in enumerate(series.items()):
        array = with_axes(heights, "n_bars")
        if len(array) != len(names):
            raise ShapeError(f"names must be as many as the bars: got {len(names)} for {len(array)}. Name each bar.")
        are_counts = all(isinstance(height, int) for height in heights)
        figure.add_trace(
            go.Bar(
                x=list(range(len(names))),
                y=array,
                name=escape(name),
                showlegend=len(series) > 1,
                marker={"color": SEQUENCE[i % len(SEQUENCE)], "pattern": {"shape": PATTERNS[i % len(PATTERNS)]}},
                text=[f"{value:.{0 if are_counts else 2}f}" for value in array] if n_bars <= MAX_WRITTEN else None,
                textposition="outside",
                cliponaxis=False,
                customdata=[name_text(label) for label in names],
                hovertemplate=f"%{{customdata}}<br>{y_title} %{{y:.4g}}<extra>{escape(name)}</extra>",
            )
        )
    add_references(figure, references)
    labels = [name_text(label) for label in names]
    ticks = {"tickvals": list(range(len(names))), "ticktext": labels, "ticklabeloverflow": "allow"}
    figure.update_xaxes(title_text=escape(x_title), **ticks, showgrid=False, automargin=True)
    figure.update_yaxes(title_text=escape(y_title), zeroline=True, zerolinecolor="#1a1a1a")
    has_legend = len(series) > 1 or bool(references)
    figure.update_layout(barmode="group", showlegend=has_legend)
    width = max(480, 200 + 42 * n_bars) + LEGEND * has_legend
    return finish(figure, title, width=min(1100, width), height=420)
