"""Make tensors, give them axes, and merge and split axes.

Raises:  EinopsError (of einops) where sizes don't fit, with the pattern and the shape.
Source:  Rogozhnikov 2022, "Einops: clear and reliable tensor manipulations with Einstein-like notation".
"""

import einops
import torch
from jaxtyping import Float, Int
from torch import Tensor


def count_up(n_rows: int, n_columns: int) -> Int[Tensor, "n_rows n_columns"]:
    """The whole numbers from 0 on, written as one writes: along the first row, then along the next.

    >>> count_up(2, 3)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    return torch.arange(n_rows * n_columns).reshape(n_rows, n_columns)


def rearrange_1() -> Int[Tensor, "3 2"]:
    """The numbers 3 to 8 in three rows of two, from `torch.arange` and `einops.rearrange`.

    >>> rearrange_1()
    tensor([[3, 4],
            [5, 6],
            [7, 8]])
    """
    return einops.rearrange(torch.arange(3, 9), "(rows columns) -> rows columns", columns=2)


def rearrange_2() -> Int[Tensor, "2 3"]:
    """The numbers 1 to 6 in two rows of three, from `torch.arange` and `einops.rearrange`.

    >>> rearrange_2()
    tensor([[1, 2, 3],
            [4, 5, 6]])
    """
    return einops.rearrange(torch.arange(1, 7), "(rows columns) -> rows columns", rows=2)


def add_axes(image: Float[Tensor, "height width"]) -> Float[Tensor, "batch=1 channel=1 height width"]:
    """A grey image as a batch of one image with one channel: the two new axes have size 1 and come first.

    >>> add_axes(torch.zeros(10, 8)).shape
    torch.Size([1, 1, 10, 8])
    """
    return einops.rearrange(image, "height width -> 1 1 height width")


def flatten_images(
    images: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, "batch channel*height*width"]:
    """Each image as one row of numbers: channel by channel, in each channel row by row.

    >>> flatten_images(torch.zeros(6, 3, 10, 8)).shape
    torch.Size([6, 240])
    """
    return einops.rearrange(images, "batch channel height width -> batch (channel height width)")


def split_heads(vectors: Float[Tensor, "batch seq d_model"], n_heads: int) -> Float[Tensor, "batch n_heads seq d_head"]:
    """Each vector cut into `n_heads` pieces of equal length, neighbours kept together, and the pieces' axis second.

    The first d_head = d_model / n_heads numbers of a vector go to head 0, the next d_head to head 1, and so on.

    >>> split_heads(torch.zeros(2, 5, 12), n_heads=3).shape
    torch.Size([2, 3, 5, 4])
    """
    return einops.rearrange(vectors, "batch seq (n_heads d_head) -> batch n_heads seq d_head", n_heads=n_heads)
