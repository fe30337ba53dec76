"""Judges of the objective's terms for continuous actions, section 2.3."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.observing import Observations
from arena_lib.rl.ppo import objectives
from arena_lib.tests.ppo.objectives import SURROGATE_MISTAKES

__test__ = False


def with_normal(function: Callable[..., Any], case: Case) -> Observations:
    """Calls with means and deviations in place of the distribution, so that their gradients are seen, and no others."""
    seen = outputs_and_gradients(lambda means, *rest: function(Normal(means[..., 0], means[..., 1].exp()), *rest), case)
    return {name: value for name, value in seen.items() if not name.startswith("gradient of mb_")}


def surrogate_cases(generator: torch.Generator) -> list[Case]:
    """Policies near to and far from the one that acted."""

    def case(label: str, minibatch: int, n_actions: int, distance: float, *rest: float) -> Case:
        now = 0.4 * torch.randn(minibatch, n_actions, 2, generator=generator)
        actions = now[..., 0] + torch.randn(minibatch, n_actions, generator=generator)
        logprobs = Normal(now[..., 0], now[..., 1].exp()).log_prob(actions).sum(-1)
        then = logprobs + distance * torch.randn(minibatch, generator=generator)
        advantages = 0.7 + torch.randn(minibatch, generator=generator)
        call = "dist, mb_actions, mb_advantages, mb_logprobs, clip_coef"
        return Case(label=label, args=(now, actions, advantages, then, *rest), call=call)

    return [
        case("near the old policy", 7, 3, 0.05, 0.2),
        case("far from the old policy", 19, 2, 0.8, 0.2),
        case("a narrow clip, a large eps", 11, 4, 0.3, 0.05, 0.5),
        case("one entry", 6, 1, 0.3, 0.2),
    ]


def surrogate_by_hand(
    dist: Normal, mb_actions: Tensor, mb_advantages: Tensor, mb_logprobs: Tensor, clip_coef: float, eps: float = 1e-8
) -> Tensor:
    """All of equation 7 once more."""
    advantages = (mb_advantages - mb_advantages.mean()) / (mb_advantages.std() + eps)
    ratio = (dist.log_prob(mb_actions).sum(-1) - mb_logprobs).exp()
    return torch.min(ratio * advantages, ratio.clip(1 - clip_coef, 1 + clip_coef) * advantages).mean()


ALIKE_HERE = {"leaves eps out", "takes eps for the smallest standard deviation"}
"""Mistakes of discrete actions that show here what another one shows."""
SUM = "the log-density of a whole action is the sum over its entries"

test_calc_clipped_surrogate_objective_cts = exercise(
    reference=objectives.calc_clipped_surrogate_objective_cts,
    cases=surrogate_cases,
    observe=with_normal,
    accepts=[surrogate_by_hand],
    equivalent={
        f"whole = Independent(dist, 1, validate_args=False) -> whole = Independent(dist, 1{rest})": "checks only"
        for rest in ("", ", validate_args=True")
    },
    mistakes=[
        *instead_of(
            "calc_clipped_surrogate_objective(whole, mb_actions,",
            {
                "(lambda d, *rest: calc_clipped_surrogate_objective(type('D', (), {'log_prob': lambda self, a: "
                "d.log_prob(a).mean(-1)})(), *rest))(dist, mb_actions,": ("averages the log-densities", SUM),
                "(lambda d, *rest: calc_clipped_surrogate_objective(type('D', (), {'log_prob': lambda self, a: "
                "d.log_prob(a)[..., 0]})(), *rest))(dist, mb_actions,": (
                    "reads the first entry of an action only",
                    SUM,
                ),
                "(lambda d, *rest: calc_clipped_surrogate_objective(type('D', (), {'log_prob': lambda self, a: "
                "d.log_prob(a).exp().sum(-1).log()})(), *rest))(dist, mb_actions,": (
                    "adds the densities",
                    "densities of independent entries multiply, so their logarithms add",
                ),
            },
        ),
        *instead_of(
            "whole, mb_actions, mb_advantages, mb_logprobs",
            {
                "dist, mb_actions, mb_advantages[:, None], mb_logprobs[:, None]": (
                    "gives each entry of an action a ratio of its own",
                    "mb_logprobs belong to whole actions: sum the log-density over the entries first",
                ),
                "Independent(Normal(dist.mean, dist.stddev.square()), 1), mb_actions, mb_advantages, mb_logprobs": (
                    "takes the variance for the deviation",
                    "dist gives the log-density: nothing about it must be made anew",
                ),
                "Independent(Normal(dist.mean, dist.stddev.detach()), 1), mb_actions, mb_advantages, mb_logprobs": (
                    "detaches the deviation",
                    "the deviation is learned too: gradients flow through all of dist",
                ),
                "Independent(Normal(dist.mean.detach(), dist.stddev), 1), mb_actions, mb_advantages, mb_logprobs": (
                    "detaches the mean",
                    "the mean is learned: gradients flow through all of dist",
                ),
            },
        ),
        *instead_of(
            "mb_advantages, mb_logprobs, clip_coef, eps",
            {
                "mb_advantages, mb_logprobs, clip_coef": (
                    "does not hand eps on",
                    "eps is an argument, which is added to the standard deviation",
                ),
            },
        ),
        *(
            Mistake(m.name, m.old, m.new, why=m.why, within="calc_clipped_surrogate_objective")
            for m in SURROGATE_MISTAKES
            if m.name not in ALIKE_HERE
        ),
    ],
)


def entropy_cases(generator: torch.Generator) -> list[Case]:
    """Wide and narrow policies."""
    return [
        Case(label=label, args=(torch.randn(*shape, 2, generator=generator), ent_coef), call="dist, ent_coef")
        for label, shape, ent_coef in [("three entries", (5, 3), 0.01), ("one entry", (4, 1), 0.5)]
    ]


test_calc_entropy_bonus_cts = exercise(
    reference=objectives.calc_entropy_bonus_cts,
    cases=entropy_cases,
    observe=with_normal,
    accepts=[lambda dist, ent_coef: ent_coef * Independent(dist, 1).entropy().mean()],
    mistakes=[
        *instead_of(
            "ent_coef * dist.entropy().sum(dim=-1).mean()",
            {
                "ent_coef * dist.entropy().mean()": (
                    "averages over the entries of an action",
                    "the entropy of an action is the sum over its entries",
                ),
                "ent_coef * dist.entropy().sum()": ("sums over the minibatch", "the mean is over the minibatch"),
                "-ent_coef * dist.entropy().sum(dim=-1).mean()": (
                    "returns a penalty",
                    "staying undecided is rewarded, so the bonus is positive",
                ),
                "dist.entropy().sum(dim=-1).mean()": ("leaves out the coefficient", "ent_coef weighs the bonus"),
                "ent_coef * dist.entropy().sum(dim=-1)": (
                    "gives a number for each observation",
                    "the result is the mean over the observations",
                ),
                "ent_coef * dist.entropy().prod(dim=-1).mean()": (
                    "multiplies the entropies of the entries",
                    "densities multiply, and entropies add",
                ),
                "ent_coef * dist.entropy().max(dim=-1).values.mean()": (
                    "takes the largest entropy of an action's entries",
                    "the entropy of an action is the sum over its entries",
                ),
                "ent_coef * dist.entropy()[..., 0].mean()": (
                    "reads the first entry of an action only",
                    "the entropy of an action is the sum over its entries",
                ),
                "ent_coef * dist.stddev.log().sum(dim=-1).mean()": (
                    "leaves a constant out of the entropy",
                    "the entropy of a normal distribution is log(sigma) + log(2 pi e) / 2 for each entry",
                ),
                "ent_coef * dist.entropy().sum(dim=0).mean()": (
                    "sums over the minibatch, and averages over the entries",
                    "the entries are the last axis",
                ),
                "ent_coef * dist.entropy().sum(dim=-1).mean().detach()": (
                    "detaches the entropy",
                    "the deviation learns from the bonus: its gradient must flow through dist",
                ),
                "-dist.entropy().sum(dim=-1).mean()": (
                    "returns a penalty, without the coefficient",
                    "staying undecided is rewarded, weighed by ent_coef",
                ),
                "ent_coef * dist.variance.sum(dim=-1).mean()": (
                    "takes the variance for the entropy",
                    "the entropy grows with the logarithm of the deviation",
                ),
                "ent_coef * dist.stddev.sum(dim=-1).mean()": (
                    "takes the deviation for the entropy",
                    "the entropy grows with the logarithm of the deviation",
                ),
            },
        ),
    ],
)
