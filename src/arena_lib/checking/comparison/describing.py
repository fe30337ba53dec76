"""Short, safe texts for any value a learner can return.

Nothing here runs the learner's code (`__repr__`, `__len__`, `__class__` and the
like are looked up on the built-in types), consumes a generator, or reads more
of a tensor than its shape.

Raises:  nothing, whatever the value.
"""

from __future__ import annotations

import types
from typing import Any, TypeGuard, TypeVar

import numpy as np
import torch
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from arena_lib.checking.comparison.texts import clean, quote, shape_text

T = TypeVar("T")

MAX_ITEMS = 4
"""Elements of a list or keys of a dictionary that are named."""
MAX_WRITTEN = 60
"""Containers of plain values are written out, as Python writes them, up to this many characters."""
MAX_DEPTH = 2
"""How deep a nested list is described."""
MAX_INT_BITS = 128
"""Integers above this are described by their size: Python refuses to print very long ones."""

_name_of_type = type.__dict__["__name__"].__get__


def is_a(value: object, kind: type[T]) -> TypeGuard[T]:
    """`isinstance` that never asks the value itself, whose `__class__` may raise."""
    return issubclass(type(value), kind)


def type_name(value: object) -> str:
    """The name of the value's type."""
    return clean(_name_of_type(type(value)))


def number(value: Any, digits: int = 4) -> str:
    """A number with `digits` significant digits.

    >>> number(2.828427), number(float("-inf")), number(7)
    ('2.828', '-inf', '7')
    """
    if is_a(value, np.generic):  # type: ignore[type-abstract]
        value = np.generic.item(value)
    if is_a(value, bool):
        return bool.__repr__(value)
    if is_a(value, int):
        bits = int.bit_length(value)
        return int.__repr__(value) if bits <= MAX_INT_BITS else f"an integer of {bits} bits"
    if is_a(value, float):
        return float.__format__(float.__add__(value, 0.0), f".{digits}g")  # -0.0 becomes 0.0, which reads better
    if is_a(value, complex):
        return complex.__format__(value, f".{digits}g")
    return describe(value)


def number_pair(first: Any, second: Any) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to see that they differ.

    >>> number_pair(1.0, 1.00002)
    ('1', '1.00002')
    """
    for digits in (4, 6, 9):
        texts = number(first, digits), number(second, digits)
        if texts[0] != texts[1]:
            return texts
    return number(first, 17), number(second, 17)


def elements(value: object) -> list[Any] | None:
    """The elements of a list or tuple, past any `__iter__` of a subclass; None for all else."""
    if is_a(value, list):
        return list(list.__iter__(value))
    return list(tuple.__iter__(value)) if is_a(value, tuple) else None


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor without its subclass, whose attributes and functions may be the learner's.

    A class that handles every operation itself (`__torch_dispatch__`) can't be
    taken off, so its tensors come back as they are: ask `has_own_dispatch`.
    """
    if type(tensor) is torch.Tensor or has_own_dispatch(tensor):
        return tensor
    with torch._C.DisableTorchFunctionSubclass():
        return torch.Tensor.as_subclass(tensor, torch.Tensor)


def plain_array(array: np.ndarray) -> np.ndarray:
    """The array without its subclass."""
    return np.ndarray.view(array, np.ndarray)


def has_own_dispatch(tensor: torch.Tensor) -> bool:
    """Whether operations on this tensor would run code of its class."""
    return type(tensor).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__


def shape_of(tensor: torch.Tensor) -> tuple[int, ...] | None:
    """The shape, or None for a tensor that has none (nested, or not yet initialised)."""
    if has_own_dispatch(tensor) or is_a(tensor, UninitializedTensorMixin):
        return None
    try:
        return tuple(plain(tensor).shape)
    except RuntimeError:  # torch's own answer for nested tensors
        return None


def dtype_text(dtype: object) -> str:
    """The name of a dtype without the package's.

    >>> dtype_text(torch.float32), dtype_text(np.dtype("int64"))
    ('float32', 'int64')
    """
    return str(dtype).removeprefix("torch.")


def with_article(words: str) -> str:
    """The words with "a" or "an" before them.

    >>> with_article("int64 tensor"), with_article("Beams object")
    ('an int64 tensor', 'a Beams object')
    """
    return f"{'an' if words[:1].lower() in 'aeio' else 'a'} {words}"


def _describe_tensor(tensor: torch.Tensor) -> str:
    shape = shape_of(tensor)
    if shape is None:
        return f"a tensor of type {type_name(tensor)} without a plain shape"
    tensor = plain(tensor)
    dtype = dtype_text(tensor.dtype)
    text = with_article(f"{dtype} tensor of shape {shape_text(shape)}")
    if tensor.layout is not torch.strided:
        text += f" in layout {dtype_text(tensor.layout)}"
    if tensor.device.type != "cpu":
        text += f" on {tensor.device}"
    return text


