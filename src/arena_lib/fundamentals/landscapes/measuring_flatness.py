"""What sharpness says, and what it doesn't: a network made as sharp as one likes, and a measure that doesn't fall for it.

Shapes:  theta, v "n_params".
Raises:  ConfigError for a goal that can't be reached.
Source:  Dinh et al. 2017, arXiv:1703.04933, section 4.2; the measure in units of each parameter: Tsuzuku et al. 2020,
         arXiv:1901.04653, and Kwon et al. 2021, arXiv:2102.11600.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.landscapes.hessian_vector_products import LossFunction, hessian_vector_product
from arena_lib.fundamentals.landscapes.symmetries import rescale_hidden

LARGEST_SCALE = 1e4
"""Hidden units aren't scaled by more."""
HALVINGS = 20
"""Of the interval of scales."""


def raise_sharpness(
    params: dict[str, Tensor], measure: Callable[[dict[str, Tensor]], float], goal: float
) -> dict[str, Tensor]:
    """Parameters of the same function for which `measure` gives `goal`.

    All hidden units are rescaled by one scale c (`rescale_hidden`). c is found by halving an interval [low, high] of scales.
    low is 1. high begins at 2 and is doubled until the measure there is at least the goal. Then, twenty times: if the
    measure at the middle, (low + high) / 2, is under the goal, the middle becomes low, else high. The result is for high.
    `params` stays as it is. What is asked for is above what the measure is now.

    Args:
        params: "W_in", "b_in", "W_out" and "b_out" of a network with one hidden ReLU layer.
        measure: takes such parameters and returns a number, their sharpness.
        goal: what the measure shall be.

    >>> params = {"W_in": torch.ones(1, 1), "b_in": torch.ones(1), "W_out": torch.ones(1, 1), "b_out": torch.ones(1)}
    >>> raise_sharpness(params, lambda params: params["b_in"].item() ** 2, 9.0)["W_in"].round(decimals=3)
    tensor([[3.]])
    """

    def rescale(scale: float) -> dict[str, Tensor]:
        return rescale_hidden(params, torch.full_like(params["b_in"], scale))

    low, high = 1.0, 2.0
    check_goal(measure(params), goal)
    while measure(rescale(high)) < goal:
        high *= 2
        check_scale(high, goal)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if measure(rescale(middle)) < goal:
            low = middle
        else:
            high = middle
    return rescale(high)


def check_goal(now: float, goal: float) -> None:
    """Refuse a goal below what the measure is now."""
    if now > goal:
        raise ConfigError(f"the goal must be at least what the measure is now, {now:.4g}: got {goal}. Raise it.")


def check_scale(scale: float, goal: float) -> None:
    """Refuse a goal that only a scale out of reach would give."""
    if scale > LARGEST_SCALE:
        raise ConfigError(f"the goal must be within reach: got {goal}, more than at scale {LARGEST_SCALE:g}. Lower it.")


def scale_free_product(
    loss_fn: LossFunction, theta: Float[Tensor, " n_params"], v: Float[Tensor, " n_params"]
) -> Float[Tensor, " n_params"]:
    """The curvature in units of each parameter's own size, times `v`: |theta| * (H (|theta| * v)), entry by entry.

    H is the Hessian of `loss_fn` at `theta` (`hessian_vector_product`). This is the product of `v` with the matrix D H D,
    where D has |theta| on its diagonal. Where a parameter is made c times as large and the function stays, D grows by what
    H loses, and the eigenvalues of D H D stay. The result has no history. `theta` and `v` stay as they are.

    >>> scale_free_product(lambda theta: (theta**2).sum(), torch.tensor([1.0, -3.0]), torch.ones(2))
    tensor([ 2., 18.])
    """
    sizes = theta.detach().abs()
    return sizes * hessian_vector_product(loss_fn, theta, sizes * v)
