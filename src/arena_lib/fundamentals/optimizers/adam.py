"""Adam and AdamW: momentum and RMSprop in one, with the averages' bias taken out.

Shapes:  parameters of any shape.
Raises:  ConfigError for settings that can't work and for parameters that can't be learned.
Source:  Kingma and Ba 2015, arXiv:1412.6980, algorithm 1; Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2.
Differs: as torch.optim, AdamW's decay is multiplied by the learning rate; AMSGrad isn't offered.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from arena_lib.fundamentals.optimizers.parameters import check_betas, check_settings, list_params, zero_like_each


class Adam:
    """Steps along the average gradient, each entry divided by the root of its average square.

    For every parameter p with a gradient, in this order, entry by entry, where t counts the steps that *this* parameter has
    taken, from 1:

        g = grad + weight_decay * p
        m = beta1 * m + (1 - beta1) * g         begins as zeros
        s = beta2 * s + (1 - beta2) * g²        begins as zeros
        p = p - lr * m̂ / (√ŝ + eps)             with m̂ = m / (1 - beta1^t) and ŝ = s / (1 - beta2^t)
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        check_settings(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        self.params = list_params(params)
        self.lr, self.eps, self.weight_decay = lr, eps, weight_decay
        self.beta1, self.beta2 = betas
        self.means = zero_like_each(self.params)
        self.squares = zero_like_each(self.params)
        self.n_steps = [0] * len(self.params)

    def zero_grad(self) -> None:
        """Set the `grad` of every parameter to None."""
        for param in self.params:
            param.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step for every parameter whose `grad` isn't None; one without keeps its value, its averages and its count.

        Parameters are changed in place, and PyTorch doesn't record that. Gradients stay as they are.
        """
        for i, (param, mean, square) in enumerate(zip(self.params, self.means, self.squares, strict=True)):
            if param.grad is not None:
                self.n_steps[i] += 1
                grad = param.grad + self.weight_decay * param
                mean.mul_(self.beta1).add_((1 - self.beta1) * grad)
                square.mul_(self.beta2).add_((1 - self.beta2) * grad**2)
                mean_hat = mean / (1 - self.beta1 ** self.n_steps[i])
                square_hat = square / (1 - self.beta2 ** self.n_steps[i])
                param -= self.lr * mean_hat / (square_hat.sqrt() + self.eps)


class AdamW:
    """Adam whose weight decay goes past the averages: it shrinks the parameter itself.

    For every parameter p with a gradient, in this order, entry by entry, where t counts the steps that *this* parameter has
    taken, from 1:

        p = p - lr * weight_decay * p
        m = beta1 * m + (1 - beta1) * grad      begins as zeros
        s = beta2 * s + (1 - beta2) * grad²     begins as zeros
        p = p - lr * m̂ / (√ŝ + eps)             with m̂ = m / (1 - beta1^t) and ŝ = s / (1 - beta2^t)
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        check_settings(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        self.params = list_params(params)
        self.lr, self.eps, self.weight_decay = lr, eps, weight_decay
        self.beta1, self.beta2 = betas
        self.means = zero_like_each(self.params)
        self.squares = zero_like_each(self.params)
        self.n_steps = [0] * len(self.params)

    def zero_grad(self) -> None:
        """Set the `grad` of every parameter to None."""
        for param in self.params:
            param.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step for every parameter whose `grad` isn't None; one without keeps its value, its averages and its count.

        Parameters are changed in place, and PyTorch doesn't record that. Gradients stay as they are.
        """
        for i, (param, mean, square) in enumerate(zip(self.params, self.means, self.squares, strict=True)):
            if param.grad is not None:
                self.n_steps[i] += 1
                param -= self.lr * self.weight_decay * param
                mean.mul_(self.beta1).add_((1 - self.beta1) * param.grad)
                square.mul_(self.beta2).add_((1 - self.beta2) * param.grad**2)
                mean_hat = mean / (1 - self.beta1 ** self.n_steps[i])
                square_hat = square / (1 - self.beta2 ** self.n_steps[i])
                param -= self.lr * mean_hat / (square_hat.sqrt() + self.eps)
