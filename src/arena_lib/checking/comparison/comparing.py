"""Compares what a learner's object gave with what the reference gave.

The order is type, rank, shape, dtype, finite, values; the first difference is
reported. Nothing broadcasts. Containers are compared element by element, with
the index in the name of the observation.

Raises:  AuthoringError if the expected value is of a kind that cannot be compared. Never for what a learner gave.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from arena_lib.checking.comparison.arrays import (
    EXACT,
    PYTHON_FLOAT,
    Tolerance,
    dtype_kind,
    tolerance_for,
)
from arena_lib.checking.comparison.describing import (
    MAX_ITEMS,
    describe,
    dtype_text,
    elements,
    is_a,
    plain_array,
    type_name,
    written_out,
    written_whole,
)
from arena_lib.checking.comparison.texts import NO_EXCEPTION, clean, quote
from arena_lib.checking.comparison.values import (
    Place,
    compare_numbers,
    compare_tensors,
    compare_values,
    wrong_shape,
    wrong_type,
)
from arena_lib.checking.results import Mismatch
from arena_lib.errors import AuthoringError
from arena_lib.wording import counted

__all__ = ["Raised", "Tolerance", "compare", "equal", "tolerance_for"]

SHORT_STRING = 20
"""Strings up to this length are seen at a glance; of longer ones the part around the difference is shown."""
EXCERPT = 60
"""Characters of that part."""
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


def compare(
    actual: object,
    expected: object,
    *,
    axes: str = "",
    tolerance: Tolerance | None = None,
    observation: str = "output",
    sizes: Mapping[str, int] | None = None,
) -> Mismatch | None:
    """The first difference between `actual` and `expected`, or None if they agree.

    `sizes` are the lengths of axes that don't stand in the result, by their words: one too many is called by its word.

    >>> compare([1, 2], [1, 3]).pattern is None, compare(2.0, 2) is None, compare(2, 2.0) is None
    (True, False, True)
    """
    return _compare(
        actual, expected, Place(tuple(axes.split()), tolerance, observation, explain=True, sizes=sizes or {})
    )


def equal(actual: object, expected: object, tolerance: Tolerance | None = None) -> bool:
    """Whether `compare` finds no difference; it looks for no pattern, so it is faster."""
    return _compare(actual, expected, Place((), tolerance, "", explain=False)) is None


def _compare(actual: object, expected: object, place: Place) -> Mismatch | None:
    if is_a(actual, Raised) or is_a(expected, Raised):
        return _compare_raised(actual, expected, place)
    if expected is None:
        return None if actual is None else wrong_type(actual, expected, place)
    for kind, comparer in _COMPARERS:
        if is_a(expected, kind):
            return comparer(actual, expected, place)
    if dataclasses.is_dataclass(expected) and not is_a(expected, type):
        return _compare_dataclasses(actual, expected, place)
    return _compare_plain(actual, expected, place)


def _compare_raised(actual: object, expected: object, place: Place) -> Mismatch | None:
    if is_a(actual, Raised) and is_a(expected, Raised) and actual.kind == expected.kind:
        return None
    texts = [str(value) if is_a(value, Raised) else describe(value) for value in (expected, actual)]
    if is_a(expected, Raised) and not is_a(actual, Raised):
        texts[1] = NO_EXCEPTION if actual is None else f"{NO_EXCEPTION}: {texts[1]}"
    return place.mismatch("raised", expected=texts[0], actual=texts[1])


def _compare_arrays(actual: object, expected: np.ndarray, place: Place) -> Mismatch | None:
    if not is_a(actual, np.ndarray):
        advice = "return a numpy array; .numpy() makes one of a tensor" if is_a(actual, torch.Tensor) else None
        return wrong_type(actual, expected, place, advice)
    actual = plain_array(actual)
    if actual.shape != expected.shape:
        return wrong_shape((actual, actual.shape), (expected, expected.shape), place)
    if expected.dtype.kind not in "biufc":
        return _compare_sequences(actual.ravel().tolist(), expected.ravel().tolist(), place)
    if dtype_kind(actual.dtype) != dtype_kind(expected.dtype):
        return place.mismatch("dtype", expected=dtype_text(expected.dtype), actual=dtype_text(actual.dtype))
    numpy_tolerance = tolerance_for(torch.from_numpy(np.empty(0, expected.dtype)).dtype)
    return compare_values(actual, expected, place.tolerance or numpy_tolerance, place)


def _compare_strings(actual: object, expected: str, place: Place) -> Mismatch | None:
    if not is_a(actual, str):
        return wrong_type(actual, expected, place)
    text = str.__str__(actual)
    if text == expected:
        return None
    pairs = enumerate(zip(text, expected, strict=False))
    at = next((i for i, (a, e) in pairs if a != e), min(len(text), len(expected)))
    start = max(0, at - SHORT_STRING)
    is_long = max(len(text), len(expected)) > SHORT_STRING
    lengths = f"{counted(len(expected), 'character')} expected, {len(text)} given"
    return place.mismatch(
        "values",
        first_index=(at,),
        expected=_excerpt(expected, start),
        actual=_excerpt(text, start),
        pattern=f"the strings differ from character {at} on; {lengths}" if is_long else None,
    )


def _excerpt(text: str, start: int) -> str:
    """The part of a string from `start` on, with dots where there is more."""
    end = start + EXCERPT
    return ("..." if start else "") + quote(text[start:end]) + ("..." if len(text) > end else "")


def _numbers(values: Sequence[object]) -> np.ndarray | None:
    """A list of plain numbers as one array, or None if it holds anything else."""
    if not values or not all(type(value) in (int, float) for value in values):
        return None
    if any(type(value) is int and abs(value) > EXACT_INTEGER for value in values):
        return None
    return np.array(values)


def _compare_sequences(actual: object, expected: Sequence[object], place: Place) -> Mismatch | None:
    actual_items = elements(actual)
    if actual_items is None:
        return wrong_type(actual, expected, place, _sequence_advice(actual))
    if len(actual_items) != len(expected):
        return place.mismatch(
            "length",
            expected_shape=(len(expected),),
            actual_shape=(len(actual_items),),
            expected=describe(expected, 1),
            actual=describe(actual, 1),
        )
    values, right = _numbers(actual_items), _numbers(expected)
    if values is not None and right is not None and (values.dtype == right.dtype or right.dtype.kind == "f"):
        default = PYTHON_FLOAT if right.dtype.kind == "f" else EXACT
        mismatch = compare_values(values, right, place.tolerance or default, place)
    else:
        pairs = enumerate(zip(actual_items, expected, strict=True))
        mismatches = (_compare(one, other, place.at(f"[{i}]")) for i, (one, other) in pairs)
        mismatch = next((mismatch for mismatch in mismatches if mismatch), None)
    return mismatch and (_of_short_sequences(mismatch, actual, expected, place) or mismatch)


def _of_short_sequences(mismatch: Mismatch, actual: object, expected: object, place: Place) -> Mismatch | None:
    """The mismatch of an entry as one of its whole sequence, where both sequences are short enough to be read."""
    if not place.explain or mismatch.kind != "values" or mismatch.pattern:
        return None
    texts = written_whole(expected), written_whole(actual)
    if None in texts or texts[0] == texts[1]:
        return None
    return place.mismatch("values", expected=str(texts[0]), actual=str(texts[1]))


def _sequence_advice(actual: object) -> str | None:
    if is_a(actual, torch.Tensor):
        return "return a list; .tolist() makes one of a tensor"
    if "generator" in describe(actual):
        return "return a list; list(...) makes one of a generator"
    return None


def _compare_dicts(actual: object, expected: dict[Any, Any], place: Place) -> Mismatch | None:
    if not is_a(actual, dict):
        return wrong_type(actual, expected, place)
    actual_entries = {key: value for key, value in dict.items(actual) if _is_simple(key)}
    missing = [key for key in expected if key not in actual_entries]
    if missing or dict.__len__(actual) != len(expected):
        return place.mismatch(
            "missing" if missing else "length",
            expected=describe(expected),
            actual=describe(actual),
            pattern=f"lacks {_keys_text(missing)}" if missing else _surplus_text(actual_entries, expected),
        )
    mismatches = (_compare(actual_entries[key], expected[key], place.at(f"[{_key_text(key)}]")) for key in expected)
    return next((mismatch for mismatch in mismatches if mismatch), None)


def _keys_text(keys: Sequence[object]) -> str:
    """Some keys in words, the first few of many.

    >>> _keys_text(["a"]), _keys_text([1, 2]), _keys_text([1, 2, 3, 4, 5, 6])
    ("the key 'a'", 'the keys 1, 2', 'the keys 1, 2, 3, 4 and 2 more')
    """
    more = f" and {len(keys) - MAX_ITEMS} more" if len(keys) > MAX_ITEMS else ""
    return f"the {'key' if len(keys) == 1 else 'keys'} {', '.join(map(_key_text, keys[:MAX_ITEMS]))}{more}"


def _surplus_text(actual: dict[Any, Any], expected: dict[Any, Any]) -> str | None:
    """The keys that shouldn't be there, as far as they can be written."""
    surplus = [key for key in actual if key not in expected]
    return f"{_keys_text(surplus)} should not be there" if surplus else None


