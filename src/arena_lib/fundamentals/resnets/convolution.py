"""A convolution as a module, and the pooling at the end of a ResNet.

Shapes:  Conv2d "batch in_channels height width" -> "batch out_channels height_out width_out";
         AveragePool "batch channel height width" -> "batch channel"
Raises:  ConfigError for sizes that can't be; ShapeError for an input that doesn't fit.
Source:  the initialisation is PyTorch's: He et al. 2015, arXiv:1502.01852, with a gain of 1/sqrt(3).
Differs: no bias, for in a ResNet a batch norm follows and would take it away again.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.resnets.layers import check_images, check_sizes


class Conv2d(nn.Module):
    """Slides small windows of weights over a picture; each gives one channel of the output.

    `weight` "out_channels in_channels kernel_h kernel_w" is its one parameter; there's no bias. Its entries are drawn
    uniformly between -1 / sqrt(n) and 1 / sqrt(n), where n = in_channels * kernel_size * kernel_size is how many numbers
    are summed up for one output. The arguments are kept as attributes of the same names.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: height and width of the window.
        stride: by how many pixels the window moves on.
        padding: how many rows and columns of zeros are put around the input first, on each side.

    >>> Conv2d(3, 8, kernel_size=5, stride=2, padding=2)(torch.zeros(1, 3, 12, 10)).shape
    torch.Size([1, 8, 6, 5])
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__()
        check_sizes(in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size, stride=stride)
        check_padding(padding)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        bound = 1 / math.sqrt(in_channels * kernel_size * kernel_size)
        self.weight = nn.Parameter(
            torch.empty(out_channels, in_channels, kernel_size, kernel_size).uniform_(-bound, bound)
        )

    def forward(
        self, x: Float[Tensor, "batch in_channels height width"]
    ) -> Float[Tensor, "batch out_channels height_out width_out"]:
        """The convolution of `x`; `torch.nn.functional.conv2d` does the sliding."""
        check_images(x, self.in_channels)
        return F.conv2d(x, self.weight, stride=self.stride, padding=self.padding)

    def extra_repr(self) -> str:
        """What `print(layer)` shows between the brackets."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}"
        )


class AveragePool(nn.Module):
    """The mean of each channel over all pixels: one number for each channel, wherever in the picture it was seen.

    >>> AveragePool()(torch.ones(2, 5, 3, 4)).shape
    torch.Size([2, 5])
    """

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel"]:
        """Height and width are gone afterwards."""
        return x.mean(dim=(2, 3))


def check_padding(padding: int) -> None:
    """Raise unless so many rows can be added."""
    if padding < 0:
        raise ConfigError(f"padding must be at least 0: got {padding}.")
