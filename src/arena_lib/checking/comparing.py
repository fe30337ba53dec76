"""Compares what a learner's object gave with what the reference gave.

The order is type, rank, shape, dtype, finite, values; the first difference is
reported. Nothing broadcasts. Containers are compared element by element, with
the index in the name of the observation.

Shapes:  any.
Raises:  AuthoringError if the expected value is of a kind that cannot be compared. Never for what a learner gave.
Source:  own design (DESIGN 4.1).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from arena_lib.checking.arrays import (
    EXACT,
    PYTHON_FLOAT,
    Tolerance,
    Unreadable,
    agree,
    dtype_kind,
    read,
    tolerance_for,
)
from arena_lib.checking.describing import (
    clean,
    describe,
    dtype_text,
    elements,
    is_a,
    number,
    number_pair,
    plain,
    plain_array,
    quote,
    shape_of,
    shape_text,
    type_name,
)
from arena_lib.checking.patterns import find_pattern, find_shape_pattern
from arena_lib.checking.results import Mismatch
from arena_lib.errors import AuthoringError

__all__ = ["Raised", "Tolerance", "compare", "equal", "tolerance_for"]

SHORT_STRING = 20
"""Strings up to this length are seen at a glance; of longer ones the part around the difference is shown."""
EXACT_INTEGER = 2**53
"""Integers up to this are exact in float64."""


@dataclass(frozen=True)
class Raised:
    """An exception in place of a value; two agree when their kinds do."""

    kind: str
    """Name of the exception's class."""
    text: str = ""
    """Its message."""

    def __str__(self) -> str:
        return f"{clean(self.kind)}: {clean(self.text)}" if self.text else clean(self.kind)


@dataclass(frozen=True)
class _Place:
    """Where we are in the observation, and what goes into every mismatch."""

    axes: tuple[str, ...]
    tolerance: Tolerance | None
    case: str
    observation: str
    explain: bool

    def at(self, step: str) -> _Place:
        return dataclasses.replace(self, observation=self.observation + step)

    def names(self, n_axes: int) -> tuple[str, ...]:
        return self.axes if len(self.axes) == n_axes else ()

    def mismatch(self, kind: Any, **facts: Any) -> Mismatch:
        return Mismatch(case=self.case, observation=self.observation, kind=kind, **facts)


def compare(
    actual: object,
    expected: object,
    *,
    axes: str = "",
    tolerance: Tolerance | None = None,
    case: str = "",
    observation: str = "output",
) -> Mismatch | None:
    """The first difference between `actual` and `expected`, or None if they agree.

    >>> compare([1, 2], [1, 3]).pattern is None, compare(2.0, 2) is None, compare(2, 2.0) is None
    (True, False, True)
    """
    return _compare(actual, expected, _Place(tuple(axes.split()), tolerance, case, observation, explain=True))


def equal(actual: object, expected: object, tolerance: Tolerance | None = None) -> bool:
    """Whether `compare` finds no difference; it looks for no pattern, so it is faster."""
    return _compare(actual, expected, _Place((), tolerance, "", "", explain=False)) is None


def _compare(actual: object, expected: object, place: _Place) -> Mismatch | None:
    if is_a(actual, Raised) or is_a(expected, Raised):
        return _compare_raised(actual, expected, place)
    if expected is None:
        return None if actual is None else _wrong_type(actual, expected, place)
    for kind, comparer in _COMPARERS:
        if is_a(expected, kind):
            return comparer(actual, expected, place)
    if dataclasses.is_dataclass(expected) and not is_a(expected, type):
        return _compare_dataclasses(actual, expected, place)
    return _compare_plain(actual, expected, place)


def _wrong_type(actual: object, expected: object, place: _Place, advice: str | None = None) -> Mismatch:
    return place.mismatch("type", expected=describe(expected), actual=describe(actual), pattern=advice)


def _compare_raised(actual: object, expected: object, place: _Place) -> Mismatch | None:
    if is_a(actual, Raised) and is_a(expected, Raised) and actual.kind == expected.kind:
        return None
    texts = [str(value) if is_a(value, Raised) else describe(value) for value in (expected, actual)]
    return place.mismatch("raised", expected=texts[0], actual=texts[1])


def _compare_tensors(actual: object, expected: torch.Tensor, place: _Place) -> Mismatch | None:
    if not is_a(actual, torch.Tensor):
        return _wrong_type(actual, expected, place, _tensor_advice(actual))
    actual_shape, expected_shape = shape_of(actual), shape_of(expected)
    if expected_shape is None:
        raise AuthoringError(f"an expected tensor must be plain: got {describe(expected)}. Observe its values instead.")
    if actual_shape is None:
        return _wrong_type(actual, expected, place)
    actual = plain(actual)
    if actual_shape != expected_shape:
        return _wrong_shape((actual, actual_shape), (expected, expected_shape), place)
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
    return _compare_values(values, right, tolerance, place)


