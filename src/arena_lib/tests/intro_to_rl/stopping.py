"""Recognises sweeps that stop too early or too late, whatever it was that stopped them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arena_lib.checking import Case
from arena_lib.checking.observing import Observations

__test__ = False

LATER = 40
"""Sweeps past the right one that are looked at."""


def stops_too_early(run: Callable[..., Any], cases: Sequence[Case]) -> Callable[[Sequence[Observations]], bool]:
    """Whether what was seen are values of the right sweep or of an earlier one, in each case; `run` is the reference."""
    return lambda seen: min(signs := _signs(run, cases, seen)) < 0 and max(signs) == 0


def goes_on_too_long(run: Callable[..., Any], cases: Sequence[Case]) -> Callable[[Sequence[Observations]], bool]:
    """Whether what was seen are values of the right sweep or of one soon after it, in each case."""
    return lambda seen: max(signs := _signs(run, cases, seen)) > 0 and min(signs) == 0


def _signs(run: Callable[..., Any], cases: Sequence[Case], seen: Sequence[Observations]) -> list[int]:
    """For each case -1, 0 or 1: its values are those of an earlier sweep, of the right one, or of a later one.

    ValueError where they are those of no sweep.
    """
    return [_sign(run, case.args, observed["output"]) for case, observed in zip(cases, seen, strict=True)]


def _sign(run: Callable[..., Any], args: tuple[Any, ...], values: np.ndarray) -> int:
    right = run(*args)
    if _are_alike(values, right):
        return 0
    names = ("gamma", "eps", "max_iterations")
    sure = next((i for i, value in enumerate(args) if isinstance(value, float)), len(args))
    settings = dict(zip(names, args[sure:], strict=False))
    sign, n_later = -1, 0
    for n_sweeps in range(10_000):
        swept = run(*args[:sure], **settings | {"eps": 0.0, "max_iterations": n_sweeps})
        if _are_alike(values, swept):
            return sign
        if sign > 0 or np.array_equal(swept, right):
            sign, n_later = 1, n_later + 1
        if n_later > LATER:
            break
    raise ValueError("these are the values of no sweep")


def _are_alike(values: np.ndarray, right: np.ndarray) -> bool:
    return np.shape(values) == right.shape and np.allclose(values, right, rtol=1e-11, atol=1e-11)
