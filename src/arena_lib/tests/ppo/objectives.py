"""Judges of the policy's terms of PPO's objective, section 2.3, for discrete actions."""

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

SURROGATE_MISTAKES = [
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
            "(dist.log_prob(mb_actions).exp() - mb_logprobs.exp())": (
                "takes the difference of the probabilities",
                "the ratio divides the probability now by the one then",
            ),
            "(dist.log_prob(mb_actions).exp() / mb_logprobs)": (
                "divides by the logarithm of the old probability",
                "mb_logprobs are logarithms: the ratio is the exponential of the difference of both",
            ),
            "dist.log_prob(mb_actions)": (
                "takes the logarithm of the probability for the ratio",
                "the ratio compares with the policy that acted: exp(logarithm now - logarithm then)",
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
            "torch.minimum((ratio * advantages).mean(), (clipped * advantages).mean())": (
                "compares the means",
                "the smaller of both is chosen for each step by itself",
            ),
            "torch.minimum(ratio * advantages, (ratio * advantages).clamp(1 - clip_coef, 1 + clip_coef)).mean()": (
                "clips the product",
                "the ratio is clipped, and then multiplied by the advantage",
            ),
            "-torch.maximum(ratio * advantages, clipped * advantages).mean()": (
                "takes the larger of the two, and returns a loss",
                "the objective is the mean of the smaller one, and is to be made large",
            ),
            "(ratio * clipped * advantages).mean()": (
                "multiplies the ratio by the clipped one",
                "the smaller of two products counts: ratio * advantage and clipped * advantage",
            ),
            "torch.minimum(ratio * advantages, clipped * advantages)": (
                "gives a number for each step",
                "the result is the mean over the minibatch",
            ),
            "torch.minimum(ratio * advantages, clipped).mean()": (
                "forgets the advantage in the clipped term",
                "both terms are multiplied by the advantage",
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
            "ratio.log().clamp(-clip_coef, clip_coef).exp()": (
                "clips the logarithm of the ratio",
                "the ratio itself stays between 1 - clip_coef and 1 + clip_coef",
            ),
            "ratio.clamp(0.8, 1.2)": ("always clips at 0.2", "clip_coef is an argument"),
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
            "mb_advantages - mb_advantages.mean() / (mb_advantages.std() + eps)": (
                "divides only the mean by the standard deviation",
                "the difference from the mean is divided: it needs brackets",
            ),
            "(mb_advantages - mb_advantages.mean()) / (mb_advantages.var() + eps).sqrt()": (
                "adds eps to the variance",
                "eps is added to the standard deviation",
            ),
            "mb_advantages / mb_advantages.abs().max()": (
                "divides by the largest advantage",
                "they get mean 0 and standard deviation 1",
            ),
            "(mb_advantages - mb_advantages.mean()) / mb_advantages.std().clamp_min(eps)": (
                "takes eps for the smallest standard deviation",
                "eps is added to the standard deviation",
            ),
            "mb_advantages.detach().sub_(mb_advantages.mean()).div_(mb_advantages.std() + eps)": (
                "writes into mb_advantages",
                "the arguments stay as they are: sub_ and -= write into them, x - y makes a new tensor",
            ),
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
]
"""What goes wrong in the clipped objective, for either kind of actions."""

test_calc_clipped_surrogate_objective = exercise(
    reference=objectives.calc_clipped_surrogate_objective,
    cases=surrogate_cases,
    observe=with_categorical,
    accepts=[surrogate_by_cases],
    mistakes=SURROGATE_MISTAKES,
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
                "ent_coef * dist.entropy()": (
                    "gives a number for each observation",
                    "the result is the mean over the observations",
                ),
                "ent_coef * dist.entropy().mean() / torch.tensor(dist.probs.shape[-1] * 1.0).log()": (
                    "divides by the largest entropy",
                    "the entropy itself is asked for, in nats",
                ),
                "ent_coef * dist.entropy().exp().mean()": (
                    "takes the exponential of the entropy",
                    "the entropy itself is asked for, in nats",
                ),
                "-ent_coef * dist.entropy().sum()": (
                    "returns a penalty, summed over the minibatch",
                    "the bonus is positive, and a mean over the observations",
                ),
                "ent_coef * torch.distributions.Categorical(probs=dist.probs.mean(0)).entropy()": (
                    "takes the entropy of the mean policy",
                    "each observation has an entropy of its own: the mean is taken of those",
                ),
                "ent_coef * (1 - dist.probs.square().sum(-1)).mean()": (
                    "takes 1 minus the sum of squares",
                    "an entropy is the sum of -p * log(p)",
                ),
                "ent_coef * -dist.logits.mean()": (
                    "averages the logarithms over the actions",
                    "an entropy weighs each logarithm by its probability",
                ),
                "ent_coef * -dist.logits.max(dim=-1).values.mean()": (
                    "takes the logarithm of the likeliest action",
                    "an entropy counts every action, weighed by its probability",
                ),
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
        then = -torch.rand(n, generator=generator) - 1.0
        cases.append(Case(label=label, args=(then + distance * (torch.rand(n, generator=generator) - 0.6), then)))
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
                "logprobs / mb_logprobs": (
                    "divides the logarithms",
                    "the logarithm of a ratio is the difference of the logarithms",
                ),
                "logprobs.exp() - mb_logprobs.exp()": (
                    "takes the difference of the probabilities",
                    "log_ratio is a difference of logarithms, and those are what the arguments are",
                ),
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
                "(log_ratio - log_ratio.exp() + 1).mean()": (
                    "turns the sign round",
                    "a divergence is never below 0: exp(log_ratio) - 1 - log_ratio",
                ),
                "(log_ratio.exp() * log_ratio).mean()": (
                    "takes the ratio times its logarithm",
                    "the actions were drawn from the policy then: exp(log_ratio) - 1 - log_ratio for each of them",
                ),
                "log_ratio.mean().exp() - 1 - log_ratio.mean()": (
                    "averages before it applies the formula",
                    "the exponential of a mean isn't the mean of exponentials: each step has a term of its own",
                ),
                "(log_ratio.exp().mean() - 1 - log_ratio)": (
                    "averages the first term only",
                    "the mean is of the whole term",
                ),
                "(log_ratio.exp() - 1 + log_ratio).mean()": (
                    "adds the logarithm",
                    "it's subtracted: the term is exp(log_ratio) - 1 - log_ratio, never below 0",
                ),
                "(log_ratio.exp() * log_ratio - (log_ratio.exp() - 1)).mean()": (
                    "weighs the logarithm by the ratio",
                    "the actions were drawn from the policy then: log_ratio counts as it is",
                ),
                "(mb_logprobs.exp() * -log_ratio).mean()": (
                    "weighs the terms by the probabilities then",
                    "the actions were drawn from that policy, so a plain mean weighs them rightly already",
                ),
                "(logprobs.exp() * log_ratio).mean()": (
                    "weighs the terms by the probabilities now",
                    "the actions were drawn from the policy then: a plain mean over them is asked for",
                ),
                "log_ratio.mean()": (
                    "takes the mean of the logarithm",
                    "exp(log_ratio) - 1 - log_ratio is never below 0, and varies less",
                ),
                "log_ratio.abs().mean()": (
                    "takes the absolute logarithm",
                    "exp(log_ratio) - 1 - log_ratio has the divergence as its mean, the absolute value hasn't",
                ),
                "(log_ratio.exp() - 1 - log_ratio)": ("gives a number for each step", "a mean is asked for"),
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