def _tensor_advice(actual: object) -> str | None:
    if is_a(actual, np.ndarray):
        return "return a torch tensor; torch.from_numpy makes one of a numpy array"
    if is_a(actual, bool) or is_a(actual, int) or is_a(actual, float):
        return "return the tensor itself; .item() and float() take it out of the graph"
    if is_a(actual, list) or is_a(actual, tuple):
        return "return one tensor; torch.stack or torch.tensor makes one of a list"
    return "is there a `return` on every path?" if actual is None else None


def _wrong_shape(
    actual: tuple[torch.Tensor | np.ndarray, tuple[int, ...]],
    expected: tuple[torch.Tensor | np.ndarray, tuple[int, ...]],
    place: _Place,
) -> Mismatch:
    axes = place.names(len(expected[1]))
    pattern = find_shape_pattern(actual[0], expected[0], axes) if place.explain else None
    return place.mismatch(
        "rank" if len(actual[1]) != len(expected[1]) else "shape",
        axes=axes,
        expected_shape=expected[1],
        actual_shape=actual[1],
        expected=shape_text(expected[1], axes),
        actual=shape_text(actual[1]),
        pattern=pattern,
    )


def _wrong_dtype(actual: tuple[np.ndarray, str], expected: tuple[np.ndarray, str], place: _Place) -> Mismatch:
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


def _compare_values(actual: np.ndarray, expected: np.ndarray, tolerance: Tolerance, place: _Place) -> Mismatch | None:
    wrong = ~agree(actual, expected, tolerance)
    n_wrong = int(wrong.sum())
    if n_wrong == 0:
        return None
    strange = wrong & _unexpectedly_nonfinite(actual, expected)
    blamed = strange if strange.any() else wrong
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(blamed)), expected.shape))
    expected_text, actual_text = number_pair(expected[index], actual[index])
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


def _compare_arrays(actual: object, expected: np.ndarray, place: _Place) -> Mismatch | None:
    if not is_a(actual, np.ndarray):
        advice = "return a numpy array; .numpy() makes one of a tensor" if is_a(actual, torch.Tensor) else None
        return _wrong_type(actual, expected, place, advice)
    actual = plain_array(actual)
    if actual.shape != expected.shape:
        return _wrong_shape((actual, actual.shape), (expected, expected.shape), place)
    if expected.dtype.kind not in "biufc":
        return _compare_sequences(actual.ravel().tolist(), expected.ravel().tolist(), place)
    if dtype_kind(actual.dtype) != dtype_kind(expected.dtype):
        return place.mismatch("dtype", expected=dtype_text(expected.dtype), actual=dtype_text(actual.dtype))
    numpy_tolerance = tolerance_for(torch.from_numpy(np.empty(0, expected.dtype)).dtype)
    return _compare_values(actual, expected, place.tolerance or numpy_tolerance, place)


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


def _compare_numbers(actual: object, expected: object, place: _Place) -> Mismatch | None:
    value, right = _scalar(actual), _scalar(expected)
    if value is None or right is None:
        same = right is None and is_a(actual, int) and is_a(expected, int) and int.__eq__(actual, expected)
        return None if same else _wrong_type(actual, expected, place)
    if value.ndim:
        return place.mismatch(
            "rank", expected_shape=(), actual_shape=value.shape, expected="a single number", actual=describe(actual)
        )
    kinds = value.dtype.kind.replace("u", "i"), right.dtype.kind.replace("u", "i")
    if kinds[0] != kinds[1] and kinds not in (("i", "f"), ("i", "c"), ("f", "c")):
        return _wrong_dtype_of_number(actual, expected, place)
    return _compare_values(value, right, place.tolerance or (PYTHON_FLOAT if kinds[1] in "fc" else EXACT), place)


def _wrong_dtype_of_number(actual: object, expected: object, place: _Place) -> Mismatch:
    return place.mismatch("dtype", expected=describe(expected), actual=describe(actual))


def _compare_strings(actual: object, expected: str, place: _Place) -> Mismatch | None:
    if not is_a(actual, str):
        return _wrong_type(actual, expected, place)
    text = str.__str__(actual)
    if text == expected:
        return None
    pairs = enumerate(zip(text, expected, strict=False))
    at = next((i for i, (a, e) in pairs if a != e), min(len(text), len(expected)))
    start = max(0, at - SHORT_STRING)
    is_long = max(len(text), len(expected)) > SHORT_STRING
    lengths = f"{len(expected)} characters expected, {len(text)} given"
    return place.mismatch(
        "values",
        first_index=(at,),
        expected=quote(expected[start : start + 60]),
        actual=quote(text[start : start + 60]),
        pattern=f"the strings differ from character {at} on; {lengths}" if is_long else None,
    )


