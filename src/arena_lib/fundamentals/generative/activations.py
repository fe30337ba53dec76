"""Three functions that bend numbers, for networks that draw: tanh, sigmoid, and a relu that leaks.

Shapes:  any -> the same.
Raises:  ConfigError for a slope that isn't a finite number.
Source:  Radford et al. 2016, arXiv:1511.06434, section 3, for their places in a GAN; Maas et al. 2013, "Rectifier
         nonlinearities improve neural network acoustic models", for the leak.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.errors import ConfigError

TANH_IS_ONE = 20.0
"""From here on tanh is 1 to the last digit, also in float64: 1 - tanh(20) is 8e-18."""
SIGMOID_IS_ZERO = -80.0
"""Here sigmoid is 2e-35; exp(80) is still a number in float32, and exp(89) isn't."""


class Tanh(nn.Module):
    """tanh(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x)), for each entry: from -1 to 1.

    Use `torch.exp`, not `torch.tanh`. exp(100) is inf in float32, and inf / inf is nan: for large |x| the result must be 1 or
    -1 all the same.

    >>> Tanh()(torch.tensor([-1000.0, 0.0, 1.0]))
    tensor([-1.0000,  0.0000,  0.7616])
    """

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Tanh of each entry, of the dtype of `x`, which stays unchanged."""
        x = x.clamp(-TANH_IS_ONE, TANH_IS_ONE)
        up, down = torch.exp(x), torch.exp(-x)
        return (up - down) / (up + down)


class Sigmoid(nn.Module):
    """sigmoid(x) = 1 / (1 + exp(-x)), for each entry: from 0 to 1, a probability.

    Use `torch.exp`, not `torch.sigmoid`. For large |x| the result must be 0 or 1, not nan.

    >>> Sigmoid()(torch.tensor([-2.0, 0.0, 1.0, 1000.0]))
    tensor([0.1192, 0.5000, 0.7311, 1.0000])
    """

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Sigmoid of each entry, of the dtype of `x`, which stays unchanged."""
        return 1 / (1 + torch.exp(-x.clamp(min=SIGMOID_IS_ZERO)))


class LeakyReLU(nn.Module):
    """`x` where it's above 0, and negative_slope * x elsewhere: a relu whose gradient is never 0.

    Args:
        negative_slope: kept as `self.negative_slope`. It's 0.01, as PyTorch's, where nothing is said.

    `extra_repr` gives "negative_slope=" with its value; it's what `print(module)` writes between the brackets.

    >>> LeakyReLU(0.2).extra_repr()
    'negative_slope=0.2'
    >>> LeakyReLU()(torch.tensor([-100.0, 0.0, 3.0]))
    tensor([-1.,  0.,  3.])
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        check_slope(negative_slope)
        self.negative_slope = negative_slope

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The entries with a leak, of the dtype of `x`, which stays unchanged."""
        return torch.where(x > 0, x, self.negative_slope * x)

    def extra_repr(self) -> str:
        """The slope, for `print`."""
        return f"negative_slope={self.negative_slope}"


def check_slope(negative_slope: float) -> None:
    """Refuse a slope that is no finite number."""
    if not math.isfinite(negative_slope):
        raise ConfigError(f"negative_slope must be a finite number, such as 0.2: got {negative_slope}.")
