"""Batch normalisation: each channel with mean 0 and variance 1, then stretched and shifted as is learned.

Shapes:  "batch channel height width" -> the same
Raises:  ConfigError for sizes that can't be; ShapeError for an input that doesn't fit, or one value for each channel.
Source:  Ioffe and Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2; what isn't said there is as in torch.nn.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.resnets.layers import check_images, check_sizes


class BatchNorm2d(nn.Module):
    """Makes each channel's mean 0 and its variance 1 over the batch and all pixels, then scales and shifts it.

    The output is (x - mean) / sqrt(variance + eps) * weight + bias, channel by channel.

    In training mode mean and variance are those of this batch, taken over batch, height and width; the variance is the
    mean of the squared distances: it divides by n. Each call also moves the running statistics, without gradients:

        running_mean         (1 - momentum) * running_mean + momentum * mean
        running_var          (1 - momentum) * running_var  + momentum * variance * n / (n - 1)
        num_batches_tracked  one more

    where n = batch * height * width. The factor n / (n - 1) makes the variance unbiased. In evaluation mode mean and
    variance are `running_mean` and `running_var`, and nothing is moved.

    Parameters: `weight`, ones at first, and `bias`, zeros, both "num_features". Buffers: `running_mean`, zeros at first,
    `running_var`, ones, both "num_features", and `num_batches_tracked`, a whole number that begins with 0
    (`torch.tensor(0)`). The arguments are kept as attributes of the same names.

    Args:
        num_features: how many channels there are.
        eps: is added to the variance inside the root, so that nothing is divided by 0.
        momentum: how much of the new batch goes into the running statistics.

    >>> sorted(BatchNorm2d(7).state_dict())
    ['bias', 'num_batches_tracked', 'running_mean', 'running_var', 'weight']
    """

    running_mean: Float[Tensor, " num_features"]
    running_var: Float[Tensor, " num_features"]
    num_batches_tracked: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        check_settings(num_features, eps, momentum)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel height width"]:
        """Normalises by this batch in training mode, by the running statistics in evaluation mode."""
        check_images(x, self.num_features)
        if self.training:
            check_count(x)
            mean = x.mean(dim=(0, 2, 3))
            variance = x.var(dim=(0, 2, 3), unbiased=False)
            with torch.no_grad():
                unbiased = x.var(dim=(0, 2, 3))
                self.running_mean.copy_((1 - self.momentum) * self.running_mean + self.momentum * mean)
                self.running_var.copy_((1 - self.momentum) * self.running_var + self.momentum * unbiased)
                self.num_batches_tracked += 1
        else:
            mean = self.running_mean
            variance = self.running_var
        mean, variance, weight, bias = (
            rearrange(values, "channel -> 1 channel 1 1") for values in (mean, variance, self.weight, self.bias)
        )
        return (x - mean) / torch.sqrt(variance + self.eps) * weight + bias

    def extra_repr(self) -> str:
        """What `print(layer)` shows between the brackets: the text `7, eps=1e-05, momentum=0.1`."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


def check_settings(num_features: int, eps: float, momentum: float) -> None:
    """Raise unless a batch norm can be made of these."""
    check_sizes(num_features=num_features)
    if eps < 0:
        raise ConfigError(f"eps must be at least 0: got {eps}.")
    if not 0 <= momentum <= 1:
        raise ConfigError(f"momentum must be between 0 and 1: got {momentum}.")


def check_count(x: Tensor) -> None:
    """Raise where a channel has a single value: it has no variance to learn from."""
    if x.numel() <= x.shape[1]:
        raise ShapeError(
            f"in training mode each channel must have two values or more: got an input of shape {tuple(x.shape)}. "
            "Take a larger batch, or call eval() first."
        )