def _numbers(values: Sequence[object]) -> np.ndarray | None:
    """A list of plain numbers as one array, or None if it holds anything else."""
    if not values or not all(type(value) in (int, float) for value in values):
        return None
    if any(type(value) is int and abs(value) > EXACT_INTEGER for value in values):
        return None
    return np.array(values)


def _compare_sequences(actual: object, expected: Sequence[object], place: _Place) -> Mismatch | None:
    given = elements(actual)
    if given is None:
        return _wrong_type(actual, expected, place, _sequence_advice(actual))
    if len(given) != len(expected):
        return place.mismatch(
            "shape",
            expected_shape=(len(expected),),
            actual_shape=(len(given),),
            expected=describe(expected, 1),
            actual=describe(actual, 1),
        )
    values, right = _numbers(given), _numbers(expected)
    if values is not None and right is not None and (values.dtype == right.dtype or right.dtype.kind == "f"):
        default = PYTHON_FLOAT if right.dtype.kind == "f" else EXACT
        return _compare_values(values, right, place.tolerance or default, place)
    pairs = enumerate(zip(given, expected, strict=True))
    found = (_compare(one, other, place.at(f"[{i}]")) for i, (one, other) in pairs)
    return next((mismatch for mismatch in found if mismatch), None)


def _sequence_advice(actual: object) -> str | None:
    if is_a(actual, torch.Tensor):
        return "return a list; .tolist() makes one of a tensor"
    if "generator" in describe(actual):
        return "return a list; list(...) makes one of a generator"
    return "is there a `return` on every path?" if actual is None else None


def _compare_dicts(actual: object, expected: dict[Any, Any], place: _Place) -> Mismatch | None:
    if not is_a(actual, dict):
        return _wrong_type(actual, expected, place)
    given = {key: value for key, value in dict.items(actual) if _is_simple(key)}
    missing = [key for key in expected if key not in given]
    if missing or dict.__len__(actual) != len(expected):
        return place.mismatch("missing" if missing else "type", expected=describe(expected), actual=describe(actual))
    found = (_compare(given[key], expected[key], place.at(f"[{_key_text(key)}]")) for key in expected)
    return next((mismatch for mismatch in found if mismatch), None)


def _key_text(key: object) -> str:
    return quote(key) if is_a(key, str) else number(key)


def _is_simple(value: object) -> bool:
    """Whether hashing and comparing the value runs no code but Python's own."""
    if type(value) is tuple:
        return all(map(_is_simple, value))
    return type(value) in (str, bytes, int, float, bool, type(None), torch.dtype, torch.device)


def _compare_sets(actual: object, expected: set[Any] | frozenset[Any], place: _Place) -> Mismatch | None:
    if not (is_a(actual, set) or is_a(actual, frozenset)):
        return _wrong_type(actual, expected, place)
    base = set if is_a(actual, set) else frozenset
    given = list(base.__iter__(actual))  # type: ignore[arg-type]
    if all(map(_is_simple, given)) and set(given) == set(expected):
        return None
    texts = [f"a set of {len(values)}: {describe(list(values)).partition(': ')[2]}" for values in (expected, given)]
    return place.mismatch("values", expected=texts[0], actual=texts[1])


def _compare_dataclasses(actual: object, expected: Any, place: _Place) -> Mismatch | None:
    names = [field.name for field in dataclasses.fields(expected)]
    if type(actual) is not type(expected):
        return _wrong_type(actual, expected, place)
    found = (_compare(getattr(actual, name, None), getattr(expected, name), place.at(f".{name}")) for name in names)
    return next((mismatch for mismatch in found if mismatch), None)


_PLAIN = (bytes, range, type, torch.dtype, torch.device, np.dtype)


def _compare_plain(actual: object, expected: object, place: _Place) -> Mismatch | None:
    if actual is expected:
        return None
    if not any(is_a(expected, kind) for kind in _PLAIN):
        advice = "Observe tensors, numbers, strings, or lists and dicts of them."
        raise AuthoringError(
            f"an observation must be of a kind that can be compared: got {describe(expected)}. {advice}"
        )
    if type(actual) is not type(expected):
        return _wrong_type(actual, expected, place)
    if not is_a(expected, type) and actual == expected:
        return None
    texts = [f"{type_name(value)} {clean(repr(value))}" for value in (expected, actual)]
    return place.mismatch("values", expected=texts[0], actual=texts[1])


_Comparer = Callable[[object, Any, _Place], "Mismatch | None"]
_COMPARERS: tuple[tuple[type, _Comparer], ...] = (
    (torch.Tensor, _compare_tensors),
    (np.ndarray, _compare_arrays),
    (bool, _compare_numbers),
    (int, _compare_numbers),
    (float, _compare_numbers),
    (complex, _compare_numbers),
    (np.generic, _compare_numbers),
    (str, _compare_strings),
    (list, _compare_sequences),
    (tuple, _compare_sequences),
    (dict, _compare_dicts),
    (set, _compare_sets),
    (frozenset, _compare_sets),
)
