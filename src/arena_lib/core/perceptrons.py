"""Small perceptrons for a few observations: the same function, quicker, without gradients.

An agent that acts asks a network of some thousand weights about a handful of observations, thousands of times. Of the
time that `network(obs)` takes then, most goes into finding layers and calling torch, and little into arithmetic. numpy
gives the same numbers, to rounding, in a quarter of it.

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


def quicken(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """`network` for the few observations of acting: a function with the same outputs, which carry no gradient.

    Perceptrons are quickened: an `nn.Sequential` of linear layers, `nn.Tanh` and `nn.ReLU`. Any other network is returned
    as it is. The function reads the weights' own memory, so it follows training; it doesn't follow a weight that is
    replaced by another tensor.

    >>> network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    >>> obs = torch.ones(3, 4)
    >>> torch.allclose(quicken(network)(obs), network(obs), atol=1e-6)
    True
    """
    if not (isinstance(network, nn.Sequential) and all(type(layer) in STEPS for layer in network)):
        return network
    steps = [STEPS[type(layer)](layer) for layer in network]

    def quick(obs: Float[Tensor, "batch d_obs"]) -> Float[Tensor, "batch d_out"]:
        if obs.shape[0] > FEW:
            with torch.no_grad():
                return network(obs)  # type: ignore[no-any-return]
        hidden = obs.numpy()
        for step in steps:
            hidden = step(hidden)
        return torch.from_numpy(hidden)

    return quick


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
