"""Parameter groups: settings that differ between parameters of one optimizer.

Shapes:  parameters of any shape.
Raises:  ConfigError for a parameter in two groups, a setting that isn't known or has no value, and settings that can't work.
Source:  torch.optim's groups, and its SGD with dampening.
Differs: `maximize` and the forms that are only faster (`foreach`, `fused`) aren't offered.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.optimizers.parameters import check_params, check_settings


def make_param_groups(
    params: Iterable[Tensor] | Iterable[Mapping[str, Any]], defaults: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Groups that are complete: each a new dictionary with its parameters as a list, and a value for every setting.

    Args:
        params: an iterable of tensors, which makes one group; or an iterable of dictionaries, one for each group, with an
            iterable of tensors under "params" and, where the group's differ from the defaults, settings. Iterables may be
            such as can be gone through only once. What is handed in stays as it is.
        defaults: every setting by name. None says that there is no default: each group must bring its own.

    Returns:
        The groups in their order, each {"params": [...], and every name in `defaults`: its value}.

    Raises:
        ConfigError: if there are no parameters, a parameter is there twice (in one group or in two), a group has a setting that
            isn't in `defaults`, or a setting is left without a value.

    >>> a, b = torch.zeros(2), torch.zeros(3)
    >>> groups = make_param_groups([{"params": [a]}, {"params": [b], "lr": 0.5}], {"lr": 0.1, "momentum": 0.9})
    >>> [(group["lr"], group["momentum"]) for group in groups]
    [(0.1, 0.9), (0.5, 0.9)]
    """
    listed: list[Any] = list(params)
    if listed and not isinstance(listed[0], Mapping):
        listed = [{"params": listed}]
    groups = [{**defaults, **group, "params": list(group["params"])} for group in listed]
    check_params([param for group in groups for param in group["params"]])
    for group in groups:
        for name, value in group.items():
            if name != "params" and name not in defaults:
                raise ConfigError(
                    f"a group's settings must be among {', '.join(defaults)}: got {name!r}. Correct its name."
                )
            if value is None:
                raise ConfigError(
                    f"every group must have a value for {name!r}: got none. Set it in the group, or for all."
                )
    return groups


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups of a model's parameters: those with two axes or more, which decay, and the others, which don't.

    Biases and gains have one axis. Decay would only pull them from where they need to be; it's weights of products that it
    keeps small.

    Args:
        model: is left as it is. Parameters that require no gradient are left out.
        weight_decay: of the first group. The second group's is 0.

    Returns:
        [{"params": [...], "weight_decay": weight_decay}, {"params": [...], "weight_decay": 0.0}], each list in the order of
        `model.parameters()`. A group that would be empty is left out.

    >>> first, second = decay_groups(nn.Linear(2, 3), 0.1)
    >>> [tuple(param.shape) for param in first["params"]], [tuple(param.shape) for param in second["params"]]
    ([(3, 2)], [(3,)])
    """
    check_settings(weight_decay=weight_decay)
    trained = [param for param in model.parameters() if param.requires_grad]
    groups = [
        {"params": [param for param in trained if param.ndim >= 2], "weight_decay": weight_decay},
        {"params": [param for param in trained if param.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


class SGDParamGroups:
    """Gradient descent with every option of torch.optim.SGD, each of which a group may set for itself.

    `self.param_groups` has the groups, as `make_param_groups` makes them: dictionaries with "params", "lr", "momentum",
    "dampening", "weight_decay" and "nesterov". They may be changed between steps: each step reads them anew.

    For every parameter p with a gradient, with its group's settings, in this order:

        g = grad + weight_decay * p
        if momentum isn't 0:
            v = momentum * v + (1 - dampening) * g      its velocity; at the parameter's first step, v = g
            g = g + momentum * v if nesterov, else v
        p = p - lr * g
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float | None = None,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
        }
        self.param_groups = make_param_groups(params, defaults)
        check_groups(self.param_groups)
        self.velocities: dict[Tensor, Tensor] = {}

    def zero_grad(self) -> None:
        """Set the `grad` of every parameter in every group to None."""
        for group in self.param_groups:
            for param in group["params"]:
                param.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step for every parameter whose `grad` isn't None; one without keeps its value and its velocity.

        Parameters are changed in place, and PyTorch doesn't record that. Gradients stay as they are.
        """
        for group in self.param_groups:
            momentum = group["momentum"]
            for param in group["params"]:
                if param.grad is None:
                    continue
                grad = param.grad + group["weight_decay"] * param
                if momentum != 0:
                    if param in self.velocities:
                        velocity = momentum * self.velocities[param] + (1 - group["dampening"]) * grad
                    else:
                        velocity = grad
                    self.velocities[param] = velocity
                    grad = grad + momentum * velocity if group["nesterov"] else velocity
                param -= group["lr"] * grad


def check_groups(groups: list[dict[str, Any]]) -> None:
    """Raise unless the settings of each group can work, alone and together."""
    for group in groups:
        check_settings(**{name: group[name] for name in ("lr", "momentum", "weight_decay")})
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ConfigError(
                f"nesterov must have a momentum above 0 and no dampening: got momentum={group['momentum']} and "
                f"dampening={group['dampening']}. Set nesterov=False, or change these."
            )
