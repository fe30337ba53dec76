"""Positions of an activation."""

import pytest
import torch

from arena_lib.transformer.activations.slices import PosSlice, take


@pytest.mark.parametrize(
    ("pos_slice", "index"),
    [
        (None, slice(None)),
        (2, 2),
        (-1, -1),
        (slice(1, 4), slice(1, 4)),
        ((1, 4), slice(1, 4)),
        ((None, None, 2), slice(None, None, 2)),
        ([0, 3], [0, 3]),
        (torch.tensor([4, 1]), [4, 1]),
    ],
    ids=str,
)
def test_each_way_to_pick_positions(pos_slice: PosSlice, index: object) -> None:
    tensor = torch.arange(2 * 5 * 3 * 4).reshape(2, 5, 3, 4)
    assert torch.equal(take(tensor, pos_slice, axis=-3), tensor[:, index])
    assert torch.equal(take(tensor[:, :, 0], pos_slice), tensor[:, index, 0] if index != 2 else tensor[:, 2, 0])
    assert torch.equal(take(tensor[:, :, 0, 0], pos_slice, axis=-1), tensor[:, index, 0, 0])
