"""Gridworlds: the map with values as colours, a policy as arrows, and paths; and an episode that plays.

Shapes:  values and policy "n_states", states of a path "n_steps".
Raises:  ShapeError for values or a policy that doesn't fit the map.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import DASHES, DIVERGING, LIGHT_TO_DARK, MARKERS, SEQUENCE, colorbar, escape, finish

ARROWS = "↑→↓←"
CELL = 64
FILLS = {"#": "#464646", "G": "#78c679", "X": "#de6650", "C": "#78563c"}
"""Colours of walls, good ends, bad ends and cliffs; free cells show their value."""
BESIDE_TEXT, APART = (0.36, -0.36, 0.28, -0.28), (-0.12, 0.12, 0.0, 0.24)
"""How far from the middle of its cells each path runs, in cells: past numbers and arrows, or in free cells."""
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
    height, width = len(rows), len(rows[0])
    free = np.array([[letter in "S." for letter in row] for row in rows])
    shown = np.where(free, 0.0 if values is None else _fit(values, rows, "values"), np.nan)
    arrows = None if policy is None else _fit(policy, rows, "policy").astype(int)
    texts = [
        [_text(r, c, rows, values is not None, shown, arrows, digits) for c in range(width)] for r in range(height)
    ]
    top = float(np.nanmax(np.abs(shown))) or 1.0
    has_both_signs = bool(np.nanmin(shown) < 0 < np.nanmax(shown))
    is_negative = bool(np.nanmax(shown) <= 0 > np.nanmin(shown))
    scale: list[list[Any]] = DIVERGING if has_both_signs else LIGHT_TO_DARK
    figure = go.Figure(
        go.Heatmap(
            z=shown,
            text=texts,
            texttemplate="%{text}",
            colorscale=[[1 - at, colour] for at, colour in reversed(scale)] if is_negative else scale,
            zmin=-top if has_both_signs or is_negative else 0.0,
            zmax=0.0 if is_negative else top,
            showscale=values is not None,
            colorbar=colorbar(quantity),
            xgap=1,
            ygap=1,
            hoverongaps=False,
            hovertemplate=f"row %{{y}}, column %{{x}}<br>{quantity} %{{z:.4g}}<extra></extra>",
        )
    )
    _fill(figure, rows)
    for i, (name, states) in enumerate((paths or {}).items()):
        x, y = _places(states, width, BESIDE_TEXT[i % len(BESIDE_TEXT)])
        line = {"color": SEQUENCE[i % len(SEQUENCE)], "dash": DASHES[i % len(DASHES)], "width": 3}
        figure.add_trace(go.Scatter(x=x, y=y, name=escape(name), mode="lines", line=line))
    return _finish_map(figure, rows, title, has_legend=bool(paths))


def episode(rows: Sequence[str], paths: Mapping[str, Sequence[int]], *, title: str = "") -> go.Figure:
    """Episodes that play at the same time: for each name the states that it went through; with a button and a slider.

    >>> len(episode(["S.G"], {"walker": [0, 1, 2]}).frames)
    3
    """
    width = len(rows[0])
    figure = gridworld(rows, title=title)
    markers = [_marker(name, states, width, i, 0) for i, (name, states) in enumerate(paths.items())]
    figure.add_traces(markers)
    moving = list(range(1, 1 + len(markers)))
    n_frames = max(map(len, paths.values()))
    figure.frames = [
        go.Frame(
            data=[_marker(name, states, width, i, step) for i, (name, states) in enumerate(paths.items())],
            traces=moving,
            name=str(step),
        )
        for step in range(n_frames)
    ]
    pace = {"frame": {"duration": MILLISECONDS, "redraw": False}, "transition": {"duration": MILLISECONDS // 2}}
    play = {"label": "play", "method": "animate", "args": [None, pace | {"fromcurrent": True}]}
    jump = {"frame": {"duration": 0, "redraw": False}, "mode": "immediate"}
    steps = [{"label": str(i), "method": "animate", "args": [[str(i)], jump]} for i in range(n_frames)]
    _finish_map(figure, rows, title, has_legend=True)
    figure.update_layout(
        updatemenus=[{"type": "buttons", "buttons": [play], "x": 0.0, "y": -0.12, "xanchor": "left", "yanchor": "top"}],
        sliders=[{"steps": steps, "currentvalue": {"prefix": "step "}, "x": 0.14, "len": 0.86, "y": -0.02}],
        height=figure.layout.height + 110,
        margin={"b": 120},
    )
    return figure


def _fit(values: Any, rows: Sequence[str], kind: str) -> np.ndarray:
    array = with_axes(values, "n_states")
    n_states = len(rows) * len(rows[0])
    if len(array) != n_states:
        raise ShapeError(f"{kind} must have one entry for each cell of the map: got {len(array)} for {n_states}.")
    return array.reshape(len(rows), len(rows[0]))


def _text(
    row: int,
    column: int,
    rows: Sequence[str],
    has_values: bool,
    values: np.ndarray,
    arrows: np.ndarray | None,
    digits: int,
) -> str:
    letter = rows[row][column]
    if letter not in "S.":
        return ""
    lines = [f"{values[row, column]:.{digits}f}"] if has_values else []
    if arrows is not None:
        lines.append(ARROWS[arrows[row, column]])
    return "<br>".join(lines) or (letter if letter == "S" else "")


def _fill(figure: go.Figure, rows: Sequence[str]) -> None:
    """Walls, ends and cliffs as boxes, ends with their letter."""
    for r, row in enumerate(rows):
        for c, letter in enumerate(row):
            if letter in FILLS:
                box = {"x0": c - 0.49, "x1": c + 0.49, "y0": r - 0.49, "y1": r + 0.49}
                figure.add_shape(type="rect", **box, fillcolor=FILLS[letter], line={"width": 0}, layer="below")
                if letter in "GX":
                    figure.add_annotation(x=c, y=r, text=letter, showarrow=False, font={"size": 16, "color": "white"})


def _places(states: Sequence[int], width: int, shift: float) -> tuple[list[float], list[float]]:
    """Columns and rows of states, all shifted."""
    return [state % width + shift for state in states], [state // width + shift for state in states]


def _marker(name: str, states: Sequence[int], width: int, i: int, step: int) -> go.Scatter:
    """Where one walker is, with the way it came; one that has arrived stays."""
    until = list(states[: step + 1])
    x, y = _places(until, width, APART[i % len(APART)])
    colour = SEQUENCE[i % len(SEQUENCE)]
    sizes = [0] * (len(until) - 1) + [20]
    marker = {"color": colour, "size": sizes, "symbol": MARKERS[i % len(MARKERS)], "line": {"width": 0}, "opacity": 1.0}
    line = {"color": colour, "width": 2, "dash": DASHES[i % len(DASHES)]}
    return go.Scatter(x=x, y=y, name=escape(name), mode="lines+markers", marker=marker, line=line)


def _finish_map(figure: go.Figure, rows: Sequence[str], title: str, *, has_legend: bool) -> go.Figure:
    height, width = len(rows), len(rows[0])
    plain = {"showgrid": False, "zeroline": False, "showticklabels": False}
    figure.update_xaxes(**plain, range=[-0.5, width - 0.5])
    figure.update_yaxes(**plain, range=[height - 0.5, -0.5])
    figure.update_layout(showlegend=has_legend, legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"})
    finish(figure, title, width=max(CELL * width + 170, 380), height=CELL * height + (110 if title else 80))
    return figure.update_layout(plot_bgcolor="#f0f0f0")
