"""Judges of the terms of PPO's objective, section 2.3, for discrete actions."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.observing import Observations
from arena_lib.rl.ppo import objectives

__test__ = False


def with_categorical(function: Callable[..., Any], case: Case) -> Observations:
    """Calls with logits in place of the distribution, so that gradients of the logits are seen, and no others."""
    seen = outputs_and_gradients(lambda logits, *rest: function(Categorical(logits=logits), *rest), case)
    return {name: value for name, value in seen.items() if not name.startswith("gradient of mb_")}


def of_the_values(function: Callable[..., Any], case: Case) -> Observations:
    """The result, and its gradient for the critic's values; whether targets are detached makes no difference."""
    seen = outputs_and_gradients(function, case)
    return {name: value for name, value in seen.items() if not name.startswith("gradient of mb_")}


def surrogate_cases(generator: torch.Generator) -> list[Case]:
    """Policies near to and far from the one that acted; advantages that hardly differ."""

    def case(label: str, minibatch: int, distance: float, spread: float, *rest: float) -> Case:
        logits = torch.randn(minibatch, 3, generator=generator)
        actions = torch.randint(0, 3, (minibatch,), generator=generator)
        then = (logits + distance * torch.randn(minibatch, 3, generator=generator)).log_softmax(-1)
        advantages = 0.7 + spread * torch.randn(minibatch, generator=generator)
        args = (logits, actions, advantages, then.gather(-1, actions[:, None]).squeeze(-1), *rest)
        return Case(label=label, args=args, call="dist, mb_actions, mb_advantages, mb_logprobs, clip_coef")

    return [
        case("near the old policy", 7, 0.05, 1.0, 0.2),
        case("far from the old policy", 23, 1.0, 2.0, 0.2),
        case("a narrow clip", 16, 0.5, 1.0, 0.05),
        case("advantages that hardly differ", 9, 0.5, 1e-3, 0.2, 1e-2),
    ]


def surrogate_by_cases(
    dist: Categorical,
    mb_actions: Tensor,
    mb_advantages: Tensor,
    mb_logprobs: Tensor,
    clip_coef: float,
    eps: float = 1e-8,
) -> Tensor:
    """Bounds the ratio from above where the advantage is positive, and from below where it's negative."""
    centred = mb_advantages - mb_advantages.mean()
    advantages = centred / (centred.pow(2).sum().div(len(centred) - 1).sqrt() + eps)
    ratio = dist.log_prob(mb_actions).exp() / mb_logprobs.exp()
    bounded = torch.where(advantages > 0, ratio.clamp(max=1 + clip_coef), ratio.clamp(min=1 - clip_coef))
    return (bounded * advantages).mean()


MINIMUM = "torch.minimum(ratio * advantages, clipped * advantages).mean()"

