"""Numbers put around signals and images, so that a kernel has room at the edges too.

Shapes:  "batch in_channels width" and "batch in_channels height width".
Raises:  ShapeError for other axes; ConfigError for padding below 0, or a value that the dtype can't hold.
Source:  Dumoulin and Visin 2016, arXiv:1603.07285, section 2.2.
Differs: padding below 0, by which torch cuts numbers off, is refused.
"""

from jaxtyping import Num
from torch import Tensor

from arena_lib.fundamentals.convolutions.inputs import check_axes, check_pad_value, check_whole


def pad1d(
    x: Num[Tensor, "batch in_channels width"], left: int, right: int, pad_value: float | int
) -> Num[Tensor, "batch in_channels padded_width"]:
    """Each signal with `left` numbers before it and `right` numbers after it, all of them `pad_value`.

    The result is a new tensor of x's dtype, padded_width = left + width + right; x stays as it is.

    >>> import torch
    >>> pad1d(torch.tensor([[[1.0, 2.0, 3.0]]]), left=1, right=2, pad_value=-4.0)
    tensor([[[-4.,  1.,  2.,  3., -4., -4.]]])
    """
    check_axes("batch in_channels width", x=x)
    check_whole(0, left=left, right=right)
    check_pad_value(x, pad_value)
    batch, in_channels, width = x.shape
    padded = x.new_full((batch, in_channels, left + width + right), pad_value)
    padded[..., left : left + width] = x
    return padded


def pad2d(
    x: Num[Tensor, "batch in_channels height width"],
    left: int,
    right: int,
    top: int,
    bottom: int,
    pad_value: float | int,
) -> Num[Tensor, "batch in_channels padded_height padded_width"]:
    """Each image with columns of `pad_value` on the left and on the right, and rows of it on top and at the bottom.

    The result is a new tensor of x's dtype, padded_height = top + height + bottom and padded_width = left + width +
    right; x stays as it is.

    >>> import torch
    >>> pad2d(torch.tensor([[[[1.0, 2.0]]]]), left=1, right=0, top=0, bottom=1, pad_value=7.0)
    tensor([[[[7., 1., 2.],
              [7., 7., 7.]]]])
    """
    check_axes("batch in_channels height width", x=x)
    check_whole(0, left=left, right=right, top=top, bottom=bottom)
    check_pad_value(x, pad_value)
    batch, in_channels, height, width = x.shape
    padded = x.new_full((batch, in_channels, top + height + bottom, left + width + right), pad_value)
    padded[..., top : top + height, left : left + width] = x
    return padded
