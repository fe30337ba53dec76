"""Directions in which a network's parameters can move while its answers stay: symmetries, and units that are dead.

Parameters are a dictionary in the order of theta: W_in "d_in d_hidden", b_in "d_hidden", W_out "d_hidden n_classes",
b_out "n_classes".

Shapes:  directions "n_directions n_params", one in each row, in the order of theta.
Raises:  ShapeError for scales that aren't one for each unit; ConfigError for scales that aren't above 0.
Source:  own derivation; the scaling of ReLU layers: Dinh et al. 2017, arXiv:1703.04933, section 3.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError

Params = dict[str, Tensor]
"""Of a network with one hidden layer, by name, in the order of theta."""


def rescale_hidden(params: dict[str, Tensor], scales: Float[Tensor, " d_hidden"]) -> dict[str, Tensor]:
    """The same function with other parameters: each hidden unit's incoming weights times its scale, outgoing ones divided.

    relu(c * z) = c * relu(z) for c > 0. So where what comes in, `W_in` and `b_in`, grows by a factor, what goes out, `W_out`,
    must shrink by it. `b_out` isn't touched. The result is a new dictionary with the same names in the same order; `params`
    stays as it is.

    Args:
        params: "W_in" (d_in d_hidden), "b_in" (d_hidden), "W_out" (d_hidden n_classes) and "b_out" (n_classes).
        scales: one number above 0 for each hidden unit.

    >>> params = {"W_in": torch.ones(1, 2), "b_in": torch.ones(2), "W_out": torch.ones(2, 1), "b_out": torch.ones(1)}
    >>> rescale_hidden(params, torch.tensor([2.0, 4.0]))["W_out"]
    tensor([[0.5000],
            [0.2500]])
    """
    check_scales(scales, params["b_in"])
    return params | {
        "W_in": params["W_in"] * scales,
        "b_in": params["b_in"] * scales,
        "W_out": params["W_out"] / scales[:, None],
    }


def check_scales(scales: Tensor, b_in: Tensor) -> None:
    """Refuse scales that aren't one for each hidden unit, all above 0."""
    if scales.shape != b_in.shape:
        raise ShapeError(
            f"scales must be one for each of the {len(b_in)} hidden units: got shape {tuple(scales.shape)}."
        )
    if not (scales > 0).all():
        raise ConfigError(f"scales must be above 0: got {scales.min().item():.4g}. relu(c z) = c relu(z) needs c > 0.")


def scaling_directions(params: dict[str, Tensor]) -> Float[Tensor, "d_hidden n_params"]:
    """For each hidden ReLU unit the direction in which its rescaling begins, as a row in the order of theta.

    If unit j's scale c grows from 1, its incoming weights c * W_in[:, j] move by W_in[:, j], its bias by b_in[j], and its
    outgoing weights W_out[j] / c by -W_out[j], for the slope of 1 / c at 1 is -1. All else stays: 0. The rows have the
    lengths that come out, and the dtype of the parameters. `params` stays as it is.

    >>> params = {"W_in": torch.tensor([[2.0, 3.0]]), "b_in": torch.tensor([4.0, 5.0])}
    >>> scaling_directions(params | {"W_out": torch.tensor([[6.0], [7.0]]), "b_out": torch.tensor([8.0])})
    tensor([[ 2.,  0.,  4.,  0., -6.,  0.,  0.],
            [ 0.,  3.,  0.,  5.,  0., -7.,  0.]])
    """
    rows = []
    for unit in range(len(params["b_in"])):
        moved = {name: torch.zeros_like(part) for name, part in params.items()}
        moved["W_in"][:, unit] = params["W_in"][:, unit]
        moved["b_in"][unit] = params["b_in"][unit]
        moved["W_out"][unit] = -params["W_out"][unit]
        rows.append(torch.cat([part.flatten() for part in moved.values()]))
    return torch.stack(rows)


