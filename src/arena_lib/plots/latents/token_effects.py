"""Bars for the tokens at both ends of a list: those that something favours, and those that it works against.

Raises:  ConfigError for no tokens.
"""

from collections.abc import Sequence

import plotly.graph_objects as go

from arena_lib.errors import ConfigError
from arena_lib.plots.style import SEQUENCE, escape, finish, token_text

ROOM = 0.12
"""Share of the width that is left beyond the longest bars, for their numbers."""


def token_effects(
    top: Sequence[tuple[str, float]],
    bottom: Sequence[tuple[str, float]],
    *,
    x_title: str = "logit",
    title: str = "",
) -> go.Figure:
    """The largest from above, then the smallest, which are hatched; each entry is (token, number).

    `top` begins with the largest, `bottom` with the smallest, as one would list them; the smallest stands last.

    >>> token_effects([(" cat", 2.0), (" dog", 1.0)], [("!", -1.5)]).data[0].text
    ('2.00', '1.00', '-1.50')
    """
    rows = [*top, *reversed(bottom)]
    if not rows:
        raise ConfigError("token_effects needs at least one token: got none. Pass (token, number) pairs.")
    is_bottom = [i >= len(top) for i in range(len(rows))]
    # A category needs a name of its own, and a token may stand on both sides: so its place goes with it, unseen.
    places = [i - len(rows) if low else i + 1 for i, low in enumerate(is_bottom)]
    tokens = [token_text(token) for token, _ in rows]
    labels = [f"{place}. {token}" for place, token in zip(places, tokens, strict=True)]
    figure = go.Figure(
        go.Bar(
            x=[value for _, value in rows],
            y=labels,
            orientation="h",
            text=[f"{value:.2f}" for _, value in rows],
            textposition="outside",
            cliponaxis=False,
            marker={
                "color": [SEQUENCE[1] if low else SEQUENCE[0] for low in is_bottom],
                "pattern": {"shape": ["/" if low else "" for low in is_bottom]},
            },
            customdata=tokens,
            hovertemplate=f"%{{customdata}}<br>{escape(x_title)} %{{x:.4g}}<extra></extra>",
        )
    )
    ends = min(0.0, *(value for _, value in rows)), max(0.0, *(value for _, value in rows))
    room = ROOM * (ends[1] - ends[0])
    figure.update_xaxes(range=[ends[0] - room * (ends[0] < 0), ends[1] + room * (ends[1] > 0)])
    figure.update_yaxes(autorange="reversed", type="category", tickvals=labels, ticktext=tokens)
    figure.update_xaxes(title_text=escape(x_title), zeroline=True, zerolinecolor="#1a1a1a")
    return finish(figure, title, width=620, height=130 + 24 * len(rows))
