"""Transposed convolutions of pictures, and the module that networks are made of.

Shapes:  x "batch in_channels height width", weights "in_channels out_channels kernel_h kernel_w"
         -> "batch out_channels output_height output_width", each output size as in `transposed`.
Raises:  as `transposed`; ConfigError for a module without channels or with an empty kernel.
Source:  Dumoulin and Visin 2016, arXiv:1603.07285, chapter 4.
Differs: no bias, dilation, groups or output_padding; weights begin as PyTorch's do.
"""

import einops
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.generative.transposed import check_axes, check_options, check_weights

IntOrPair = int | tuple[int, int]
"""One number for both directions, or one for the height and one for the width."""
AXES = "batch in_channels height width"


def as_pair(value: IntOrPair) -> tuple[int, int]:
    """A number for the height and one for the width.

    >>> as_pair(3), as_pair((1, 2))
    ((3, 3), (1, 2))
    """
    if isinstance(value, int):
        return value, value
    if len(value) != 2:
        raise ConfigError(f"this must be one number or a pair (height, width): got {value}.")
    return value[0], value[1]


def fractional_stride_2d(
    x: Float[Tensor, "batch in_channels height width"], stride_h: int, stride_w: int
) -> Float[Tensor, "batch in_channels output_height output_width"]:
    """`x` with `stride_h - 1` rows of zeros between rows, and `stride_w - 1` columns of zeros between columns.

    None are put at the edges: output_height = stride_h * (height - 1) + 1, and so for the width. The result has
    the dtype of `x`.

    Gradients flow through it.

    Args:
        x: what is spread out.
        stride_h: how far apart neighbouring rows are in the result.
        stride_w: how far apart neighbouring columns are in the result.

    >>> fractional_stride_2d(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 1, 2)
    tensor([[[[1., 0., 2.],
              [3., 0., 4.]]]])
    """
    check_axes(x, AXES)
    check_options((stride_h, stride_w), (0, 0))
    batch, in_channels, height, width = x.shape
    out = x.new_zeros(batch, in_channels, stride_h * (height - 1) + 1, stride_w * (width - 1) + 1)
    out[..., ::stride_h, ::stride_w] = x
    return out


def conv_transpose2d(
    x: Float[Tensor, "batch in_channels height width"],
    weights: Float[Tensor, "in_channels out_channels kernel_h kernel_w"],
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
) -> Float[Tensor, "batch out_channels output_height output_width"]:
    """Every pixel stamps a picture: `torch.nn.functional.conv_transpose2d(x, weights, stride=stride, padding=padding)`.

    As `conv_transpose1d`, in both directions: each kernel is turned around top to bottom and left to right, and the
    padding of F.conv2d's input is kernel - 1 - padding on each side, of each direction by itself.

    Gradients flow through it.

    Args:
        x: pictures that are made larger.
        weights: a kernel for each pair of an input and an output channel.
        stride: how far apart the stamps begin; one number, or one for the height and one for the width.
        padding: rows and columns that are cut off at each edge of the output; likewise.

    >>> conv_transpose2d(torch.tensor([[[[1.0, 10.0]]]]), torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    tensor([[[[ 1., 12., 20.],
              [ 3., 34., 40.]]]])
    """
    (stride_h, stride_w), (padding_h, padding_w) = as_pair(stride), as_pair(padding)
    check_weights(
        x, weights, AXES, "in_channels out_channels kernel_h kernel_w", (stride_h, stride_w), (padding_h, padding_w)
    )
    reach_h, reach_w = weights.shape[2] - 1 - padding_h, weights.shape[3] - 1 - padding_w
    spread = F.pad(fractional_stride_2d(x, stride_h, stride_w), (reach_w, reach_w, reach_h, reach_h))
    turned = einops.rearrange(weights.flip(2, 3), "in_channels out_channels h w -> out_channels in_channels h w")
    return F.conv2d(spread, turned)


class ConvTranspose2d(nn.Module):
    """A transposed convolution with weights that learn, as `torch.nn.ConvTranspose2d(..., bias=False)`.

    Its one parameter is `weight`, "in_channels out_channels kernel_h kernel_w". At first its entries are drawn uniformly
    between -bound and bound, where bound = 1 / sqrt(out_channels * kernel_h * kernel_w). `forward` calls `conv_transpose2d`
    with the stride and the padding.

    Args:
        in_channels: of what comes in.
        out_channels: of what goes out.
        kernel_size: one number, or the height and the width.
        stride: likewise.
        padding: likewise.

    >>> ConvTranspose2d(3, 5, kernel_size=4, stride=2, padding=1)(torch.zeros(2, 3, 7, 6)).shape
    torch.Size([2, 5, 14, 12])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair = 0,
    ) -> None:
        super().__init__()
        check_layer(in_channels, out_channels, kernel_size)
        self.stride, self.padding = stride, padding
        kernel_h, kernel_w = as_pair(kernel_size)
        bound = (out_channels * kernel_h * kernel_w) ** -0.5
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels, kernel_h, kernel_w).uniform_(-bound, bound))

    def forward(
        self, x: Float[Tensor, "batch in_channels height width"]
    ) -> Float[Tensor, "batch out_channels output_height output_width"]:
        """The pictures, made larger."""
        return conv_transpose2d(x, self.weight, self.stride, self.padding)


def check_layer(in_channels: int, out_channels: int, kernel_size: IntOrPair) -> None:
    """Refuse sizes of a layer below 1."""
    if min(in_channels, out_channels, *as_pair(kernel_size)) < 1:
        raise ConfigError(
            "in_channels, out_channels and kernel_size must be at least 1: got "
            f"{in_channels}, {out_channels} and {kernel_size}."
        )
