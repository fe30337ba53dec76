"""Which features a neuron stands for: its weights, stacked.

Shapes:  each panel "d_hidden n_feats": a row is a neuron.
Raises:  ShapeError for other shapes; ConfigError for no panels.
Source:  Elhage et al. 2022, arXiv:2209.10652, section "Superposition in a Privileged Basis" (stack plots of neurons).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import SEQUENCE, finish
from arena_lib.plots.superposition.panels import COLUMNS, make_panels

PANEL = 250
ONE, SEVERAL = SEQUENCE[0], SEQUENCE[1]
SMALLEST = 0.05
"""Weights below this share of the largest are left out: they would be hairlines."""
SMALLEST_NUMBER = 10
"""Height in pixels below which a feature's number can't be read: its block then has none."""
SECOND = 0.2
"""A neuron stands for several features if its second largest weight has this share of its largest."""


def stacked_weights(panels: Mapping[str, Any], *, title: str = "") -> go.Figure:
    """One panel for each instance, one column for each neuron: its weights, stacked up from zero and down.

    A neuron is blue where one feature has most of its weight, and orange where a second one has more than a fifth of
    the first's. The number on a block is its feature; blocks too small for it have none.

    >>> figure = stacked_weights({"two neurons": [[1.0, 0.0], [1.0, -1.0]]})
    >>> [(bar.x.tolist(), bar.y.tolist(), bar.text) for bar in figure.data]
    [([0, 1], [1.0, 1.0], ('0', '0')), ([1], [-1.0], ('1',))]
    """
    figure, places = make_panels(list(panels), horizontal_spacing=0.04, vertical_spacing=0.1)
    for (row, column), W in zip(places, panels.values(), strict=True):
        for layer in _layers(with_axes(W, "d_hidden n_feats")):
            figure.add_trace(layer, row=row, col=column)
    figure.update_layout(barmode="relative", uniformtext={"minsize": SMALLEST_NUMBER, "mode": "hide"})
    figure.update_xaxes(title_text="neuron", showgrid=False)
    figure.update_yaxes(title_text="weights", col=1)
    n_rows = places[-1][0]
    return finish(figure, title, width=90 + PANEL * min(COLUMNS, len(panels)), height=110 + PANEL * n_rows)


def _layers(W: np.ndarray) -> list[go.Bar]:
    """Every neuron's largest weight, then every neuron's second, and so on: a trace for each, not for each block."""
    order = np.argsort(-np.abs(W), axis=1, kind="stable")
    weights = np.take_along_axis(W, order, axis=1)
    sizes = np.abs(weights)
    is_several = sizes[:, 1] > SECOND * sizes[:, 0] if W.shape[1] > 1 else np.zeros(len(W), dtype=bool)
    least = SMALLEST * (float(sizes.max()) or 1.0)
    layers = []
    for rank in range(W.shape[1]):
        neurons = np.flatnonzero(sizes[:, rank] >= least)
        if len(neurons):
            features = [str(feature) for feature in order[neurons, rank]]
            layers.append(_layer(neurons, weights[neurons, rank], features, is_several[neurons]))
    return layers


def _layer(neurons: np.ndarray, weights: np.ndarray, features: list[str], is_several: np.ndarray) -> go.Bar:
    colours = [SEVERAL if several else ONE for several in is_several]
    return go.Bar(
        x=neurons,
        y=weights,
        text=features,
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        marker={"color": colours, "line": {"color": "#ffffff", "width": 1}},
        showlegend=False,
        hovertemplate="neuron %{x}<br>feature %{text}<br>weight %{y:.3g}<extra></extra>",
    )