test_calc_clipped_surrogate_objective = exercise(
    reference=objectives.calc_clipped_surrogate_objective,
    cases=surrogate_cases,
    observe=with_categorical,
    accepts=[surrogate_by_cases],
    mistakes=[
        *instead_of(
            "(dist.log_prob(mb_actions) - mb_logprobs).exp()",
            {
                "(mb_logprobs - dist.log_prob(mb_actions)).exp()": (
                    "inverts the ratio",
                    "the probability now is divided by the one then",
                ),
                "dist.log_prob(mb_actions) - mb_logprobs": (
                    "takes the difference of logarithms for the ratio",
                    "a ratio is the exponential of a difference of logarithms",
                ),
                "dist.log_prob(mb_actions) / mb_logprobs": (
                    "divides the logarithms",
                    "a ratio is the exponential of a difference of logarithms",
                ),
                "(dist.log_prob(mb_actions).detach() - mb_logprobs).exp()": (
                    "detaches the policy",
                    "the policy learns from this term: its gradient must flow through dist",
                ),
                "dist.log_prob(mb_actions).exp()": (
                    "leaves the old policy out",
                    "what counts is how the probability changed since the action was taken",
                ),
            },
        ),
        *instead_of(
            MINIMUM,
            {
                "torch.maximum(ratio * advantages, clipped * advantages).mean()": (
                    "takes the larger of the two",
                    "the smaller one counts, so that going further never pays",
                ),
                "(clipped * advantages).mean()": (
                    "always clips",
                    "a ratio that went the wrong way must keep its gradient, so the minimum of both counts",
                ),
                "(ratio * advantages).mean()": ("does not clip at all", "the clip keeps the policy near the old one"),
                "-torch.minimum(ratio * advantages, clipped * advantages).mean()": (
                    "returns a loss",
                    "the objective is to be made large, so it has no minus",
                ),
                "torch.minimum(ratio * advantages, clipped * advantages).sum()": (
                    "sums over the minibatch",
                    "a mean doesn't depend on the size of the minibatch",
                ),
                "(torch.minimum(ratio, clipped) * advantages).mean()": (
                    "takes the minimum before it multiplies by the advantages",
                    "for a negative advantage the smaller product has the larger ratio",
                ),
            },
        ),
        *instead_of(
            "ratio.clamp(1 - clip_coef, 1 + clip_coef)",
            {
                "ratio.clamp(max=1 + clip_coef)": ("clips only from above", "negative advantages need the bound below"),
                "ratio.clamp(min=1 - clip_coef)": ("clips only from below", "positive advantages need the bound above"),
                "ratio.clamp(-clip_coef, clip_coef)": ("clips around 0", "a ratio of 1 means that nothing changed"),
                "ratio.clamp(1 / (1 + clip_coef), 1 + clip_coef)": (
                    "clips to 1 / (1 + clip_coef) from below",
                    "the bound below is 1 - clip_coef",
                ),
            },
        ),
        *instead_of(
            "(mb_advantages - mb_advantages.mean()) / (mb_advantages.std() + eps)",
            {
                "mb_advantages": ("does not normalise the advantages", "they get mean 0 and standard deviation 1"),
                "mb_advantages - mb_advantages.mean()": (
                    "does not divide by the standard deviation",
                    "advantages get standard deviation 1",
                ),
                "mb_advantages / (mb_advantages.std() + eps)": (
                    "does not subtract the mean of the advantages",
                    "advantages get mean 0",
                ),
                "(mb_advantages - mb_advantages.mean()) / (mb_advantages.var() + eps)": (
                    "divides by the variance",
                    "the standard deviation is the root of the variance",
                ),
                "(mb_advantages - mb_advantages.mean()) / (mb_advantages.std(correction=0) + eps)": (
                    "divides the sum of squares by the size of the minibatch",
                    "the standard deviation is torch's, which divides by one less",
                ),
                "(mb_advantages - mb_advantages.mean()) / mb_advantages.std()": (
                    "leaves eps out",
                    "equal advantages would be divided by zero",
                ),
            },
        ),
    ],
)


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
                "0.5 *": ("leaves out the coefficient", "vf_coef weighs the critic's loss against the policy's"),
                "-vf_coef * 0.5 *": ("returns an objective", "a loss is to be made small, so it has no minus"),
                "0.5 / vf_coef *": ("divides by the coefficient", "vf_coef is a factor"),
            },
        ),
        *instead_of(
            "(values - mb_returns)",
            {
                "(values.detach() - mb_returns)": ("detaches the values", "the critic learns through values"),
                "(values + mb_returns)": ("adds the returns", "what counts is the distance between the two"),
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
                "abs().mean()": ("takes the absolute error", "errors are squared"),
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
                "vf_coef * 0.5 * errors.sum()": (
                    "sums over the minibatch",
                    "a mean doesn't depend on the size of the minibatch",
                ),
            },
        ),
    ],
)


