"""How all outputs move with all parameters: the behavioural gradient, and its singular values.

Shapes:  theta "n_params"; the gradient "n_outputs n_params", where outputs of any shape are counted row by row.
Raises:  ShapeError, DtypeError for what isn't a vector of floats; ConfigError for outputs that don't depend on theta.
Source:  own derivation; the Jacobian of Jacot et al. 2018, arXiv:1806.07572, whose product with its transpose is their
         tangent kernel.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.fundamentals.landscapes.inputs import check_counts, check_outputs, check_theta

OutputFunction = Callable[[Tensor], Tensor]
"""Takes theta and returns the outputs for all inputs."""


def behavioural_gradient(
    output_fn: OutputFunction, theta: Float[Tensor, " n_params"]
) -> Float[Tensor, "n_outputs n_params"]:
    """The derivative of every output with respect to every parameter: a row for each output, a column for each parameter.

    Outputs of more than one axis are counted as `.flatten()` does. Row by row is the plain way: the gradient of one
    output, `outputs[i]`, which keeps the graph for the next (`retain_graph=True`). The result has no history, and `theta` stays as it is.

    Args:
        output_fn: takes `theta` and returns a tensor of any shape, such as logits "batch classes".
        theta: the point.

    >>> behavioural_gradient(lambda theta: torch.stack([theta[0] * theta[1], theta[1] ** 2]), torch.tensor([2.0, 5.0]))
    tensor([[ 5.,  2.],
            [ 0., 10.]])
    """
    check_theta(theta)
    with torch.enable_grad():
        point = theta.detach().requires_grad_(True)
        outputs = output_fn(point).flatten()
        check_outputs(outputs)
        rows = [torch.autograd.grad(outputs[i], point, retain_graph=True)[0] for i in range(len(outputs))]
    return torch.stack(rows)


def behavioural_spectrum(gradient: Float[Tensor, "n_outputs n_params"], n_examples: int) -> Float[Tensor, " n_values"]:
    """Singular values of the behavioural gradient divided by the root of the number of examples, the largest first.

    Squared, they are the eigenvalues of the Gauss-Newton matrix of half the mean squared error.

    >>> behavioural_spectrum(torch.tensor([[6.0, 0.0], [0.0, 8.0]]), n_examples=4)
    tensor([4., 3.])
    """
    check_counts(n_examples=n_examples)
    return torch.linalg.svdvals(gradient) / n_examples**0.5
