"""Two plots of a group: ratios by path and peer, and how much of the machine ours uses.

No figure depends on colour: what a goal came to has a shape of its own, what bounds a path a
pattern, and every value stands beside its mark.

Raises:  nothing; a plot that would be empty is None.
Source:  Okabe and Ito's colours, as in arena_lib.plots.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import plotly.graph_objects as go

from arena_lib.plots.style import SEQUENCE, escape, finish
from benchmarks.harness.record import Row, Spread
from benchmarks.harness.reporting.merging import Group, Shown
from benchmarks.harness.reporting.summing import is_marked_noisy
from benchmarks.harness.reporting.wording import NOISY, describe_peer, describe_ratio

WIDTH = 900
"""Pixels."""
ROW_HEIGHT = 24
FEW_DECADES = 0.5
"""On an axis of at most this many powers of ten, each digit has a number."""
NO_GOAL = "no goal on time"
BLUE, ORANGE = SEQUENCE[:2]
GREY = "#555555"
OUTCOMES = {
    "goal met": ("circle", BLUE),
    "goal missed": ("x", ORANGE),
    NO_GOAL: ("diamond-open", GREY),
}
"""By what a row came to: its marker and colour."""
PATTERNS = {"flops": ("", BLUE), "bytes": ("/", ORANGE)}
"""By what bounds a path: its bars' pattern and colour."""


@dataclass(frozen=True)
class _Bar:
    """One case on the roofline's plot."""

    name: str
    bound: str
    share: float


def draw_ratios(group: Group) -> go.Figure | None:
    """A mark with its range for each row, on a logarithmic axis with 1 and the goals drawn in."""
    rows = [shown for shown in group.rows if shown.has_ratio]
    if not rows:
        return None
    figure = go.Figure()
    _add_goals(figure, rows)
    for outcome in OUTCOMES:
        _add_outcome(figure, rows, outcome)
    _add_values(figure, [_describe_value(shown) for shown in rows])
    figure.add_vline(x=1, line={"color": "#000000", "width": 1.5})
    low, high = _find_range(rows)
    figure.update_xaxes(
        type="log",
        range=[low, high],
        dtick="D2" if high - low > FEW_DECADES else "D1",
        tickformat="~g",
        title_text="the peer's time over ours (above 1 ours is faster)",
    )
    _name_rows(figure, [_name_row(shown.row, _has_dtypes(rows)) for shown in rows])
    return _finish(figure, "Ratio by path and peer", len(rows))


def _add_goals(figure: go.Figure, rows: Sequence[Shown]) -> None:
    """An upright stroke at each goal on time, below the marks."""
    goals = [(place, shown.row.goal) for place, shown in enumerate(rows) if find_outcome(shown.row) != NO_GOAL]
    if goals:
        figure.add_trace(
            go.Scatter(
                x=[goal for _, goal in goals],
                y=[place for place, _ in goals],
                name="goal",
                mode="markers",
                marker={"symbol": "line-ns", "size": 18, "line": {"width": 3, "color": "#000000"}},
                hovertemplate="goal %{x:.3g}<extra></extra>",
            )
        )


def _add_outcome(figure: go.Figure, rows: Sequence[Shown], outcome: str) -> None:
    """The rows that came to this, each a mark with its range."""
    places = [place for place, shown in enumerate(rows) if find_outcome(shown.row) == outcome]
    if not places:
        return
    symbol, colour = OUTCOMES[outcome]
    spreads = [_ratio(rows[place]) for place in places]
    figure.add_trace(
        go.Scatter(
            x=[spread.median for spread in spreads],
            y=places,
            name=outcome,
            mode="markers",
            marker={"symbol": symbol, "size": 8, "color": colour, "line": {"width": 2, "color": colour}},
            error_x={
                "array": [spread.high - spread.median for spread in spreads],
                "arrayminus": [spread.median - spread.low for spread in spreads],
                "color": colour,
                "thickness": 1.5,
            },
            hovertemplate="%{x:.3g}<extra></extra>",
        )
    )