_BRACKETS: dict[type, tuple[str, str]] = {list: ("[", "]"), tuple: ("(", ")"), dict: ("{", "}"), set: ("{", "}")}


def written_out(value: object, limit: int = MAX_WRITTEN, depth: int = MAX_DEPTH) -> str | None:
    """A plain value, or containers of plain values, as Python writes them, cut at `limit`; None for all else.

    >>> written_out([1, 0.5, "l"]), written_out(("l", "l")), written_out({("l", "o"): 2}), written_out(object())
    ("[1, 0.5, 'l']", "('l', 'l')", "{('l', 'o'): 2}", None)
    >>> written_out(list(range(100)), 20)
    '[0, 1, 2, 3, ...] (100 in all)'
    """
    if type(value) not in _BRACKETS:
        return _plain_text(value)
    if depth < 0:
        return None
    items = _items(value)
    if not items:
        return "set()" if type(value) is set else "".join(_BRACKETS[type(value)])
    texts: list[str] = []
    for item in items:
        parts = item if type(value) is dict else (item,)
        pair = [written_out(part, limit, depth - 1) for part in parts]
        if None in pair:
            return None
        texts.append(": ".join(map(str, pair)))
        if len(", ".join(texts)) > limit and len(texts) > 1:
            break
    opens, closes = _BRACKETS[type(value)]
    if len(", ".join(texts)) <= limit and len(texts) == len(items):
        comma = "," if type(value) is tuple and len(items) == 1 else ""
        return f"{opens}{', '.join(texts)}{comma}{closes}"
    shown = texts[:-1] if len(texts) > 1 else texts
    return f"{opens}{', '.join(shown)}, ...{closes} ({len(items)} in all)"


def written_whole(value: object) -> str | None:
    """As `written_out`, where nothing has to be cut; None otherwise.

    >>> written_whole(["l", "o"]), written_whole(list(range(100)))
    ("['l', 'o']", None)
    """
    text = written_out(value)
    return None if text is None or "..." in text else text


def _plain_text(value: object) -> str | None:
    if value is None or type(value) in (bool, int, float):
        return number(value) if value is not None else "None"
    return quote(value) if type(value) is str else None


def _items(value: Any) -> list[Any]:
    """The elements of a container of exactly a built-in type; a set's in order where they have one."""
    if type(value) is dict:
        return list(value.items())
    if type(value) is set:
        return sorted(value, key=repr) if all(_plain_text(item) for item in value) else list(value)
    return list(value)


def _describe_sequence(kind: str, items: list[Any], depth: int) -> str:
    size = len(items)
    if size == 0:
        return f"an empty {kind}"
    if depth == 0:
        return f"a {kind} of {size}"
    shown = [written_out(item) or describe(item, depth - 1) for item in items[:MAX_ITEMS]]
    return f"a {kind} of {size}: {', '.join(shown)}{', ...' if size > MAX_ITEMS else ''}"


def _describe_dict(value: dict[Any, Any]) -> str:
    keys = [written_out(key) or describe(key, 0) for key, _ in zip(dict.keys(value), range(MAX_ITEMS), strict=False)]
    if not keys:
        return "an empty dict"
    return f"a dict with the keys {', '.join(keys)}{', ...' if dict.__len__(value) > MAX_ITEMS else ''}"


def _describe_other(value: object) -> str | None:
    if is_a(value, type):
        return f"the class {clean(_name_of_type(value))}"
    if is_a(value, types.FunctionType):
        return f"the function {clean(value.__name__)}"
    if is_a(value, types.GeneratorType):
        return "a generator"
    if is_a(value, torch.nn.Module):
        return f"a module of type {type_name(value)}"
    if is_a(value, np.generic):  # type: ignore[type-abstract]
        return f"a numpy {type_name(value)}"
    return None


def describe(value: object, depth: int = MAX_DEPTH) -> str:
    """What a value is, in a few words.

    >>> describe([torch.zeros(2, 3), None])
    'a list of 2: a float32 tensor of shape (2, 3), None'
    """
    if value is None:
        return "None"
    if is_a(value, torch.Tensor):
        return _describe_tensor(value)
    if is_a(value, np.ndarray):
        array = plain_array(value)
        return clean(f"a numpy array of {dtype_text(array.dtype)} of shape {shape_text(array.shape)}")
    for kind in (bool, int, float, complex):
        if is_a(value, kind):
            return f"the {kind.__name__} {number(value)}"
    if is_a(value, str):
        return f"the string {quote(value)}"
    written = written_out(value) if type(value) in _BRACKETS and value and depth else None
    if written is not None:
        return written
    items = elements(value)
    if items is not None:
        return _describe_sequence("list" if is_a(value, list) else "tuple", items, depth)
    if is_a(value, dict):
        return _describe_dict(value)
    return _describe_other(value) or with_article(f"{type_name(value)} object")
