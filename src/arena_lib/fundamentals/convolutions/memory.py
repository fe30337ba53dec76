"""Where the numbers of a tensor lie: in one row, its memory, whatever axes the tensor has.

A **stride** says how many places further in memory the next number along an axis lies. The entry at `index` lies at

    storage_offset + index[0] * stride[0] + index[1] * stride[1] + ...

Raises:  ShapeError where index and stride have different lengths; ConfigError for lengths below 1.
Source:  PyTorch's documentation of `torch.Tensor.stride`; own derivation.
"""

import math
from collections.abc import Sequence

from arena_lib.fundamentals.convolutions.inputs import check_same_length, check_whole


def memory_position(index: Sequence[int], stride: Sequence[int], storage_offset: int = 0) -> int:
    """The place in memory of the entry at `index`, counted from 0.

    The entry whose index is 0 everywhere lies at `storage_offset`. One step along an axis leads as many places further
    as that axis's entry in `stride` says. `index` and `stride` have one entry for each axis.

    >>> memory_position((2, 1), (5, 1))
    11
    """
    check_same_length("numbers in index", len(index), "numbers in stride", len(stride))
    return storage_offset + sum(i * step for i, step in zip(index, stride, strict=True))


def contiguous_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of a new tensor of this shape, whose numbers lie in memory in the order in which one reads.

    Along the last axis neighbours lie side by side: its stride is 1. One step along any other axis leads past
    everything that the axes after it hold. All lengths are at least 1. The result is a tuple of whole numbers.

    >>> contiguous_strides((4, 5))
    (5, 1)
    """
    check_whole(1, **{f"the length of axis {axis}": length for axis, length in enumerate(shape)})
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
