"""Layers from scratch: what a module keeps, and what it calculates.

Shapes:  ReLU "..." -> "..."; Linear "... in_features" -> "... out_features"; Flatten joins neighbouring axes.
Raises:  ConfigError for sizes that can't be; ShapeError for an input that doesn't fit.
Source:  the initialisation is PyTorch's: He et al. 2015, arXiv:1502.01852, with a gain of 1/sqrt(3).
"""

from __future__ import annotations

import math

import torch
from einops import einsum
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from arena_lib.errors import ConfigError, ShapeError


class ReLU(nn.Module):
    """Each entry where it is above 0, and 0 where it is below.

    The input stays as it is. At exactly 0 any slope from 0 to 1 will do.

    >>> ReLU()(torch.tensor([-1.5, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """

    def forward(self, x: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """The larger of 0 and each entry of `x`, in the same shape and dtype."""
        return x.clamp(min=0)


class Linear(nn.Module):
    """Weighted sums of the inputs, and a constant for each: x W^T + b.

    `weight` "out_features in_features" and `bias` "out_features" are parameters; with bias=False, `bias` is None. Both
    begin with numbers drawn uniformly between -1 / sqrt(in_features) and 1 / sqrt(in_features). The sizes are kept as
    `in_features` and `out_features`.

    Args:
        in_features: how many numbers describe an example.
        out_features: how many come out.
        bias: whether a constant is added to each output.

    >>> Linear(3, 2)(torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        check_sizes(in_features=in_features, out_features=out_features)
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features)
        self.weight = nn.Parameter(torch.empty(out_features, in_features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out_features).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Float[Tensor, "... in_features"]) -> Float[Tensor, "... out_features"]:
        """Works on the last axis; there may be any number of axes before it, also none."""
        check_last_axis(x, self.in_features, "in_features")
        out = einsum(x, self.weight, "... in_features, out_features in_features -> ... out_features")
        return out if self.bias is None else out + self.bias

    def extra_repr(self) -> str:
        """What `print(layer)` shows between the brackets: the text `in_features=3, out_features=2, bias=True`."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Flatten(nn.Module):
    """Makes one axis of the axes from `start_dim` to `end_dim`, both included; negative ones count from the end.

    Args:
        start_dim: the first axis that is joined; 1 leaves the batch alone.
        end_dim: the last one; -1 is the last axis of all.

    >>> Flatten()(torch.zeros(5, 1, 28, 28)).shape, Flatten(0, 1)(torch.zeros(2, 3, 4)).shape
    (torch.Size([5, 784]), torch.Size([6, 4]))
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """The same entries in the same order, with fewer axes."""
        last = self.end_dim % x.ndim
        joined = math.prod(x.shape[self.start_dim : last + 1])
        return x.reshape(*x.shape[: self.start_dim], joined, *x.shape[last + 1 :])


def check_sizes(**sizes: int) -> None:
    """Raise unless each size is at least 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ConfigError(f"{name} must be at least 1: got {size}.")


def check_last_axis(x: Tensor, length: int, name: str) -> None:
    """Raise unless the last axis has this length."""
    if x.ndim == 0 or x.shape[-1] != length:
        raise ShapeError(f"the last axis must be {name} = {length}: got an input of shape {tuple(x.shape)}.")


def check_images(x: Tensor, channel: int) -> None:
    """Raise unless `x` is "batch channel height width" with so many channels."""
    if x.ndim != 4 or x.shape[1] != channel:
        raise ShapeError(
            f"images must be batch x channel x height x width, with {channel} as channel: got shape {tuple(x.shape)}."
        )
