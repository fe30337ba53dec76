"""RMSprop: each entry's step is divided by the size that its gradient usually has.

Shapes:  parameters of any shape.
Raises:  ConfigError for settings that can't work and for parameters that can't be learned.
Source:  Tieleman and Hinton 2012, "Neural Networks for Machine Learning", lecture 6e.
Differs: as torch.optim.RMSprop, eps is added to the root. Its option `centered` is in `CenteredRMSprop`.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from arena_lib.fundamentals.optimizers.parameters import check_settings, list_params, zero_like_each


class RMSprop:
    """Gradient descent in which each entry is scaled by the root of the average square of its gradient.

    For every parameter p with a gradient, in this order, entry by entry:

        g = grad + weight_decay * p
        s = alpha * s + (1 - alpha) * g²        the average square, which begins as zeros
        v = momentum * v + g / (√s + eps)       the velocity, which begins as zeros
        p = p - lr * v
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
    ) -> None:
        check_settings(lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum)
        self.params = list_params(params)
        self.lr, self.alpha, self.eps = lr, alpha, eps
        self.weight_decay, self.momentum = weight_decay, momentum
        self.squares = zero_like_each(self.params)
        self.velocities = zero_like_each(self.params)

    def zero_grad(self) -> None:
        """Set the `grad` of every parameter to None."""
        for param in self.params:
            param.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step for every parameter whose `grad` isn't None; one without keeps its value and its averages.

        Parameters are changed in place, and PyTorch doesn't record that. Gradients stay as they are.
        """
        for param, square, velocity in zip(self.params, self.squares, self.velocities, strict=True):
            if param.grad is not None:
                grad = param.grad + self.weight_decay * param
                square.mul_(self.alpha).add_((1 - self.alpha) * grad**2)
                velocity.mul_(self.momentum).add_(grad / (square.sqrt() + self.eps))
                param -= self.lr * velocity


class CenteredRMSprop(RMSprop):
    """RMSprop that divides by the gradient's standard deviation: the average gradient's square is taken off first.

    As `RMSprop`, with m = alpha * m + (1 - alpha) * g, and √(s - m²) in place of √s.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
    ) -> None:
        super().__init__(params, lr, alpha, eps, weight_decay, momentum)
        self.means = zero_like_each(self.params)

    @torch.no_grad()
    def step(self) -> None:
        """One step for every parameter whose `grad` isn't None."""
        for param, square, mean, velocity in zip(self.params, self.squares, self.means, self.velocities, strict=True):
            if param.grad is not None:
                grad = param.grad + self.weight_decay * param
                square.mul_(self.alpha).add_((1 - self.alpha) * grad**2)
                mean.mul_(self.alpha).add_((1 - self.alpha) * grad)
                velocity.mul_(self.momentum).add_(grad / ((square - mean**2).sqrt() + self.eps))
                param -= self.lr * velocity
