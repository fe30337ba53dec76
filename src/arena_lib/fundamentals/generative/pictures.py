"""Many small grey pictures in one figure: side by side, as a map of latents, and as a film of a generator that learns.

Shapes:  images "n height width" or "n 1 height width", values from 0 (white) to 1 (black).
Raises:  ShapeError for other shapes, or rows and names that don't fit; ConfigError for no pictures.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from einops import rearrange
from jaxtyping import Float

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots.arrays import to_array
from arena_lib.plots.backprop.image_rows import INK
from arena_lib.plots.style import escape, finish
from arena_lib.plots.superposition.playing import controls

PIXEL = 2
"""Pixels of the screen for one of a picture."""


def tile(images: Any, n_columns: int) -> Float[np.ndarray, "height width"]:
    """Pictures in rows of `n_columns`, from the left and the top, as one large picture; what is left over stays white.

    >>> tile([[[1.0]], [[0.5]], [[0.2]]], 2)
    array([[1. , 0.5],
           [0.2, 0. ]])
    """
    pictures = to_array(images)
    if pictures.ndim == 4 and pictures.shape[1] == 1:
        pictures = pictures[:, 0]
    if pictures.ndim != 3:
        raise ShapeError(
            f'images must have the axes "n height width" or "n 1 height width": got shape {pictures.shape}.'
        )
    if not len(pictures) or n_columns < 1:
        raise ConfigError(f"there must be pictures and columns: got {len(pictures)} and {n_columns}.")
    n_missing = -len(pictures) % n_columns
    pictures = np.concatenate([pictures, np.zeros((n_missing, *pictures.shape[1:]))])
    return rearrange(pictures, "(row column) height width -> (row height) (column width)", column=n_columns)


def picture_rows(rows: dict[str, Any], *, title: str = "") -> go.Figure:
    """A row of pictures for each name; all rows have as many.

    >>> picture_rows({"real": [[[1.0]], [[0.0]]], "drawn": [[[0.9]], [[0.1]]]}).layout.yaxis.ticktext
    ('real', 'drawn')
    """
    if len({len(images) for images in rows.values()}) != 1:
        raise ShapeError(f"every row must have as many pictures: got {[len(images) for images in rows.values()]}.")
    tiles = [tile(images, len(images)) for images in rows.values()]
    height = len(tiles[0])
    figure = _heat(np.concatenate(tiles), title, left=150)
    places = [height * (i + 0.5) for i in range(len(rows))]
    figure.update_yaxes(visible=True, tickvals=places, ticktext=[escape(name) for name in rows], showgrid=False)
    return figure


def picture_map(
    images: Any, x: Sequence[float], y: Sequence[float], *, x_title: str, y_title: str, title: str = ""
) -> go.Figure:
    """What is drawn at each place of a plane: pictures row by row, the first row for y[0], which is at the bottom.

    >>> picture_map([[[0.1]], [[0.2]]], [0.0, 1.0], [0.0], x_title="a", y_title="b").layout.xaxis.title.text
    'a'
    """
    if len(images) != len(x) * len(y):
        raise ShapeError(
            f"there must be a picture for each pair of x and y: got {len(images)} for {len(x)} x {len(y)}."
        )
    rows = to_array(images).reshape(len(y), len(x), *to_array(images).shape[-2:])[::-1]
    large = tile(rows.reshape(-1, *rows.shape[2:]), len(x))
    figure = _heat(large, title, left=70, bottom=60)
    height, width = rows.shape[2:]
    for update, places, size, name in (
        (figure.update_xaxes, x, width, x_title),
        (figure.update_yaxes, list(y)[::-1], height, y_title),
    ):
        shown = [i for i in range(len(places)) if i % max(1, len(places) // 6) == 0]
        update(
            visible=True,
            showgrid=False,
            title_text=escape(name),
            tickvals=[size * (i + 0.5) for i in shown],
            ticktext=[f"{places[i]:.1f}" for i in shown],
        )
    return figure


def picture_film(frames: Any, names: Sequence[str | int], *, n_columns: int = 10, title: str = "") -> go.Figure:
    """The same pictures at one moment after another: frames "n_frames n height width", each with a name, such as its epoch.

    The figure shows the last frame; it plays from the first.

    >>> [frame.name for frame in picture_film([[[[0.0]]], [[[1.0]]]], [1, 2], n_columns=1).frames]
    ['1', '2']
    """
    if len(frames) != len(names) or not len(names):
        raise ShapeError(f"every frame must have a name, and there must be one: got {len(names)} for {len(frames)}.")
    tiles = [tile(images, n_columns) for images in frames]
    figure = _heat(tiles[-1], title, bottom=110)
    figure.frames = [
        go.Frame(name=str(name), data=[go.Heatmap(z=large)], traces=[0])
        for name, large in zip(names, tiles, strict=True)
    ]
    return figure.update_layout(**controls(names, prefix="after epoch ", redraw=True))


def _heat(large: Float[np.ndarray, "height width"], title: str, *, left: int = 20, bottom: int = 20) -> go.Figure:
    height, width = large.shape
    scale = PIXEL if width * PIXEL > 250 else 250 / width
    heat = go.Heatmap(
        x0=0.5,
        y0=0.5,
        z=large,
        colorscale=INK,
        zmin=0,
        zmax=1,
        showscale=False,
        hovertemplate="%{z:.2f}<extra></extra>",
    )
    figure = go.Figure(heat)
    figure.update_xaxes(visible=False, range=[0, width], constrain="domain")
    figure.update_yaxes(visible=False, range=[height, 0], scaleanchor="x", constrain="domain")
    size = {"width": int(width * scale) + left + 20, "height": int(height * scale) + 60 + bottom}
    finish(figure, title, **size)
    return figure.update_layout(margin={"l": left, "r": 20, "t": 60, "b": bottom})
