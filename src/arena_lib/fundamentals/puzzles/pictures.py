"""Images rearranged, reduced and repeated: each puzzle is a line of einops, and its result is a picture.

Shapes:  images "batch channel height width", an image "channel height width".
Raises:  EinopsError (of einops) where sizes don't fit, with the pattern and the shape.
Source:  Rogozhnikov 2022, "Einops: clear and reliable tensor manipulations with Einstein-like notation".
"""

import einops
import torch
from jaxtyping import Float
from torch import Tensor


def side_by_side(
    images: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, "channel height batch*width"]:
    """All images in one row, the first on the left.

    >>> side_by_side(torch.zeros(6, 3, 10, 8)).shape
    torch.Size([3, 10, 48])
    """
    return einops.rearrange(images, "batch channel height width -> channel height (batch width)")


def stack_down(
    images: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, "channel batch*height width"]:
    """All images in one column, the first on top.

    >>> stack_down(torch.zeros(6, 3, 10, 8)).shape
    torch.Size([3, 60, 8])
    """
    return einops.rearrange(images, "batch channel height width -> channel (batch height) width")


def arrange_in_grid(
    images: Float[Tensor, "batch channel height width"], n_rows: int
) -> Float[Tensor, "channel all_height all_width"]:
    """All images in `n_rows` rows of equal length, in the order in which one reads.

    >>> arrange_in_grid(torch.zeros(6, 3, 10, 8), n_rows=2).shape
    torch.Size([3, 20, 24])
    """
    return einops.rearrange(
        images, "(rows columns) channel height width -> channel (rows height) (columns width)", rows=n_rows
    )


def turn_right(image: Float[Tensor, "channel height width"]) -> Float[Tensor, "channel width height"]:
    """The image turned by a quarter, clockwise: its top row becomes the rightmost column.

    >>> turn_right(torch.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]))
    tensor([[[4., 1.],
             [5., 2.],
             [6., 3.]]])
    """
    return einops.rearrange(image, "channel height width -> channel width height").flip(-1)


def show_channels(image: Float[Tensor, "channel height width"]) -> Float[Tensor, "height channel*width"]:
    """The channels of one image side by side, the first on the left, as one grey picture without a channel axis.

    >>> show_channels(torch.zeros(3, 10, 8)).shape
    torch.Size([10, 24])
    """
    return einops.rearrange(image, "channel height width -> height (channel width)")


def to_grey(images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch height width"]:
    """Each image in shades of grey: each pixel is the mean of its channels.

    >>> to_grey(torch.tensor([[[[0.0]], [[0.6]], [[0.9]]]]))
    tensor([[[0.5000]]])
    """
    return einops.reduce(images, "batch channel height width -> batch height width", "mean")


def lay_over(images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "channel height width"]:
    """All images drawn on one sheet: in each place and channel the darkest, that is the smallest, number of all images.

    >>> lay_over(torch.tensor([[[[0.0, 1.0]]], [[[1.0, 0.25]]]]))
    tensor([[[0.0000, 0.2500]]])
    """
    return einops.reduce(images, "batch channel height width -> channel height width", "min")


def enlarge(
    image: Float[Tensor, "channel height width"], factor: int
) -> Float[Tensor, "channel large_height large_width"]:
    """Each pixel as a square of `factor` by `factor` equal pixels.

    >>> enlarge(torch.tensor([[[1.0, 2.0]]]), factor=2)
    tensor([[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]])
    """
    return einops.repeat(
        image, "channel height width -> channel (height down) (width along)", down=factor, along=factor
    )


def shrink(
    image: Float[Tensor, "channel height width"], factor: int
) -> Float[Tensor, "channel small_height small_width"]:
    """Each square of `factor` by `factor` pixels as one pixel, their mean. `factor` divides height and width.

    >>> shrink(torch.tensor([[[1.0, 2.0, 5.0, 5.0], [3.0, 4.0, 5.0, 9.0]]]), factor=2)
    tensor([[[2.5000, 6.0000]]])
    """
    return einops.reduce(
        image, "channel (height down) (width along) -> channel height width", "mean", down=factor, along=factor
    )


def weave(
    first: Float[Tensor, "channel height width"], second: Float[Tensor, "channel height width"]
) -> Float[Tensor, "channel height 2*width"]:
    """The columns of two images in turn: the first column of `first`, the first of `second`, the second of `first` ...

    >>> weave(torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[7.0, 8.0]]]))
    tensor([[[1., 7., 2., 8.]]])
    """
    return einops.rearrange(torch.stack([first, second]), "which channel height width -> channel height (width which)")
