"""The likeliest next tokens as bars, the likeliest at the top.

Shapes:  probabilities "d_vocab".
Raises:  ShapeError if the tokens are not as many as the probabilities.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import with_axes
from arena_lib.plots.style import SEQUENCE, finish, token_text


def token_probabilities(
    probabilities: Any, tokens: Sequence[str], *, top: int = 10, answer: str | None = None, title: str = ""
) -> go.Figure:
    """Bars for the `top` likeliest tokens; the bar of `answer` is hatched, and added if it isn't among them.

    >>> token_probabilities([0.2, 0.7, 0.1], ["a", "b", "c"], top=2).data[0].text
    ('0.700', '0.200')
    """
    values = with_axes(probabilities, "d_vocab")
    if len(values) != len(tokens):
        raise ShapeError(
            f"tokens must be as many as the probabilities: got {len(tokens)} for {len(values)}. Name each one."
        )
    chosen = [int(i) for i in np.argsort(-values, kind="stable")[:top]]
    is_answer = [tokens[i] == answer for i in range(len(tokens))]
    chosen += [i for i in range(len(tokens)) if is_answer[i] and i not in chosen]
    ranks = np.argsort(np.argsort(-values, kind="stable"))
    figure = go.Figure(
        go.Bar(
            x=values[chosen],
            y=[f"{ranks[i] + 1}. {token_text(tokens[i])}{' ★' if is_answer[i] else ''}" for i in chosen],
            orientation="h",
            text=[f"{values[i]:.3f}" for i in chosen],
            textposition="outside",
            cliponaxis=False,
            marker={
                "color": [SEQUENCE[1] if is_answer[i] else SEQUENCE[0] for i in chosen],
                "pattern": {"shape": ["/" if is_answer[i] else "" for i in chosen]},
            },
            hovertemplate="%{y}<br>probability %{x:.5f}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(title_text="probability", range=[0, max(float(values[chosen].max()) * 1.15, 1e-6)])
    return finish(figure, title, width=560, height=120 + 28 * len(chosen))
