"""A verdict as HTML for a notebook, with heat maps of expected, actual and difference.

Every cell shows its number, and wrong cells a cross and a thick border, so
nothing rests on colour. There is no script and no style sheet: it looks the
same in a notebook that isn't trusted, and on dark and light backgrounds.

Shapes:  any tensors; the two axes with the first wrong entry are drawn.
Raises:  nothing, whatever the learner's object gave.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from arena_lib.checking.comparison.arrays import Tolerance, agree, read, tolerance_for, widen
from arena_lib.checking.comparison.comparing import equal
from arena_lib.checking.comparison.describing import elements, is_a, number, shape_of
from arena_lib.checking.comparison.texts import coordinate
from arena_lib.checking.reports.messages import LOOKS_LIKE, MAX_FACT, Message, compose
from arena_lib.checking.results import Mismatch, Result

MAX_CELLS = 12
"""Rows and columns of a heat map; larger arrays show the window around the first wrong entry."""
DARK = 110
"""Luminance (0 to 255) of a background below which its text is white."""
MAX_DRAWN = 10**7
"""Nothing is drawn of an array with more entries than this."""

_BOX = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px;line-height:1.45"
_FONT = "font:inherit;color:inherit;background:none"
_TEXT = f"text-align:left;vertical-align:top;padding:1px 10px 1px 0;{_FONT}"
_CELL = "padding:1px 5px;text-align:right;font-size:11px;min-width:3.4em;color:{ink};background:{paper};border:{border}"
_VERDICT_BORDER = {"passed": "#1a7f37", "not_started": "#9a6700"}
_RED_BORDER = "#b3261e"
_WRONG_BORDER = "2px solid #000;outline:1px solid #fff"
"""Black with a white line around it: one of the two shows on any background."""
_RIGHT_BORDER = "1px solid #ccc"


@dataclass(frozen=True)
class Slice:
    """A two-dimensional part of two arrays, and where it is."""

    expected: np.ndarray
    actual: np.ndarray
    wrong: np.ndarray
    axes: tuple[str, str]
    """Words for rows and columns."""
    first: tuple[int, int]
    """Row and column of the first drawn entry."""
    title: str
    """Which part is drawn: "batch = 0, seq_q 0 to 4 of 5, ..."."""


def render_html(result: Result, *, expected: Any = None, actual: Any = None) -> str:
    """The verdict as HTML; with both values, and a mismatch of values, the heat maps too."""
    message = compose(result)
    parts = [_message_html(message)]
    drawn = slice_of(result.mismatch, expected, actual) if result.mismatch else None
    if drawn is not None:
        parts.append(_heat_maps(drawn))
    border = _VERDICT_BORDER.get(result.status, _RED_BORDER)
    return f'<div style="{_BOX};border-left:4px solid {border};padding:4px 10px">{"".join(parts)}</div>'


def _message_html(message: Message) -> str:
    rows = "".join(_fact_html(label, text) for label, text in message.facts)
    table = f'<table style="border-collapse:collapse;margin:4px 0;{_FONT}">{rows}</table>' if rows else ""
    step = f"<div>{html.escape(message.next_step)}</div>" if message.next_step else ""
    return f"<div><b>{html.escape(f'{message.mark()} {message.headline}')}</b></div>{table}{step}"


def _fact_html(label: str, text: str) -> str:
    value = html.escape(text[:MAX_FACT])
    value = f"<b>{value}</b>" if label == LOOKS_LIKE else value
    name = f'<td style="{_TEXT};white-space:nowrap">{html.escape(label)}</td>'
    return f'<tr>{name}<td style="{_TEXT};white-space:pre-wrap">{value}</td></tr>'


def slice_of(mismatch: Mismatch, expected: Any, actual: Any) -> Slice | None:
    """The two axes around the first wrong entry, or None where there is nothing to draw.

    >>> drawn = slice_of(Mismatch(observation="output", kind="values", axes=("batch", "seq"),
    ...     first_index=(1, 2)), torch.zeros(2, 3), torch.tensor([[0.0, 0, 0], [0, 0, 5]]))
    >>> drawn.title, int(drawn.wrong.sum())
    ('batch 0 to 1 of 2, seq 0 to 2 of 3', 1)
    """
    if mismatch.kind not in ("values", "nonfinite") or mismatch.first_index is None:
        return None
    pair = _differing_pair(expected, actual)
    if pair is None or pair[0].ndim != len(mismatch.first_index):
        return None
    right, given, tolerance = pair
    n_axes, index = right.ndim, mismatch.first_index
    axes = mismatch.axes if len(mismatch.axes) == n_axes else tuple(f"axis {i}" for i in range(n_axes))
    fixed = max(n_axes - 2, 0)
    lead = index[:fixed]
    rows_and_columns = tuple(_two_dimensional(array[lead]) for array in (right, given))
    row, column = (0, index[-1]) if n_axes == 1 else (index[-2], index[-1])
    shape = rows_and_columns[0].shape
    windows = [_window(at, size) for at, size in zip((row, column), shape, strict=True)]
    cut = np.ix_(*(range(start, stop) for start, stop in windows))
    words = ("", axes[-1]) if n_axes == 1 else (axes[-2], axes[-1])
    where = [coordinate(axis, i) for axis, i in zip(axes[:fixed], lead, strict=True)]
    drawn = zip(words, windows, shape, strict=True)
    where += [f"{word} {start} to {stop - 1} of {size}" for word, (start, stop), size in drawn if word]
    expected_part, actual_part = (array[cut] for array in rows_and_columns)
    wrong = ~agree(actual_part, expected_part, tolerance)
    first = (windows[0][0], windows[1][0])
    return Slice(expected_part, actual_part, wrong, words, first, ", ".join(where))


def _two_dimensional(array: np.ndarray) -> np.ndarray:
    return array[None, :] if array.ndim == 1 else array


def _window(at: int, size: int) -> tuple[int, int]:
    """Start and stop of at most `MAX_CELLS` indices with `at` among them."""
    start = max(0, min(at - MAX_CELLS // 2, size - MAX_CELLS))
    return start, min(size, start + MAX_CELLS)


def _differing_pair(expected: Any, actual: Any) -> tuple[np.ndarray, np.ndarray, Tolerance] | None:
    """The first two tensors of one shape in the two values that differ, as arrays, with the tolerance."""
    if is_a(expected, torch.Tensor) and is_a(actual, torch.Tensor):
        shape = shape_of(expected)
        if not shape or shape != shape_of(actual) or np.prod(shape) > MAX_DRAWN:
            return None
        right, given = read(expected), read(actual)
        if not (is_a(right, np.ndarray) and is_a(given, np.ndarray)):
            return None
        return right, given, tolerance_for(expected.dtype)
    for one, other in _children(expected, actual):
        if not equal(other, one):
            return _differing_pair(one, other)
    return None


def _children(expected: Any, actual: Any) -> list[tuple[Any, Any]]:
    """Elements of two lists or tuples, or values of two dicts, that stand in the same place."""
    if is_a(expected, list) or is_a(expected, tuple):
        actual_items = elements(actual)
        return [] if actual_items is None else list(zip(expected, actual_items, strict=False))
    if is_a(expected, dict) and is_a(actual, dict):
        values = {key: value for key, value in dict.items(actual) if type(key) in (str, int)}
        return [(value, values[key]) for key, value in expected.items() if key in values]
    return []


def _heat_maps(drawn: Slice) -> str:
    """Three tables side by side, with a line that says which part of the result they are."""
    with np.errstate(all="ignore"):
        difference = widen(drawn.actual) - widen(drawn.expected)
    difference[drawn.actual == drawn.expected] = 0
    right = np.zeros_like(drawn.wrong)
    scale = _scale(np.stack([widen(drawn.expected), widen(drawn.actual)]))
    tables = [
        _heat_map("expected", drawn.expected, right, drawn, scale),
        _heat_map("actual", drawn.actual, drawn.wrong, drawn, scale),
        _heat_map("actual − expected", difference, drawn.wrong, drawn, _scale(difference)),
    ]
    n_wrong = int(drawn.wrong.sum())
    note = f"{drawn.title}; ✗ marks the {n_wrong} wrong of {drawn.wrong.size} drawn"
    flex = "display:flex;flex-wrap:wrap;gap:18px;margin-top:6px"
    return f'<div style="margin-top:6px">{html.escape(note)}</div><div style="{flex}">{"".join(tables)}</div>'


def _heat_map(title: str, values: np.ndarray, wrong: np.ndarray, drawn: Slice, scale: float) -> str:
    row_word, column_word = drawn.axes
    corner = f"{row_word} ↓ {column_word} →" if row_word else f"{column_word} →"
    head = "".join(_heading(str(drawn.first[1] + j)) for j in range(values.shape[1]))
    body = []
    for i, row in enumerate(values):
        cells = "".join(_cell(value, bool(wrong[i, j]), scale) for j, value in enumerate(row))
        body.append(f"<tr>{_heading(str(drawn.first[0] + i) if row_word else '')}{cells}</tr>")
    caption = f'<caption style="text-align:left;font-weight:bold;{_FONT}">{html.escape(title)}</caption>'
    rows = f"<tr>{_heading(corner)}{head}</tr>{''.join(body)}"
    return f'<table style="border-collapse:separate;border-spacing:2px;{_FONT}">{caption}{rows}</table>'


def _heading(text: str) -> str:
    return f'<th style="{_FONT};text-align:right;padding:1px 5px;white-space:nowrap">{html.escape(text)}</th>'


def _scale(values: np.ndarray) -> float:
    """The largest finite size, by which colours are scaled."""
    sizes = np.abs(widen(values))
    finite = sizes[np.isfinite(sizes)]
    return float(finite.max()) if finite.size and finite.max() > 0 else 1.0


def _cell(value: Any, is_wrong: bool, scale: float) -> str:
    paper, ink = _colours(value, scale)
    border = _WRONG_BORDER if is_wrong else _RIGHT_BORDER
    style = _CELL.format(ink=ink, paper=paper, border=border)
    return f'<td style="{style}">{"✗ " if is_wrong else ""}{html.escape(number(value, 3))}</td>'


def _colours(value: Any, scale: float) -> tuple[str, str]:
    """Background and text: orange for positive, blue for negative, grey for what is no number."""
    size = abs(complex(value)) if np.iscomplexobj(value) else abs(float(value))
    if not np.isfinite(size):
        return "#d0d0d0", "#000"
    share = size / scale
    red, green, blue = (230, 97, 1) if np.real(value) > 0 else (33, 102, 172)
    paper = tuple(round(255 - share * (255 - channel)) for channel in (red, green, blue))
    luminance = 0.299 * paper[0] + 0.587 * paper[1] + 0.114 * paper[2]
    return "#{:02x}{:02x}{:02x}".format(*paper), "#000" if luminance > DARK else "#fff"
