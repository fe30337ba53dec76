"""Says how a wrong shape came about: axes in another order, an axis too few or too many, a length that is off.

Nothing is said where there are several ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import numpy as np
import torch

from arena_lib.checking.comparison.arrays import agree, as_numbers, tolerance_for
from arena_lib.checking.comparison.describing import is_a, shape_of
from arena_lib.checking.comparison.texts import both, plural, thing
from arena_lib.wording import counted

MAX_AXES = 6
"""Axes of a tensor whose permutations are tried."""


def find_shape_pattern(
    actual: np.ndarray | torch.Tensor,
    expected: np.ndarray | torch.Tensor,
    axes: tuple[str, ...] = (),
    sizes: Mapping[str, int] | None = None,
) -> str | None:
    """How a wrong shape came about: axes in another order, an axis too few or too many.

    `sizes` are the lengths of axes that don't stand in what is expected, by their words.

    >>> find_shape_pattern(torch.zeros(2, 5, 3), torch.zeros(2, 3, 5), ("batch", "seq", "d_model"))
    'the axes seq and d_model are swapped'
    """
    actual_shape, expected_shape = _shape(actual), _shape(expected)
    words = axes if len(axes) == len(expected_shape) else tuple(f"axis {i}" for i in range(len(expected_shape)))
    if len(actual_shape) == len(expected_shape):
        return _reordered(actual, expected, words)
    if len(actual_shape) == len(expected_shape) - 1:
        gone = [i for i in range(len(expected_shape)) if expected_shape[:i] + expected_shape[i + 1 :] == actual_shape]
        return f"{_axis(words[gone[0]])} is missing" if len(gone) == 1 else None
    if len(actual_shape) == len(expected_shape) + 1:
        extra = [i for i in range(len(actual_shape)) if actual_shape[:i] + actual_shape[i + 1 :] == expected_shape]
        if not extra:
            return None
        length = actual_shape[extra[0]]
        known = {**(sizes or {}), **(dict(zip(axes, expected_shape, strict=True)) if axes else {})}
        word = _word_of_length(length, known)
        return f"there is an axis of length {length}{word and f' ({word})'} too many"
    return None


def _word_of_length(length: int, sizes: Mapping[str, int]) -> str:
    """The word for the only axis of this length, if there is just one.

    >>> _word_of_length(3, {"batch": 2, "n_heads": 3}), _word_of_length(2, {"batch": 2, "seq": 2})
    ('n_heads', '')
    """
    words = [word for word, size in sizes.items() if size == length > 1]
    return words[0] if len(words) == 1 else ""


def _reordered(
    actual: np.ndarray | torch.Tensor, expected: np.ndarray | torch.Tensor, words: tuple[str, ...]
) -> str | None:
    actual_shape, expected_shape = _shape(actual), _shape(expected)
    differing = [i for i, (a, e) in enumerate(zip(actual_shape, expected_shape, strict=True)) if a != e]
    if sorted(actual_shape) == sorted(expected_shape) and len(expected_shape) <= MAX_AXES:
        orders = [
            order
            for order in permutations(range(len(expected_shape)))
            if tuple(expected_shape[i] for i in order) == actual_shape
        ]
        order = orders[0] if len(orders) == 1 else _order_by_values(actual, expected, orders)
        if order is None:
            return None
        moved = [i for i, source in enumerate(order) if i != source]
        if len(moved) == 2:
            return f"the axes {both(words[moved[0]], words[moved[1]])} are swapped"
        return f"the axes are in the order {', '.join(words[i] for i in order)}"
    if len(differing) == 1:
        i = differing[0]
        gap = actual_shape[i] - expected_shape[i]
        return _length_text(words[i], gap)
    return None


def _length_text(axis: str, gap: int) -> str:
    """How far the length of an axis is off.

    >>> _length_text("n_beams", 7), _length_text("seq", -1), _length_text("d_model", 2)
    ('there are 7 beams too many', 'there is 1 position too few', 'the axis d_model is 2 too long')
    """
    word = thing(axis)
    if word is None:
        return f"{_axis(axis)} is {abs(gap)} too {'long' if gap > 0 else 'short'}"
    return f"there {'is' if abs(gap) == 1 else 'are'} {counted(abs(gap), word, plural(word))} too {'many' if gap > 0 else 'few'}"


def _axis(axis: str) -> str:
    """An axis in words, also where it has only a number."""
    return axis if axis.startswith("axis ") else f"the axis {axis}"


def _order_by_values(
    actual: np.ndarray | torch.Tensor, expected: np.ndarray | torch.Tensor, orders: list[tuple[int, ...]]
) -> tuple[int, ...] | None:
    """The one order of axes that also puts the values right."""
    values, right = as_numbers(actual), as_numbers(expected)
    if values is None or right is None:
        return None
    tolerance = tolerance_for(torch.float32)
    fitting = [order for order in orders if agree(values, right.transpose(order), tolerance).all()]
    return fitting[0] if len(fitting) == 1 else None


def _shape(value: np.ndarray | torch.Tensor) -> tuple[int, ...]:
    return (shape_of(value) or ()) if is_a(value, torch.Tensor) else value.shape
