"""Finds how wrong values relate to the right ones, in words.

A pattern is claimed only if it holds for every entry, within the tolerance of the comparison, and if the entries are
many and varied enough to show it.

Shapes:  actual and expected have one shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
import torch

from arena_lib.checking.comparison.arrays import EXACT, Tolerance, agree, as_numbers, tolerance_for, widen
from arena_lib.checking.comparison.describing import is_a, number, number_pair
from arena_lib.checking.comparison.places import find_place
from arena_lib.checking.comparison.texts import both

MIN_ENTRIES = 3
"""Entries that must carry a factor, an offset or a shift before it is called a pattern."""
MAX_AXES = 6
"""Axes of a tensor whose permutations are tried."""
WHOLE = Tolerance(rtol=1e-4, atol=0.0)
"""How near a multiple must be to a whole one, whatever the exercise allows: frequencies are near many."""
LARGEST_MULTIPLE = 1000
"""Whole numbers up to this are looked for as the factor of a single number."""
CLOSE = 0.02
"""Relative error below which all wrong entries are called close."""

Finder = Callable[[np.ndarray, np.ndarray, tuple[str, ...], Tolerance], "str | None"]


def find_pattern(
    actual: np.ndarray | torch.Tensor,
    expected: np.ndarray | torch.Tensor,
    axes: str | tuple[str, ...] = (),
    tolerance: Tolerance | None = None,
) -> str | None:
    """The pattern of the wrong entries, or None if chance would explain it as well.

    >>> expected = torch.arange(1.0, 7).reshape(2, 3)
    >>> find_pattern(expected * 8**0.5, expected, "batch seq")
    'every entry is 2.83 times the expected one'
    """
    if tolerance is None:
        tolerance = tolerance_for(expected.dtype) if is_a(expected, torch.Tensor) else tolerance_for(torch.float64)
    values, right = as_numbers(actual), as_numbers(expected)
    if values is None or right is None or values.shape != right.shape or 0 in right.shape:
        return None
    if right.ndim == 0:
        values, right = values.reshape(1), right.reshape(1)
    words = tuple(axes.split()) if is_a(axes, str) else tuple(axes)
    words = words if len(words) == right.ndim else tuple(f"axis {i}" for i in range(right.ndim))
    patterns = (finder(values, right, words, tolerance) for finder in _FINDERS)
    return next((pattern for pattern in patterns if pattern), None)


def _same_everywhere(values: np.ndarray) -> bool:
    return bool(((values == values.flat[0]) | (np.isnan(values) & np.isnan(values.flat[0]))).all())


def _constant(actual: np.ndarray, expected: np.ndarray, axes: tuple[str, ...], tolerance: Tolerance) -> str | None:
    """NaN, zero or one number everywhere, where the expected values vary."""
    values, right = widen(actual), widen(expected)
    if values.size < 2 or not _same_everywhere(values):
        return None
    if _same_everywhere(right):
        if agree(values, right, tolerance).any():
            return None
        shown = number_pair(actual.flat[0], expected.flat[0])
        return f"every entry is {shown[0]} where it should be {shown[1]}"
    return f"every entry is {number(actual.flat[0])}"


def _inverted(actual: np.ndarray, expected: np.ndarray, axes: tuple[str, ...], tolerance: Tolerance) -> str | None:
    if actual.dtype.kind != "b" or expected.dtype.kind != "b" or actual.size < MIN_ENTRIES:
        return None
    return (
        "every entry is inverted: True where it should be False, and the reverse"
        if (actual != expected).all()
        else None
    )


def _sign(actual: np.ndarray, expected: np.ndarray, axes: tuple[str, ...], tolerance: Tolerance) -> str | None:
    if expected.dtype.kind not in "ifc":
        return None
    if agree(widen(actual), -widen(expected), tolerance).all():
        return "the sign is wrong everywhere" if actual.size > 1 else "the sign is wrong"
    return None


def _finite_pairs(actual: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, right = widen(actual), widen(expected)
    are_finite = np.isfinite(values) & np.isfinite(right)
    return values[are_finite], right[are_finite]


def _varied(values: np.ndarray, tolerance: Tolerance) -> bool:
    """Whether there are at least three values, which do not all agree."""
    return values.size >= MIN_ENTRIES and not agree(values, np.full_like(values, values[0]), tolerance).all()


def _factor(actual: np.ndarray, expected: np.ndarray, axes: tuple[str, ...], tolerance: Tolerance) -> str | None:
    values, right = _finite_pairs(actual, expected)
    if expected.dtype.kind not in "if" or actual.dtype.kind not in "if" or not _varied(right, tolerance):
        return None
    factor = float(np.dot(values, right) / np.dot(right, right))
    if not np.isfinite(factor) or factor == 0 or abs(factor - 1) < 2 * tolerance.rtol:
        return None  # a factor within the tolerance explains nothing: most entries count as right
    with np.errstate(all="ignore"):
        scaled = widen(expected) * factor
        weighty = np.abs(right) * min(1.0, abs(factor)) > 10 * (tolerance.atol + tolerance.rtol * np.abs(right))
    if not agree(widen(actual), scaled, tolerance).all() or int(weighty.sum()) < MIN_ENTRIES:
        return None
    return f"every entry is {_factor_text(factor)} times the expected one"


def _multiple(actual: np.ndarray, expected: np.ndarray, axes: tuple[str, ...], tolerance: Tolerance) -> str | None:
    """A single number that is a whole multiple of the expected one, or the reverse: a sum where a mean is meant, say."""
    if expected.size != 1 or expected.dtype.kind != "f" or actual.dtype.kind != "f":
        return None
    value, right = float(actual.flat[0]), float(expected.flat[0])
    if not (np.isfinite(value) and np.isfinite(right)) or value.is_integer() or right.is_integer():
        return None
    is_larger = abs(value) > abs(right)
    factor = round(value / right if is_larger else right / value)
    explained = np.asarray(right * factor if is_larger else right / max(factor, 1))
    if not 2 <= factor <= LARGEST_MULTIPLE or not agree(widen(actual).reshape(()), explained, WHOLE).all():
        return None
    return f"it is {factor} times too large" if is_larger else f"it is {factor} times too small"


def _factor_text(factor: float) -> str:
    """Three significant digits, or as many as it takes to differ from 1 and -1."""
    for digits in (3, 5, 7, 17):
        text = number(factor, digits)
        if text not in ("1", "-1"):
            return text
    return text


def _offset(actual: np.ndarray, expected: np.ndarray, axes: tuple[str, ...], tolerance: Tolerance) -> str | None:
    values, right = _finite_pairs(actual, expected)
    if expected.dtype.kind not in "if" or actual.dtype.kind not in "if" or not _varied(right, tolerance):
        return None
    offset = float(np.median(values - right))
    if offset == 0 or not agree(widen(actual), widen(expected) + offset, tolerance).all():
        return None
    if agree(values, right, tolerance).any():  # not every entry, then
        return None
    return f"every entry is {number(abs(offset), 3)} too {'large' if offset > 0 else 'small'}"


def _rounded(actual: np.ndarray, expected: np.ndarray, axes: tuple[str, ...], tolerance: Tolerance) -> str | None:
    """Values that have passed through a narrower dtype."""
    if expected.dtype not in (np.float32, np.float64) or actual.dtype != expected.dtype:
        return None
    wrong = ~agree(actual, expected, tolerance)
    if int(wrong.sum()) < MIN_ENTRIES:
        return None
    values, right = torch.from_numpy(np.ascontiguousarray(actual)), torch.from_numpy(np.ascontiguousarray(expected))
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        rounded = right.to(dtype).to(right.dtype)
        if torch.equal(values, rounded):
            return f"the values are rounded to {str(dtype).removeprefix('torch.')}"
    return None


def _pairs_of_axes(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    long = [i for i, size in enumerate(shape) if size > 1]
    return combinations(long, 2) if len(shape) <= MAX_AXES else iter(())


def _swapped(actual: np.ndarray, expected: np.ndarray, axes: tuple[str, ...], tolerance: Tolerance) -> str | None:
    for first, second in _pairs_of_axes(expected.shape):
        turned = np.swapaxes(expected, first, second)
        if turned.shape == expected.shape:
            if agree(actual, turned, tolerance).all():
                return f"the axes {both(axes[first], axes[second])} are swapped"
        elif agree(actual, turned.reshape(expected.shape), tolerance).all():
            return (
                f"the numbers are right but stand in the order of {both(axes[first], axes[second])} swapped: "
                "a reshape where the axes should be rearranged"
            )
    return None


def _informative(part: np.ndarray, expected: np.ndarray, tolerance: Tolerance) -> bool:
    """Whether the part differs in enough entries from what is expected in its place."""
    return int((~agree(part, expected, tolerance)).sum()) >= MIN_ENTRIES


def _moved(actual: np.ndarray, expected: np.ndarray, axes: tuple[str, ...], tolerance: Tolerance) -> str | None:
    """Shifted by one along an axis, or in reverse order."""
    for axis, size in enumerate(expected.shape):
        if size < MIN_ENTRIES:
            continue
        if agree(actual, np.flip(expected, axis), tolerance).all():
            return f"the order along {axes[axis]} is reversed"
        early, late = slice(None, -1), slice(1, None)
        at = (slice(None),) * axis
        for mine, theirs, word in ((late, early, "- 1"), (early, late, "+ 1")):
            given, source = actual[(*at, mine)], expected[(*at, theirs)]
            if agree(given, source, tolerance).all() and _informative(given, expected[(*at, mine)], tolerance):
                return f"shifted by one along {axes[axis]}: entry i holds what belongs to i {word}"
    return None


def _located(actual: np.ndarray, expected: np.ndarray, axes: tuple[str, ...], tolerance: Tolerance) -> str | None:
    """Where the wrong entries are, and what they have in common there."""
    wrong = ~agree(actual, expected, tolerance)
    found = find_place(wrong, axes)
    if found is None or wrong.all():
        return None
    place, is_wrong_throughout = found
    given, right = actual[wrong], expected[wrong]
    if given.size >= 2 and _same_everywhere(widen(given)) and _same_everywhere(widen(right)):
        texts = number_pair(given[0], right[0])
        return f"{place}, always {texts[0]} instead of {texts[1]}"
    if not is_wrong_throughout:  # of some entries here and there, anything may seem to hold
        return place
    finders = (_constant, _sign, _factor, _offset)
    detail = next((text for finder in finders if (text := finder(given, right, axes, tolerance))), None)
    where = "elsewhere" if place.startswith("nothing") else "there"
    return f"{place}; {where} {detail}" if detail else place


def _axes_that_matter(ndim: int) -> Iterator[tuple[int, ...]]:
    """Every choice of some axes but not all, the fewest first."""
    if ndim <= MAX_AXES:
        for n_chosen in range(1, ndim):
            yield from combinations(range(ndim), n_chosen)


def _grouped(actual: np.ndarray, expected: np.ndarray, axes: tuple[str, ...], tolerance: Tolerance) -> str | None:
    """An offset or a factor that varies along some axes and is the same along the others, such as a missing bias."""
    values, right = widen(actual), widen(expected)
    if expected.dtype.kind != "f" or not (np.isfinite(values).all() and np.isfinite(right).all()):
        return None
    if agree(values, right, tolerance).mean() > 1 / 2:  # what most entries don't show is no pattern of all
        return None
    for chosen in _axes_that_matter(right.ndim):
        others = tuple(i for i in range(right.ndim) if i not in chosen)
        n_groups = right.size // int(np.prod([right.shape[i] for i in others]))
        if n_groups < 2 or right.size < MIN_ENTRIES * n_groups:
            continue
        words = ", ".join(axes[i] for i in chosen)
        if agree(values, right + (values - right).mean(axis=others, keepdims=True), tolerance).all():
            return f"off by an amount that depends on {words} only"
        with np.errstate(all="ignore"):
            factors = (values * right).sum(axis=others, keepdims=True) / (right**2).sum(axis=others, keepdims=True)
        if np.isfinite(factors).all() and (factors != 0).all() and agree(values, right * factors, tolerance).all():
            return f"off by a factor that depends on {words} only"
    return None


def _close(actual: np.ndarray, expected: np.ndarray, axes: tuple[str, ...], tolerance: Tolerance) -> str | None:
    """A small error: precision, or a small constant such as an epsilon."""
    wrong = ~agree(actual, expected, tolerance)
    if tolerance == EXACT or wrong.sum() < MIN_ENTRIES:
        return None
    values, right = widen(actual)[wrong], widen(expected)[wrong]
    with np.errstate(all="ignore"):
        errors = np.abs(values - right) / np.abs(right)
    worst = float(errors.max()) if np.isfinite(errors).all() else np.inf
    if worst > CLOSE:
        return None
    return f"close: no wrong entry is more than {number(worst * 100 * 1.005, 2)} % off"


_FINDERS: tuple[Finder, ...] = (
    _constant,
    _inverted,
    _sign,
    _rounded,
    _factor,
    _multiple,
    _offset,
    _swapped,
    _moved,
    _located,
    _grouped,
    _close,
)
