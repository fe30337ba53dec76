"""Panels in rows, for pictures of many instances side by side.

Raises:  ConfigError for no panels.
"""

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from arena_lib.errors import ConfigError
from arena_lib.plots.style import escape

COLUMNS = 5
"""Panels in a row."""


def make_panels(
    names: Sequence[str], *, columns: int = COLUMNS, n_below: int = 0, **settings: object
) -> tuple[go.Figure, list[tuple[int, int]]]:
    """A figure with one panel for each name, and the row and column of each, from 1.

    A row has up to `columns` panels. `n_below` leaves so many rows free beneath each row of named panels, for pictures that belong to them.
    `settings` are those of plotly's make_subplots.
    """
    if not names:
        raise ConfigError("a figure of panels needs at least one: got none. Pass {name: values}.")
    n_columns = min(columns, len(names))
    n_rows = -(-len(names) // n_columns)
    titles: list[str] = []
    for row in range(n_rows):
        labels = [escape(name) for name in names[row * n_columns : (row + 1) * n_columns]]
        titles += labels + [""] * (n_columns - len(labels) + n_below * n_columns)
    figure = make_subplots(rows=n_rows * (1 + n_below), cols=n_columns, subplot_titles=titles, **settings)
    places = [(1 + (1 + n_below) * (i // n_columns), 1 + i % n_columns) for i in range(len(names))]
    return figure, places


def make_square(figure: go.Figure) -> None:
    """Give both axes of every panel one scale, so that a circle is round."""
    for i in range(1, len(list(figure.select_xaxes())) + 1):
        number = "" if i == 1 else str(i)
        figure.layout[f"yaxis{number}"].update(scaleanchor=f"x{number}", constrain="domain")
        figure.layout[f"xaxis{number}"].update(constrain="domain")
