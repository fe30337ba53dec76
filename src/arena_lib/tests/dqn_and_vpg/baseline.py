"""Judge of section 2.2's baseline: what came, beside what was expected.

Shapes:  returns, values "*shape"
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.rl.policy_gradient import returns
from arena_lib.tests.dqn_and_vpg.arguments import names_of_changed

__test__ = False


def subtract_baseline_cases(generator: torch.Generator) -> list[Case]:
    """Several environments, one axis."""
    shapes = {"several environments": (3, 4), "one axis": (6,), "one step": (1, 1)}
    return [
        Case(
            label=label,
            call="returns, values",
            given={
                "returns": torch.randn(shape, generator=generator),
                "values": torch.randn(shape, generator=generator),
            },
        )
        for label, shape in shapes.items()
    ]


def baseline_seen(function: Callable[..., Any], case: Case) -> Observations:
    """Advantages, loss, and where the loss's gradient goes."""
    data = case.given["returns"].clone().requires_grad_()
    values = case.given["values"].clone().requires_grad_()
    passed = {"returns": data * 1, "values": values * 1}
    advantages, loss = function(*passed.values())
    changed = names_of_changed(passed, {"returns": data, "values": values})
    carries = bool(getattr(advantages, "requires_grad", False))
    if isinstance(loss, Tensor) and loss.requires_grad:
        loss.sum().backward()
    return {
        "advantages": advantages.detach() if isinstance(advantages, Tensor) else advantages,
        "value_loss": loss.detach() if isinstance(loss, Tensor) else loss,
        "gradient of values": torch.zeros_like(values) if values.grad is None else values.grad,
        "gradient of returns": torch.zeros_like(data) if data.grad is None else data.grad,
        "the advantages carry a graph": carries,
        CHANGED: changed,
    }


def baseline_by_mse(data: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Calls torch's loss."""
    return data.detach() - values.detach(), torch.nn.functional.mse_loss(values, data.detach())


test_subtract_baseline = exercise(
    reference=returns.subtract_baseline,
    cases=subtract_baseline_cases,
    observe=baseline_seen,
    accepts=[baseline_by_mse],
    mistakes=[
        *instead_of(
            "returns.detach() - values",
            {
                "values - returns.detach()": (
                    "turns the advantages' sign round",
                    "an advantage is what came, less what was expected",
                ),
                "returns - values": ("lets a gradient flow to the returns", "returns are data"),
                "returns.detach().sub_(values)": (
                    "writes into the returns",
                    "a detached tensor shares its numbers with the one that it was made of: write a - b",
                ),
                "returns.sub_(values)": (
                    "writes into the returns, and lets a gradient flow to them",
                    "returns are data, and belong to the caller: write returns.detach() - values",
                ),
                "returns.detach() - values.mean()": (
                    "subtracts the mean value",
                    "each state has an expectation of its own",
                ),
                "returns.detach() - values.detach()": (
                    "detaches the values in the loss too",
                    "the loss is what teaches the value network",
                ),
            },
        ),
        *instead_of(
            "return errors.detach(), errors.square().mean()",
            {
                "return errors, errors.square().mean()": (
                    "doesn't detach the advantages",
                    "the policy's loss would teach the value network to make actions look good",
                ),
                "return errors.detach(), errors.square().sum()": ("sums the loss", "the mean is asked for"),
                "return errors.detach(), errors.abs().mean()": ("takes absolute errors", "the errors are squared"),
                "return errors.detach(), errors.mean()": (
                    "forgets to square",
                    "errors of both signs would cancel, and the loss would have no minimum",
                ),
                "return errors.detach(), errors.mean().square()": (
                    "squares the mean",
                    "each error is squared by itself",
                ),
                "return errors.square().mean(), errors.detach()": (
                    "swaps the two results",
                    "the order is advantages, value_loss",
                ),
                "return returns.detach(), errors.square().mean()": (
                    "returns the returns",
                    "the first result is what is left when the values are subtracted",
                ),
                "return errors.detach(), errors.square().mean() / 2": (
                    "halves the loss",
                    "there is no factor of one half",
                ),
                "return (errors.detach() - errors.detach().mean()) / (errors.detach().std() + 1e-8),"
                " errors.square().mean()": (
                    "normalises the advantages",
                    "an advantage is what came, less what was expected; normalize_returns is another step",
                ),
                "return errors, errors.abs().mean()": (
                    "takes absolute errors, and doesn't detach the advantages",
                    "the errors are squared, and the advantages are detached",
                ),
                "return errors.detach().clamp_min(0), errors.square().mean()": (
                    "drops advantages below zero",
                    "an action that went worse than expected must become rarer",
                ),
                "return errors.detach(), errors.square()": (
                    "returns a loss for each step",
                    "the loss is one number, the mean",
                ),
                "return errors.detach(), errors.square().mean().sqrt()": (
                    "takes the root of the mean",
                    "the loss is the mean of the squares itself",
                ),
                "return errors.detach(), errors.square().mean().item()": (
                    "returns the loss as a plain number",
                    "its gradient teaches the value network: it stays a tensor",
                ),
                "return errors.detach(), (errors.abs().clamp(max=1).square() / 2 + (errors.abs() - 1).clamp_min(0)).mean()": (
                    "takes the Huber loss",
                    "the errors are squared, however large they are",
                ),
                "return errors.detach() - errors.detach().mean(), errors.square().mean()": (
                    "takes the mean away from the advantages",
                    "an advantage is what came, less what was expected; they are normalised later",
                ),
            },
        ),
    ],
)
