"""Cuts through a landscape of many dimensions: along a line between two points, and in a plane of two directions.

Shapes:  theta "n_params"; losses "n_points", or "n_y n_x" in a plane.
Raises:  ShapeError for points or directions that don't fit together, ConfigError for fewer than two points.
Source:  the line: Goodfellow et al. 2015, arXiv:1412.6544; the normalised plane: Li et al. 2018, arXiv:1712.09913,
         section 4.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.fundamentals.landscapes.hessian_vector_products import LossFunction
from arena_lib.fundamentals.landscapes.inputs import check_counts, check_direction, check_same_shape, check_theta


def losses_along_line(
    loss_fn: LossFunction, theta_a: Float[Tensor, " n_params"], theta_b: Float[Tensor, " n_params"], n_points: int
) -> Float[Tensor, " n_points"]:
    """The loss at `n_points` places from `theta_a` to `theta_b`, both included, at equal distances.

    A share t of the way is the place (1 - t) * theta_a + t * theta_b. The losses have no history and the dtype of
    `theta_a`. Both ends stay as they are.

    >>> losses_along_line(lambda theta: (theta**2).sum(), torch.tensor([-1.0]), torch.tensor([3.0]), 5)
    tensor([1., 0., 1., 4., 9.])
    """
    check_theta(theta_a)
    check_direction(theta_b, theta_a, "theta_b")
    check_counts(2, n_points=n_points)
    with torch.no_grad():
        shares = torch.linspace(0, 1, n_points, dtype=theta_a.dtype, device=theta_a.device)
        return torch.stack([loss_fn((1 - t) * theta_a + t * theta_b) for t in shares])


def filter_normalise(direction: dict[str, Tensor], params: dict[str, Tensor]) -> dict[str, Tensor]:
    """A direction whose filters are as long as those of the parameters.

    A filter is what leads into one unit: in a weight "d_in d_out" a *column*. Each column of the direction is divided by its
    own length and multiplied by the length of the same column of the parameters. Where a column of the parameters is all
    zeros, so is the result's. Biases, with one axis, don't move: the result is zeros for them. A new dictionary, with the
    names of `params` in their order; both arguments stay as they are.

    Args:
        direction: for each name a tensor in the shape of the parameter; no column of it is all zeros.
        params: matrices "d_in d_out" and vectors, by name.

    >>> params = {"W": torch.tensor([[3.0, 0.0], [4.0, 1.0]]), "b": torch.tensor([7.0, 7.0])}
    >>> filter_normalise({"W": torch.tensor([[2.0, 5.0], [0.0, 0.0]]), "b": torch.ones(2)}, params)
    {'W': tensor([[5., 1.],
            [0., 0.]]), 'b': tensor([0., 0.])}
    """
    result = {}
    for name, part in params.items():
        moved = direction[name]
        check_same_shape(name, moved, part)
        if part.ndim == 1:
            result[name] = torch.zeros_like(part)
        else:
            result[name] = moved / moved.norm(dim=0) * part.norm(dim=0)
    return result


def losses_in_plane(
    loss_fn: LossFunction,
    theta: Float[Tensor, " n_params"],
    across: Float[Tensor, " n_params"],
    up: Float[Tensor, " n_params"],
    places: Float[Tensor, " n_places"],
) -> Float[Tensor, "n_places n_places"]:
    """The loss at theta + x * across + y * up, a row for each y and a column for each x, both from `places`."""
    check_theta(theta)
    check_direction(across, theta, "across")
    check_direction(up, theta, "up")
    with torch.no_grad():
        rows = [torch.stack([loss_fn(theta + x * across + y * up) for x in places]) for y in places]
    return torch.stack(rows)
