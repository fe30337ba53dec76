"""Max-pooling: the largest number of each window, channel by channel.

Shapes:  "batch channels height width" -> "batch channels output_height output_width".
Raises:  ShapeError for other axes or a kernel without room; ConfigError for a stride below 1, padding below 0 or above
         half of the kernel; DtypeError for bools and complex numbers.
Source:  Dumoulin and Visin 2016, arXiv:1603.07285, section 3.
Differs: no dilation, and output sizes are rounded down; where the largest number stands several times in a window,
         its gradient is shared, where torch gives it to the first.
"""

import torch
from jaxtyping import Num
from torch import Tensor

from arena_lib.fundamentals.convolutions.inputs import check_pooling
from arena_lib.fundamentals.convolutions.padding import pad2d
from arena_lib.fundamentals.convolutions.sizes import IntOrPair, as_pair, output_size


def maxpool2d(
    x: Num[Tensor, "batch channels height width"],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
) -> Num[Tensor, "batch channels output_height output_width"]:
    """The largest number in each window, like `torch.nn.functional.max_pool2d(x, kernel_size, stride, padding)`.

    Settings are whole numbers or pairs, (height, width). Windows have `kernel_size`, and begin `stride` apart; without a
    `stride` it is `kernel_size`, so that windows don't overlap. Padding must never win: it's minus infinity. (In a tensor
    of whole numbers, which has no infinity, it's the smallest number of the dtype.)

    >>> maxpool2d(torch.tensor([[[[1.0, 5.0, 2.0], [-3.0, 0.0, 4.0]]]]), kernel_size=(2, 1))
    tensor([[[[1., 5., 4.]]]])
    """
    kernel_h, kernel_w = as_pair(kernel_size, "kernel_size")
    step_h, step_w = as_pair(kernel_size if stride is None else stride, "stride")
    pad_h, pad_w = as_pair(padding, "padding")
    check_pooling(x, (kernel_h, kernel_w), (step_h, step_w), (pad_h, pad_w))
    batch, channels, height, width = x.shape
    output_h, output_w = output_size(height, kernel_h, step_h, pad_h), output_size(width, kernel_w, step_w, pad_w)
    lowest = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    padded = pad2d(x, left=pad_w, right=pad_w, top=pad_h, bottom=pad_h, pad_value=lowest)
    stride_b, stride_c, stride_h, stride_w = padded.stride()
    windows = padded.as_strided(
        (batch, channels, output_h, output_w, kernel_h, kernel_w),
        (stride_b, stride_c, stride_h * step_h, stride_w * step_w, stride_h, stride_w),
    )
    return windows.amax(dim=(-2, -1))
