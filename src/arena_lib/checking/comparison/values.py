"""Compares tensors and numbers: type, rank, shape, dtype, finite, values, in this order.

Shapes:  any; nothing broadcasts.
Raises:  AuthoringError for an expected tensor without values. Never for what a learner gave.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from arena_lib.checking.comparison.arrays import (
    EXACT,
    PYTHON_FLOAT,
    Tolerance,
    Unreadable,
    agree,
    dtype_kind,
    read,
    tolerance_for,
)
from arena_lib.checking.comparison.describing import (
    describe,
    dtype_text,
    is_a,
    number_pair,
    plain,
    plain_array,
    shape_of,
)
from arena_lib.checking.comparison.patterns import find_pattern
from arena_lib.checking.comparison.shapes import find_shape_pattern
from arena_lib.checking.comparison.texts import RETURN_MISSING, shape_text
from arena_lib.checking.results import Mismatch
from arena_lib.errors import AuthoringError

STATISTIC = 0.001
"""An absolute tolerance as wide as this is that of a statistic, not of rounding."""


@dataclass(frozen=True)
class Place:
    """Where we are in the observation, and what goes into every mismatch."""

    axes: tuple[str, ...]
    tolerance: Tolerance | None
    observation: str
    explain: bool
    sizes: Mapping[str, int] = field(default_factory=dict)
    """The lengths of other axes that a learner's code works with, by their words."""

    def at(self, step: str) -> Place:
        """The place one step further into a container."""
        return dataclasses.replace(self, observation=self.observation + step)

    @property
    def is_whole(self) -> bool:
        """Whether it is the observation itself, not an entry of it."""
        return not self.observation.endswith("]")

    def names(self, n_axes: int) -> tuple[str, ...]:
        """The words for the axes, if they are as many."""
        return self.axes if len(self.axes) == n_axes else ()

    def mismatch(self, kind: Any, **facts: Any) -> Mismatch:
        """A mismatch here."""
        return Mismatch(observation=self.observation, kind=kind, **facts)


def wrong_type(actual: object, expected: object, place: Place, advice: str | None = None) -> Mismatch:
    """The mismatch of a value of another kind."""
    if actual is None and place.is_whole:
        advice = RETURN_MISSING
    return place.mismatch("type", expected=describe(expected), actual=describe(actual), pattern=advice)


def compare_tensors(actual: object, expected: torch.Tensor, place: Place) -> Mismatch | None:
    """The first difference of anything from an expected tensor."""
    if not is_a(actual, torch.Tensor):
        return wrong_type(actual, expected, place, _tensor_advice(actual))
    actual_shape, expected_shape = shape_of(actual), shape_of(expected)
    if expected_shape is None:
        raise AuthoringError(f"an expected tensor must be plain: got {describe(expected)}. Observe its values instead.")
    if actual_shape is None:
        return wrong_type(actual, expected, place)
    actual = plain(actual)
    if actual_shape != expected_shape:
        return wrong_shape((actual, actual_shape), (expected, expected_shape), place)
    tolerance = place.tolerance or tolerance_for(expected.dtype)
    values, right = read(actual), read(expected)
    if is_a(right, Unreadable):
        raise AuthoringError(f"an expected tensor must have values: got {right.reason}. Observe something else.")
    assert is_a(right, np.ndarray)
    if is_a(values, Unreadable):
        return place.mismatch("type", expected=describe(expected), actual=values.reason)
    assert is_a(values, np.ndarray)
    if dtype_kind(actual.dtype) != dtype_kind(expected.dtype):
        return _wrong_dtype((values, dtype_text(actual.dtype)), (right, dtype_text(expected.dtype)), place)
    return compare_values(values, right, tolerance, place)


def _tensor_advice(actual: object) -> str | None:
    if is_a(actual, np.ndarray):
        return "return a torch tensor; torch.from_numpy makes one of a numpy array"
    if is_a(actual, bool) or is_a(actual, int) or is_a(actual, float):
        return "return the tensor itself; .item() and float() take it out of the graph"
    if is_a(actual, list) or is_a(actual, tuple):
        return "return one tensor; torch.stack or torch.tensor makes one of a list"
    return None


def wrong_shape(
    actual: tuple[torch.Tensor | np.ndarray, tuple[int, ...]],
    expected: tuple[torch.Tensor | np.ndarray, tuple[int, ...]],
    place: Place,
) -> Mismatch:
    """The mismatch of two values, each with its shape."""
    axes = place.names(len(expected[1]))
    pattern = find_shape_pattern(actual[0], expected[0], axes, place.sizes) if place.explain else None
    return place.mismatch(
        "rank" if len(actual[1]) != len(expected[1]) else "shape",
        axes=axes,
        expected_shape=expected[1],
        actual_shape=actual[1],
        expected=shape_text(expected[1], axes),
        actual=shape_text(actual[1]),
        pattern=pattern,
    )


