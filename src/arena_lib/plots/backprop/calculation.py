"""A calculation as a graph: what it begins with at the left, its result at the right, an arrow for each argument.

Raises:  ConfigError for no nodes; UnknownNameError for an arrow from or to a node that isn't there.
"""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.plots.style import SEQUENCE, escape, finish

COLUMN, ROW, BOX = 150, 92, 40
"""Pixels from one column to the next, from one row to the next, and what an arrow keeps free of a node's middle."""


def calculation(
    nodes: Mapping[str, str], arrows: Sequence[tuple[str, str]], *, marked: Sequence[str] = (), title: str = ""
) -> go.Figure:
    """Nodes by name, each with a text below its name; every arrow leads from an argument to what was made of it.

    A node stands one column right of the last of its arguments. Nodes that are `marked` have another colour.

    >>> figure = calculation({"a": "2", "a * a": "4"}, [("a", "a * a"), ("a", "a * a")])
    >>> list(figure.data[0].x)
    [0, 1]
    """
    if not nodes:
        raise ConfigError("a calculation needs at least one node: got none. Pass {name: text}.")
    for name in (end for arrow in arrows for end in arrow):
        if name not in nodes:
            raise UnknownNameError("node", name, nodes)
    columns = _columns(nodes, arrows)
    heights = _heights(columns)
    figure = go.Figure(
        go.Scatter(
            x=list(columns.values()),
            y=[heights[name] for name in nodes],
            text=[f"<b>{escape(name)}</b><br>{escape(text)}" for name, text in nodes.items()],
            mode="markers+text",
            textposition="bottom center",
            marker={
                "size": 18,
                "color": [SEQUENCE[1] if name in marked else SEQUENCE[0] for name in nodes],
                "symbol": ["square" if name in marked else "circle" for name in nodes],
            },
            hoverinfo="skip",
        )
    )
    for start, end in dict.fromkeys(arrows):
        count = arrows.count((start, end))
        figure.add_annotation(
            x=columns[end], y=heights[end], ax=columns[start], ay=heights[start],
            xref="x", yref="y", axref="x", ayref="y", text="",
            showarrow=True, arrowhead=2, arrowwidth=1.5 * count, arrowcolor="#777777", standoff=11, startstandoff=11,
        )  # fmt: skip
    n_columns, top = max(columns.values()) + 1, max(heights.values())
    bottom = min(heights.values())
    figure.update_xaxes(visible=False, range=[-0.6, n_columns - 0.4])
    figure.update_yaxes(visible=False, range=[bottom - 0.7, top + 0.4])
    figure.update_layout(showlegend=False)
    return finish(figure, title, width=max(420, 90 + COLUMN * n_columns), height=int(110 + ROW * (top - bottom + 1)))


def _columns(nodes: Mapping[str, str], arrows: Sequence[tuple[str, str]]) -> dict[str, int]:
    """For each node the length of the longest way to it."""
    columns = dict.fromkeys(nodes, 0)
    for _ in nodes:
        for start, end in arrows:
            columns[end] = max(columns[end], columns[start] + 1)
        if max(columns.values()) >= len(nodes):
            raise ConfigError("a calculation must have no cycle: got arrows that lead round in a ring. Leave one out.")
    return columns


def _heights(columns: Mapping[str, int]) -> dict[str, float]:
    """Nodes of one column one below the other, around the middle; columns in turn a little higher and lower."""
    heights = {}
    for column in sorted(set(columns.values())):
        names = [name for name, place in columns.items() if place == column]
        for i, name in enumerate(names):
            heights[name] = (len(names) - 1) / 2 - i + 0.15 * (-1) ** column
    return heights
