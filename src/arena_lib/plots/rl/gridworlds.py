"""Gridworlds: the map with values as colours, a policy as arrows, and paths; and an episode that plays.

Shapes:  values and policy "n_states", states of a path "n_steps".
Raises:  ShapeError for values or a policy that doesn't fit the map.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import DASHES, DIVERGING, LIGHT_TO_DARK, MARKERS, SEQUENCE, colorbar, escape, finish

ARROWS = "↑→↓←"
CELL = 64
FILLS = {"#": "#464646", "G": "#78c679", "X": "#de6650", "C": "#78563c"}
"""Colours of walls, good ends, bad ends and cliffs; free cells show their value."""
FREE, GRID = "#ececec", "#c8c8c8"
"""Free cells where no values are shown, and the lines between cells."""
AROUND_ZERO = [[at, colour] for (at, _), (_, colour) in zip(DIVERGING, reversed(DIVERGING), strict=True)]
BELOW_ZERO = [[at, colour] for at, (_, colour) in zip((0.0, 0.5, 1.0), AROUND_ZERO, strict=False)]
"""Red is below zero, as bad ends are red, and blue above."""
CORNERS = ((0.32, 0.32), (-0.32, -0.32), (0.22, -0.22), (-0.22, 0.22))
"""Where in its cells each path runs, from their middle, so that it hides no letters, and no two share a line."""
MILLISECONDS = 250
"""How long one step of an episode is shown."""


def gridworld(
    rows: Sequence[str],
    *,
    values: Any = None,
    policy: Any = None,
    paths: Mapping[str, Sequence[int]] | None = None,
    quantity: str = "value",
    digits: int = 2,
    title: str = "",
) -> go.Figure:
    """A map (a letter for each state: S start, # wall, G and X ends, C cliff) with what is given drawn on it.

    >>> list(gridworld(["S.", "#G"], values=[0.5, 0.9, 0.0, 0.0], policy=[1, 2, 0, 0]).data[0].text[0])
    ['0.50<br>→', '0.90<br>↓']
    """
    shown = None if values is None else {"": values}
    figure = _maps(rows, shown, policy, paths or {}, quantity, digits)
    return _finish_maps(figure, rows, title, has_legend=bool(paths))


def compare_gridworlds(
    rows: Sequence[str],
    values: Mapping[str, Any],
    *,
    paths: Mapping[str, Sequence[int]] | None = None,
    quantity: str = "value",
    digits: int = 2,
    title: str = "",
) -> go.Figure:
    """The same map once for each set of values, side by side under their names; all share one scale of colours.

    >>> figure = compare_gridworlds(["S.G"], {"before": [0.0, 0.0, 0.0], "after": [0.5, 1.0, 0.0]})
    >>> [heatmap.zmax for heatmap in figure.data]
    [1.0, 1.0]
    """
    figure = _maps(rows, values, None, paths or {}, quantity, digits)
    return _finish_maps(figure, rows, title, has_legend=bool(paths), n_maps=len(values))


def episode(rows: Sequence[str], paths: Mapping[str, Sequence[int]], *, title: str = "") -> go.Figure:
    """Episodes that play at the same time: for each name the states that it went through; with a button and a slider.

    >>> len(episode(["S.G"], {"walker": [0, 1, 2]}).frames)
    3
    """
    figure = _maps(rows, None, None, {}, "", 0)
    figure.add_traces(_walkers(paths, len(rows[0]), 0))
    moving = list(range(1, len(figure.data)))
    n_frames = max(map(len, paths.values()))
    figure.frames = [
        go.Frame(data=_walkers(paths, len(rows[0]), step), traces=moving, name=str(step)) for step in range(n_frames)
    ]
    pace = {"frame": {"duration": MILLISECONDS, "redraw": False}, "transition": {"duration": MILLISECONDS // 2}}
    play = {"label": "play", "method": "animate", "args": [None, pace | {"fromcurrent": True}]}
    jump = {"frame": {"duration": 0, "redraw": False}, "mode": "immediate"}
    steps = [{"label": str(i), "method": "animate", "args": [[str(i)], jump]} for i in range(n_frames)]
    _finish_maps(figure, rows, title, has_legend=True)
    figure.update_layout(
        updatemenus=[{"type": "buttons", "buttons": [play], "x": 0.0, "y": -0.12, "xanchor": "left", "yanchor": "top"}],
        sliders=[{"steps": steps, "currentvalue": {"prefix": "step "}, "x": 0.14, "len": 0.86, "y": -0.02}],
        height=figure.layout.height + 110,
        margin={"b": 120},
    )
    return figure


def _maps(
    rows: Sequence[str],
    values: Mapping[str, Any] | None,
    policy: Any,
    paths: Mapping[str, Sequence[int]],
    quantity: str,
    digits: int,
) -> go.Figure:
    """A map for each set of values, or one without any: heatmaps first, then paths."""
    free = np.array([[letter in "S." for letter in row] for row in rows])
    numbers = [np.zeros(free.shape)] if values is None else [_fit(array, rows, "values") for array in values.values()]
    shown = [np.where(free, array, np.nan) for array in numbers]
    arrows = None if policy is None else _fit(policy, rows, "policy").astype(int)
    names = list(map(escape, values)) if values is not None and len(values) > 1 else None
    figure = make_subplots(rows=1, cols=len(shown), subplot_titles=names, horizontal_spacing=0.04)
    colours = {"colorscale": [[0.0, FREE], [1.0, FREE]]} if values is None else _colours(np.stack(shown))
    for i, array in enumerate(shown):
        heatmap = go.Heatmap(
            z=array,
            text=_texts(rows, None if values is None else array, arrows, digits),
            texttemplate="%{text}",
            **colours,
            showscale=values is not None and i == 0,
            colorbar=colorbar(quantity),
            xgap=1,
            ygap=1,
            hoverongaps=False,
            hovertemplate=f"row %{{y}}, column %{{x}}<br>{quantity} %{{z:.4g}}<extra></extra>",
        )
        figure.add_trace(heatmap, row=1, col=i + 1)
        _fill(figure, rows, i + 1)
    for i in range(len(shown)):
        for k, (name, states) in enumerate(paths.items()):
            _add_path(figure, name, states, len(rows[0]), k, i + 1)
    return figure


def _colours(shown: np.ndarray) -> dict[str, Any]:
    """Scale and limits for all maps of a figure."""
    top = float(np.nanmax(np.abs(shown))) or 1.0
    lowest, highest = float(np.nanmin(shown)), float(np.nanmax(shown))
    if lowest < 0 < highest:
        return {"colorscale": AROUND_ZERO, "zmin": -top, "zmax": top}
    if lowest < 0:
        return {"colorscale": BELOW_ZERO, "zmin": -top, "zmax": 0.0}
    return {"colorscale": LIGHT_TO_DARK, "zmin": 0.0, "zmax": top}


def _fit(values: Any, rows: Sequence[str], kind: str) -> np.ndarray:
    array = with_axes(values, "n_states")
    n_states = len(rows) * len(rows[0])
    if len(array) != n_states:
        raise ShapeError(f"{kind} must have one entry for each cell of the map: got {len(array)} for {n_states}.")
    return array.reshape(len(rows), len(rows[0]))


def _texts(rows: Sequence[str], values: np.ndarray | None, arrows: np.ndarray | None, digits: int) -> list[list[str]]:
    """What stands in each cell: its value and its arrow; S where the start has neither."""

    def text(r: int, c: int) -> str:
        if rows[r][c] not in "S.":
            return ""
        lines = [] if values is None else [f"{values[r, c]:.{digits}f}"]
        lines += [] if arrows is None else [ARROWS[arrows[r, c]]]
        return "<br>".join(lines) or rows[r][c].replace(".", "")

    return [[text(r, c) for c in range(len(rows[0]))] for r in range(len(rows))]


def _fill(figure: go.Figure, rows: Sequence[str], column: int) -> None:
    """Walls, ends and cliffs as boxes, ends with their letter."""
    for r, row in enumerate(rows):
        for c, letter in enumerate(row):
            if letter in FILLS:
                box = {"x0": c - 0.49, "x1": c + 0.49, "y0": r - 0.49, "y1": r + 0.49, "layer": "below"}
                figure.add_shape(type="rect", **box, fillcolor=FILLS[letter], line={"width": 0}, row=1, col=column)
                if letter in "GX":
                    font = {"size": 16, "color": "white"}
                    figure.add_annotation(x=c, y=r, text=letter, showarrow=False, font=font, row=1, col=column)


def _places(states: Sequence[int], width: int, i: int) -> tuple[list[float], list[float]]:
    """Columns and rows of states, all shifted to the corner of path i."""
    right, down = CORNERS[i % len(CORNERS)]
    return [state % width + right for state in states], [state // width + down for state in states]


def _line(i: int) -> dict[str, Any]:
    return {"color": SEQUENCE[i % len(SEQUENCE)], "dash": DASHES[i % len(DASHES)], "width": 3}


def _add_path(figure: go.Figure, name: str, states: Sequence[int], width: int, i: int, column: int) -> None:
    """A line with a dot where it begins and an arrow where it ends."""
    x, y = _places(states, width, i)
    n, (row, col) = len(x), np.divmod(states, width)
    marker = {
        "color": SEQUENCE[i % len(SEQUENCE)],
        "symbol": ["circle"] + ["arrow"] * (n - 1),
        "size": [10] + [0] * (n - 2) + [16] * (n > 1),
        "angle": np.degrees(np.arctan2(np.diff(col, prepend=col[0]), -np.diff(row, prepend=row[0]))),
        "opacity": 1.0,
        "line": {"width": 0},
    }
    path = go.Scatter(x=x, y=y, mode="lines+markers", line=_line(i), marker=marker, name=escape(name))
    figure.add_trace(path.update(showlegend=column == 1), row=1, col=column)


def _walkers(paths: Mapping[str, Sequence[int]], width: int, step: int) -> list[go.Scatter]:
    """For each name the way that it came, and where it is; one that has arrived stays."""
    traces = []
    for i, (name, states) in enumerate(paths.items()):
        x, y = _places(states[: step + 1], width, i)
        marker = {"color": SEQUENCE[i % len(SEQUENCE)], "size": 16, "symbol": MARKERS[i % len(MARKERS)]}
        traces.append(go.Scatter(x=x, y=y, mode="lines", line=_line(i), showlegend=False, hoverinfo="skip"))
        head = go.Scatter(x=x[-1:], y=y[-1:], mode="lines+markers", line=_line(i), marker=marker, name=escape(name))
        traces.append(head)
    return traces


def _finish_maps(figure: go.Figure, rows: Sequence[str], title: str, *, has_legend: bool, n_maps: int = 1) -> go.Figure:
    height, width = len(rows), len(rows[0])
    plain = {"showgrid": False, "zeroline": False, "showticklabels": False}
    figure.update_xaxes(**plain, range=[-0.5, width - 0.5])
    figure.update_yaxes(**plain, range=[height - 0.5, -0.5])
    place = {"y": 1.0, "yanchor": "bottom"} if n_maps == 1 else {"y": -0.02, "yanchor": "top"}  # names stand on top
    figure.update_layout(showlegend=has_legend, legend={"orientation": "h", "x": 0, **place})
    size = {"width": max(CELL * width * n_maps + 170, 380), "height": CELL * height + (110 if title else 80)}
    return finish(figure, title, **size).update_layout(plot_bgcolor=GRID)
