"""The part of the curvature that comes from outputs moving, without that of outputs bending: the Gauss-Newton matrix.

For a loss of outputs z(theta), the chain rule twice gives H = J^T H_out J + sum_k (dL/dz_k) (Hessian of z_k). The first
term is G. It's never negative. The second vanishes where the outputs' slopes dL/dz do: where every example is learned.

Shapes:  logits "batch classes", J "batch*classes n_params", H_out "batch classes classes", G "n_params n_params".
Raises:  ShapeError for a gradient that doesn't belong to the logits; what `check_theta` and `check_direction` refuse.
Source:  Schraudolph 2002, doi:10.1162/08997660260028683, sections 3 and 4; Martens 2014, arXiv:1412.1193, section 8.
"""

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor
from torch.func import jvp, vjp

from arena_lib.errors import ShapeError
from arena_lib.fundamentals.landscapes.behaviour import OutputFunction
from arena_lib.fundamentals.landscapes.inputs import check_direction, check_theta


def softmax_hessians(logits: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch classes classes"]:
    """The second derivatives of the cross-entropy of each example with respect to its own logits.

    With the probabilities p = softmax(logits), its entry for the classes i and j is p_i - p_i * p_i if i is j, and
    -p_i * p_j otherwise. It doesn't depend on the label. Each row adds up to 0.

    >>> softmax_hessians(torch.zeros(1, 2))
    tensor([[[ 0.2500, -0.2500],
             [-0.2500,  0.2500]]])
    """
    check_logits(logits)
    p = logits.softmax(dim=-1)
    return torch.diag_embed(p) - einsum(p, p, "batch i, batch j -> batch i j")


def gauss_newton_matrix(
    gradient: Float[Tensor, "n_outputs n_params"], logits: Float[Tensor, "batch classes"]
) -> Float[Tensor, "n_params n_params"]:
    """The Gauss-Newton matrix of the mean cross-entropy: the mean over the examples of J^T H_out J.

    `gradient` is the behavioural gradient of the logits. Its rows are counted as `logits.flatten()` is: the first
    `classes` rows are the first example's J. H_out comes from `softmax_hessians`.

    >>> gauss_newton_matrix(torch.eye(2), torch.zeros(1, 2))
    tensor([[ 0.2500, -0.2500],
            [-0.2500,  0.2500]])
    """
    check_logits(logits)
    if len(gradient) != logits.numel():
        raise ShapeError(
            f"gradient must have a row for each of the {logits.numel()} logits: got {len(gradient)}. "
            "Take both for the same inputs."
        )
    jacobians = rearrange(gradient, "(batch classes) n_params -> batch classes n_params", batch=len(logits))
    bent = einsum(softmax_hessians(logits), jacobians, "batch i j, batch j n_params -> batch i n_params")
    return gradient.T @ bent.flatten(0, 1) / len(logits)


def gauss_newton_product(
    output_fn: OutputFunction, theta: Float[Tensor, " n_params"], v: Float[Tensor, " n_params"]
) -> Float[Tensor, " n_params"]:
    """The Gauss-Newton matrix of the mean cross-entropy times `v`, without ever writing the matrix down.

    Three steps, from right to left in J^T H_out J v:

    1. How the logits move along `v`, J v: `torch.func.jvp(output_fn, (theta,), (v,))` gives the logits and J v.
    2. H_out times that, example by example, divided by the number of examples.
    3. Back to the parameters, J^T u: `torch.func.vjp(output_fn, theta)` gives the logits and a function u -> (J^T u,).

    Args:
        output_fn: takes `theta` and returns logits "batch classes".
        theta: the point.
        v: the direction.

    Returns:
        The product, without a history. `theta` and `v` stay as they are.

    >>> gauss_newton_product(lambda theta: theta.reshape(1, 2), torch.zeros(2), torch.tensor([4.0, 0.0]))
    tensor([ 1., -1.])
    """
    check_theta(theta)
    check_direction(v, theta)
    logits, moved = jvp(output_fn, (theta.detach(),), (v.detach(),))  # type: ignore[misc]  # no third value without has_aux
    check_logits(logits)
    _, pull_back = vjp(output_fn, theta.detach())  # type: ignore[misc]
    bent = einsum(softmax_hessians(logits), moved, "batch i j, batch j -> batch i") / len(logits)
    (product,) = pull_back(bent)
    return product.detach()


def check_logits(logits: Tensor) -> None:
    """Refuse logits without a batch axis."""
    if logits.ndim != 2:
        raise ShapeError(f'logits must have the shape "batch classes": got {tuple(logits.shape)}.')
