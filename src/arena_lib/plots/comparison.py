"""Expected, actual and difference side by side, with numbers, and a cross on every wrong entry.

Shapes:  expected, actual "rows columns"; wrong "rows columns" (true where an entry is wrong).
Raises:  ShapeError for other shapes.
"""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import DIVERGING, finish

MAX_WRITTEN = 12
"""With at most this many rows and columns, every cell shows its number."""
PANEL = 330
"""Pixels of one heat map."""
NO_NUMBER = "#d8d8d8"
"""Background, which shows where a cell is infinite or NaN."""
NAMES = ("expected", "actual", "actual - expected")


def comparison(
    expected: Any, actual: Any, *, axes: tuple[str, str] = ("row", "column"), wrong: Any = None, title: str = ""
) -> go.Figure:
    """Three heat maps; wrong entries, those that differ if `wrong` isn't given, carry a cross.

    >>> comparison([[1.0, 2.0]], [[1.0, 5.0]]).data[2].z.tolist()
    [[0.0, 3.0]]
    """
    right, given = with_axes(expected, "rows columns"), with_axes(actual, "rows columns")
    if right.shape != given.shape:
        raise ShapeError(
            f"expected and actual must have one shape: got {right.shape} and {given.shape}. Cut them alike."
        )
    same = (right == given) | (np.isnan(right) & np.isnan(given))
    marked = ~same if wrong is None else with_axes(wrong, "rows columns") != 0
    with np.errstate(all="ignore"):
        difference = np.where(same, 0.0, given - right)
    figure = make_subplots(rows=1, cols=3, subplot_titles=NAMES, horizontal_spacing=0.09)
    shared = _largest(np.stack([right, given]))
    for i, (name, values) in enumerate(zip(NAMES, (right, given, difference), strict=True)):
        crosses = np.zeros_like(marked) if i == 0 else marked
        limit = _largest(difference) if i == 2 else shared
        figure.add_trace(_panel(values, crosses, axes, (name, limit)), row=1, col=i + 1)
    figure.update_yaxes(
        autorange="reversed",
        title_text=axes[0],
        title_standoff=12,
        dtick=_step(right.shape[0]),
        showgrid=False,
        zeroline=False,
    )
    figure.update_xaxes(
        title_text=axes[1], title_standoff=4, dtick=_step(right.shape[1]), showgrid=False, zeroline=False
    )
    figure.update_layout(plot_bgcolor=NO_NUMBER)
    return finish(figure, title, width=60 + PANEL * 3, height=120 + PANEL)


def _step(length: int) -> int:
    """Positions from one label of an axis to the next."""
    return max(1, length // MAX_WRITTEN)


def _largest(values: np.ndarray) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size and finite.max() > 0 else 1.0


def _panel(values: np.ndarray, crosses: np.ndarray, axes: tuple[str, str], scale: tuple[str, float]) -> go.Heatmap:
    """One heat map; a cell that is no number stays grey and says what it is."""
    name, limit = scale
    has_room = max(values.shape) <= MAX_WRITTEN
    numbers = np.array([[f"{value:.3g}" for value in row] for row in values]).reshape(values.shape)
    return go.Heatmap(
        z=values,
        text=np.char.add(np.where(crosses, "✗<br>", ""), numbers) if has_room else np.where(crosses, "✗", ""),
        customdata=numbers,
        texttemplate="%{text}",
        textfont={"size": 11},
        colorscale=DIVERGING,
        zmin=-limit,
        zmax=limit,
        showscale=False,
        xgap=int(has_room),
        ygap=int(has_room),
        hovertemplate=f"{name}<br>{axes[0]} %{{y}}, {axes[1]} %{{x}}<br>%{{customdata}}<extra></extra>",
    )
