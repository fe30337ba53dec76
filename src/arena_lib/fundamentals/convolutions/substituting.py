"""A trained network that runs on convolutions and pooling of your own.

Shapes:  whatever the network takes.
Raises:  ConfigError for a layer with groups, dilation or another padding than zeros, which plain functions don't have.
"""

import copy
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.convolutions.convolving import conv2d as our_conv2d
from arena_lib.fundamentals.convolutions.pooling import maxpool2d as our_maxpool2d

PLAIN = {"groups": 1, "dilation": (1, 1), "padding_mode": "zeros"}
"""What a convolution layer must have; the pairs are how torch keeps them."""
PLAIN_POOLING = {"dilation": 1, "ceil_mode": False, "return_indices": False}


class ConvolutionBy(nn.Module):
    """A convolution layer that calls `function(x, weight, stride, padding)`, and adds its bias if it has one."""

    def __init__(self, layer: Any, function: Callable[..., Tensor]) -> None:
        super().__init__()
        _check_plain(layer, PLAIN)
        self.weight, self.bias = layer.weight, getattr(layer, "bias", None)
        self.stride, self.padding, self.function = layer.stride, layer.padding, function

    def forward(self, x: Tensor) -> Tensor:
        """The function's result, and the bias of each channel on top."""
        output = self.function(x, self.weight, self.stride, self.padding)
        return output if self.bias is None else output + self.bias[:, None, None]


class PoolingBy(nn.Module):
    """A max-pooling layer that calls `function(x, kernel_size, stride, padding)`."""

    def __init__(self, layer: nn.MaxPool2d, function: Callable[..., Tensor]) -> None:
        super().__init__()
        _check_plain(layer, PLAIN_POOLING)
        self.layer, self.function = layer, function

    def forward(self, x: Tensor) -> Tensor:
        """The function's result."""
        return self.function(x, self.layer.kernel_size, self.layer.stride, self.layer.padding)


def run_on(
    model: nn.Module, conv2d: Callable[..., Tensor] = our_conv2d, maxpool2d: Callable[..., Tensor] = our_maxpool2d
) -> nn.Module:
    """A copy of `model` in which each convolution calls `conv2d`, and each `nn.MaxPool2d` calls `maxpool2d`.

    A convolution is an `nn.Conv2d`, or a module of a class called Conv2d, such as the one of section 0.2, that keeps its
    `weight`, `stride` and `padding` as attributes. Weights and all else are copied; `model` stays as it is.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2))
    >>> [type(layer).__name__ for layer in run_on(model)]
    ['ConvolutionBy', 'PoolingBy']
    """

    def replaced(layer: nn.Module) -> nn.Module:
        if isinstance(layer, nn.Conv2d) or type(layer).__name__ == "Conv2d":
            return ConvolutionBy(layer, conv2d)
        if isinstance(layer, nn.MaxPool2d):
            return PoolingBy(layer, maxpool2d)
        for name, child in layer.named_children():
            layer.add_module(name, replaced(child))
        return layer

    return replaced(copy.deepcopy(model))


def _check_plain(layer: nn.Module, plain: dict[str, Any]) -> None:
    for name, wanted in plain.items():
        value = getattr(layer, name, wanted)
        if value != wanted and value != (wanted, wanted):
            raise ConfigError(
                f"a layer that runs on a plain function must have {name}={wanted!r}: got {layer}. "
                "Leave such layers to torch."
            )
    if isinstance(getattr(layer, "padding", 0), str):
        raise ConfigError(f"a layer's padding must be numbers here: got {layer}. Write how many rows and columns.")
