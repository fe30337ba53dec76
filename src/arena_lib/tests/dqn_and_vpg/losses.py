"""Judges of section 2.2's loss, and of the target network.

Shapes:  action values "batch n_actions"; actions, targets, weights "batch"
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.dqn import targets
from arena_lib.tests.dqn_and_vpg.targets import DETACHED

__test__ = False


def td_loss_cases(generator: torch.Generator) -> list[Case]:
    """With weights and without; actions that are mixed; one transition."""
    cases = []
    for label, batch, n_actions, has_weights in [
        ("no weights", 5, 3, False),
        ("weights", 7, 4, True),
        ("one transition", 1, 3, False),
        ("as many transitions as actions", 4, 4, True),
    ]:
        weights = torch.rand(batch, generator=generator) + 0.2 if has_weights else None
        q_values, targets_ = torch.randn(batch, n_actions, generator=generator), torch.randn(batch, generator=generator)
        actions = torch.randint(0, n_actions, (batch,), generator=generator)
        cases.append(
            Case(
                label=label,
                call=f"q_values, actions, targets{', weights' if has_weights else ''}",
                given={"q_values": q_values, "rest": (actions, targets_ * 3), "weights": weights},
                axes={"errors": "batch", "gradient of q_values": "batch n_actions", "gradient of targets": "batch"},
            )
        )
    return cases


def loss_seen(function: Callable[..., Any], case: Case) -> Observations:
    """Loss, errors, and where the gradient goes."""
    q_values = case.given["q_values"].clone().requires_grad_()
    actions, aims = (tensor.clone() for tensor in case.given["rest"])
    aims.requires_grad_()
    weights = [] if case.given["weights"] is None else [case.given["weights"].clone()]
    loss, errors = function(q_values * 1, actions, aims * 1, *weights)
    if isinstance(loss, Tensor) and loss.requires_grad:
        loss.sum().backward()
    return {
        "loss": loss.detach() if isinstance(loss, Tensor) else loss,
        "errors": errors.detach() if isinstance(errors, Tensor) else errors,
        "gradient of q_values": torch.zeros_like(q_values) if q_values.grad is None else q_values.grad,
        "gradient of targets": torch.zeros_like(aims) if aims.grad is None else aims.grad,
        "the errors carry a graph": bool(getattr(errors, "requires_grad", False)),
    }


def loss_by_one_hot(q_values: Tensor, actions: Tensor, aims: Tensor, weights: Tensor | None = None) -> Any:
    """Picks by indexing, and calls torch's own loss."""
    taken = q_values[torch.arange(len(actions)), actions]
    squares = F.mse_loss(taken, aims.detach(), reduction="none")
    loss = squares.mean() if weights is None else (squares * weights).mean()
    with torch.no_grad():
        return loss, aims - taken


test_compute_td_loss = exercise(
    reference=targets.compute_td_loss,
    cases=td_loss_cases,
    observe=loss_seen,
    accepts=[loss_by_one_hot],
    mistakes=[
        *instead_of(
            "q_values.gather(-1, actions[:, None]).squeeze(-1)",
            {
                "q_values.max(dim=-1).values": (
                    "takes the best action's value, not that of the action taken",
                    "the reward followed the action that was taken, so only its value can be compared",
                ),
                "q_values.gather(-1, actions[:, None])": (
                    "compares every value with every target",
                    "shapes (batch, 1) and (batch,) broadcast to a table: squeeze the last axis away",
                ),
                "q_values[:, actions[0]]": (
                    "takes the first transition's action for all",
                    "each transition has an action of its own",
                ),
                "q_values.mean(dim=-1)": (
                    "averages over the actions",
                    "the reward followed the action that was taken, so only its value can be compared",
                ),
            },
        ),
        *instead_of(
            "targets.detach() - taken",
            {
                "targets - taken": ("lets a gradient flow into the targets", DETACHED),
                "taken - targets.detach()": ("turns the errors' sign round", "an error is target minus prediction"),
                "(targets.detach() - taken.detach()).requires_grad_()": (
                    "detaches the prediction",
                    "the prediction is what is trained: its gradient must reach the network",
                ),
                "(targets.detach() - taken).clamp(-1, 1)": (
                    "clips the errors",
                    "the docstring asks for squared errors as they are",
                ),
            },
        ),
        *instead_of(
            "errors.square() if weights is None else weights * errors.square()",
            {
                "errors.square()": ("ignores the weights", "each square counts as much as its weight says"),
                "errors.square() if weights is None else (weights * errors).square()": (
                    "squares the weights too",
                    "the weight stands outside the square",
                ),
                "errors.abs() if weights is None else weights * errors.abs()": (
                    "takes absolute errors",
                    "the loss is the mean of the squares",
                ),
                "errors.square() / 2 if weights is None else weights * errors.square() / 2": (
                    "halves the squares",
                    "the docstring's loss has no factor of one half",
                ),
                "errors if weights is None else weights * errors": (
                    "forgets to square",
                    "errors of both signs would cancel, and the loss would have no minimum",
                ),
            },
        ),
        *instead_of(
            "return squares.mean(), errors.detach()",
            {
                "return squares.sum(), errors.detach()": (
                    "sums over the batch",
                    "the mean keeps the step's size apart from the batch's",
                ),
                "return squares, errors.detach()": ("returns one loss for each transition", "the loss is one number"),
                "return squares.mean(), errors": (
                    "returns the errors with their graph",
                    "errors that are kept would keep the whole graph: detach them",
                ),
                "return squares.mean(), errors.detach().abs()": (
                    "returns the errors without their sign",
                    "an error is target minus prediction, and may be negative",
                ),
                "return squares.sum() / (len(squares) if weights is None else weights.sum()), errors.detach()": (
                    "divides by the sum of the weights",
                    "it is the mean over the batch: divide by the number of transitions",
                ),
                "return squares.mean(), squares.detach()": (
                    "returns the squares in place of the errors",
                    "the second result holds the errors themselves",
                ),
            },
        ),
    ],
)


