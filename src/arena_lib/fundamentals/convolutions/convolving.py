"""Convolutions with stride and padding: pad, take windows as one view, and one einsum.

Both are what `torch.nn.functional` calls by the same names, for whole numbers too. The weights are the first operand of
the einsum: on a CPU it is about twice as fast as the other way round, because the product that torch makes of it then has
its long axis last.

Shapes:  x "batch in_channels width" or "batch in_channels height width"; weights "out_channels in_channels ...".
Raises:  ShapeError where axes don't fit, channels differ or the kernel has no room; DtypeError where dtypes differ;
         ConfigError for a stride below 1 or padding below 0.
Source:  Dumoulin and Visin 2016, arXiv:1603.07285, sections 2.3 and 2.4.
Differs: no bias, dilation or groups.
"""

import einops
from jaxtyping import Num
from torch import Tensor

from arena_lib.fundamentals.convolutions.inputs import check_layer
from arena_lib.fundamentals.convolutions.padding import pad1d, pad2d
from arena_lib.fundamentals.convolutions.sizes import IntOrPair, as_pair, output_size


def conv1d(
    x: Num[Tensor, "batch in_channels width"],
    weights: Num[Tensor, "out_channels in_channels kernel_width"],
    stride: int = 1,
    padding: int = 0,
) -> Num[Tensor, "batch out_channels output_width"]:
    """The convolution of signals with kernels, like `torch.nn.functional.conv1d(x, weights, None, stride, padding)`.

    x is padded with `padding` zeros at either end. Then the kernel begins at every `stride`-th place at which it fits in:

        output[b, o, w] = sum over c and k of padded[b, c, stride * w + k] * weights[o, c, k]

    `pad1d` pads, and `output_size` says how wide the output is.

    >>> import torch
    >>> conv1d(torch.ones(2, 3, 10), torch.ones(4, 3, 5), stride=2, padding=1).shape
    torch.Size([2, 4, 4])
    """
    check_layer(x, weights, "batch in_channels width", "out_channels in_channels kernel_width", (stride,), (padding,))
    batch, in_channels, width = x.shape
    kernel_width = weights.shape[-1]
    padded = pad1d(x, padding, padding, 0.0)
    stride_b, stride_c, stride_w = padded.stride()
    windows = padded.as_strided(
        (batch, in_channels, output_size(width, kernel_width, stride, padding), kernel_width),
        (stride_b, stride_c, stride_w * stride, stride_w),
    )
    return einops.einsum(
        weights,
        windows,
        "out_channels in_channels kernel, batch in_channels output kernel -> batch out_channels output",
    )


def conv2d(
    x: Num[Tensor, "batch in_channels height width"],
    weights: Num[Tensor, "out_channels in_channels kernel_height kernel_width"],
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
) -> Num[Tensor, "batch out_channels output_height output_width"]:
    """The convolution of images with kernels, like `torch.nn.functional.conv2d(x, weights, None, stride, padding)`.

    `stride` and `padding` are whole numbers or pairs, (height, width); `as_pair` makes a pair of either. x is padded with
    zeros: as many rows on top and at the bottom, and as many columns on either side, as `padding` says. Then

        output[b, o, h, w] = sum over c, i and j of padded[b, c, stride_h * h + i, stride_w * w + j] * weights[o, c, i, j]

    >>> import torch
    >>> conv2d(torch.ones(2, 3, 10, 8), torch.ones(4, 3, 5, 2), stride=(2, 3), padding=(1, 0)).shape
    torch.Size([2, 4, 4, 3])
    """
    (step_h, step_w), (pad_h, pad_w) = as_pair(stride, "stride"), as_pair(padding, "padding")
    check_layer(
        x,
        weights,
        "batch in_channels height width",
        "out_channels in_channels kernel_height kernel_width",
        (step_h, step_w),
        (pad_h, pad_w),
    )
    batch, in_channels, height, width = x.shape
    kernel_h, kernel_w = weights.shape[2:]
    output_h, output_w = output_size(height, kernel_h, step_h, pad_h), output_size(width, kernel_w, step_w, pad_w)
    padded = pad2d(x, left=pad_w, right=pad_w, top=pad_h, bottom=pad_h, pad_value=0.0)
    stride_b, stride_c, stride_h, stride_w = padded.stride()
    windows = padded.as_strided(
        (batch, in_channels, output_h, output_w, kernel_h, kernel_w),
        (stride_b, stride_c, stride_h * step_h, stride_w * step_w, stride_h, stride_w),
    )
    return einops.einsum(
        weights,
        windows,
        "out_channels in_channels kernel_h kernel_w, batch in_channels output_h output_w kernel_h kernel_w"
        " -> batch out_channels output_h output_w",
    )
