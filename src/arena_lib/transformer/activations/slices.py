"""Positions or examples of an activation: one, a slice, or a list of them.

Shapes:  "batch seq d" -> the same with fewer positions or examples, or without the axis for a single one
Source:  the interface of TransformerLens, github.com/TransformerLensOrg/TransformerLens.
"""

from torch import Tensor

PosSlice = int | slice | tuple[int | None, ...] | list[int] | Tensor | None
"""Positions: one, a slice, a tuple (start, end) or (start, end, step) that means the slice, or a list of them."""
BatchSlice = PosSlice
"""Examples of a batch, picked in the same ways."""


def take(tensor: Tensor, pos_slice: PosSlice, axis: int = -2) -> Tensor:
    """What `pos_slice` picks along an axis counted from the end; an int drops the axis."""
    if pos_slice is None:
        return tensor
    if isinstance(pos_slice, int):
        return tensor.select(axis, pos_slice)
    index = slice(*pos_slice) if isinstance(pos_slice, tuple) else pos_slice
    return tensor[(..., index, *[slice(None)] * (-axis - 1))]
