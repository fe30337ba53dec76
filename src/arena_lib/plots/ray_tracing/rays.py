"""Rays and segments in the plane, seen from above: which rays hit something.

Shapes:  rays "n_rays 2 3" (origin, direction), segments "n_segments 2 3" (two ends), hits "n_rays"; z isn't shown.
Raises:  ShapeError for other shapes.
"""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import SEQUENCE, finish

HIT, MISS = SEQUENCE[1], SEQUENCE[0]
FAR = 1.25
"""A ray is drawn as far as this share of the largest x that there is."""


def rays_1d(rays: Any, segments: Any = None, *, hits: Any = None, title: str = "") -> go.Figure:
    """Rays as lines from their origin, segments as thick ones with their numbers; those that hit are solid.

    Pixels of the screen, O + D, are dots.

    >>> figure = rays_1d([[[0, 0, 0], [1, 0.5, 0]]], [[[2, 0, 0], [2, 2, 0]]], hits=[True])
    >>> [trace.name for trace in figure.data]
    ['rays that hit', 'pixels', 'segments']
    """
    lines, walls = _read(rays, "n_rays 2 3"), _read([] if segments is None else segments, "n_segments 2 3")
    is_hit = np.zeros(len(lines), dtype=bool) if hits is None else with_axes(hits, "n_rays").astype(bool)
    if len(is_hit) != len(lines):
        raise ShapeError(f"hits must have one entry for each ray: got {len(is_hit)} for {len(lines)}.")
    pixels = lines[:, 0] + lines[:, 1]
    end = FAR * max([1.0, *pixels[:, 0], *walls[:, :, 0].ravel()])
    lengths = (end - lines[:, 0, 0]) / np.where(lines[:, 1, 0] > 0, lines[:, 1, 0], 1)
    ends = lines[:, 0] + lengths[:, None] * lines[:, 1]
    figure = go.Figure()
    kinds = {
        "rays that hit": (is_hit, HIT, "solid"),
        "rays" if hits is None else "rays that miss": (~is_hit, MISS, "dot"),
    }
    for name, (chosen, colour, dash) in kinds.items():
        if chosen.any():
            x, y = _with_gaps(np.stack([lines[chosen, 0], ends[chosen]], axis=1))
            line = {"color": colour, "dash": dash, "width": 2}
            figure.add_trace(go.Scatter(x=x, y=y, mode="lines", name=name, line=line, hoverinfo="skip"))
    marker = {"size": 7, "color": "#1a1a1a"}
    figure.add_trace(go.Scatter(x=pixels[:, 0], y=pixels[:, 1], mode="markers", name="pixels", marker=marker))
    if len(walls):
        x, y = _with_gaps(walls)
        line = {"color": SEQUENCE[2], "width": 6}
        figure.add_trace(go.Scatter(x=x, y=y, mode="lines", name="segments", line=line, hoverinfo="skip"))
    for i, wall in enumerate(walls):
        place = {"x": wall[:, 0].mean(), "y": wall[:, 1].mean()}
        figure.add_annotation(**place, text=f"<b>{i}</b>", showarrow=False, xshift=14, font={"size": 14})
    figure.update_xaxes(title_text="x")
    figure.update_yaxes(title_text="y")
    figure.update_layout(legend={"x": 1.02, "y": 1})
    return finish(figure, title, width=720, height=460)


def _read(values: Any, axes: str) -> np.ndarray:
    """The array, three axes long; an empty list has none."""
    array = with_axes(values if len(values) else np.zeros((0, 2, 3)), axes.replace("2 3", "points dims"))
    if array.shape[1:] != (2, 3):
        raise ShapeError(f'rays and segments must have the shape "{axes}": got {array.shape}.')
    return array


def _with_gaps(pairs: np.ndarray) -> tuple[list[float | None], list[float | None]]:
    """The x and the y of many lines in one trace, each line ended by a gap."""
    x: list[float | None] = []
    y: list[float | None] = []
    for start, end in pairs:
        x += [start[0], end[0], None]
        y += [start[1], end[1], None]
    return x, y
