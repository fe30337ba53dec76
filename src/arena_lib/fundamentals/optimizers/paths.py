"""Ways down a surface: the points that an optimizer goes through.

Shapes:  xy "2", the way "n_iters 2".
Raises:  ShapeError unless xy holds two numbers, ConfigError for fewer than one point.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError


def check_start(xy: Tensor, n_iters: int) -> None:
    """Raise unless there is a point to begin at and something to record."""
    if xy.shape != (2,):
        raise ShapeError(f"xy must hold two numbers, x and y: got shape {tuple(xy.shape)}.")
    if n_iters < 1:
        raise ConfigError(f"n_iters must be at least 1: got {n_iters}.")


def gradient_descent(
    fn: Callable[[Tensor, Tensor], Tensor], xy: Float[Tensor, "2"], lr: float = 0.01, n_iters: int = 100
) -> Float[Tensor, "n_iters 2"]:
    """The way of plain gradient descent: each point is the one before it, minus `lr` times the gradient there.

    Args:
        fn: takes x and y, two tensors without axes, and gives a height, a tensor without axes.
        xy: where to begin. It stays as it is, and may require a gradient itself: work on `xy.detach().clone()`.
        lr: the learning rate, how far a step goes.
        n_iters: how many points.

    Returns:
        The points. The first is `xy` itself, so there is one step fewer than points. It needs no gradient.

    >>> gradient_descent(lambda x, y: x**2 + y**2, torch.tensor([1.0, -2.0]), lr=0.25, n_iters=3)
    tensor([[ 1.0000, -2.0000],
            [ 0.5000, -1.0000],
            [ 0.2500, -0.5000]])
    """
    check_start(xy, n_iters)
    points = [xy.detach().clone()]
    for _ in range(n_iters - 1):
        point = points[-1].clone().requires_grad_()
        (grad,) = torch.autograd.grad(fn(point[0], point[1]), point)
        points.append(points[-1] - lr * grad)
    return torch.stack(points)


def opt_fn_with_sgd(
    fn: Callable[[Tensor, Tensor], Tensor],
    xy: Float[Tensor, "2"],
    lr: float = 0.001,
    momentum: float = 0.98,
    n_iters: int = 100,
) -> Float[Tensor, "n_iters 2"]:
    """The way that `torch.optim.SGD` takes down a surface.

    Args:
        fn: takes x and y, two tensors without axes, and gives a height, a tensor without axes.
        xy: where to begin. It stays as it is, and may require a gradient itself: work on `xy.detach().clone()`.
        lr: the learning rate.
        momentum: how much of its last step each step keeps.
        n_iters: how many points.

    Returns:
        The points, each as it was before a step. The first is `xy` itself, and the last step isn't shown. It needs no
        gradient.

    >>> opt_fn_with_sgd(lambda x, y: x**2 + y**2, torch.tensor([1.0, -2.0]), lr=0.25, momentum=0.5, n_iters=3)
    tensor([[ 1.0000, -2.0000],
            [ 0.5000, -1.0000],
            [ 0.0000,  0.0000]])
    """
    check_start(xy, n_iters)
    point = xy.detach().clone().requires_grad_()
    optimizer = torch.optim.SGD([point], lr=lr, momentum=momentum)
    points = []
    for _ in range(n_iters):
        points.append(point.detach().clone())
        optimizer.zero_grad()
        fn(point[0], point[1]).backward()
        optimizer.step()
    return torch.stack(points)


def opt_fn(
    fn: Callable[[Tensor, Tensor], Tensor],
    xy: Float[Tensor, "2"],
    optimizer_class: Callable[..., Any],
    optimizer_hyperparams: Mapping[str, Any],
    n_iters: int = 100,
) -> Float[Tensor, "n_iters 2"]:
    """The way that any optimizer takes down a surface: as `opt_fn_with_sgd`, for `optimizer_class([xy], **settings)`.

    >>> opt_fn(lambda x, y: x**2 + y**2, torch.tensor([1.0, -2.0]), torch.optim.Adam, {"lr": 0.5}, n_iters=2)
    tensor([[ 1.0000, -2.0000],
            [ 0.5000, -1.5000]])
    """
    check_start(xy, n_iters)
    point = xy.detach().clone().requires_grad_()
    optimizer = optimizer_class([point], **optimizer_hyperparams)
    points = []
    for _ in range(n_iters):
        points.append(point.detach().clone())
        optimizer.zero_grad()
        fn(point[0], point[1]).backward()
        optimizer.step()
    return torch.stack(points)
