"""A histogram of numbers, such as a latent's activations.

Shapes:  values "n_values".
Raises:  ShapeError for other shapes; ConfigError for less than one bar.
"""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.errors import ConfigError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import SEQUENCE, escape, finish


def histogram(
    values: Any, *, n_bars: int = 50, x_title: str = "value", y_title: str = "tokens", title: str = ""
) -> go.Figure:
    """How many values lie in each of `n_bars` equal parts of their range; values that aren't finite are left out.

    >>> histogram([0.0, 1.0, 1.0, 2.0], n_bars=2).data[0].y.tolist()
    [1, 3]
    """
    if n_bars < 1:
        raise ConfigError(f"n_bars must be at least 1: got {n_bars}. Ask for more.")
    array = with_axes(values, "n_values")
    counts, edges = np.histogram(array[np.isfinite(array)], bins=n_bars)
    figure = go.Figure(
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            width=np.diff(edges),
            marker={"color": SEQUENCE[0], "line": {"width": 0}},
            customdata=np.stack([edges[:-1], edges[1:]], axis=1),
            hovertemplate=f"{escape(x_title)} %{{customdata[0]:.3g}} to %{{customdata[1]:.3g}}<br>%{{y}} {escape(y_title)}"
            "<extra></extra>",
        )
    )
    if not array.size:
        figure.add_annotation(text="no values", showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5)
    figure.update_xaxes(title_text=escape(x_title))
    figure.update_yaxes(title_text=escape(y_title))
    figure.update_layout(bargap=0)
    return finish(figure, title, width=640, height=360)
