"""Takes what figures are made of, tensors on any device or plain lists, as float64 arrays.

Shapes:  any; each figure says which it takes.
Raises:  ShapeError for another number of axes.
"""

from typing import Any

import numpy as np
import torch

from arena_lib.errors import ShapeError


def to_array(values: Any) -> np.ndarray:
    """Numbers as a float64 array on the CPU."""
    if isinstance(values, torch.Tensor):
        values = values.detach().to("cpu", torch.float64).numpy()
    return np.asarray(values, dtype=np.float64)


def with_axes(values: Any, axes: str) -> np.ndarray:
    """The array, which must have these axes.

    >>> with_axes([[1, 2]], "layer head").shape
    (1, 2)
    """
    array = to_array(values)
    n_axes = len(axes.split())
    if array.ndim != n_axes:
        raise ShapeError(
            f'this figure takes values of shape "{axes}": got {array.shape}. Pick one example, or add an axis.'
        )
    return array
