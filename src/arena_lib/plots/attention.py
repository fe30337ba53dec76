"""Attention patterns: one heat map for each head, queries down and keys across.

Shapes:  pattern "n_heads seq_q seq_k", or "seq_q seq_k" for one head.
Raises:  ShapeError for other shapes, or if the tokens are not as many as the positions.
Source:  own design; rows are queries as in Vaswani et al. 2017, arXiv:1706.03762.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import to_array
from arena_lib.plots.style import LIGHT_TO_DARK, colorbar, finish, token_labels
from arena_lib.wording import counted

MAX_COLUMNS = 4
"""Heads in a row."""
MAX_WRITTEN = 10
"""With at most this many positions, every cell shows its number."""
MIN_WRITTEN = 0.005
"""Attention below this, which would read 0.00, is left blank; the hover text has it."""
PANEL = 300
"""Pixels of one head's picture."""


def attention(
    pattern: Any,
    tokens: Sequence[str],
    *,
    key_tokens: Sequence[str] | None = None,
    head_names: Sequence[str] | None = None,
    title: str = "Attention: from each query (row) to the keys (columns)",
) -> go.Figure:
    """Heat maps of attention by head, on one scale from 0 to 1, with the tokens as labels and in the hover text.

    >>> attention([[[1.0, 0.0], [0.5, 0.5]]], ["a", "b"]).data[0].z[1][0].item()
    0.5
    """
    array = to_array(pattern)
    array = array[None] if array.ndim == 2 else array
    keys = tokens if key_tokens is None else key_tokens
    if array.ndim != 3 or array.shape[1:] != (len(tokens), len(keys)):
        raise ShapeError(
            f'pattern must have the shape "n_heads seq_q seq_k" with {counted(len(tokens), "query", "queries")} and {counted(len(keys), "key")}: '
            f"got {array.shape}. Pick one example of the batch, and pass one token for each position."
        )
    names = [f"head {i}" for i in range(len(array))] if head_names is None else list(head_names)
    if len(names) != len(array):
        raise ShapeError(f"head_names must be as many as the heads: got {len(names)} for {len(array)}. Name each head.")
    n_columns = min(MAX_COLUMNS, len(array))
    n_rows = -(-len(array) // n_columns)
    figure = make_subplots(
        rows=n_rows,
        cols=n_columns,
        subplot_titles=names,
        horizontal_spacing=0.32 / n_columns,
        vertical_spacing=0.34 / n_rows,
    )
    for i, head in enumerate(array):
        row, column = divmod(i, n_columns)
        figure.add_trace(_panel(head, token_labels(tokens), token_labels(keys), names[i]), row=row + 1, col=column + 1)
    figure.update_coloraxes(colorscale=LIGHT_TO_DARK, cmin=0, cmax=1, colorbar=colorbar("attention"))
    figure.update_yaxes(autorange="reversed", title_text="query", title_standoff=2)
    figure.update_xaxes(tickangle=-60, title_text="key", title_standoff=2)
    return finish(figure, title, width=140 + PANEL * n_columns, height=100 + PANEL * n_rows)


def _panel(head: np.ndarray, queries: list[str], keys: list[str], name: str) -> go.Heatmap:
    """One head, with the numbers written in where there is room."""
    has_room = max(head.shape) <= MAX_WRITTEN
    text = [[f"{value:.2f}" if value >= MIN_WRITTEN else "" for value in row] for row in head]
    return go.Heatmap(
        z=head,
        x=keys,
        y=queries,
        coloraxis="coloraxis",
        text=text if has_room else None,
        texttemplate="%{text}" if has_room else None,
        xgap=int(has_room),
        ygap=int(has_room),
        hovertemplate=f"{name}<br>query %{{y}}<br>key %{{x}}<br>attention %{{z:.4f}}<extra></extra>",
    )
