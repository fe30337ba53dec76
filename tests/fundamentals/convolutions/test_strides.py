import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals import convolutions as conv

GRID = torch.arange(35).reshape(5, 7)
LAYOUTS = {
    "plain": GRID[:4, :6].contiguous(),
    "transposed": GRID.T.contiguous().T[1:],
    "sliced": GRID[1:, ::2],
}
pytestmark = pytest.mark.usefixtures("without_types")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_views_of_a_grid_pick_what_slices_and_reshapes_do(layout):
    grid = LAYOUTS[layout]
    row, width = grid[1], grid.shape[1]
    expected = {
        conv.take_first(row, 3): row[:3],
        conv.take_first(row, 0): row[:0],
        conv.take_every(row, 3): row[::3],
        conv.take_column(grid, width - 1): grid[:, -1],
        conv.swap_axes(grid): grid.T,
        conv.repeat_row(row, 3): row.repeat(3, 1),
        conv.sliding_windows(row, 3): row.unfold(0, 3, 1),
        conv.cut_tiles(grid, 2, 3): grid.unfold(0, 2, 2).unfold(1, 3, 3),
    }
    for view, values in expected.items():
        assert view.tolist() == values.tolist()
        assert view.untyped_storage().data_ptr() == grid.untyped_storage().data_ptr()


def test_writing_into_a_view_writes_into_its_tensor():
    grid = torch.zeros(3, 4)
    conv.take_column(grid, 1)[:] = 5
    assert grid[:, 1].tolist() == [5, 5, 5]
    assert grid.sum() == 15


def test_gradients_of_windows_are_added_up():
    x = torch.arange(5.0, requires_grad=True)
    conv.sliding_windows(x, 3).sum().backward()
    assert x.grad.tolist() == [1, 2, 3, 2, 1]


def test_bad_input_is_refused_by_name():
    row = torch.arange(4)
    with pytest.raises(
        ShapeError, match=r'x must have the axes "length": got the shape \(5, 7\). Pick one with x\[0\]'
    ):
        conv.take_first(GRID, 2)
    with pytest.raises(ShapeError, match=r'grid must have the axes "height width": got .*grid\[None\]'):
        conv.swap_axes(row)
    for call, message in {
        lambda: conv.take_first(row, 5): "n must be a whole number from 0 to 4 for this tensor: got 5",
        lambda: conv.take_first(row, -1): "n must be a whole number from 0 to 4",
        lambda: conv.take_every(row, 0): "step must be a whole number, at least 1: got 0",
        lambda: conv.take_column(GRID, 7): "column must be a whole number from 0 to 6",
        lambda: conv.take_column(GRID, -1): "column must be a whole number from 0 to 6",
        lambda: conv.repeat_row(row, -1): "n_rows must be a whole number, at least 0",
        lambda: conv.sliding_windows(row, 5): "window must be a whole number from 1 to 4",
        lambda: conv.sliding_windows(row, 0): "window must be a whole number from 1 to 4",
        lambda: conv.cut_tiles(GRID, 6, 1): "tile_height must be a whole number from 1 to 5",
        lambda: conv.cut_tiles(GRID, 1, 8): "tile_width must be a whole number from 1 to 7",
    }.items():
        with pytest.raises(ConfigError, match=message):
            call()
