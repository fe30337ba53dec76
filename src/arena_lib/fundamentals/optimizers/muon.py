"""Muon: momentum for matrices, in which all directions of a step are made about equally long.

Shapes:  parameters "rows columns".
Raises:  ConfigError for settings that can't work and for parameters that aren't matrices; ShapeError for what isn't one.
Source:  Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"
         (https://kellerjordan.github.io/posts/muon/); Liu et al. 2025, arXiv:2502.16982, algorithm 1 and equation 4.
Differs: as torch.optim.Muon, the momentum is an average; that is a sum times 1 - momentum, which the norm takes out. Products
         are in the parameter's own dtype, where torch's are in bfloat16.
"""

import math
from collections.abc import Iterable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.optimizers.parameters import check_matrices, check_settings, list_params, zero_like_each

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Jordan et al. 2024: chosen so that small singular values grow fast, at the price of coming near 1 only roughly."""
EPS = 1e-7
"""The least norm that a matrix is divided by."""


def orthogonalize(matrix: Float[Tensor, "rows columns"], n_steps: int = 5) -> Float[Tensor, "rows columns"]:
    """The matrix with all its singular values made about 1, by Newton-Schulz steps, which need only products.

    1. X is the matrix, divided by its Frobenius norm (the root of the sum of all squares), or by 1e-7 if that is more.
    2. `n_steps` times: A = X Xᵀ, then X = a X + (b A + c A A) X, with (a, b, c) = COEFFICIENTS.

    If there are more rows than columns, do this with the transpose, and transpose the result: then A is the smaller of the
    two possible products. The matrix itself stays as it is, and the result has its dtype.

    >>> orthogonalize(torch.tensor([[3.0, 0.0, 0.0], [0.0, 1.0, 0.0]])).round(decimals=3)
    tensor([[0.7530, 0.0000, 0.0000],
            [0.0000, 1.1340, 0.0000]])
    """
    if matrix.ndim != 2:
        raise ShapeError(f"matrix must have rows and columns: got shape {tuple(matrix.shape)}.")
    a, b, c = COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / x.norm().clamp(min=EPS)
    for _ in range(n_steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if is_tall else x


def adjust_lr(
    lr: float, shape: tuple[int, ...], adjust_lr_fn: Literal["original", "match_rms_adamw"] = "original"
) -> float:
    """The learning rate for a matrix of this shape.

    "original" (Jordan et al.) multiplies it by √max(1, rows / columns); "match_rms_adamw" (Liu et al., equation 4) by
    0.2 √max(rows, columns), so that entries move about as far as AdamW moves them.

    >>> adjust_lr(0.1, (8, 2)), adjust_lr(0.1, (2, 8)), round(adjust_lr(0.1, (2, 9), "match_rms_adamw"), 3)
    (0.2, 0.1, 0.06)
    """
    rows, columns = shape
    if adjust_lr_fn == "original":
        return lr * math.sqrt(max(1.0, rows / columns))
    if adjust_lr_fn == "match_rms_adamw":
        return lr * 0.2 * math.sqrt(max(rows, columns))
    raise ConfigError(f"adjust_lr_fn must be 'original' or 'match_rms_adamw': got {adjust_lr_fn!r}.")


class Muon:
    """Momentum whose step is made orthogonal, for parameters that are matrices.

    For every parameter p with a gradient, in this order:

        m = momentum * m + (1 - momentum) * grad        begins as zeros
        u = momentum * m + (1 - momentum) * grad        if nesterov, else u = m
        p = p - lr * weight_decay * p
        p = p - adjust_lr(lr, shape of p, adjust_lr_fn) * orthogonalize(u)
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 0.001,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        adjust_lr_fn: Literal["original", "match_rms_adamw"] = "original",
    ) -> None:
        check_settings(lr=lr, weight_decay=weight_decay, momentum=momentum)
        self.params = list_params(params)
        check_matrices(self.params)
        adjust_lr(lr, (1, 1), adjust_lr_fn)
        self.lr, self.weight_decay, self.momentum = lr, weight_decay, momentum
        self.nesterov, self.adjust_lr_fn = nesterov, adjust_lr_fn
        self.means = zero_like_each(self.params)

    def zero_grad(self) -> None:
        """Set the `grad` of every parameter to None."""
        for param in self.params:
            param.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step for every parameter whose `grad` isn't None; one without keeps its value and its average.

        Parameters are changed in place, and PyTorch doesn't record that. Gradients stay as they are.
        """
        for param, mean in zip(self.params, self.means, strict=True):
            if param.grad is not None:
                mean.mul_(self.momentum).add_((1 - self.momentum) * param.grad)
                update = self.momentum * mean + (1 - self.momentum) * param.grad if self.nesterov else mean
                param -= self.lr * self.weight_decay * param
                param -= adjust_lr(self.lr, tuple(param.shape), self.adjust_lr_fn) * orthogonalize(update)
