"""All parameters of a network as one vector, and the network as a function of it.

Shapes:  theta "n_params": the parameters in the order of `model.named_parameters()`, each flattened row by row.
Raises:  ShapeError for a vector of another length, DtypeError for whole numbers, ConfigError for a network that isn't a
         function of its parameters: without any, or with noise of training in it.
Source:  own derivation.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.landscapes.inputs import check_counts, check_length, check_theta

NOISY = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
"""Layers that in training mode answer otherwise from batch to batch, or from call to call."""


def flatten_parameters(model: nn.Module) -> Float[Tensor, " n_params"]:
    """All parameters of a model as one new vector.

    The parameters follow each other in the order of `model.named_parameters()`, each one flattened row by row, in their
    own dtype. The vector is a copy, without a gradient: changing it leaves the model as it is.

    >>> flatten_parameters(nn.Linear(3, 2)).shape
    torch.Size([8])
    """
    check_counts(parameters=len([*model.parameters()]))
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def unflatten_parameters(theta: Float[Tensor, " n_params"], model: nn.Module) -> dict[str, Tensor]:
    """The vector cut up again: for each parameter of the model its name, and its part of `theta` in its shape.

    The opposite of `flatten_parameters`, in the same order. The parts are calculated from `theta`, so gradients flow from
    them to it. The model lends its names and shapes; it stays as it is.

    >>> {name: tuple(part.shape) for name, part in unflatten_parameters(torch.zeros(8), nn.Linear(3, 2)).items()}
    {'weight': (2, 3), 'bias': (2,)}
    """
    check_theta(theta)
    sizes = [parameter.numel() for parameter in model.parameters()]
    check_length(theta, sum(sizes))
    parts = theta.split(sizes)
    return {name: part.view_as(old) for (name, old), part in zip(model.named_parameters(), parts, strict=True)}


def outputs_at(model: nn.Module, theta: Float[Tensor, " n_params"], inputs: Tensor) -> Tensor:
    """What the model would answer if its parameters were `theta`.

    `torch.func.functional_call(model, parameters, (inputs,))` calls a model with other parameters, given by name. The
    model's own stay as they are, and gradients flow from the result to `theta`.

    >>> outputs_at(nn.Linear(3, 2), torch.zeros(8), torch.ones(1, 3)).tolist()
    [[0.0, 0.0]]
    """
    outputs: Tensor = functional_call(model, unflatten_parameters(theta, model), (inputs,))
    return outputs


def make_loss_function(
    model: nn.Module, inputs: Tensor, targets: Tensor, compute_loss: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    """The loss as a function of one vector: `theta` -> `compute_loss(outputs_at(model, theta, inputs), targets)`.

    A model with dropout or batch normalisation must be in evaluation mode: in training mode its answers aren't a function
    of its parameters alone.

    >>> loss_fn = make_loss_function(nn.Linear(3, 2), torch.ones(4, 3), torch.zeros(4, 2), nn.functional.mse_loss)
    >>> loss_fn(torch.zeros(8)).item()
    0.0
    """
    noisy = sorted({type(layer).__name__ for layer in model.modules() if layer.training and isinstance(layer, NOISY)})
    if noisy:
        raise ConfigError(
            f"a landscape needs one height for each theta: got {', '.join(noisy)} in training mode. Call model.eval()."
        )
    return lambda theta: compute_loss(outputs_at(model, theta, inputs), targets)
