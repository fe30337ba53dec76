"""Small perceptrons for a few observations: the same function, quicker, without gradients.

An agent that acts asks a network of some thousand weights about a handful of observations, thousands of times. Of the
time that `network(obs)` takes then, most goes into finding layers and calling torch, and little into arithmetic. numpy
gives the same numbers, to rounding, in about a third of it.

Shapes:  obs "batch d_obs" -> "batch d_out"
Source:  own derivation
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

FEW = 8
"""With more rows than this, products take most of the time, and torch is asked."""

Step = Callable[[np.ndarray], np.ndarray]


def quicken(network: nn.Module) -> "nn.Module | QuickPerceptron":
    """`network` for the few observations of acting: a function with the same outputs, which carry no gradient.

    Perceptrons are quickened: an `nn.Sequential` of linear layers, `nn.Tanh` and `nn.ReLU`, with float32 weights on the
    CPU. Any other network is returned as it is. The function reads the weights' own memory, so it follows training; it doesn't follow a weight that is
    replaced by another tensor, and it calls no module, so no module's hooks.

    >>> network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    >>> obs = torch.ones(3, 4)
    >>> torch.allclose(quicken(network)(obs), network(obs), atol=1e-6)
    True
    """
    if not (isinstance(network, nn.Sequential) and all(type(layer) in STEPS for layer in network)):
        return network
    is_plain = all(weight.dtype == torch.float32 and weight.device.type == "cpu" for weight in network.parameters())
    return QuickPerceptron(network) if is_plain else network


class QuickPerceptron:
    """A perceptron, an `nn.Sequential` as `quicken` takes it, for tensors and for arrays."""

    def __init__(self, network: nn.Sequential) -> None:
        self.network = network
        self._steps = [STEPS[type(layer)](layer) for layer in network]

    def __call__(self, obs: Float[Tensor, "batch d_obs"]) -> Float[Tensor, "batch d_out"]:
        """The network's outputs, without gradients."""
        return torch.from_numpy(self.on_arrays(obs.numpy()))

    def on_arrays(self, obs: Float[np.ndarray, "batch d_obs"]) -> Float[np.ndarray, "batch d_out"]:
        """The same from an array of float32 to an array."""
        if len(obs) > FEW:
            with torch.no_grad():
                return self.network(torch.from_numpy(obs)).numpy()
        for step in self._steps:
            obs = step(obs)
        return obs


def _linear(layer: nn.Linear) -> Step:
    weight = layer.weight.detach().numpy().T
    if layer.bias is None:
        return lambda hidden: hidden @ weight
    bias = layer.bias.detach().numpy()
    return lambda hidden: hidden @ weight + bias


STEPS: dict[type, Callable[..., Step]] = {
    nn.Linear: _linear,
    nn.Tanh: lambda _: np.tanh,
    nn.ReLU: lambda _: lambda hidden: np.maximum(hidden, 0.0),
}
"""For each kind of layer how to make its function on arrays."""
