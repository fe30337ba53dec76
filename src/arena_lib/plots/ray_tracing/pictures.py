"""What a camera sees: distances or brightness as pictures, and a moving picture of brightness.

Row 0 is the lowest, as it is on the camera's screen.

Shapes:  a picture "height width"; frames "n_frames height width".
Raises:  ShapeError for other shapes; ConfigError for no pictures.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import LIGHT_TO_DARK, colorbar, escape, finish
from arena_lib.plots.superposition.playing import controls

DARK = "#10131a"
"""Where nothing is."""
GLOW = [[0.0, DARK], [0.15, "#2b2140"], [0.4, "#8c3b4a"], [0.7, "#e08a4f"], [1.0, "#fff3d8"]]
"""Of brightness: lightness rises steadily, so it survives a grey printout."""
NEAR_TO_FAR = [[i / 3, colour] for i, (_, colour) in enumerate(reversed(LIGHT_TO_DARK[1:]))]
"""Of distances: even what is farthest isn't white, as misses are."""
SIDE = 360
"""Pixels of a picture's longer side."""


def distances(picture: Any, *, title: str = "") -> go.Figure:
    """How far away what each pixel shows is: what is near is dark, infinity is left empty.

    >>> distances([[1.0, float("inf")], [2.0, 3.0]]).data[0].zmax
    3.0
    """
    array = with_axes(picture, "height width")
    finite = array[np.isfinite(array)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    heatmap = go.Heatmap(
        z=np.where(np.isfinite(array), array, np.nan),
        colorscale=NEAR_TO_FAR,
        zmin=low,
        zmax=high if high > low else low + 1,
        colorbar=colorbar("distance"),
        hovertemplate="row %{y}, column %{x}<br>distance %{z:.4g}<extra></extra>",
        hoverongaps=False,
    )
    return _finish_pictures(go.Figure(heatmap), array.shape, title, margin=110)


def brightness(pictures: Mapping[str, Any], *, brightest: float = 1.0, title: str = "") -> go.Figure:
    """Lit pictures side by side under their names, on one scale from 0 to `brightest`.

    >>> [heatmap.zmax for heatmap in brightness({"by day": [[0.0, 0.5]], "by night": [[0.0, 0.1]]}).data]
    [1.0, 1.0]
    """
    if not pictures:
        raise ConfigError("brightness needs at least one picture: got none. Pass {name: picture}.")
    arrays = {name: with_axes(picture, "height width") for name, picture in pictures.items()}
    figure = make_subplots(rows=1, cols=len(arrays), subplot_titles=list(map(escape, arrays)), horizontal_spacing=0.03)
    for column, array in enumerate(arrays.values(), start=1):
        figure.add_trace(_lit(array, brightest), row=1, col=column)
    largest = max((array.shape for array in arrays.values()), key=max)
    return _finish_pictures(figure, largest, title, n_pictures=len(arrays), margin=30)


def film(frames: Any, names: Sequence[str], *, brightest: float = 1.0, title: str = "") -> go.Figure:
    """Lit pictures one after another, with buttons to play and pause and a slider; each frame has a name.

    The figure shows the last frame; it plays from the first.

    >>> [frame.name for frame in film([[[0.0, 0.5]], [[0.5, 0.0]]], ["0°", "90°"]).frames]
    ['0°', '90°']
    """
    arrays = with_axes(frames, "n_frames height width")
    if not len(arrays) or len(arrays) != len(names):
        raise ShapeError(f"a film must have a name for each frame: got {len(names)} for {len(arrays)}.")
    figure = go.Figure(_lit(arrays[-1], brightest))
    figure.frames = [
        go.Frame(name=name, data=[_lit(array, brightest)], traces=[0])
        for name, array in zip(names, arrays, strict=True)
    ]
    _finish_pictures(figure, arrays.shape[1:], title, margin=150)
    figure.update_layout(**controls(names, prefix="turned by ", redraw=True))
    figure.layout.sliders[0].update(x=0.36, len=0.64)  # beside the buttons, as narrow as the figure is
    return figure.update_layout(height=figure.layout.height + 100, margin={"b": 120})


def _lit(array: np.ndarray, brightest: float) -> go.Heatmap:
    return go.Heatmap(
        z=array.astype(np.float32),  # a film is as many bytes as its numbers
        colorscale=GLOW,
        zmin=0.0,
        zmax=brightest,
        showscale=False,
        hovertemplate="row %{y}, column %{x}<br>brightness %{z:.3f}<extra></extra>",
    )


def _finish_pictures(
    figure: go.Figure, shape: tuple[int, ...], title: str, *, margin: int, n_pictures: int = 1
) -> go.Figure:
    height, width = (SIDE * length / max(shape) for length in shape)
    plain = {"showgrid": False, "zeroline": False, "showticklabels": False, "constrain": "domain"}
    figure.update_xaxes(**plain)
    figure.update_yaxes(**plain)
    for axis in figure.select_yaxes():
        axis.update(scaleanchor=axis.anchor or "x")
    return finish(figure, title, width=round(n_pictures * max(width, 200)) + margin, height=round(height) + 130)
