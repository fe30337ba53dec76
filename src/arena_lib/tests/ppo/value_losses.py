"""Judges of the critic's losses, plain and clipped, section 2.3."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.observing import Observations
from arena_lib.rl.ppo import objectives

__test__ = False


def of_the_values(function: Callable[..., Any], case: Case) -> Observations:
    """The result, and its gradient for the critic's values; whether targets are detached makes no difference."""
    seen = outputs_and_gradients(function, case)
    return {name: value for name, value in seen.items() if not name.startswith("gradient of mb_")}


def value_cases(generator: torch.Generator) -> list[Case]:
    """Values and returns of one and of several steps."""
    return [
        Case(label=label, args=(torch.randn(n, generator=generator), 2 * torch.randn(n, generator=generator), vf_coef))
        for label, n, vf_coef in [("seven steps", 7, 0.5), ("one step", 1, 0.5), ("another coefficient", 5, 0.25)]
    ]


test_calc_value_function_loss = exercise(
    reference=objectives.calc_value_function_loss,
    cases=value_cases,
    observe=of_the_values,
    accepts=[lambda values, mb_returns, vf_coef: torch.nn.functional.mse_loss(values, mb_returns) * vf_coef / 2],
    mistakes=[
        *instead_of(
            "vf_coef * 0.5 *",
            {
                "vf_coef *": ("leaves out the half", "the critic's loss is half of the mean squared error"),
                "vf_coef**2 * 0.5 *": ("squares the coefficient", "only the distance is squared"),
                "0.5 *": ("leaves out the coefficient", "vf_coef weighs the critic's loss against the policy's"),
                "-vf_coef * 0.5 *": ("returns an objective", "a loss is to be made small, so it has no minus"),
                "vf_coef * 2.0 *": (
                    "doubles instead of halving",
                    "the critic's loss is half of the mean squared error",
                ),
                "0.5 / vf_coef *": ("divides by the coefficient", "vf_coef is a factor"),
            },
        ),
        *instead_of(
            "(values - mb_returns)",
            {
                "(values.detach() - mb_returns)": ("detaches the values", "the critic learns through values"),
                "(values + mb_returns)": ("adds the returns", "what counts is the distance between the two"),
                "(values - mb_returns).clamp(-1, 1)": (
                    "bounds the errors",
                    "each error counts whole, with its square",
                ),
                "(values[:, None] - mb_returns)": (
                    "compares every value with every return",
                    "each value is compared with the return of its own step",
                ),
                "(values - mb_returns.mean())": (
                    "compares with the mean return",
                    "each value is compared with the return of its own step",
                ),
            },
        ),
        *instead_of(
            "pow(2).mean()",
            {
                "pow(2).sum()": ("sums over the minibatch", "a mean doesn't depend on the size of the minibatch"),
                "pow(2)": ("gives a number for each step", "the result is the mean over the minibatch"),
                "abs().mean()": ("takes the absolute error", "errors are squared"),
                "pow(2).sum() / 2": (
                    "sums over the minibatch, and halves twice",
                    "a mean doesn't depend on the size of the minibatch, and the half is there already",
                ),
                "mean().pow(2)": ("squares the mean", "each error is squared first; errors of both signs don't cancel"),
                "pow(2).mean().sqrt()": ("takes the root", "the mean squared error has no root"),
            },
        ),
    ],
)


def clipped_value_cases(generator: torch.Generator) -> list[Case]:
    """Values that moved a little and a lot, with both signs."""

    def case(label: str, n: int, moved: float, clip_coef: float, vf_coef: float) -> Case:
        old, returns = (torch.randn(n, generator=generator) for _ in range(2))
        return Case(
            label=label, args=(old + moved * torch.randn(n, generator=generator), old, returns, clip_coef, vf_coef)
        )

    returns = torch.randn(6, generator=generator)
    arrived = returns + 0.1 * torch.randn(6, generator=generator)
    return [
        Case(label="values that have arrived", args=(arrived, arrived.roll(1), returns, 0.2, 0.5)),
        case("values that hardly moved", 5, 0.01, 0.2, 0.5),
        case("values that moved far", 19, 2.0, 0.2, 0.5),
        case("another coefficient", 8, 0.5, 0.4, 0.25),
    ]


def clipped_loss_by_where(
    values: Tensor, mb_values: Tensor, mb_returns: Tensor, clip_coef: float, vf_coef: float
) -> Tensor:
    """Clamps between two tensors, and picks the larger error entry by entry."""
    clipped = torch.minimum(torch.maximum(values, mb_values - clip_coef), mb_values + clip_coef)
    plain, bounded = (values - mb_returns) ** 2, (clipped - mb_returns) ** 2
    return vf_coef / 2 * torch.where(plain >= bounded, plain, bounded).mean()