def _wrong_dtype(actual: tuple[np.ndarray, str], expected: tuple[np.ndarray, str], place: Place) -> Mismatch:
    loose = max((tolerance_for(getattr(torch, name)) for name in (actual[1], expected[1])), key=lambda t: t.rtol)
    numeric = actual[0].dtype.kind in "biufc"
    same = place.explain and numeric and bool(agree(actual[0], expected[0], place.tolerance or loose).all())
    return place.mismatch(
        "dtype",
        axes=place.names(expected[0].ndim),
        expected_shape=expected[0].shape,
        actual_shape=actual[0].shape,
        expected=expected[1],
        actual=actual[1],
        pattern="the values are right, only their dtype is not" if same else None,
    )


def compare_values(actual: np.ndarray, expected: np.ndarray, tolerance: Tolerance, place: Place) -> Mismatch | None:
    """The first difference of two arrays of one shape."""
    wrong = ~agree(actual, expected, tolerance)
    n_wrong = int(wrong.sum())
    if n_wrong == 0:
        return None
    strange = wrong & _unexpectedly_nonfinite(actual, expected)
    blamed = strange if strange.any() else wrong
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(blamed)), expected.shape))
    expected_text, actual_text = number_pair(expected[index], actual[index])
    if place.tolerance and not tolerance.rtol and tolerance.atol >= STATISTIC:
        expected_text = f"within {tolerance.atol:g} of {expected_text}"
    axes = place.names(expected.ndim)
    return place.mismatch(
        "nonfinite" if strange.any() else "values",
        axes=axes,
        expected_shape=expected.shape,
        actual_shape=actual.shape,
        n_wrong=n_wrong,
        n_total=expected.size,
        first_index=index,
        expected=expected_text,
        actual=actual_text,
        pattern=find_pattern(actual, expected, axes, tolerance) if place.explain else None,
    )


def _unexpectedly_nonfinite(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """NaN where there should be none; infinities too, unless the expected values know infinities."""
    if actual.dtype.kind not in "fc" or expected.dtype.kind not in "fc":
        return np.zeros(actual.shape, dtype=bool)
    return np.asarray(np.isnan(actual) if np.isinf(expected).any() else ~np.isfinite(actual))


def _scalar(value: object) -> np.ndarray | None:
    """A number, a numpy scalar or a tensor of one entry as an array; None for all else."""
    if is_a(value, torch.Tensor):
        shape = shape_of(value)
        values = read(value) if shape is not None and np.prod(shape) == 1 else None
        return values if is_a(values, np.ndarray) else None
    if is_a(value, np.ndarray):
        array = plain_array(value)
        return array if array.size == 1 and array.dtype.kind in "biufc" else None
    bare = _plain_number(value)
    number_array = np.asarray(bare)
    return number_array if bare is not None and number_array.dtype.kind in "biufc" else None


def _plain_number(value: object) -> Any:
    """The number without its subclass, whose operators may be the learner's."""
    if is_a(value, np.generic):  # type: ignore[type-abstract]
        return np.generic.item(value)
    if is_a(value, bool):
        return value
    kinds: tuple[Any, ...] = (int, float, complex)
    return next((kind.__pos__(value) for kind in kinds if is_a(value, kind)), None)


def compare_numbers(actual: object, expected: object, place: Place) -> Mismatch | None:
    """The first difference of anything from an expected number; a tensor without axes counts as one."""
    value, right = _scalar(actual), _scalar(expected)
    if value is None or right is None:
        same = right is None and is_a(actual, int) and is_a(expected, int) and int.__eq__(actual, expected)
        return None if same else wrong_type(actual, expected, place)
    if value.ndim:
        return place.mismatch(
            "rank", expected_shape=(), actual_shape=value.shape, expected="a single number", actual=describe(actual)
        )
    kinds = value.dtype.kind.replace("u", "i"), right.dtype.kind.replace("u", "i")
    if kinds[0] != kinds[1] and kinds not in (("i", "f"), ("i", "c"), ("f", "c")):
        return _wrong_dtype_of_number(actual, expected, place)
    return compare_values(value, right, place.tolerance or (PYTHON_FLOAT if kinds[1] in "fc" else EXACT), place)


def _wrong_dtype_of_number(actual: object, expected: object, place: Place) -> Mismatch:
    return place.mismatch("dtype", expected=describe(expected), actual=describe(actual))
