"""Reads tensors into numpy arrays, and says which entries of two of them agree.

Numbers are compared in float64 or complex128 (integers as they are), on the
CPU, and shapes are never broadcast.

Shapes:  any; both sides of `agree` have the same.
Raises:  ValueError from `agree` for two shapes.
Source:  own design; the bound |a - e| <= atol + rtol |e| is that of `torch.testing.assert_close`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from arena_lib.checking.comparison.describing import describe, dtype_text, has_own_dispatch, is_a, plain


@dataclass(frozen=True)
class Tolerance:
    """How far a value may be from the expected one: atol + rtol * |expected|."""

    rtol: float
    """Relative part."""
    atol: float
    """Absolute part, in the unit of the values."""


EXACT = Tolerance(rtol=0.0, atol=0.0)
PYTHON_FLOAT = Tolerance(rtol=1e-4, atol=1e-8)
"""Python floats mostly come from float32 tensors, but may be as small as a learning rate."""

# Room for a sum of a few hundred terms in another order: some hundred units in the last place.
_TOLERANCES = {
    torch.float64: Tolerance(rtol=1e-8, atol=1e-9),
    torch.float32: Tolerance(rtol=1e-4, atol=1e-5),
    torch.float16: Tolerance(rtol=1e-2, atol=2e-3),
    torch.bfloat16: Tolerance(rtol=3e-2, atol=1e-2),
    torch.complex128: Tolerance(rtol=1e-8, atol=1e-9),
    torch.complex64: Tolerance(rtol=1e-4, atol=1e-5),
    torch.complex32: Tolerance(rtol=1e-2, atol=2e-3),
}
_FLOAT8 = Tolerance(rtol=0.25, atol=0.05)


def tolerance_for(dtype: torch.dtype) -> Tolerance:
    """The tolerance for values of `dtype`; integers and booleans are exact.

    >>> tolerance_for(torch.float32)
    Tolerance(rtol=0.0001, atol=1e-05)
    """
    if dtype in _TOLERANCES:
        return _TOLERANCES[dtype]
    return _FLOAT8 if dtype.is_floating_point else EXACT


@dataclass(frozen=True)
class Unreadable:
    """A tensor whose values cannot be had, and why."""

    reason: str


def read(tensor: torch.Tensor) -> np.ndarray | Unreadable:
    """The values as a numpy array on the CPU, without a copy where there need be none."""
    if has_own_dispatch(tensor):
        return Unreadable(f"{describe(tensor)}, whose values cannot be read")
    try:
        with torch.no_grad():
            return _dense(plain(tensor).detach()).numpy()
    except (RuntimeError, TypeError) as error:  # without data (meta device), or a dtype that numpy lacks
        return Unreadable(f"{describe(tensor)}, whose values cannot be read ({type(error).__name__})")


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_floating_point() and tensor.dtype not in (torch.float16, torch.float32, torch.float64):
        tensor = tensor.to(torch.float32)
    return tensor.cpu().resolve_conj().resolve_neg()


def dtype_kind(dtype: torch.dtype | np.dtype) -> str:
    """The word by which two dtypes must agree: the widths of integers don't matter.

    >>> dtype_kind(torch.int32), dtype_kind(torch.float64)
    ('integer', 'float64')
    """
    name = dtype_text(dtype)
    return "integer" if name.startswith(("int", "uint")) else name


def agree(actual: np.ndarray, expected: np.ndarray, tolerance: Tolerance) -> np.ndarray:
    """Which entries agree. NaN agrees with NaN, an infinity with itself only."""
    if actual.shape != expected.shape:
        raise ValueError(
            f"both arrays must have one shape: got {actual.shape} and {expected.shape}. Compare shapes first."
        )
    if actual.dtype.kind in "biu" and expected.dtype.kind in "biu" and tolerance == EXACT:
        return np.asarray(actual == expected)
    wide_actual, wide_expected = widen(actual), widen(expected)
    with np.errstate(all="ignore"):
        bound = tolerance.atol + tolerance.rtol * np.abs(wide_expected)
        close = (np.abs(wide_actual - wide_expected) <= bound) & np.isfinite(wide_expected)
        both_nan = np.isnan(wide_actual) & np.isnan(wide_expected)
        return np.asarray(close | (wide_actual == wide_expected) | both_nan)


def widen(array: np.ndarray) -> np.ndarray:
    """The array in float64, or complex128 if it is complex."""
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def as_numbers(value: np.ndarray | torch.Tensor) -> np.ndarray | None:
    """The values, if they are numbers that can be read."""
    array = read(value) if is_a(value, torch.Tensor) else value
    return array if is_a(array, np.ndarray) and array.dtype.kind in "biufc" else None
