"""Views: tensors that own no numbers and pick those of another one, by a size, a stride and an offset.

`x.as_strided(size, stride, storage_offset)` picks from x's memory, whatever x's axes are. Without `storage_offset` it
begins where x begins. Everything here asks x for its strides, so it works for transposed and for sliced tensors, whose
numbers don't lie side by side. Gradients flow back through a view to what it picked.

Shapes:  signals "length", grids "height width".
Raises:  ShapeError for other axes; ConfigError for numbers that x doesn't have.
Source:  PyTorch's documentation of `torch.as_strided`; own derivation.
"""

from jaxtyping import Num
from torch import Tensor

from arena_lib.fundamentals.convolutions.inputs import check_axes, check_range, check_whole


def take_first(x: Num[Tensor, " length"], n: int) -> Num[Tensor, " n"]:
    """The first `n` numbers of `x`, as a view: the result shares the memory of x, and nothing is copied.

    x may be every second number of some other tensor: its stride says how far apart its numbers lie.

    >>> import torch
    >>> take_first(torch.tensor([10, 11, 12, 13, 14]), 3)
    tensor([10, 11, 12])
    """
    check_axes("length", x=x)
    check_range("n", n, least=0, most=len(x))
    return x.as_strided((n,), x.stride())


def take_every(x: Num[Tensor, " length"], step: int) -> Num[Tensor, " n"]:
    """Every `step`-th number of `x`, beginning with the first, as a view that shares the memory of x.

    Of 7 numbers every third are those at 0, 3 and 6; of 6 numbers those at 0 and 3.

    >>> import torch
    >>> take_every(torch.tensor([10, 11, 12, 13, 14, 15, 16]), 3)
    tensor([10, 13, 16])
    """
    check_axes("length", x=x)
    check_whole(1, step=step)
    n = (len(x) + step - 1) // step
    (stride,) = x.stride()
    return x.as_strided((n,), (step * stride,))


def take_column(grid: Num[Tensor, "height width"], column: int) -> Num[Tensor, " height"]:
    """One column of `grid`, as a view that shares the memory of grid; the first column is number 0.

    grid itself may begin anywhere in memory: at `grid.storage_offset()`.

    >>> import torch
    >>> take_column(torch.tensor([[10, 11, 12], [13, 14, 15]]), 2)
    tensor([12, 15])
    """
    check_axes("height width", grid=grid)
    height, width = grid.shape
    check_range("column", column, least=0, most=width - 1)
    stride_h, stride_w = grid.stride()
    return grid.as_strided((height,), (stride_h,), grid.storage_offset() + column * stride_w)


def swap_axes(grid: Num[Tensor, "height width"]) -> Num[Tensor, "width height"]:
    """`grid` with rows for columns, as a view that shares the memory of grid: no number moves.

    >>> import torch
    >>> swap_axes(torch.tensor([[10, 11, 12], [13, 14, 15]]))
    tensor([[10, 13],
            [11, 14],
            [12, 15]])
    """
    check_axes("height width", grid=grid)
    height, width = grid.shape
    stride_h, stride_w = grid.stride()
    return grid.as_strided((width, height), (stride_w, stride_h))


def repeat_row(row: Num[Tensor, " width"], n_rows: int) -> Num[Tensor, "n_rows width"]:
    """A grid of `n_rows` rows that all are `row`, as a view: row's numbers lie in memory once.

    >>> import torch
    >>> repeat_row(torch.tensor([10, 11, 12]), 2)
    tensor([[10, 11, 12],
            [10, 11, 12]])
    """
    check_axes("width", row=row)
    check_whole(0, n_rows=n_rows)
    (stride,) = row.stride()
    return row.as_strided((n_rows, len(row)), (0, stride))


def sliding_windows(x: Num[Tensor, " length"], window: int) -> Num[Tensor, "n_windows window"]:
    """All runs of `window` neighbours in `x`, one in each row, as a view that shares the memory of x.

    Row 0 begins at the first number, row 1 at the second, and so on, as long as a whole window is left.

    >>> import torch
    >>> sliding_windows(torch.tensor([10, 11, 12, 13]), 3)
    tensor([[10, 11, 12],
            [11, 12, 13]])
    """
    check_axes("length", x=x)
    check_range("window", window, least=1, most=len(x))
    (stride,) = x.stride()
    return x.as_strided((len(x) - window + 1, window), (stride, stride))


def cut_tiles(
    grid: Num[Tensor, "height width"], tile_height: int, tile_width: int
) -> Num[Tensor, "n_down n_across tile_height tile_width"]:
    """`grid` cut into tiles that don't overlap, as a view that shares the memory of grid.

    Entry [i, j] is the tile in the i-th row of tiles and the j-th column of tiles. Rows and columns of grid that
    don't fill a tile are left out at the bottom and on the right.

    >>> import torch
    >>> cut_tiles(torch.arange(8).reshape(2, 4), 2, 2)[0, 1]
    tensor([[2, 3],
            [6, 7]])
    """
    check_axes("height width", grid=grid)
    height, width = grid.shape
    check_range("tile_height", tile_height, least=1, most=height)
    check_range("tile_width", tile_width, least=1, most=width)
    stride_h, stride_w = grid.stride()
    return grid.as_strided(
        (height // tile_height, width // tile_width, tile_height, tile_width),
        (tile_height * stride_h, tile_width * stride_w, stride_h, stride_w),
    )
