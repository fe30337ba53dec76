"""Judges of section 2.2's returns: what came after each step, brought to one size, beside what was expected.

Shapes:  rewards, done, returns, values "n_envs n_steps"
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.rl.policy_gradient import returns

__test__ = False

STEPS = {"output": "n_envs n_steps"}


def compute_returns_cases(generator: torch.Generator) -> list[Case]:
    """Ends inside, at the last step, in every step; one environment; one step; no discount."""
    ends = torch.zeros(3, 7, dtype=torch.bool)
    ends[0, 2], ends[1, 6], ends[2, [0, 4]] = True, True, True
    rewards = torch.randn(3, 7, generator=generator) + 0.5
    return [
        Case(label="ends at different steps", args=(rewards, ends, 0.9), axes=STEPS),
        Case(label="no end", args=(rewards[:, :5], torch.zeros(3, 5).bool(), 0.5), axes=STEPS),
        Case(label="an end in every step", args=(rewards[:2, :4], torch.ones(2, 4).bool(), 0.8), axes=STEPS),
        Case(label="one environment", args=(rewards[:1], ends[2:], 0.7), axes=STEPS),
        Case(label="one step", args=(rewards[:, :1], ends[:, :1], 0.7), axes=STEPS),
        Case(label="no discount", args=(rewards, ends, 1.0), axes=STEPS),
        Case(label="the default discount", args=(rewards, ends), axes=STEPS),
    ]


def returns_by_sums(rewards: Tensor, done: Tensor, gamma: float = 0.9) -> Tensor:
    """Sums what is left of each episode, step by step."""
    result = torch.empty_like(rewards)
    for i in range(rewards.shape[0]):
        for t in range(rewards.shape[1]):
            total, factor = 0.0, 1.0
            for k in range(t, rewards.shape[1]):
                total += factor * float(rewards[i, k])
                factor *= gamma
                if done[i, k]:
                    break
            result[i, t] = total
    return result


def returns_by_columns(rewards: Tensor, done: Tensor, gamma: float = 0.9) -> Tensor:
    """Carries one column back through time."""
    columns, after = [], torch.zeros(len(rewards))
    for reward, end in zip(reversed(rewards.unbind(1)), reversed(done.unbind(1)), strict=True):
        after = reward + gamma * torch.where(end, 0.0, after)
        columns.append(after)
    return torch.stack(columns[::-1], dim=1)


OTHER = "what comes after an end belongs to another episode"

test_compute_returns = exercise(
    reference=returns.compute_returns,
    cases=compute_returns_cases,
    observe=outputs,
    accepts=[returns_by_sums, returns_by_columns],
    mistakes=[
        *instead_of(
            "gamma * returns[:, t + 1] * ~done[:, t]",
            {
                "gamma * returns[:, t + 1]": ("goes on over the end of an episode", OTHER),
                "gamma * returns[:, t + 1] * ~done[:, t + 1]": (
                    "looks for the end one step too late",
                    "done[t] says that step t was the last: its own reward counts, and the next episode's don't",
                ),
                "returns[:, t + 1] * ~done[:, t]": ("leaves out the discount", "what comes a step later counts gamma"),
                "gamma * rewards[:, t + 1] * ~done[:, t]": (
                    "adds only the next reward, for instance by going forward in time",
                    "a step needs the return of the next one, which holds all that comes after: go back from the last step",
                ),
                "gamma ** t * returns[:, t + 1] * ~done[:, t]": (
                    "discounts by the number of the step",
                    "each step back multiplies by gamma once",
                ),
                "gamma * returns[:, t + 1] * done[:, t]": ("goes on only over the end of an episode", OTHER),
                "returns[:, t + 1] * ~done[:, t]\n        returns[:, t] *= gamma": (
                    "discounts the reward too",
                    "a step's own reward counts in full",
                ),
            },
        ),
        *instead_of(
            "returns = rewards.clone()",
            {
                "returns = rewards": (
                    "writes into the rewards",
                    "the rewards belong to the caller: work on a clone",
                ),
                "returns = rewards.clone()\n    returns[:, -1] = 0": (
                    "drops the last reward",
                    "the last step's return is its reward",
                ),
            },
        ),
        *instead_of(
            "reversed(range(rewards.shape[1] - 1))",
            {
                "reversed(range(rewards.shape[1] - 2))": (
                    "leaves out the last step but one",
                    "every step but the last adds what comes after it",
                ),
            },
        ),
        *instead_of(
            "    return returns\n",
            {
                "    return returns[:, :1].expand_as(rewards)\n": (
                    "gives every step the return of the first",
                    "an action can't change what came before it: each step has a return of its own",
                ),
                "    return returns.flip(1)\n": ("leaves the steps in reverse order", "column t is step t"),
            },
        ),
    ],
)


def normalize_returns_cases(generator: torch.Generator) -> list[Case]:
    """Several environments, all alike, small numbers, one environment."""
    many = 4 * torch.randn(3, 5, generator=generator) + 20
    return [
        Case(label="several environments", args=(many,), axes=STEPS),
        Case(label="returns that are all alike", args=(torch.full((2, 3), 7.0),), axes=STEPS),
        Case(label="another eps", args=(many, 0.5), axes=STEPS),
        Case(label="one environment", args=(many[:1],), axes=STEPS),
        Case(label="small returns", args=(1e-8 * torch.randn(2, 6, generator=generator),), axes=STEPS),
        Case(label="one axis", args=(many[0],), axes={"output": "n_steps"}),
    ]


def normalize_by_hand(values: Tensor, eps: float = 1e-8) -> Tensor:
    """Writes the standard deviation out."""
    centred = values - values.sum() / values.numel()
    return centred / ((centred**2).sum().div(values.numel() - 1).sqrt() + eps)


TOGETHER = "mean and standard deviation are those of all entries together"

test_normalize_returns = exercise(
    reference=returns.normalize_returns,
    cases=normalize_returns_cases,
    observe=outputs,
    accepts=[normalize_by_hand],
    mistakes=instead_of(
        "(returns - returns.mean()) / (returns.std() + eps)",
        {
            "returns / (returns.std() + eps)": ("doesn't subtract the mean", "then half of the returns are below zero"),
            "returns - returns.mean()": (
                "doesn't divide by the standard deviation",
                "the size of a step would hang on it",
            ),
            "(returns - returns.mean()) / (returns.var() + eps)": (
                "divides by the variance",
                "the standard deviation is its root",
            ),
            "(returns - returns.mean()) / returns.std()": (
                "leaves out eps",
                "returns that are all alike have the standard deviation 0",
            ),
            "(returns - returns.mean()) / (returns.std(correction=0) + eps)": (
                "divides by n in the variance",
                "the docstring asks for torch's default, with n - 1",
            ),
            "(returns - returns.mean(dim=-1, keepdim=True)) / (returns.std(dim=-1, keepdim=True) + eps)": (
                "takes each environment by itself",
                TOGETHER,
            ),
            "(returns - returns.mean()) / (returns.var() + eps).sqrt()": (
                "adds eps to the variance",
                "eps is added to the standard deviation",
            ),
            "(returns - returns.min()) / (returns.max() - returns.min() + eps)": (
                "brings the returns between 0 and 1",
                "the mean must become 0 and the standard deviation 1",
            ),
            "returns - returns.mean() / (returns.std() + eps)": (
                "divides the mean only",
                "a quotient comes before a difference: put the difference in brackets",
            ),
            "(returns - returns.mean()) / returns.std() + eps": (
                "adds eps to the result",
                "eps belongs to the divisor, which may be 0",
            ),
        },
    ),
)


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
    advantages, loss = function(data * 1, values * 1)
    carries = bool(getattr(advantages, "requires_grad", False))
    if isinstance(loss, Tensor) and loss.requires_grad:
        loss.sum().backward()
    return {
        "advantages": advantages.detach() if isinstance(advantages, Tensor) else advantages,
        "value_loss": loss.detach() if isinstance(loss, Tensor) else loss,
        "gradient of values": torch.zeros_like(values) if values.grad is None else values.grad,
        "gradient of returns": torch.zeros_like(data) if data.grad is None else data.grad,
        "the advantages carry a graph": carries,
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
            },
        ),
    ],
)
