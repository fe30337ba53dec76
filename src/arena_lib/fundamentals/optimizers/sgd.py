"""Gradient descent, with momentum, in Nesterov's form, and with weight decay.

Shapes:  parameters of any shape.
Raises:  ConfigError for settings that can't work and for parameters that can't be learned.
Source:  Polyak 1964, doi:10.1016/0041-5553(64)90137-5 (momentum); Sutskever et al. 2013, "On the importance of
         initialization and momentum in deep learning" (Nesterov's form for networks).
Differs: as torch.optim.SGD, the velocity adds up whole gradients, and the learning rate multiplies it when a step is taken.
         `param_groups` has dampening, and settings that differ between groups.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.optimizers.parameters import check_params, check_settings, list_params, zero_like_each


class PlainSGD:
    """Gradient descent: each step moves every parameter against its gradient, by `lr` times as much.

    `params` may be any iterable of tensors, also one that can be gone through only once (as `model.parameters()` is).
    """

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        check_settings(lr=lr)
        self.params = list(params)
        self.lr = lr
        check_params(self.params)

    def zero_grad(self) -> None:
        """Set the `grad` of every parameter to None."""
        for param in self.params:
            param.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Subtract lr times its gradient from every parameter.

        A parameter whose `grad` is None stays as it is. The others are changed in place, so that whoever else holds the
        same memory sees it, and PyTorch doesn't record that. Gradients stay as they are.
        """
        for param in self.params:
            if param.grad is not None:
                param -= self.lr * param.grad


class SGD:
    """Gradient descent with momentum and weight decay.

    For every parameter p with a gradient, in this order:

        g = grad + weight_decay * p
        v = momentum * v + g            its velocity, which begins as zeros
        p = p - lr * v
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        check_settings(lr=lr, momentum=momentum, weight_decay=weight_decay)
        self.params = list_params(params)
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.velocities = zero_like_each(self.params)

    def zero_grad(self) -> None:
        """Set the `grad` of every parameter to None."""
        for param in self.params:
            param.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step for every parameter whose `grad` isn't None; one without keeps its value and its velocity.

        Parameters are changed in place, and PyTorch doesn't record that. Gradients stay as they are.
        """
        for param, velocity in zip(self.params, self.velocities, strict=True):
            if param.grad is not None:
                velocity.mul_(self.momentum).add_(param.grad + self.weight_decay * param)
                param -= self.lr * velocity


class NesterovSGD:
    """Gradient descent with Nesterov's momentum: the step looks ahead, to where the velocity is about to go.

    For every parameter p with a gradient, in this order:

        g = grad + weight_decay * p
        v = momentum * v + g            its velocity, which begins as zeros
        p = p - lr * (g + momentum * v)
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        check_settings(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if momentum == 0:
            raise ConfigError("Nesterov's momentum must be above 0: got 0, which is plain gradient descent. Try 0.9.")
        self.params = list_params(params)
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.velocities = zero_like_each(self.params)

    def zero_grad(self) -> None:
        """Set the `grad` of every parameter to None."""
        for param in self.params:
            param.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step for every parameter whose `grad` isn't None; one without keeps its value and its velocity.

        Parameters are changed in place, and PyTorch doesn't record that. Gradients stay as they are.
        """
        for param, velocity in zip(self.params, self.velocities, strict=True):
            if param.grad is not None:
                grad = param.grad + self.weight_decay * param
                velocity.mul_(self.momentum).add_(grad)
                param -= self.lr * (grad + self.momentum * velocity)