def _key_text(key: object) -> str:
    return written_out(key) or describe(key, 0)


def _is_simple(value: object) -> bool:
    """Whether hashing and comparing the value runs no code but Python's own."""
    if type(value) is tuple:
        return all(map(_is_simple, value))
    return type(value) in (str, bytes, int, float, bool, type(None), torch.dtype, torch.device)


def _compare_sets(actual: object, expected: set[Any] | frozenset[Any], place: Place) -> Mismatch | None:
    if not (is_a(actual, set) or is_a(actual, frozenset)):
        return wrong_type(actual, expected, place)
    base = set if is_a(actual, set) else frozenset
    actual_members = list(base.__iter__(actual))  # type: ignore[arg-type]
    if all(map(_is_simple, actual_members)) and set(actual_members) == set(expected):
        return None
    texts = [written_out(set(values)) or f"a set of {len(values)}" for values in (expected, actual_members)]
    return place.mismatch("values", expected=texts[0], actual=texts[1])


def _compare_dataclasses(actual: object, expected: Any, place: Place) -> Mismatch | None:
    names = [field.name for field in dataclasses.fields(expected)]
    if type(actual) is not type(expected):
        return wrong_type(actual, expected, place)
    mismatches = (
        _compare(getattr(actual, name, None), getattr(expected, name), place.at(f".{name}")) for name in names
    )
    return next((mismatch for mismatch in mismatches if mismatch), None)


