"""A circuit as a graph: nodes by layer, the first at the bottom; edges by their effect.

Shapes:  nodes {name: (layer, kind)}, edges {(from, to): effect}.
Raises:  ConfigError for no nodes; UnknownNameError for an edge to a node that is not there.
Source:  own design; layers upward as in Elhage et al. 2021, "A mathematical framework for transformer circuits".
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.plots.graphs.routing import Box, box_around, place_number, route
from arena_lib.plots.style import DIVERGING, MARKERS, SEQUENCE, escape, finish

NODE = 26
"""Pixels of a node."""
LETTER, GAP = 7.0, 7.0
"""Pixels of a letter of a node's name, and of the space around a node that edges keep free."""
WIDEST = 9.0
"""Pixels of the strongest edge."""
COLUMN = 0.88
"""Where the column of those aside stands, as a share of the width."""
WIDTH, LAYER, KEY = 880, 86, 290
"""Pixels across, from one layer to the next, and for the key at the right."""
SCALE = np.array([(WIDTH - 60 - KEY) / 1.1, LAYER])
"""Pixels of one unit of x, which goes from -0.05 to 1.05, and of y, a layer."""
HELPS, HURTS = DIVERGING[0][1], DIVERGING[-1][1]
"""Colours of an edge without which the metric falls, and of one without which it rises."""
SIGNS = (
    ("helping (negative: worse without it)", HELPS, "solid"),
    ("hurting (positive: better without it)", HURTS, "dash"),
)


def circuit(
    nodes: Mapping[str, tuple[int | float, str]],
    edges: Mapping[tuple[str, str], float],
    *,
    title: str = "",
    quantity: str = "change when patched",
    aside: str = "",
) -> go.Figure:
    """Nodes with their names, coloured by kind, and edges as thick as their effect.

    An effect is the change of the metric when the edge is patched. Below zero the edge helps, and is drawn blue;
    above zero it hurts, and is red and dashed. A key says so. Edges bend around nodes that they don't join.

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
    figure = go.Figure()
    _draw_edges(figure, places, edges, quantity)
    for idx, kind in enumerate(dict.fromkeys(kind for _, kind in nodes.values())):
        figure.add_trace(_nodes_of(kind, [name for name in nodes if nodes[name][1] == kind], places, idx))
    for name, (x, y) in places.items():
        figure.add_annotation(x=x, y=y, text=escape(name), xshift=NODE / 2 + 2, xanchor="left", **_on_white(12))
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
    finish(figure, title, width=WIDTH, height=110 + round(LAYER * (len(layers) + 0.2)))
    return figure.update_layout(margin={"r": KEY, "autoexpand": False})


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


def _draw_edges(
    figure: go.Figure,
    places: Mapping[str, tuple[float, float]],
    edges: Mapping[tuple[str, str], float],
    quantity: str,
) -> None:
    """Each edge around the nodes, the strongest first, its number where there is room, and the key of the signs."""
    strongest = max((abs(effect) for effect in edges.values()), default=1.0) or 1.0
    drawn = {name: np.array(place) * SCALE for name, place in places.items()}
    boxes = {name: _box_of(name, place) for name, place in drawn.items()}
    taken = list(boxes.values())
    for (source, target), effect in sorted(edges.items(), key=lambda edge: -abs(edge[1])):
        others = [box for name, box in boxes.items() if name not in (source, target)]
        curve = route(drawn[source], drawn[target], others)
        figure.add_trace(_edge(curve / SCALE, effect, WIDEST * abs(effect) / strongest))
        place, box = place_number(curve, taken)
        taken.append(box)
        x, y = place / SCALE
        hover = f"{escape(source)} to {escape(target)}<br>{quantity} {effect:+.4f}"
        figure.add_annotation(x=x, y=y, text=f"{effect:+.2f}", hovertext=hover, **_on_white(10))
    for name, color, dash in SIGNS if edges else ():
        line = {"color": color, "dash": dash, "width": 4}
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="lines", name=name, line=line))


def _box_of(name: str, place: np.ndarray) -> Box:
    """What a node and its name at the right cover."""
    left, bottom, right, top = box_around(place, NODE + 2 * GAP, NODE + 2 * GAP)
    return left, bottom, right + LETTER * len(name), top


def _edge(points: np.ndarray, effect: float, width: float) -> go.Scatter:
    _, color, dash = SIGNS[0] if effect < 0 else SIGNS[1]
    return go.Scatter(
        x=points[:, 0],
        y=points[:, 1],
        mode="lines",
        line={"width": max(1.5, width), "color": color, "dash": dash},
        opacity=0.6,
        hoverinfo="skip",
        showlegend=False,
    )


def _on_white(size: int) -> dict[str, Any]:
    """How a name or a number is written, so that it can be read where an edge passes below it."""
    font = {"size": size, "color": "#1a1a1a"}
    return {"showarrow": False, "font": font, "bgcolor": "rgba(255, 255, 255, 0.8)", "borderpad": 0}


def _nodes_of(kind: str, names: list[str], places: Mapping[str, tuple[float, float]], idx: int) -> go.Scatter:
    return go.Scatter(
        x=[places[name][0] for name in names],
        y=[places[name][1] for name in names],
        mode="markers",
        name=escape(kind),
        text=[escape(name) for name in names],
        marker={
            "size": NODE,
            "color": SEQUENCE[idx % len(SEQUENCE)],
            "symbol": MARKERS[idx % len(MARKERS)],
            "line": {"width": 1.5, "color": "white"},
        },
        hovertemplate=f"%{{text}}<br>{escape(kind)}<extra></extra>",
    )
