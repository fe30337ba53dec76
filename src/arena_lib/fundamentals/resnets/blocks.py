"""Residual blocks: what a few layers calculate is added to what went in.

Shapes:  "batch in_feats height width" -> "batch out_feats height_out width_out"
Raises:  ConfigError for sizes that can't be; ShapeError for an input that doesn't fit.
Source:  He et al. 2015, arXiv:1512.03385, section 3.3 and figure 2, with projections where sizes change (option B).
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.fundamentals.resnets.batch_norm import BatchNorm2d
from arena_lib.fundamentals.resnets.convolution import Conv2d
from arena_lib.fundamentals.resnets.layers import ReLU, check_sizes


class ResidualBlock(nn.Module):
    """Two convolutions, and a way around them: relu(left(x) + right(x)).

    The left way is `conv1`, `bn1`, `relu`, `conv2`, `bn2`, in this order. Both convolutions are 3 x 3 with padding 1.
    `conv1` makes `out_feats` channels of `in_feats` and has the stride `first_stride`; `conv2` keeps channels and size.

    The right way is x itself where that fits. Where the stride isn't 1, or the numbers of channels differ, it is
    `downsample`: an nn.Sequential of a 1 x 1 convolution with the stride `first_stride` and a batch norm. Else
    `downsample` is None.

    Args:
        in_feats: channels that come in.
        out_feats: channels that go out.
        first_stride: of the first convolution, and of that on the right way.
    """

    def __init__(self, in_feats: int, out_feats: int, first_stride: int = 1) -> None:
        super().__init__()
        self.conv1 = Conv2d(in_feats, out_feats, kernel_size=3, stride=first_stride, padding=1)
        self.bn1 = BatchNorm2d(out_feats)
        self.relu = ReLU()
        self.conv2 = Conv2d(out_feats, out_feats, kernel_size=3, padding=1)
        self.bn2 = BatchNorm2d(out_feats)
        self.downsample = None
        if first_stride != 1 or in_feats != out_feats:
            self.downsample = nn.Sequential(
                Conv2d(in_feats, out_feats, kernel_size=1, stride=first_stride), BatchNorm2d(out_feats)
            )

    def forward(
        self, x: Float[Tensor, "batch in_feats height width"]
    ) -> Float[Tensor, "batch out_feats height_out width_out"]:
        """The two ways added, and a relu after that."""
        left = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        right = x if self.downsample is None else self.downsample(x)
        return self.relu(left + right)


class BlockGroup(nn.Sequential):
    """Residual blocks one after the other, of which the first may change channels and size.

    It is an nn.Sequential of `n_blocks` blocks. The first is ResidualBlock(in_feats, out_feats, first_stride), all others
    are ResidualBlock(out_feats, out_feats).

    Args:
        n_blocks: how many blocks.
        in_feats: channels that come in.
        out_feats: channels that go out, and between the blocks.
        first_stride: of the first block.
    """

    def __init__(self, n_blocks: int, in_feats: int, out_feats: int, first_stride: int = 1) -> None:
        check_sizes(n_blocks=n_blocks)
        first = ResidualBlock(in_feats, out_feats, first_stride)
        super().__init__(first, *(ResidualBlock(out_feats, out_feats) for _ in range(n_blocks - 1)))
