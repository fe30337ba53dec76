"""How the gradient changes along a direction: the Hessian times a vector, and the whole Hessian of a small network.

Shapes:  theta, v and the product "n_params"; the Hessian "n_params n_params".
Raises:  ShapeError, DtypeError for what isn't a vector of floats; TrainingError for a loss that isn't finite; ConfigError
         for a loss that doesn't depend on theta or can't be differentiated twice.
Source:  Pearlmutter 1994, doi:10.1162/neco.1994.6.1.147; by two passes backward in place of one forward and one backward.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.landscapes.inputs import check_above_zero, check_direction, check_loss, check_theta

LossFunction = Callable[[Tensor], Tensor]
"""Takes theta and returns one number."""
EPS = 1e-4
"""How far theta is moved, as a length; near the best for float64 gradients of losses of order 1; own choice."""
MARK_OF_SINGLE_STEPS = "torch::autograd::Error"
"""What PyTorch's graph holds in place of the derivative of a step that is marked `once_differentiable`."""


def compute_gradient(loss_fn: LossFunction, theta: Float[Tensor, " n_params"]) -> Float[Tensor, " n_params"]:
    """The gradient of `loss_fn` at `theta`, without a history. `theta` stays as it is, its grad too.

    >>> compute_gradient(lambda theta: (theta**2).sum(), torch.tensor([1.0, 3.0]))
    tensor([2., 6.])
    """
    check_theta(theta)
    with torch.enable_grad():
        point = theta.detach().requires_grad_(True)
        loss = loss_fn(point)
        check_loss(loss)
        (gradient,) = torch.autograd.grad(loss, point)
    return gradient


def hvp_by_differences(
    loss_fn: LossFunction, theta: Float[Tensor, " n_params"], v: Float[Tensor, " n_params"], eps: float = EPS
) -> Float[Tensor, " n_params"]:
    """The Hessian at `theta` times `v`, by trying: how much the gradient changes on a small step along `v`.

    It's a central difference, (gradient at theta + eps * v, minus gradient at theta - eps * v) / (2 * eps). `theta` and `v`
    stay as they are. `compute_gradient(loss_fn, theta)` gives a gradient.

    Args:
        loss_fn: takes `theta` and returns one number.
        theta: the point.
        v: the direction.
        eps: how far to go each way, in lengths of `v`.

    >>> theta, v = torch.tensor([1.0, 3.0], dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64)
    >>> hvp_by_differences(lambda theta: theta[0] ** 2 * theta[1], theta, v).round(decimals=6)
    tensor([6., 2.], dtype=torch.float64)
    """
    check_theta(theta)
    check_direction(v, theta)
    check_above_zero(eps=eps)
    ahead = compute_gradient(loss_fn, theta + eps * v)
    behind = compute_gradient(loss_fn, theta - eps * v)
    return (ahead - behind) / (2 * eps)


def hessian_vector_product(
    loss_fn: LossFunction, theta: Float[Tensor, " n_params"], v: Float[Tensor, " n_params"]
) -> Float[Tensor, " n_params"]:
    """The Hessian of `loss_fn` at `theta` times `v`, exactly, without ever writing the Hessian down.

    It's the gradient of a number: of the gradient at `theta`, times `v`, added up, where `v` stands for a constant. The
    first gradient is made with `create_graph=True`, so that it remembers how it depends on `theta`. The result has no
    history. `theta` and `v` stay as they are, their grads too, whether or not they require a gradient. Where the gradient
    is the same everywhere (`not gradient.requires_grad`), the product is zeros.

    Args:
        loss_fn: takes a vector such as `theta` and returns one number.
        theta: the point.
        v: the direction.

    >>> hessian_vector_product(lambda theta: (theta**3).sum(), torch.tensor([1.0, 2.0]), torch.tensor([1.0, 10.0]))
    tensor([  6., 120.])
    """
    check_theta(theta)
    check_direction(v, theta)
    with torch.enable_grad():
        point = theta.detach().requires_grad_(True)
        loss = loss_fn(point)
        check_loss(loss)
        # Ones that require a gradient: PyTorch then marks each step that it can differentiate only once.
        ones = torch.ones_like(loss, requires_grad=True)
        (gradient,) = torch.autograd.grad(loss, point, ones, create_graph=True)
        return differentiate_again(gradient, point, v.detach())


def differentiate_again(gradient: Tensor, point: Tensor, v: Tensor) -> Tensor:
    """The gradient with respect to `point` of `gradient` times `v`, added up; zeros where nothing depends on it."""
    _refuse_single_steps(gradient)
    (product,) = torch.autograd.grad(gradient @ v, point, materialize_grads=True)
    return product


def _refuse_single_steps(gradient: Tensor) -> None:
    """A step that can be differentiated once leaves a mark in the graph, which a second pass may go around in silence."""
    waiting, seen = [gradient.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if node.name() == MARK_OF_SINGLE_STEPS:
            raise ConfigError(
                "loss_fn must be differentiable twice: got one with a step that PyTorch can differentiate only once. "
                "Write this step with operations of torch, or use hvp_by_differences."
            )
        seen.add(node)
        waiting += [parent for parent, _ in node.next_functions]


def exact_hessian(loss_fn: LossFunction, theta: Float[Tensor, " n_params"]) -> Float[Tensor, "n_params n_params"]:
    """The whole matrix of second derivatives, row by row; for small networks.

    A matrix times the i-th unit vector is its i-th column, and the Hessian is symmetric, so it's its i-th row as well. Each
    comes from `hessian_vector_product`. In the dtype of `theta`.

    >>> exact_hessian(lambda theta: theta[0] ** 2 * theta[1], torch.tensor([1.0, 3.0]))
    tensor([[6., 2.],
            [2., 0.]])
    """
    check_theta(theta)
    return torch.stack([hessian_vector_product(loss_fn, theta, unit) for unit in torch.eye(len(theta)).to(theta)])
