"""SAEs that find the true features, as a moving picture.

Shapes:  features "n_inst 2 n_feats"; decoders "n_frames n_inst d_sae 2"; frac_active "n_frames n_inst d_sae".
Raises:  ShapeError for other shapes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import to_array
from arena_lib.plots.style import SEQUENCE, finish
from arena_lib.plots.superposition.panels import COLUMNS, make_panels, make_square
from arena_lib.plots.superposition.playing import controls

PANEL = 190
"""Pixels of one panel."""


def recovery(
    features: Any,
    decoders: Any,
    frac_active: Any,
    steps: Sequence[int],
    *,
    names: Sequence[str] | None = None,
    title: str = "",
) -> go.Figure:
    """True features in grey, and in each frame the latents' decoder directions: solid while active, dotted while dead.

    The figure shows the last frame; it plays from the first. `steps` are the updates made at each frame, `names` the
    titles of the panels, one for each instance.

    >>> figure = recovery([[[1.0], [0.0]]], [[[[0.0, 1.0]]], [[[1.0, 0.0]]]], [[[0.0]], [[0.5]]], [10, 20])
    >>> [frame.name for frame in figure.frames]
    ['10', '20']
    """
    W, directions, active = (to_array(values) for values in (features, decoders, frac_active))
    n_frames, n_inst, d_sae = directions.shape[:3]
    if W.shape[:2] != (n_inst, 2) or directions.shape[3] != 2 or active.shape != (n_frames, n_inst, d_sae):
        raise ShapeError(
            'recovery needs features "n_inst 2 n_feats", decoders "n_frames n_inst d_sae 2" and frac_active '
            f'"n_frames n_inst d_sae": got {W.shape}, {directions.shape} and {active.shape}. Take them from one run.'
        )
    names = [f"instance {i}" for i in range(n_inst)] if names is None else names
    if len(names) != n_inst:
        raise ShapeError(
            f"names must be one for each instance: got {len(names)} for {n_inst}. Leave them out to count."
        )
    figure, places = make_panels(names, horizontal_spacing=0.02, vertical_spacing=0.08)
    for i, (row, column) in enumerate(places):
        unit = W[i].T / np.linalg.norm(W[i], axis=0)[:, None].clip(1e-12)
        true = go.Scatter(**_spokes(1.25 * unit), line={"color": "#bbbbbb", "width": 6}, name="true feature")
        figure.add_trace(true, row=row, col=column)
        for trace in _latents(directions[-1, i], active[-1, i]):
            figure.add_trace(trace, row=row, col=column)
    moving = [index for index in range(3 * n_inst) if index % 3]
    figure.frames = [
        go.Frame(
            name=str(step),
            data=[trace for i in range(n_inst) for trace in _latents(directions[t, i], active[t, i])],
            traces=moving,
        )
        for t, step in enumerate(steps)
    ]
    figure.for_each_trace(lambda trace: trace.update(hoverinfo="skip"))
    for trace in figure.data[:3]:  # these may have nothing to show, and would then be missing in the legend
        name = {"x": [None], "y": [None], "mode": "lines", "name": trace.name, "line": trace.line}
        figure.add_trace(go.Scatter(**name))
    axis = {"range": [-1.4, 1.4], "showgrid": False, "zeroline": False, "showticklabels": False}
    figure.update_xaxes(axis)
    figure.update_yaxes(axis)
    make_square(figure)
    figure.update_layout(**controls(steps), legend={"orientation": "h", "y": 1.12, "yanchor": "bottom", "x": 0.3})
    n_rows = places[-1][0]
    finish(figure, title, width=60 + PANEL * min(COLUMNS, n_inst), height=230 + PANEL * n_rows)
    return figure.update_layout(margin={"t": figure.layout.margin.t + 50})


def _spokes(ends: np.ndarray) -> dict[str, Any]:
    """Lines from the origin to each end, as one trace."""
    points = np.full((len(ends), 3, 2), np.nan)
    points[:, 0], points[:, 1] = 0.0, ends
    flat = points.reshape(-1, 2)
    return {"x": flat[:, 0], "y": flat[:, 1], "mode": "lines", "showlegend": False}


def _latents(directions: np.ndarray, active: np.ndarray) -> list[go.Scatter]:
    """Living latents, and dead ones."""
    lines = ({"color": SEQUENCE[0], "width": 2}, {"color": SEQUENCE[1], "width": 2, "dash": "dot"})
    kinds = ((active > 0, "latent", lines[0]), (active == 0, "dead latent", lines[1]))
    return [go.Scatter(**_spokes(directions[mask]), line=line, name=name) for mask, name, line in kinds]
