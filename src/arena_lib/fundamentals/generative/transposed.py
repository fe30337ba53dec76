"""Transposed convolutions in one dimension: every entry of the input stamps the kernel onto a larger output.

A convolution gathers: each output looks at some inputs. A transposed convolution scatters: each input writes to some
outputs. Its matrix is that of the convolution with the same kernel, transposed.

Shapes:  x "batch in_channels width", weights "in_channels out_channels kernel_width"
         -> "batch out_channels output_width", where output_width = stride * (width - 1) + kernel_width - 2 * padding.
Raises:  ShapeError for other axes, or channels that don't fit; ConfigError for a stride below 1, a padding below 0 or one
         that leaves no output.
Source:  Dumoulin and Visin 2016, arXiv:1603.07285, chapter 4.
Differs: no bias, dilation, groups or output_padding.
"""

import einops
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from arena_lib.errors import ConfigError, ShapeError


def stamp_kernel(
    x: Float[Tensor, " width"], kernel: Float[Tensor, " kernel_width"], stride: int = 1
) -> Float[Tensor, " output_width"]:
    """One row of numbers, made longer: entry i of `x` adds `x[i] * kernel` to the output, from place `i * stride` on.

    Where stamps overlap, they add up. The output ends where the last stamp ends: it has
    `stride * (width - 1) + kernel_width` entries, in the dtype of `x`. Places that no stamp reaches are 0.

    Gradients flow through it.

    Args:
        x: the row, at least one entry.
        kernel: what each entry stamps.
        stride: how far apart the stamps begin.

    >>> stamp_kernel(torch.tensor([1.0, 10.0]), torch.tensor([1.0, 2.0, 3.0]))
    tensor([ 1., 12., 23., 30.])
    >>> stamp_kernel(torch.tensor([1.0, 10.0]), torch.tensor([1.0, 2.0]), stride=3)
    tensor([ 1.,  2.,  0., 10., 20.])
    """
    check_row(x, kernel, stride)
    out = x.new_zeros(stride * (len(x) - 1) + len(kernel))
    for i, value in enumerate(x):
        out[i * stride : i * stride + len(kernel)] += value * kernel
    return out


def conv_transpose1d_minimal(
    x: Float[Tensor, "batch in_channels width"], weights: Float[Tensor, "in_channels out_channels kernel_width"]
) -> Float[Tensor, "batch out_channels output_width"]:
    """The stamps of all channels, added up: `torch.nn.functional.conv_transpose1d(x, weights)`.

    For each example and each output channel o, the output is the sum over input channels i of `x[i]` stamped with the
    kernel `weights[i, o]` at stride 1. So output_width = width + kernel_width - 1. The arguments stay unchanged.

    It's also a convolution: pad `x` by kernel_width - 1 zeros at both ends, turn each kernel around, swap the two axes of
    channels, and call `F.conv1d`.

    Gradients flow through it.

    >>> conv_transpose1d_minimal(torch.tensor([[[1.0, 10.0]]]), torch.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[ 1., 12., 23., 30.]]])
    """
    check_weights(x, weights, "batch in_channels width", "in_channels out_channels kernel_width")
    reach = weights.shape[-1] - 1
    return F.conv1d(F.pad(x, (reach, reach)), turn_kernels(weights))


def fractional_stride_1d(
    x: Float[Tensor, "batch in_channels width"], stride: int = 1
) -> Float[Tensor, "batch in_channels output_width"]:
    """`x` with `stride - 1` zeros between neighbours, and none at the ends: output_width = stride * (width - 1) + 1.

    The result has the dtype of `x`, and gradients flow through it.

    Args:
        x: what is spread out.
        stride: how far apart neighbours are in the result.

    >>> fractional_stride_1d(torch.tensor([[[1.0, 2.0, 3.0]]]), stride=2)
    tensor([[[1., 0., 2., 0., 3.]]])
    """
    check_axes(x, "batch in_channels width")
    check_options((stride,), (0,))
    batch, in_channels, width = x.shape
    out = x.new_zeros(batch, in_channels, stride * (width - 1) + 1)
    out[..., ::stride] = x
    return out