def shift_directions(params: dict[str, Tensor]) -> Float[Tensor, "n_directions n_params"]:
    """Directions that move all logits of an example by the same amount, which softmax doesn't see; d_hidden + 1 of them.

    Row j, for each hidden unit, is 1 for all of W_out[j] and 0 elsewhere. The last row is 1 for all of b_out.

    >>> params = {"W_in": torch.zeros(1, 1), "b_in": torch.zeros(1), "W_out": torch.zeros(1, 2), "b_out": torch.zeros(2)}
    >>> shift_directions(params)
    tensor([[0., 0., 1., 1., 0., 0.],
            [0., 0., 0., 0., 1., 1.]])
    """
    rows = []
    for unit in range(len(params["b_in"]) + 1):
        moved = {name: torch.zeros_like(part) for name, part in params.items()}
        if unit < len(params["b_in"]):
            moved["W_out"][unit] = 1
        else:
            moved["b_out"][:] = 1
        rows.append(torch.cat([part.flatten() for part in moved.values()]))
    return torch.stack(rows)


def find_dead_units(params: dict[str, Tensor], inputs: Float[Tensor, "batch d_in"]) -> Bool[Tensor, " d_hidden"]:
    """Which hidden ReLU units are at 0 for every input.

    >>> params = {"W_in": torch.tensor([[1.0, -1.0]]), "b_in": torch.zeros(2)}
    >>> find_dead_units(params, torch.tensor([[1.0], [2.0]]))
    tensor([False,  True])
    """
    return (inputs @ params["W_in"] + params["b_in"] <= 0).all(dim=0)


def unused_directions(
    params: dict[str, Tensor], inputs: Float[Tensor, "batch d_in"]
) -> Float[Tensor, "n_directions n_params"]:
    """A unit vector for each parameter that no input reaches: of dead units, and of inputs that are always 0."""
    is_dead, is_blank = find_dead_units(params, inputs), (inputs == 0).all(dim=0)
    unused = {
        "W_in": is_blank[:, None] | is_dead,
        "b_in": is_dead,
        "W_out": is_dead[:, None].expand_as(params["W_out"]),
        "b_out": torch.zeros_like(params["b_out"], dtype=torch.bool),
    }
    flat = torch.cat([unused[name].flatten() for name in params])
    return torch.eye(len(flat), dtype=params["W_in"].dtype)[flat]


def linear_directions(
    params: dict[str, Tensor], inputs: Float[Tensor, "batch d_in"]
) -> Float[Tensor, "n_directions n_params"]:
    """What hidden units that are on for every input can trade with each other, and with b_out: they are a linear layer.

    Where unit j is on for every input, relu does nothing to it. Its bias may then rise by 1 while b_out falls by W_out[j].
    And where unit k is always on as well, j may take in what k takes in, W_in[:, k] and b_in[k], while W_out[k] falls by
    W_out[j].

    >>> params = {"W_in": torch.zeros(1, 2), "b_in": torch.tensor([1.0, -1.0])}
    >>> linear_directions(params | {"W_out": torch.tensor([[6.0], [7.0]]), "b_out": torch.zeros(1)}, torch.ones(3, 1))
    tensor([[ 0.,  0.,  1.,  0.,  0.,  0., -6.]])
    """
    always_on = (inputs @ params["W_in"] + params["b_in"] > 0).all(dim=0).nonzero().flatten().tolist()
    rows = []
    for unit in always_on:
        for other in [None, *(k for k in always_on if k != unit)]:
            moved = {name: torch.zeros_like(part) for name, part in params.items()}
            if other is None:
                moved["b_in"][unit] = 1
                moved["b_out"][:] = -params["W_out"][unit]
            else:
                moved["W_in"][:, unit] = params["W_in"][:, other]
                moved["b_in"][unit] = params["b_in"][other]
                moved["W_out"][other] = -params["W_out"][unit]
            rows.append(torch.cat([part.flatten() for part in moved.values()]))
    n_params = sum(part.numel() for part in params.values())
    return torch.stack(rows) if rows else params["W_in"].new_zeros(0, n_params)
