"""Says where wrong entries are: only in the last position, only after the query, only at batch = 1.

What is said is always true of every wrong entry; the place named is the one
that the wrong entries fill best.

Shapes:  a boolean array with as many axes as there are words.
Source:  own derivation: places are ranked by the share of their entries that are wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from arena_lib.checking.comparison.texts import coordinate, plural, thing

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


def find_place(wrong: np.ndarray, axes: tuple[str, ...]) -> tuple[str, bool] | None:
    """The smallest place that holds every wrong entry, in words, and whether it is wrong throughout; or None.

    One or two entries are always in some place, so for them only places known beforehand (the last position, the
    diagonal) are named.

    >>> wrong = np.zeros((2, 5), dtype=bool)
    >>> wrong[:, 3:] = True
    >>> find_place(wrong, ("batch", "seq"))
    ('only at positions 3, 4', True)
    """
    n_wrong = int(wrong.sum())
    if n_wrong == 0 or wrong.all() or wrong.ndim == 0:
        return None
    best, best_fill = "", 0.0
    for text, size, is_fixed in _places(wrong, axes):
        fill = n_wrong / size
        if n_wrong < MIN_ENTRIES and not is_fixed:
            continue
        unlikely = is_fixed and (size / wrong.size) ** n_wrong < MAX_CHANCE
        if (fill >= MIN_FILL or unlikely) and fill > best_fill:
            best, best_fill = text, fill
    return (best, best_fill == 1) if best else None


def _places(wrong: np.ndarray, axes: tuple[str, ...]) -> Iterator[tuple[str, int, bool]]:
    """Text, number of entries, and whether the place was known before looking at the data."""
    yield from _along_one_axis(wrong, _lines(axes))
    yield from _between_two_axes(wrong, axes)
    yield from _in_a_box(wrong, _lines(axes))


def _lines(axes: tuple[str, ...]) -> tuple[str, ...]:
    """Words for axes that have only numbers, where there are one or two.

    >>> _lines(("axis 0",)), _lines(("axis 0", "axis 1")), _lines(("batch",))
    (('entry',), ('row', 'column'), ('batch',))
    """
    if len(axes) > 2 or not all(axis.startswith("axis ") for axis in axes):
        return axes
    return ("entry",) if len(axes) == 1 else ("row", "column")


def _used(wrong: np.ndarray, axis: int) -> list[int]:
    """Indices along the axis at which anything is wrong."""
    others = tuple(i for i in range(wrong.ndim) if i != axis)
    return [int(i) for i in np.flatnonzero(wrong.any(axis=others))]


def _along_one_axis(wrong: np.ndarray, axes: tuple[str, ...]) -> Iterator[tuple[str, int, bool]]:
    n_wrong = int(wrong.sum())
    for axis, length in enumerate(wrong.shape):
        used = _used(wrong, axis)
        if length < 2 or len(used) == length:
            continue
        each = wrong.size // length
        word = thing(axes[axis]) or axes[axis].replace("axis ", "index of axis ")
        if length >= MIN_LENGTH and used == [length - 1]:
            yield f"only at the last {word} ({coordinate(axes[axis], length - 1)})", each, True
        elif length >= MIN_LENGTH and used == [0]:
            yield f"only at the first {word} ({coordinate(axes[axis], 0)})", each, True
        elif length > MIN_LENGTH and used == list(range(1, length)):
            yield f"nothing is wrong at {coordinate(axes[axis], 0)}", each * len(used), True
        elif length > MIN_LENGTH and used == list(range(length - 1)):
            yield f"nothing is wrong at the last {word} ({coordinate(axes[axis], length - 1)})", each * len(used), True
        elif (text := _indices(used)) is not None and (_is_run(used) or n_wrong == each * len(used)):
            yield f"only at {_many(axes[axis], used, text)}", each * len(used), False


def _indices(used: list[int]) -> str | None:
    """Indices in words, if that takes few.

    >>> _indices([3, 4]), _indices([2, 3, 4, 5, 6]), _indices([1, 4, 6, 9, 13])
    ('3, 4', '2 to 6', None)
    >>> _indices([3]), _indices([3, 4, 5]), _indices([3, 5, 6])
    ('3', '3 to 5', '3, 5, 6')
    >>> _indices([1, 3, 5, 7, 9])
    '1, 3, 5 and so on to 9'
    """
    if len(used) > 2 and _is_run(used):
        return f"{used[0]} to {used[-1]}"
    if len(used) <= MAX_LISTED:
        return ", ".join(map(str, used))
    step = used[1] - used[0]
    if used == list(range(used[0], used[-1] + 1, step)):
        return f"{used[0]}, {used[1]}, {used[2]} and so on to {used[-1]}"
    return None


def _is_run(used: list[int]) -> bool:
    """Whether the indices follow one another without a gap."""
    return used == list(range(used[0], used[-1] + 1))


def _many(axis: str, used: list[int], text: str) -> str:
    """Places along an axis, in the plural where there are several.

    >>> _many("n_heads", [1, 2], "1, 2"), _many("n_heads", [1], "1"), _many("d_model", [1, 2], "1, 2")
    ('heads 1, 2', 'head 1', 'd_model = 1, 2')
    >>> _many("seq", [1, 2, 3, 4, 5], "1 to 5"), _many("d_model", [1, 2, 3, 4, 5], "1 to 5")
    ('positions 1 to 5', 'd_model from 1 to 5')
    """
    word = thing(axis)
    if word is None and " to " in text and "," not in text:
        return f"{axis} from {text}"
    if word is None or len(used) == 1:
        return coordinate(axis, text)
    return f"{plural(word)} {text}"


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
        yield "nothing is wrong on the diagonal (seq_k = seq_q)", ~diagonal
        return
    yield f"only above the diagonal ({column} > {row})", above
    yield f"only below the diagonal ({column} < {row})", below


def _in_a_box(wrong: np.ndarray, axes: tuple[str, ...]) -> Iterator[tuple[str, int, bool]]:
    """A box along several axes that is wrong throughout, such as one query of one example."""
    used = {axis: _used(wrong, axis) for axis, length in enumerate(wrong.shape) if length > 1}
    few = {axis: at for axis, at in used.items() if len(at) < wrong.shape[axis]}
    if len(few) < 2 or not all(map(_is_run, few.values())):
        return
    size = wrong.size
    for axis, at in few.items():
        size = size // wrong.shape[axis] * len(at)
    if wrong.sum() == size:
        *places, last = (_many(axes[axis], at, str(_indices(at))) for axis, at in few.items())
        yield f"only at {', '.join(places)} and {last}", size, False