class TwoLayers(nn.Module):
    """Two matrices and biases, given."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))


def update_target_network_cases(generator: torch.Generator) -> list[Case]:
    """Small steps, a copy, no step at all."""
    shares = {"a tenth of the way": 0.1, "most of the way": 0.75, "a copy": 1.0, "no step": 0.0}
    return [
        Case(label=label, call=f"target_network, q_network, {tau}", given={"tau": tau}) for label, tau in shares.items()
    ]


def networks_after(function: Callable[..., Any], case: Case) -> Observations:
    """Both networks after a call, and whether what is trained later shows in the target."""
    generator = torch.Generator().manual_seed(8)
    target, online = TwoLayers(generator), TwoLayers(generator)
    own = {parameter.data_ptr() for parameter in online.parameters()}
    output = function(target, online, case.given["tau"])
    return {
        "output": output,
        **{f"target_network's {name}": value.detach().clone() for name, value in target.named_parameters()},
        **{f"q_network's {name}": value.detach().clone() for name, value in online.named_parameters()},
        "the networks share tensors": any(parameter.data_ptr() in own for parameter in target.parameters()),
        "a parameter became part of a graph": not all(parameter.is_leaf for parameter in target.parameters()),
    }


def update_by_state_dict(target_network: nn.Module, q_network: nn.Module, tau: float) -> None:
    """Makes a new state and loads it."""
    old, new = target_network.state_dict(), q_network.state_dict()
    target_network.load_state_dict({name: (1 - tau) * old[name] + tau * new[name] for name in old})


def update_one_by_one(target_network: nn.Module, q_network: nn.Module, tau: float) -> None:
    """Goes from parameter to parameter."""
    for slow, fast in zip(target_network.parameters(), q_network.parameters(), strict=True):
        slow.data.mul_(1 - tau).add_(tau * fast.data)


LERP = "torch._foreach_lerp_(list(target_network.parameters()), list(q_network.parameters()), tau)"
PAIRS = "zip(target_network.parameters(), q_network.parameters(), strict=True)"

test_update_target_network = exercise(
    reference=targets.update_target_network,
    cases=update_target_network_cases,
    observe=networks_after,
    accepts=[update_by_state_dict, update_one_by_one],
    mistakes=[
        *instead_of(
            LERP,
            {
                LERP.replace("target_network", "other")
                .replace("q_network", "target_network")
                .replace("other", "q_network"): (
                    "moves the trained network",
                    "q_network doesn't change: the target follows it",
                ),
                LERP.replace("tau)", "1 - tau)"): (
                    "takes tau for the share that is kept",
                    "the new target is (1 - tau) of the old one and tau of the trained network",
                ),
                LERP.replace("tau)", "1.0)"): ("always copies", "the target moves by the share tau only"),
                f"for slow, fast in {PAIRS}:\n            slow.data = fast.data": (
                    "shares the tensors of the trained network",
                    "the target must keep tensors of its own, or it changes with every training step",
                ),
                f"for slow, fast in {PAIRS}:\n            slow = (1 - tau) * slow + tau * fast": (
                    "changes nothing",
                    "an assignment to a loop's variable leaves the network as it is: write in place, with copy_ or lerp_",
                ),
                "torch._foreach_lerp_(\n            [p for p in target_network.parameters() if p.ndim > 1],"
                " [p for p in q_network.parameters() if p.ndim > 1], tau\n        )": (
                    "leaves out the biases",
                    "every parameter follows, also those with one axis",
                ),
                "torch._foreach_add_(list(target_network.parameters()), list(q_network.parameters()), alpha=tau)": (
                    "adds without taking away",
                    "the old target counts only 1 - tau, or the parameters would grow without end",
                ),
                f"for slow, fast in list({PAIRS})[:2]:\n            slow.lerp_(fast, tau)": (
                    "moves the first layer only",
                    "every parameter follows",
                ),
            },
        ),
        Mistake(
            "records gradients while it writes",
            "with torch.no_grad():",
            "if True:",
            why="a parameter that is trained can't be written in place unless torch.no_grad() says that nothing is recorded",
            raises="RuntimeError",
        ),
    ],
)
