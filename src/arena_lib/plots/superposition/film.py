"""How features find their directions while a toy model trains, as a moving picture.

Shapes:  frames "n_frames n_inst 2 n_feats".
Raises:  ShapeError for other shapes; ConfigError for no instances.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.superposition.directions import feature_directions
from arena_lib.plots.superposition.playing import controls


def feature_film(
    frames: Any,
    steps: Sequence[int],
    names: Sequence[str],
    *,
    weights: Any = None,
    groups: Sequence[int] | None = None,
    title: str = "",
) -> go.Figure:
    """As `feature_directions`, for one W of each instance after another; a panel for each of `names`.

    The figure shows the last frame; it plays from the first. `steps` are the updates made at each frame.

    >>> figure = feature_film([[[[0.1], [0.0]]], [[[1.0], [0.0]]]], [0, 10], ["one feature"])
    >>> [frame.data[0].x for frame in figure.frames]
    [(0.0, 0.1), (0.0, 1.0)]
    """
    films = with_axes(frames, "n_frames n_inst d_hidden n_feats")
    if len(films) != len(steps) or films.shape[1] != len(names):
        raise ShapeError(
            "feature_film needs a step for each frame and a name for each instance: got "
            f"{len(steps)} and {len(names)} for {films.shape[0]} and {films.shape[1]}. Take them from one run."
        )
    limit = 1.15 * max(1.0, float(np.abs(films).max()))
    panels = dict(zip(names, films[-1], strict=True))
    figure = feature_directions(panels, weights=weights, groups=groups, limit=limit, title=title)
    figure.for_each_trace(
        lambda trace: trace.update(hoverinfo="skip", hovertemplate=None)
    )  # it would say the last length
    arrows = [i for i, trace in enumerate(figure.data) if len(trace.x) == 2]
    figure.frames = [
        go.Frame(
            name=str(step),
            data=[go.Scatter(x=(0.0, x), y=(0.0, y)) for W in film for x, y in W.T],
            traces=arrows,
        )
        for step, film in zip(steps, films, strict=True)
    ]
    figure.update_layout(**controls(steps), height=figure.layout.height + 130)
    return figure.update_layout(margin={"b": 150})
