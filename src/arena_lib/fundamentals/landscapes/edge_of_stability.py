"""Gradient descent on all data at once, and the sharpness of the places it goes through.

On a parabola of curvature c, a step of the learning rate lr multiplies the distance from the bottom by 1 - lr * c. It
shrinks as long as c < 2 / lr, and grows where c is larger.

Shapes:  theta "n_params".
Raises:  ConfigError for settings that can't work, TrainingError for a loss that isn't finite.
Source:  Cohen et al. 2021, arXiv:2103.00065.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.fundamentals.landscapes.hessian_vector_products import LossFunction, hessian_vector_product
from arena_lib.fundamentals.landscapes.inputs import check_above_zero, check_counts, check_loss, check_theta
from arena_lib.fundamentals.landscapes.spectra.lanczos import top_eigenpairs

LANCZOS_STEPS = 15
"""Enough for the largest eigenvalue to about a percent; own choice."""


@dataclass(frozen=True, kw_only=True)
class Descent:
    """What was seen on the way down."""

    theta: Tensor
    """Where it ended."""
    losses: list[float]
    """The loss before each step."""
    steps: list[int]
    """Before which steps `sharpness` was measured."""
    sharpness: list[float]
    """What was measured there."""


def measure_sharpness(loss_fn: LossFunction, theta: Float[Tensor, " n_params"], seed: int = 0) -> float:
    """The largest eigenvalue of the Hessian, by Lanczos from a random start.

    >>> round(measure_sharpness(lambda theta: theta[0] ** 2 - 5 * theta[1] ** 2, torch.ones(2).double()), 4)
    2.0
    """
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(len(theta), generator=generator, dtype=torch.float64).to(theta)
    values, _ = top_eigenpairs(
        lambda v: hessian_vector_product(loss_fn, theta, v), start, k=1, n_steps=min(LANCZOS_STEPS, len(theta))
    )
    return values[0].item()


def descend_and_measure(
    loss_fn: LossFunction,
    theta: Float[Tensor, " n_params"],
    lr: float,
    n_steps: int,
    every: int,
    measure: Callable[[LossFunction, Tensor], float] = measure_sharpness,
) -> Descent:
    """Plain gradient descent, theta - lr * gradient, with a measurement before every `every`-th step.

    Before each of the steps 0, 1, ..., n_steps - 1 the loss is written down, and before the steps 0, every, 2 * every, ...
    also `measure(loss_fn, theta)`, at the place where this step begins. `theta` itself stays as it is. A loss that isn't
    finite, nan or inf, raises TrainingError; `check_loss(loss)` of the same package does that, with the tensor that
    `loss_fn` returned, before its gradient is taken.

    Args:
        loss_fn: takes `theta` and returns one number.
        theta: where to begin.
        lr: the learning rate.
        n_steps: how many steps.
        every: steps from one measurement to the next.
        measure: takes `loss_fn` and a place without a history, and returns a number.

    Returns:
        A `Descent`: the last `theta`, without a history, `losses`, `steps` and `sharpness`.

    >>> way = descend_and_measure(lambda theta: theta[0] ** 2, torch.tensor([1.0]), lr=0.25, n_steps=3, every=2)
    >>> way.theta, way.losses, way.steps, way.sharpness
    (tensor([0.1250]), [1.0, 0.25, 0.0625], [0, 2], [2.0, 2.0])
    """
    check_theta(theta)
    check_above_zero(lr=lr)
    check_counts(n_steps=n_steps, every=every)
    place, losses, steps, sharpness = theta.detach(), [], [], []
    for step in range(n_steps):
        if step % every == 0:
            steps.append(step)
            sharpness.append(measure(loss_fn, place))
        point = place.clone().requires_grad_(True)
        loss = loss_fn(point)
        check_loss(loss)
        (gradient,) = torch.autograd.grad(loss, point)
        losses.append(loss.item())
        place = place - lr * gradient
    return Descent(theta=place, losses=losses, steps=steps, sharpness=sharpness)
