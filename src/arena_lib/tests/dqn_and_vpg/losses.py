"""Judge of section 2.2's loss.

Shapes:  action values "batch n_actions"; actions, targets, weights "batch"
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.rl.dqn import targets
from arena_lib.tests.dqn_and_vpg.arguments import names_of_changed
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
    passed = {"q_values": q_values * 1, "actions": actions, "targets": aims * 1}
    loss, errors = function(*passed.values(), *weights)
    before = {"q_values": q_values, "actions": case.given["rest"][0], "targets": aims, "weights": case.given["weights"]}
    now = passed | {"weights": weights[0]} if weights else passed
    if isinstance(loss, Tensor) and loss.requires_grad:
        loss.sum().backward()
    return {
        "loss": loss.detach() if isinstance(loss, Tensor) else loss,
        "errors": errors.detach() if isinstance(errors, Tensor) else errors,
        "gradient of q_values": torch.zeros_like(q_values) if q_values.grad is None else q_values.grad,
        "gradient of targets": torch.zeros_like(aims) if aims.grad is None else aims.grad,
        "the errors carry a graph": bool(getattr(errors, "requires_grad", False)),
        CHANGED: names_of_changed(now, {name: before[name] for name in now}),
    }


def loss_by_one_hot(q_values: Tensor, actions: Tensor, aims: Tensor, weights: Tensor | None = None) -> Any:
    """Picks by indexing, and calls torch's own loss."""
    taken = q_values[torch.arange(len(actions)), actions]
    squares = F.mse_loss(taken, aims.detach(), reduction="none")
    loss = squares.mean() if weights is None else (squares * weights).mean()
    with torch.no_grad():
        return loss, aims - taken


HUBER = 'nn.functional.smooth_l1_loss(taken, targets.detach(), reduction="none")'

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
                "q_values[:, actions]": (
                    "picks every action for every row",
                    "one action of each row was taken: use gather along the last axis",
                ),
                "q_values.gather(-1, actions)": (
                    "gathers with an index that lacks an axis",
                    "gather wants as many axes in the index as in q_values: actions[:, None], and squeeze afterwards",
                    "RuntimeError",
                ),
                "q_values.gather(0, actions[:, None]).squeeze(-1)": (
                    "gathers along the batch",
                    "an action is a column of q_values: gather along the last axis",
                ),
                "q_values.argmax(dim=-1)": (
                    "takes the number of the best action for its value",
                    "the value of the action that was taken is compared with the target",
                ),
                "q_values": (
                    "leaves out which action was taken",
                    "the reward followed the action that was taken: gather picks its value from each row",
                ),
                "q_values[:, actions[0]]": (
                    "takes the first transition's action for all",
                    "each transition has an action of its own",
                ),
                "q_values[actions]": (
                    "takes an action's number for a row",
                    "an action is a column of q_values: gather picks one from each row",
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
                "targets.detach().sub_(taken)": (
                    "writes into the targets",
                    "a detached tensor shares its numbers with the one that it was made of: write a - b",
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
                "weights * errors.square()": (
                    "multiplies by weights even where there are none",
                    "without weights, where it is None, each transition counts 1",
                ),
                "weights * errors.square() if weights else errors.square()": (
                    "asks `if weights` of a tensor",
                    "a tensor of several numbers is neither true nor false: ask whether weights is None",
                ),
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
                "(targets.detach()[:, None] - q_values).square().mean(dim=-1) * (1 if weights is None else weights)": (
                    "compares the values of all actions with the target",
                    "the reward followed the action that was taken, so only its value can be compared",
                ),
                "errors.square() if weights is None else weights / weights.max() * errors.square()": (
                    "divides the weights by the largest",
                    "they are used as they are given",
                ),
                f"{HUBER} if weights is None else weights * {HUBER}": (
                    "takes the Huber loss",
                    "the docstring asks for squared errors, however large they are",
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
                "return errors.detach(), squares.mean()": ("swaps the loss and the errors", "the loss comes first"),
                "return squares.mean()": (
                    "returns the loss alone",
                    "two things are asked for: the loss, and the error of each transition",
                    "TypeError",
                ),
                "return (errors if weights is None else weights * errors).mean().square(), errors.detach()": (
                    "squares the mean of the errors",
                    "errors of both signs would cancel: square each one first",
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
                "return squares.mean() / q_values.shape[1], errors.detach()": (
                    "divides by the number of actions too",
                    "it is the mean over the batch: each transition has one error",
                ),
                "return squares.mean().sqrt(), errors.detach()": (
                    "takes the root of the mean",
                    "the loss is the mean of the squares itself",
                ),
                "return squares.mean().item(), errors.detach()": (
                    "returns the loss as a plain number",
                    "the loss carries a gradient to q_values: it stays a tensor",
                ),
                "return squares.mean(), errors.detach() if weights is None else weights * errors.detach()": (
                    "weighs the errors that it returns",
                    "an error is target minus prediction; the weights count in the loss alone",
                ),
                "return squares.mean(), squares.detach()": (
                    "returns the squares in place of the errors",
                    "the second result holds the errors themselves",
                ),
            },
        ),
    ],
)