def entropy_cases(generator: torch.Generator) -> list[Case]:
    """Undecided and decided policies."""
    return [
        Case(label=label, args=(scale * torch.randn(*shape, generator=generator), ent_coef), call="dist, ent_coef")
        for label, shape, scale, ent_coef in [
            ("undecided", (5, 3), 0.3, 0.01),
            ("decided", (4, 6), 3.0, 0.5),
            ("one observation", (1, 2), 1.0, 0.1),
        ]
    ]


test_calc_entropy_bonus = exercise(
    reference=objectives.calc_entropy_bonus,
    cases=entropy_cases,
    observe=with_categorical,
    accepts=[lambda dist, ent_coef: -ent_coef * (dist.probs * dist.logits).sum(-1).mean()],
    mistakes=[
        *instead_of(
            "ent_coef * dist.entropy().mean()",
            {
                "-ent_coef * dist.entropy().mean()": (
                    "returns a penalty",
                    "staying undecided is rewarded, so the bonus is positive",
                ),
                "ent_coef * dist.entropy().sum()": (
                    "sums over the minibatch",
                    "a mean doesn't depend on the size of the minibatch",
                ),
                "dist.entropy().mean()": ("leaves out the coefficient", "ent_coef weighs the bonus"),
                "ent_coef * dist.entropy().mean() / 0.6931471805599453": (
                    "measures entropy in bits",
                    "entropy is in nats, with the natural logarithm",
                ),
                "ent_coef * dist.entropy().detach().mean()": (
                    "detaches the entropy",
                    "the policy learns from the bonus: its gradient must flow through dist",
                ),
                "ent_coef * -(dist.probs * dist.logits).mean()": (
                    "averages over the actions",
                    "an entropy sums over the actions; the mean is over observations",
                ),
            },
        ),
    ],
)


def kl_cases(generator: torch.Generator) -> list[Case]:
    """The same policy, a near one and a far one."""
    cases = []
    for label, n, distance in [("the same policy", 4, 0.0), ("a near policy", 9, 0.1), ("a far policy", 13, 1.0)]:
        then = -torch.rand(n, generator=generator) - 0.1
        cases.append(Case(label=label, args=(then - distance * torch.rand(n, generator=generator), then)))
    return cases


test_compute_approx_kl = exercise(
    reference=objectives.compute_approx_kl,
    cases=kl_cases,
    observe=outputs_and_gradients,
    accepts=[torch.no_grad()(lambda now, then: (torch.expm1(now - then) - (now - then)).sum() / len(now))],
    mistakes=[
        *instead_of(
            "logprobs - mb_logprobs",
            {
                "mb_logprobs - logprobs": ("takes then minus now", "log_ratio is now minus then"),
                "logprobs - logprobs.mean()": ("leaves the old policy out", "log_ratio is now minus then"),
            },
        ),
        *instead_of(
            "(log_ratio.exp() - 1 - log_ratio).mean()",
            {
                "-log_ratio.mean()": (
                    "takes the estimate that can be negative",
                    "exp(log_ratio) - 1 - log_ratio is never below 0, and varies less",
                ),
                "(log_ratio.exp() - 1).mean()": ("forgets to subtract the logarithm", "subtract log_ratio too"),
                "(log_ratio.exp() - log_ratio).mean()": ("forgets to subtract 1", "for equal policies it must be 0"),
                "(log_ratio.exp() - 1 - log_ratio).sum()": ("sums over the minibatch", "a mean is asked for"),
                "(log_ratio.pow(2) / 2).mean()": (
                    "takes half the squared logarithm",
                    "that is near for small steps only: exp(log_ratio) - 1 - log_ratio is asked for",
                ),
                "(log_ratio.exp() - 1 - log_ratio).max()": ("takes the largest term", "a mean is asked for"),
            },
        ),
        Mistake("records gradients", "@torch.no_grad()\n", "", why="it's only measured: nothing learns from it"),
    ],
)
