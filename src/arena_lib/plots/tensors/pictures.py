"""Tensors that are images, side by side, pixel by pixel: a target, and what came out.

Shapes:  each image "channel height width" with one channel (grey) or three (red, green, blue), or "height width".
Raises:  ShapeError for other shapes, or no image.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import to_array
from arena_lib.plots.style import escape, finish

PANEL, FLATTEST, HEAD = 220, 40, 46
"""Pixels of a panel's longer side, of the flattest panel's height, and of a title."""
MARGINS = 110
FRAME = "#9a9a9a"


def pictures(images: Mapping[str, Any], *, n_columns: int = 3, title: str = "") -> go.Figure:
    """Each image in a panel of its own, with its name and shape; numbers from 0 (dark) to 1, others are cut off there.

    >>> [panel.text for panel in pictures({"a grey one": [[0.0, 1.0]]}).layout.annotations]
    ['a grey one<br>(1, 2)']
    """
    if not images:
        raise ShapeError(
            "a figure of pictures must have at least one image: got none. Write pictures({'name': image})."
        )
    n_columns = min(n_columns, len(images))
    n_rows = -(-len(images) // n_columns)
    arrays = {name: to_array(image) for name, image in images.items()}
    colours = [_colours(name, array) for name, array in arrays.items()]
    tall = [max(FLATTEST, PANEL * min(1.0, image.shape[0] / image.shape[1])) for image in colours]
    heights = [max(tall[row * n_columns : (row + 1) * n_columns]) for row in range(n_rows)]
    whole = sum(heights) + (n_rows - 1) * HEAD
    figure = make_subplots(
        rows=n_rows,
        cols=n_columns,
        subplot_titles=[f"{escape(name)}<br>{array.shape}" for name, array in arrays.items()],
        horizontal_spacing=0.08 / n_columns,
        vertical_spacing=HEAD / whole,
        row_heights=heights,
    )
    for i, pixels in enumerate(colours):
        place = {"row": i // n_columns + 1, "col": i % n_columns + 1}
        figure.add_trace(go.Image(z=pixels, hovertemplate="%{y}, %{x}<extra></extra>"), **place)
    frame = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": ""}
    line = {"showline": True, "mirror": True, "linecolor": FRAME}
    figure.update_xaxes(**frame, **line, constrain="domain")
    figure.update_yaxes(**frame, **line, constrain="domain")
    figure.update_annotations(font={"size": 12})
    figure = finish(figure, title, width=n_columns * PANEL + MARGINS, height=int(whole) + MARGINS + HEAD)
    figure.layout.margin.t += HEAD
    return figure


def _colours(name: str, array: np.ndarray) -> np.ndarray:
    """The image as whole numbers from 0 to 255, "height width channel"."""
    image = array[None] if array.ndim == 2 else array
    if image.ndim != 3 or image.shape[0] not in (1, 3) or not image.size:
        raise ShapeError(
            f'{name} must be an image, "channel height width" with 1 or 3 channels, or "height width": '
            f"got the shape {array.shape}. Pick one image, and put the channels first."
        )
    shades = np.nan_to_num(np.broadcast_to(image, (3, *image.shape[1:])), nan=0.5).clip(0, 1)
    pixels: np.ndarray = np.round(255 * np.moveaxis(shades, 0, -1)).astype(np.uint8)
    return pixels
