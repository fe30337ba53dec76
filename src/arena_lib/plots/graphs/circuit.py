"""A circuit as a graph: nodes by layer, the first at the bottom; edges by their effect.

Shapes:  nodes {name: (layer, kind)}, edges {(from, to): effect}.
Raises:  ConfigError for no nodes; UnknownNameError for an edge to a node that is not there.
Source:  own design; layers upward as in Elhage et al. 2021, "A mathematical framework for transformer circuits".
"""

from collections.abc import Mapping

import plotly.graph_objects as go

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.plots.style import DIVERGING, MARKERS, SEQUENCE, escape, finish

NODE = 26
"""Pixels of a node."""
WIDEST = 9.0
"""Pixels of the strongest edge."""
COLUMN = 0.88
"""Where the column of those aside stands, as a share of the width."""
WIDTH, LAYER = 860, 86
"""Pixels across, and from one layer to the next."""
HELPS, HURTS = DIVERGING[0][1], DIVERGING[-1][1]
"""Colours of an edge without which the metric falls, and of one without which it rises."""


def circuit(
    nodes: Mapping[str, tuple[int | float, str]],
    edges: Mapping[tuple[str, str], float],
    *,
    title: str = "",
    quantity: str = "change when patched",
    aside: str = "",
) -> go.Figure:
    """Nodes with their names, coloured by kind, and edges as thick as their effect: blue below zero, red above.

    `nodes` maps a name to its layer and its kind; nodes of a layer stand side by side in the order given, those of
    the kind `aside` in a column of their own at the right.

    >>> circuit({"1.2": (1, "mover"), "logits": (4, "output")}, {("1.2", "logits"): -0.9}).data[0].line.width
    9.0
    """
    if not nodes:
        raise ConfigError("a circuit needs at least one node: got none. Pass {name: (layer, kind)}.")
    for name in (end for edge in edges for end in edge):
        if name not in nodes:
            raise UnknownNameError("node", name, nodes)
    places = _places(nodes, aside)
    strongest = max((abs(effect) for effect in edges.values()), default=1.0) or 1.0
    figure = go.Figure()
    for (source, target), effect in sorted(edges.items(), key=lambda edge: -abs(edge[1])):
        figure.add_trace(_edge(places[source], places[target], effect, strongest))
        figure.add_trace(_handle(source, target, places, effect, quantity))
    for idx, kind in enumerate(dict.fromkeys(kind for _, kind in nodes.values())):
        figure.add_trace(_nodes_of(kind, [name for name in nodes if nodes[name][1] == kind], places, idx))
    layers = sorted({layer for layer, _ in nodes.values()})
    figure.update_xaxes(visible=False, range=[-0.05, 1.05])
    figure.update_yaxes(
        title_text="layer",
        tickvals=list(range(len(layers))),
        ticktext=[f"{layer:g}" if float(layer).is_integer() and layer >= 0 else "" for layer in layers],
        range=[-0.6, len(layers) - 0.4],
        showgrid=False,
        zeroline=False,
    )
    figure.update_layout(legend={"x": 1.02, "y": 1})
    return finish(figure, title, width=WIDTH, height=130 + LAYER * len(layers))


def _places(nodes: Mapping[str, tuple[int | float, str]], aside: str) -> dict[str, tuple[float, float]]:
    """Where each node stands: layers that have any are equally far apart, and their nodes spread over the width."""
    rows: dict[int | float, list[str]] = {layer: [] for layer in sorted({layer for layer, _ in nodes.values()})}
    places = {}
    for name, (layer, kind) in nodes.items():
        if aside and kind == aside:
            places[name] = (COLUMN, float(list(rows).index(layer)))
        else:
            rows[layer].append(name)
    width = COLUMN - 0.1 if places else 1.0
    for height, row in enumerate(rows.values()):
        # Rows are set off by a little, so that an edge over several layers passes beside the nodes between.
        shift = 0.12 * (height % 3 - 1)
        places |= {name: (width * (idx + 1 + shift) / (len(row) + 1), float(height)) for idx, name in enumerate(row)}
    return places


def _edge(source: tuple[float, float], target: tuple[float, float], effect: float, strongest: float) -> go.Scatter:
    return go.Scatter(
        x=[source[0], target[0]],
        y=[source[1], target[1]],
        mode="lines",
        line={
            "width": max(1.0, WIDEST * abs(effect) / strongest),
            "color": HELPS if effect < 0 else HURTS,
            "shape": "spline",
        },
        opacity=0.55,
        hoverinfo="skip",
        showlegend=False,
    )


def _handle(
    source: str, target: str, places: Mapping[str, tuple[float, float]], effect: float, quantity: str
) -> go.Scatter:
    """The edge's number, a third of the way up, where edges to one target don't yet meet."""
    (x0, y0), (x1, y1) = places[source], places[target]
    return go.Scatter(
        x=[x0 + (x1 - x0) / 3],
        y=[y0 + (y1 - y0) / 3],
        mode="text",
        text=[f"{effect:+.2f}"],
        textfont={"size": 10, "color": "#333333"},
        hovertemplate=f"{escape(source)} to {escape(target)}<br>{quantity} {effect:+.4f}<extra></extra>",
        showlegend=False,
    )


def _nodes_of(kind: str, names: list[str], places: Mapping[str, tuple[float, float]], idx: int) -> go.Scatter:
    return go.Scatter(
        x=[places[name][0] for name in names],
        y=[places[name][1] for name in names],
        mode="markers+text",
        name=escape(kind),
        text=[escape(name) for name in names],
        textposition="middle right",
        textfont={"size": 12, "color": "#1a1a1a"},
        marker={
            "size": NODE,
            "color": SEQUENCE[idx % len(SEQUENCE)],
            "symbol": MARKERS[idx % len(MARKERS)],
            "line": {"width": 1.5, "color": "white"},
        },
        hovertemplate=f"%{{text}}<br>{escape(kind)}<extra></extra>",
    )
