"""What every optimizer asks of its parameters and of its settings.

Raises:  ConfigError for no parameters, parameters twice, or a setting that can't work; DtypeError for what isn't a tensor
         of floating point numbers.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from arena_lib.errors import ConfigError, DtypeError

LEAST = {"lr": 0.0, "momentum": 0.0, "weight_decay": 0.0, "eps": 0.0, "alpha": 0.0, "beta": 0.0}
"""Of each setting, the least that it may be."""
BELOW_ONE = frozenset({"alpha", "beta"})
"""Settings that are shares of an average, which at 1 would never take in anything."""


def list_params(params: Iterable[Tensor]) -> list[Tensor]:
    """The parameters as a list, from any iterable, also one that can be gone through only once.

    >>> len(list_params(torch.nn.Linear(2, 3).parameters()))
    2
    """
    if isinstance(params, Tensor):
        raise DtypeError(
            f"params must be an iterable of tensors: got one tensor of shape {tuple(params.shape)}. Pass [tensor]."
        )
    listed = list(params)
    check_params(listed)
    return listed


def check_params(params: list[Tensor]) -> None:
    """Raise unless these are tensors that can be learned, each there once."""
    if not params:
        raise ConfigError("there must be parameters to learn: got none. Pass model.parameters().")
    for param in params:
        if not isinstance(param, Tensor) or not param.is_floating_point():
            kind = str(param.dtype) if isinstance(param, Tensor) else type(param).__name__
            raise DtypeError(f"a parameter must be a tensor of floating point numbers: got {kind}.")
        if not param.is_leaf:
            raise ConfigError(
                f"a parameter must be a leaf: got a tensor of shape {tuple(param.shape)} that was calculated from others. "
                "Pass the tensors that it was calculated from, or param.detach().requires_grad_()."
            )
    if len({id(param) for param in params}) < len(params):
        raise ConfigError(
            "a parameter must be there once: got one twice, which would take two steps at once. Leave the second out."
        )


def check_settings(**settings: float) -> None:
    """Raise unless each setting is finite and as large as it must be.

    >>> check_settings(lr=-0.1)
    Traceback (most recent call last):
    ...
    arena_lib.errors.ConfigError: lr must be a finite number of at least 0: got -0.1. Change it and try again.
    """
    for name, value in settings.items():
        bound = (
            f"a number from {LEAST[name]:g} to below 1"
            if name in BELOW_ONE
            else f"a finite number of at least {LEAST[name]:g}"
        )
        if not LEAST[name] <= value < (1 if name in BELOW_ONE else math.inf):
            raise ConfigError(f"{name} must be {bound}: got {value}. Change it and try again.")


def check_betas(betas: tuple[float, float]) -> None:
    """Raise unless there are two shares, each from 0 to below 1."""
    if len(betas) != 2:
        raise ConfigError(f"betas must be two numbers: got {len(betas)}. Try (0.9, 0.999).")
    for beta in betas:
        check_settings(beta=beta)


def check_matrices(params: list[Tensor]) -> None:
    """Raise unless each parameter is a matrix."""
    shapes = [tuple(param.shape) for param in params if param.ndim != 2]
    if shapes:
        raise ConfigError(
            f"Muon is for matrices: got a parameter of shape {shapes[0]}. Give the others to AdamW, in an optimizer of their own."
        )


def zero_like_each(params: list[Tensor]) -> list[Tensor]:
    """A tensor of zeros for each parameter, of its shape, dtype and device; it requires no gradient."""
    return [torch.zeros_like(param, requires_grad=False) for param in params]