def conv_transpose1d(
    x: Float[Tensor, "batch in_channels width"],
    weights: Float[Tensor, "in_channels out_channels kernel_width"],
    stride: int = 1,
    padding: int = 0,
) -> Float[Tensor, "batch out_channels output_width"]:
    """Stamps that begin `stride` places apart, of which `padding` entries are cut off at both ends.

    It gives what `torch.nn.functional.conv_transpose1d(x, weights, stride=stride, padding=padding)` gives. Spread `x` out by
    `fractional_stride_1d`, then go on as in `conv_transpose1d_minimal`, with kernel_width - 1 - padding zeros at both ends.
    A padding above kernel_width - 1 makes that number negative: then so many entries are cut off instead (`F.pad` does
    so). output_width = stride * (width - 1) + kernel_width - 2 * padding.

    Gradients flow through it.

    Args:
        x: what is made larger.
        weights: a kernel for each pair of an input and an output channel.
        stride: how far apart the stamps begin.
        padding: of the output, entries cut off at both ends. It takes away: the name comes from the convolution which
            this one undoes.

    >>> x, weights = torch.tensor([[[1.0, 10.0]]]), torch.tensor([[[1.0, 2.0, 3.0]]])
    >>> conv_transpose1d(x, weights, stride=2)
    tensor([[[ 1.,  2., 13., 20., 30.]]])
    >>> conv_transpose1d(x, weights, stride=2, padding=1)
    tensor([[[ 2., 13., 20.]]])
    """
    check_weights(x, weights, "batch in_channels width", "in_channels out_channels kernel_width", (stride,), (padding,))
    reach = weights.shape[-1] - 1 - padding
    return F.conv1d(F.pad(fractional_stride_1d(x, stride), (reach, reach)), turn_kernels(weights))


def turn_kernels(
    weights: Float[Tensor, "in_channels out_channels kernel_width"],
) -> Float[Tensor, "out_channels in_channels kernel_width"]:
    """Each kernel read backwards, output channels first, as `F.conv1d` takes them."""
    return einops.rearrange(
        weights.flip(-1), "in_channels out_channels kernel_width -> out_channels in_channels kernel_width"
    )


def check_row(x: torch.Tensor, kernel: torch.Tensor, stride: int) -> None:
    """Refuse other than rows with at least one entry."""
    for name, row in (("x", x), ("kernel", kernel)):
        if row.ndim != 1 or not len(row):
            raise ShapeError(f"{name} must be a row with at least one entry: got shape {tuple(row.shape)}.")
    check_options((stride,), (0,))


def check_axes(x: Tensor, axes: str) -> None:
    """Refuse inputs with other axes, or without an entry."""
    if x.ndim != len(axes.split()) or not x.numel():
        raise ShapeError(
            f'x must have the axes "{axes}", none empty: got shape {tuple(x.shape)}. Give one example a batch axis by x[None].'
        )


def check_options(strides: tuple[int, ...], paddings: tuple[int, ...]) -> None:
    """Refuse strides below 1 and paddings below 0."""
    if min(strides) < 1 or min(paddings) < 0:
        raise ConfigError(
            f"the stride must be at least 1 and the padding at least 0: got {strides} and {paddings}. "
            "A negative padding has no meaning here; pad the input by F.pad."
        )


def check_weights(
    x: Tensor,
    weights: Tensor,
    axes: str,
    axes_of_weights: str,
    strides: tuple[int, ...] = (1,),
    paddings: tuple[int, ...] = (0,),
) -> None:
    """Refuse inputs, weights and options that don't go together."""
    check_axes(x, axes)
    check_options(strides, paddings)
    if weights.ndim != len(axes_of_weights.split()) or not weights.numel() or weights.shape[0] != x.shape[1]:
        raise ShapeError(
            f'weights must have the axes "{axes_of_weights}", with in_channels as x has: got weights of shape '
            f"{tuple(weights.shape)} for x of shape {tuple(x.shape)}. The input's channels come first here, unlike in conv1d."
        )
    sizes = zip(x.shape[2:], weights.shape[2:], strides, paddings, strict=True)
    left = [stride * (size - 1) + kernel - 2 * padding for size, kernel, stride, padding in sizes]
    if min(left) < 1:
        raise ConfigError(
            f"the padding must leave at least one entry of output: got {paddings}, which leaves {left}. Lower it."
        )
