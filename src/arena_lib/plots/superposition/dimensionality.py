"""Each feature's share of a dimension against sparsity, with the shares that regular shapes give.

Shapes:  sparsity "n_inst"; dimensionality "n_inst n_feats"; per_feature "n_inst".
Raises:  ShapeError for shapes that don't fit.
Source:  Elhage et al. 2022, arXiv:2209.10652, section "The Geometry of Superposition" (the picture with its lines).
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import SEQUENCE, escape, finish

NEAR = 0.04
"""Lines nearer than this have names that would overlap."""
LABEL_SHIFT = 6
"""Pixels by which such a name moves away."""


def dimensionality(
    inverse_density: Any,
    values: Any,
    *,
    per_feature: Any = None,
    levels: Mapping[str, float] | None = None,
    title: str = "",
) -> go.Figure:
    """A dot for each feature of each instance, at 1 / (1 - S) and its dimensionality; `levels` are named lines.

    Dots are spread a little to the side, or thousands of equal ones would look like one. `per_feature` is a curve of
    one number for each instance: the hidden dimensions for each represented feature.

    >>> figure = dimensionality([1.0, 10.0], [[1.0, 0.0], [0.5, 0.5]], levels={"pair": 0.5})
    >>> figure.layout.shapes[0].y0
    0.5
    """
    x, y = with_axes(inverse_density, "n_inst"), with_axes(values, "n_inst n_feats")
    if len(x) != len(y):
        raise ShapeError(f"each instance must have one place: got {len(x)} for {len(y)}. Pass 1 / (1 - S) for each.")
    ratio = (x[-1] / x[0]) ** (1 / max(1, len(x) - 1))
    spread = ratio ** np.linspace(-0.35, 0.35, y.shape[1])
    figure = go.Figure(
        go.Scatter(
            x=(x[:, None] * spread).ravel(),
            y=y.ravel(),
            name="features",
            mode="markers",
            marker={"size": 3, "color": SEQUENCE[0], "opacity": 0.5},
            hovertemplate="1/(1-S) %{x:.3g}<br>dimensionality %{y:.3g}<extra></extra>",
        )
    )
    if per_feature is not None:
        heights = with_axes(per_feature, "n_inst")
        figure.add_trace(
            go.Scatter(
                x=x, y=heights, name="d_hidden / ||W||_F^2", mode="lines", line={"color": SEQUENCE[1], "width": 2}
            )
        )
    _add_levels(figure, levels or {})
    figure.update_xaxes(type="log", title_text="1 / (1 - S), sparser to the right", **_ticks(x.min(), x.max()))
    figure.update_yaxes(title_text="dimensionality of a feature", range=[-0.03, 1.08])
    figure.update_layout(legend={"x": 0.66, "y": 0.9})
    finish(figure, title, width=900, height=560)
    return figure.update_layout(margin={"r": 190})


def _ticks(low: float, high: float) -> dict[str, Any]:
    """1, 2, 5 and their tenfolds: on a logarithmic axis plotly writes 20 as a small 2."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [digit * 10**power for power in powers for digit in (1, 2, 5)]
    return {"tickvals": values, "ticktext": [f"{value:g}" for value in values]}


def _add_levels(figure: go.Figure, levels: Mapping[str, float]) -> None:
    """Dotted lines with their names beside them; the names of two that nearly touch move apart."""
    heights = np.array(list(levels.values()))
    for name, height in levels.items():
        is_crowded = [bool(((side > 0) & (side < NEAR)).any()) for side in (heights - height, height - heights)]
        figure.add_hline(
            y=height,
            line={"color": "#555555", "width": 1, "dash": "dot"},
            annotation_text=escape(f"{name} {height:.3g}"),
            annotation_position="right",
            annotation_yshift=LABEL_SHIFT * (is_crowded[1] - is_crowded[0]),
        )
