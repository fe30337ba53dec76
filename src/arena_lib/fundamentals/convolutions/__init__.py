"""Strides, and what can be built on them: products, padding, convolutions and max-pooling from scratch.

memory             where a tensor's numbers lie: positions and strides
strides            views that pick numbers from memory by size and stride
products           trace and products of matrices by views
windows            convolutions without stride and padding
padding            numbers put around signals and images
sizes              how large an output is, and pairs for height and width
convolving         `conv1d` and `conv2d` with stride and padding
pooling            `maxpool2d`
kernels            small kernels that blur, or find edges
substituting       a network that runs on a convolution of your own

>>> import torch
>>> images, weights = torch.ones(2, 3, 5, 5), torch.ones(4, 3, 2, 2)
>>> conv2d(images, weights, stride=2, padding=1).shape
torch.Size([2, 4, 3, 3])
"""

from arena_lib.fundamentals.convolutions.convolving import conv1d, conv2d
from arena_lib.fundamentals.convolutions.kernels import BLUR, EDGES_ACROSS, EDGES_DOWN, SHARPEN
from arena_lib.fundamentals.convolutions.memory import contiguous_strides, memory_position
from arena_lib.fundamentals.convolutions.padding import pad1d, pad2d
from arena_lib.fundamentals.convolutions.pooling import maxpool2d
from arena_lib.fundamentals.convolutions.products import as_strided_mm, as_strided_mv, as_strided_trace
from arena_lib.fundamentals.convolutions.sizes import IntOrPair, as_pair, output_size
from arena_lib.fundamentals.convolutions.strides import (
    cut_tiles,
    repeat_row,
    sliding_windows,
    swap_axes,
    take_column,
    take_every,
    take_first,
)
from arena_lib.fundamentals.convolutions.substituting import run_on
from arena_lib.fundamentals.convolutions.windows import conv1d_minimal, conv1d_minimal_simple, conv2d_minimal

__all__ = [
    "BLUR",
    "EDGES_ACROSS",
    "EDGES_DOWN",
    "SHARPEN",
    "IntOrPair",
    "as_pair",
    "as_strided_mm",
    "as_strided_mv",
    "as_strided_trace",
    "contiguous_strides",
    "conv1d",
    "conv1d_minimal",
    "conv1d_minimal_simple",
    "conv2d",
    "conv2d_minimal",
    "cut_tiles",
    "maxpool2d",
    "memory_position",
    "output_size",
    "pad1d",
    "pad2d",
    "repeat_row",
    "run_on",
    "sliding_windows",
    "swap_axes",
    "take_column",
    "take_every",
    "take_first",
]