_PLAIN = (bytes, range, type, torch.dtype, torch.device, np.dtype)


def _compare_plain(actual: object, expected: object, place: Place) -> Mismatch | None:
    if actual is expected:
        return None
    if not any(is_a(expected, kind) for kind in _PLAIN):
        advice = "Observe tensors, numbers, strings, or lists and dicts of them."
        raise AuthoringError(
            f"an observation must be of a kind that can be compared: got {describe(expected)}. {advice}"
        )
    if type(actual) is not type(expected):
        return wrong_type(actual, expected, place)
    if not is_a(expected, type) and actual == expected:
        return None
    texts = [f"{type_name(value)} {clean(repr(value))}" for value in (expected, actual)]
    return place.mismatch("values", expected=texts[0], actual=texts[1])


_Comparer = Callable[[object, Any, Place], "Mismatch | None"]
_COMPARERS: tuple[tuple[type, _Comparer], ...] = (
    (torch.Tensor, compare_tensors),
    (np.ndarray, _compare_arrays),
    (bool, compare_numbers),
    (int, compare_numbers),
    (float, compare_numbers),
    (complex, compare_numbers),
    (np.generic, compare_numbers),
    (str, _compare_strings),
    (list, _compare_sequences),
    (tuple, _compare_sequences),
    (dict, _compare_dicts),
    (set, _compare_sets),
    (frozenset, _compare_sets),
)
