"""Convolutions without stride and padding: windows as one view, and one einsum.

A convolution in deep learning multiplies a kernel with each window of the input, entry by entry, and adds up. (In
mathematics the kernel is flipped first; what is here is called cross-correlation there.)

Shapes:  see each function; outputs are smaller than inputs by the kernel's size less 1.
Raises:  ShapeError where axes don't fit, channels differ or the kernel has no room; DtypeError where dtypes differ.
Source:  Dumoulin and Visin 2016, arXiv:1603.07285, section 2.
"""

import einops
from jaxtyping import Num
from torch import Tensor

from arena_lib.fundamentals.convolutions.inputs import check_axes, check_layer, check_room, check_same_dtype


def conv1d_minimal_simple(
    x: Num[Tensor, " width"], weights: Num[Tensor, " kernel_width"]
) -> Num[Tensor, " output_width"]:
    """The convolution of one signal with one kernel: entry [o] is the sum over k of x[o + k] * weights[k].

    The kernel isn't flipped. It begins at every place where it fits in: output_width = width - kernel_width + 1.

    >>> import torch
    >>> conv1d_minimal_simple(torch.tensor([1, 2, 4, 8]), torch.tensor([10, 1]))
    tensor([12, 24, 48])
    """
    check_axes("width", x=x)
    check_axes("kernel_width", weights=weights)
    check_same_dtype(x=x, weights=weights)
    check_room(x, weights.shape, stride=(1,), padding=(0,))
    width, kernel_width = len(x), len(weights)
    (stride,) = x.stride()
    windows = x.as_strided((width - kernel_width + 1, kernel_width), (stride, stride))
    return einops.einsum(weights, windows, "kernel, output kernel -> output")


def conv1d_minimal(
    x: Num[Tensor, "batch in_channels width"], weights: Num[Tensor, "out_channels in_channels kernel_width"]
) -> Num[Tensor, "batch out_channels output_width"]:
    """The convolution of each signal of a batch with each kernel, like `torch.nn.functional.conv1d(x, weights)`.

    A signal has several channels, and a kernel has numbers for each of them: what the channels give is added up.

        output[b, o, w] = sum over c and k of x[b, c, w + k] * weights[o, c, k]

    The kernels aren't flipped, and output_width = width - kernel_width + 1.

    >>> import torch
    >>> conv1d_minimal(torch.ones(2, 3, 10), torch.ones(4, 3, 5)).shape
    torch.Size([2, 4, 6])
    """
    check_layer(x, weights, "batch in_channels width", "out_channels in_channels kernel_width")
    batch, in_channels, width = x.shape
    kernel_width = weights.shape[-1]
    stride_b, stride_c, stride_w = x.stride()
    windows = x.as_strided(
        (batch, in_channels, width - kernel_width + 1, kernel_width), (stride_b, stride_c, stride_w, stride_w)
    )
    return einops.einsum(
        weights,
        windows,
        "out_channels in_channels kernel, batch in_channels output kernel -> batch out_channels output",
    )


def conv2d_minimal(
    x: Num[Tensor, "batch in_channels height width"],
    weights: Num[Tensor, "out_channels in_channels kernel_height kernel_width"],
) -> Num[Tensor, "batch out_channels output_height output_width"]:
    """The convolution of each image of a batch with each kernel, like `torch.nn.functional.conv2d(x, weights)`.

        output[b, o, h, w] = sum over c, i and j of x[b, c, h + i, w + j] * weights[o, c, i, j]

    The kernels aren't flipped. output_height = height - kernel_height + 1, and the same for the width.

    >>> import torch
    >>> conv2d_minimal(torch.ones(2, 3, 10, 8), torch.ones(4, 3, 5, 2)).shape
    torch.Size([2, 4, 6, 7])
    """
    check_layer(x, weights, "batch in_channels height width", "out_channels in_channels kernel_height kernel_width")
    batch, in_channels, height, width = x.shape
    kernel_h, kernel_w = weights.shape[2:]
    stride_b, stride_c, stride_h, stride_w = x.stride()
    windows = x.as_strided(
        (batch, in_channels, height - kernel_h + 1, width - kernel_w + 1, kernel_h, kernel_w),
        (stride_b, stride_c, stride_h, stride_w, stride_h, stride_w),
    )
    return einops.einsum(
        weights,
        windows,
        "out_channels in_channels kernel_h kernel_w, batch in_channels output_h output_w kernel_h kernel_w"
        " -> batch out_channels output_h output_w",
    )
