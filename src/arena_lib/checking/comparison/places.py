"""Says where wrong entries are: only in the last position, only after the query, only at batch = 1.

What is said is always true of every wrong entry; the place named is the one
that the wrong entries fill best.

Shapes:  a boolean array with as many axes as there are words.
Source:  own derivation: places are ranked by the share of their entries that are wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

MIN_LENGTH = 3
"""An axis shorter than this has no places worth naming."""
MIN_ENTRIES = 3
"""Wrong entries below which no place is named that was found by looking at them."""
MIN_FILL = 0.5
"""Share of a place that must be wrong before it is named, unless chance can't explain it."""
MAX_CHANCE = 1e-3
"""A fixed place is named if chance would put the wrong entries there with a lower probability than this."""
MAX_LISTED = 4
"""Indices that are listed one by one."""


def find_place(wrong: np.ndarray, axes: tuple[str, ...]) -> str | None:
    """The smallest place that holds every wrong entry, in words, or None.

    One or two entries are always in some place, so for them only places known beforehand (the last position, the
    diagonal) are named.

    >>> wrong = np.zeros((2, 5), dtype=bool)
    >>> wrong[:, 3:] = True
    >>> find_place(wrong, ("batch", "seq"))
    'only at seq = 3, 4'
    """
    n_wrong = int(wrong.sum())
    if n_wrong == 0 or wrong.all() or wrong.ndim == 0:
        return None
    best, best_fill = None, 0.0
    for text, size, is_fixed in _places(wrong, axes):
        fill = n_wrong / size
        if n_wrong < MIN_ENTRIES and not is_fixed:
            continue
        unlikely = is_fixed and (size / wrong.size) ** n_wrong < MAX_CHANCE
        if (fill >= MIN_FILL or unlikely) and fill > best_fill:
            best, best_fill = text, fill
    return best


def _places(wrong: np.ndarray, axes: tuple[str, ...]) -> Iterator[tuple[str, int, bool]]:
    """Text, number of entries, and whether the place was known before looking at the data."""
    yield from _along_one_axis(wrong, axes)
    yield from _between_two_axes(wrong, axes)
    yield from _in_a_box(wrong, axes)


def _used(wrong: np.ndarray, axis: int) -> list[int]:
    """Indices along the axis at which anything is wrong."""
    others = tuple(i for i in range(wrong.ndim) if i != axis)
    return [int(i) for i in np.flatnonzero(wrong.any(axis=others))]


def _along_one_axis(wrong: np.ndarray, axes: tuple[str, ...]) -> Iterator[tuple[str, int, bool]]:
    for axis, length in enumerate(wrong.shape):
        used = _used(wrong, axis)
        if length < 2 or len(used) == length:
            continue
        each = wrong.size // length
        if length >= MIN_LENGTH and used == [length - 1]:
            yield f"only at the last {axes[axis]} ({axes[axis]} = {length - 1})", each, True
        elif length >= MIN_LENGTH and used == [0]:
            yield f"only at the first {axes[axis]} ({axes[axis]} = 0)", each, True
        elif length > MIN_LENGTH and used == list(range(1, length)):
            yield f"never at {axes[axis]} = 0", each * len(used), True
        elif length > MIN_LENGTH and used == list(range(length - 1)):
            yield f"never at the last {axes[axis]} ({axes[axis]} = {length - 1})", each * len(used), True
        elif (text := _indices(used)) is not None:
            yield f"only at {axes[axis]} {text}", each * len(used), False


def _indices(used: list[int]) -> str | None:
    """Indices in words, if that takes few.

    >>> _indices([3, 4]), _indices([2, 3, 4, 5, 6]), _indices([1, 4, 6, 9, 13])
    ('= 3, 4', 'from 2 to 6', None)
    >>> _indices([1, 3, 5, 7, 9])
    '= 1, 3, 5 and so on to 9'
    """
    if len(used) <= MAX_LISTED:
        return f"= {', '.join(map(str, used))}"
    if used == list(range(used[0], used[-1] + 1)):
        return f"from {used[0]} to {used[-1]}"
    step = used[1] - used[0]
    if used == list(range(used[0], used[-1] + 1, step)):
        return f"= {used[0]}, {used[1]}, {used[2]} and so on to {used[-1]}"
    return None


def _between_two_axes(wrong: np.ndarray, axes: tuple[str, ...]) -> Iterator[tuple[str, int, bool]]:
    """Above, below or on the diagonal of two axes that index the same thing."""
    for first in range(wrong.ndim):
        for second in range(first + 1, wrong.ndim):
            length = wrong.shape[first]
            if length != wrong.shape[second] or length < MIN_LENGTH or not _are_paired(first, second, axes):
                continue
            square = np.asarray(wrong.any(axis=tuple(i for i in range(wrong.ndim) if i not in (first, second))))
            n_repeats = wrong.size // length**2
            for text, region in _regions(length, axes[first], axes[second]):
                if not square[~region].any():
                    yield text, n_repeats * int(region.sum()), True


def _are_paired(first: int, second: int, axes: tuple[str, ...]) -> bool:
    """Whether the words differ in a short ending only (seq_q, seq_k), or are mere numbers and neighbours."""
    one, other = axes[first], axes[second]
    if one.startswith("axis ") and other.startswith("axis "):
        return second == len(axes) - 1 and first == second - 1
    return "_" in one and one.rpartition("_")[0] == other.rpartition("_")[0] and not one.startswith(("n_", "d_"))


def _regions(length: int, row: str, column: str) -> Iterator[tuple[str, np.ndarray]]:
    above = np.triu(np.ones((length, length), dtype=bool), 1)
    below, diagonal = above.T, np.eye(length, dtype=bool)
    is_attention = (row, column) == ("seq_q", "seq_k")
    yield "only on the diagonal" + (" (seq_k = seq_q)" if is_attention else f" of {row} and {column}"), diagonal
    beyond = np.eye(length, k=1, dtype=bool)
    yield f"only where {column} = {row} + 1", beyond
    yield f"only where {column} = {row} - 1", beyond.T
    if is_attention:
        yield "only positions after the query (seq_k > seq_q)", above
        yield "only positions before the query (seq_k < seq_q)", below
        yield "only positions up to the query (seq_k <= seq_q)", ~above
        yield "only the query's own and later positions (seq_k >= seq_q)", ~below
        yield "never on the diagonal (seq_k = seq_q)", ~diagonal
        return
    yield f"only above the diagonal ({column} > {row})", above
    yield f"only below the diagonal ({column} < {row})", below


def _in_a_box(wrong: np.ndarray, axes: tuple[str, ...]) -> Iterator[tuple[str, int, bool]]:
    """Few indices along each of several axes, such as one query of one example."""
    used = {axis: _used(wrong, axis) for axis, length in enumerate(wrong.shape) if length > 1}
    few = {axis: text for axis, at in used.items() if len(at) < wrong.shape[axis] and (text := _indices(at))}
    if len(few) < 2:
        return
    size = wrong.size
    for axis in few:
        size = size // wrong.shape[axis] * len(used[axis])
    yield "only at " + ", ".join(f"{axes[axis]} {text}" for axis, text in few.items()), size, False
