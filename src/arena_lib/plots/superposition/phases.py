"""Phase diagrams: for each sparsity and importance, what became of a feature.

Shapes:  lengths and shared "n_importances n_densities"; densities, importances with one number for each.
Raises:  ShapeError for shapes that don't fit; ConfigError for no panels.
Source:  Elhage et al. 2022, arXiv:2209.10652, section "Superposition as a Phase Change" (the diagram's three colours).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import hex_to_rgb

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import SEQUENCE, finish
from arena_lib.plots.superposition.panels import COLUMNS, make_panels

OWN, SHARED = hex_to_rgb(SEQUENCE[0]), hex_to_rgb(SEQUENCE[1])
ABSENT = (255, 255, 255)
PANEL = 340
N_TICKS = 6


def phase_diagram(
    panels: Mapping[str, tuple[Any, Any]],
    densities: Sequence[float],
    importances: Sequence[float],
    *,
    title: str = "",
) -> go.Figure:
    """White where a feature isn't represented, blue where it has a dimension to itself, orange where it shares one.

    Each panel is a pair (lengths, shared): the feature's length, and how much the others lie in its direction,
    sum over j != i of (W_i_hat . W_j)^2; both are cut off at 1. A row is an importance, a column a density 1 - S.

    >>> figure = phase_diagram({"theory": ([[0.0, 1.0]], [[0.0, 0.0]])}, [1.0, 0.1], [1.0])
    >>> figure.data[0].z.tolist()
    [[[255, 255, 255], [0, 114, 178]]]
    """
    figure, places = make_panels(list(panels), horizontal_spacing=0.08)
    for (row, column), (name, (lengths, shared)) in zip(places, panels.items(), strict=True):
        lengths_array, shared_array = (with_axes(values, "n_importances n_densities") for values in (lengths, shared))
        shape = (len(importances), len(densities))
        if lengths_array.shape != shape or shared_array.shape != shape:
            raise ShapeError(
                f"{name!r} must have a number for each importance and density, {shape}: got shapes "
                f"{lengths_array.shape} and {shared_array.shape}. Pass importances as rows."
            )
        figure.add_trace(
            go.Image(
                z=_mix(lengths_array, shared_array),
                customdata=np.stack([lengths_array, shared_array], axis=-1),
                hovertemplate="length %{customdata[0]:.3g}<br>shared %{customdata[1]:.3g}<extra></extra>",
            ),
            row=row,
            col=column,
        )
    figure.update_xaxes(title_text="density 1 - S, sparser to the right", **_ticks(densities))
    figure.update_yaxes(autorange=True, **_ticks(importances))
    figure.update_yaxes(title_text="relative importance", col=1)
    frame = {"showline": True, "mirror": True, "linecolor": "#999999"}
    figure.update_xaxes(frame)
    figure.update_yaxes(frame)
    for name, colour in (("has a dimension", OWN), ("shares one", SHARED), ("not represented", ABSENT)):
        marker = {"color": f"rgb{colour}", "size": 12, "symbol": "square", "line": {"width": 1, "color": "#555555"}}
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", marker=marker, name=name))
    figure.update_layout(legend={"orientation": "h", "y": -0.22, "x": 0.0})
    n_rows = places[-1][0]
    return finish(figure, title, width=90 + PANEL * min(COLUMNS, len(panels)), height=150 + PANEL * n_rows)


def _mix(lengths: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Colours between white, blue and orange."""
    length, share = lengths.clip(0, 1)[..., None], shared.clip(0, 1)[..., None]
    hue = (1 - share) * np.array(OWN) + share * np.array(SHARED)
    return ((1 - length) * np.array(ABSENT) + length * hue).round().astype(int)


def _ticks(values: Sequence[float]) -> dict[str, Any]:
    """A few of the values, at their places in the picture."""
    places = np.unique(np.linspace(0, len(values) - 1, N_TICKS).round().astype(int))
    return {"tickvals": places.tolist(), "ticktext": [f"{values[place]:.3g}" for place in places]}