test_calc_clipped_value_function_loss = exercise(
    reference=objectives.calc_clipped_value_function_loss,
    cases=clipped_value_cases,
    observe=of_the_values,
    accepts=[clipped_loss_by_where],
    mistakes=[
        *instead_of(
            "torch.maximum((values - mb_returns).pow(2), (clipped - mb_returns).pow(2))",
            {
                "torch.minimum((values - mb_returns).pow(2), (clipped - mb_returns).pow(2))": (
                    "takes the smaller error",
                    "the larger error counts, so that a large change is never rewarded",
                ),
                "torch.maximum((values - mb_returns).abs(), (clipped - mb_returns).abs())": (
                    "takes the absolute error",
                    "errors are squared",
                ),
                "torch.maximum((values - mb_returns).pow(2), (clipped - mb_values).pow(2))": (
                    "compares the clipped values with the old ones",
                    "both errors are distances from mb_returns",
                ),
                "((values - mb_returns).pow(2) + (clipped - mb_returns).pow(2))": (
                    "adds both errors",
                    "the larger of both errors counts, entry by entry",
                ),
                "((values - mb_returns).pow(2) + (clipped - mb_returns).pow(2)) / 2": (
                    "averages both errors",
                    "the larger of both errors counts, entry by entry",
                ),
                "torch.maximum((mb_values - mb_returns).pow(2), (clipped - mb_returns).pow(2))": (
                    "compares with the error of the old value",
                    "the two errors are those of the value now and of the clipped one",
                ),
                "torch.maximum(values - mb_returns, clipped - mb_returns).pow(2)": (
                    "compares before it squares",
                    "errors have signs: the larger square counts",
                ),
                "torch.maximum((values.detach() - mb_returns).pow(2), (clipped.detach() - mb_returns).pow(2))": (
                    "detaches the values",
                    "the critic learns through values",
                ),
                "(clipped - mb_returns).pow(2)": ("counts the clipped error only", "the larger of both errors counts"),
                "(values - mb_returns).pow(2)": ("does not clip at all", "the larger of both errors counts"),
                "torch.maximum((values - mb_returns).pow(2).mean(), (clipped - mb_returns).pow(2).mean())": (
                    "compares the means of the errors",
                    "the larger error is chosen for each entry by itself",
                ),
            },
        ),
        *instead_of(
            "mb_values + (values - mb_values).clamp(-clip_coef, clip_coef)",
            {
                "values.clamp(-clip_coef, clip_coef)": (
                    "clips the values instead of their change",
                    "what may only move a little is the distance from mb_values",
                ),
                "mb_values + (values - mb_values).clamp(-clip_coef * mb_values.abs(), clip_coef * mb_values.abs())": (
                    "clips to a share of the old value",
                    "the value may move by clip_coef itself, in either direction",
                ),
                "values + (mb_values - values).clamp(-clip_coef, clip_coef)": (
                    "clips around the new value",
                    "what the critic says now stays near to mb_values, not the other way round",
                ),
                "mb_values - (values - mb_values).clamp(-clip_coef, clip_coef)": (
                    "subtracts the clipped change",
                    "the clipped change is added to mb_values",
                ),
                "values + (values - mb_values).clamp(-clip_coef, clip_coef)": (
                    "adds the change to the new value",
                    "the clipped change is added to mb_values",
                ),
                "mb_values + (values - mb_values).clamp(max=clip_coef)": (
                    "clips only from above",
                    "a change downwards is clipped too",
                ),
                "mb_values + (values - mb_values).clamp(min=-clip_coef)": (
                    "clips only from below",
                    "a change upwards is clipped too",
                ),
                "mb_values + (values.detach() - mb_values).clamp(-clip_coef, clip_coef)": (
                    "detaches the clipped values",
                    "the formula has a gradient there as well, where the change is small",
                ),
                "mb_values + (values - mb_values).clamp(-0.2, 0.2)": (
                    "always clips at 0.2",
                    "clip_coef is an argument",
                ),
                "(values - mb_values).clamp(-clip_coef, clip_coef)": (
                    "forgets to add the old value",
                    "the clipped change is added to mb_values",
                ),
                "mb_values + (values - mb_values).clamp(1 - clip_coef, 1 + clip_coef)": (
                    "clips around 1",
                    "a change of 0 means that nothing moved",
                ),
            },
        ),
        *instead_of(
            "vf_coef * 0.5 * errors.mean()",
            {
                "vf_coef * errors.mean()": (
                    "leaves out the half",
                    "the critic's loss is half of the mean squared error",
                ),
                "0.5 * errors.mean()": ("leaves out the coefficient", "vf_coef weighs the critic's loss"),
                "-vf_coef * 0.5 * errors.mean()": (
                    "returns an objective",
                    "a loss is to be made small, so it has no minus",
                ),
                "vf_coef * 0.5 * errors": ("gives a number for each step", "the result is the mean over the minibatch"),
                "vf_coef * 0.5 * errors.sum()": (
                    "sums over the minibatch",
                    "a mean doesn't depend on the size of the minibatch",
                ),
            },
        ),
    ],
)