def draw_roofline(group: Group) -> go.Figure | None:
    """A bar for each case: the share of what the machine reached in the same run, in what bounds the case."""
    bars = find_bars(group)
    if not bars:
        return None
    figure = go.Figure()
    for bound, (pattern, colour) in PATTERNS.items():
        places = [place for place, bar in enumerate(bars) if bar.bound == bound]
        if places:
            figure.add_trace(
                go.Bar(
                    x=[bars[place].share for place in places],
                    y=places,
                    orientation="h",
                    name=f"bounded by {bound}",
                    marker={"color": colour, "pattern": {"shape": pattern, "fgcolor": "#ffffff", "solidity": 0.3}},
                    hovertemplate="%{x:.1%}<extra></extra>",
                )
            )
    _add_values(figure, [f"{bar.share * 100:.0f} % of {bar.bound}" for bar in bars])
    figure.add_vline(x=1, line={"color": "#000000", "width": 1.5})
    longest = max(1.0, *(bar.share for bar in bars))
    figure.update_xaxes(range=[0, longest * 1.02], tickformat=".0%", title_text="share of the calibrated limit")
    _name_rows(figure, [bar.name for bar in bars])
    return _finish(figure, "Share of what the machine can do", len(bars))


def find_outcome(row: Row) -> str:
    """Which of `OUTCOMES`; a goal on memory isn't one on the plotted time."""
    if row.goal is None or row.measure != "time" or row.is_met is None:
        return NO_GOAL
    return "goal met" if row.is_met else "goal missed"


def find_bars(group: Group) -> list[_Bar]:
    """One for each case that has a share: the median over its peers' rows, for ours is timed beside each."""
    has_dtypes = _has_dtypes(group.rows)
    bars = []
    for case in group.cases:
        row = case[0].row
        shares = [shown.row.share for shown in case if shown.row.share is not None]
        if shares and row.bound in PATTERNS:
            dtype = f", {row.dtype}" if has_dtypes else ""
            bars.append(_Bar(f"{row.path}, {row.case}{dtype}", row.bound, median(shares)))
    return bars


def _ratio(shown: Shown) -> Spread:
    assert shown.row.ratio is not None  # as `has_ratio` says
    return shown.row.ratio


def _describe_value(shown: Shown) -> str:
    """The ratio, and what became of its goal."""
    value = describe_ratio(_ratio(shown).median) + (NOISY if is_marked_noisy(shown) else "")
    outcome = find_outcome(shown.row)
    return value if outcome == NO_GOAL else f"{value} {outcome.removeprefix('goal ')}"


def _has_dtypes(rows: Sequence[Shown]) -> bool:
    """Whether a name must say the dtype."""
    return len({shown.row.dtype for shown in rows}) > 1


def _name_row(row: Row, has_dtypes: bool) -> str:
    dtype = f", {row.dtype}" if has_dtypes else ""
    return f"{row.path}, {row.case}{dtype}: {describe_peer(row)}"


def _find_range(rows: Sequence[Shown]) -> tuple[float, float]:
    """Powers of ten that hold every range, every goal and 1, with room for half a mark."""
    values = [1.0]
    for shown in rows:
        values += [_ratio(shown).low, _ratio(shown).high]
        if find_outcome(shown.row) != NO_GOAL:
            values.append(shown.row.goal or 1.0)
    low, high = math.log10(min(values)), math.log10(max(values))
    room = 0.03 * (high - low) + 0.02
    return low - room, high + room


def _add_values(figure: go.Figure, values: Sequence[str]) -> None:
    """Each row's value in words, right of the plot."""
    for place, value in enumerate(values):
        figure.add_annotation(
            xref="paper", x=1.01, xanchor="left", y=place, text=escape(value), showarrow=False, font={"size": 12}
        )


def _name_rows(figure: go.Figure, names: Sequence[str]) -> None:
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[escape(name) for name in names],
        range=[len(names) - 0.5, -0.5],
        automargin=True,
        zeroline=False,
    )


def _finish(figure: go.Figure, title: str, n_rows: int) -> go.Figure:
    finish(figure, title, width=WIDTH, height=190 + ROW_HEIGHT * n_rows)
    figure.update_layout(
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
        showlegend=True,
        margin={"t": 100, "r": 130},
        bargap=0.25,
    )
    return figure
