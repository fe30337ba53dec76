"""Judges of what is made of drawn tokens' log-probabilities, section 2.4: clipped terms, and GRPO's loss."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.observing import Observations
from arena_lib.rlhf import grpo

__test__ = False


def with_gradient_of_logprobs(function: Callable[..., Any], case: Case) -> Observations:
    """What comes out, and the gradient of the policy's log-probabilities; the other arguments are data."""
    seen = outputs_and_gradients(function, case)
    return {
        name: value for name, value in seen.items() if name in ("output", "gradient of logprobs") or "change" in name
    }


def draw_logprobs(generator: torch.Generator, distance: float, *shape: int) -> tuple[Tensor, Tensor]:
    """What the policy gives the tokens now, and what it gave them when it drew them."""
    old = -torch.rand(*shape, generator=generator) * 3 - 0.1
    return old + distance * torch.randn(*shape, generator=generator), old


def clipped_cases(generator: torch.Generator) -> list[Case]:
    """Policies near to and far from the one that drew."""

    def case(label: str, batch: int, gen_len: int, distance: float, clip_coef: float) -> Case:
        advantages = torch.randn(batch, generator=generator) + 0.2
        return Case(label=label, args=(*draw_logprobs(generator, distance, batch, gen_len), advantages, clip_coef))

    return [
        case("near the old policy", 3, 5, 0.05, 0.2),
        case("far from the old policy", 5, 11, 1.0, 0.2),
        case("a narrow clip", 4, 7, 0.3, 0.05),
        case("one sample", 1, 6, 0.6, 0.3),
        case("one token each", 7, 1, 0.6, 0.2),
    ]


def clipped_by_sign(logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, clip_coef: float) -> Tensor:
    """Bounds the ratio from above where the advantage is positive, and from below where it's negative."""
    ratio = logprobs.exp() / old_logprobs.exp()
    weights = advantages.unsqueeze(-1).expand_as(ratio)
    return torch.where(weights > 0, ratio.clamp(max=1 + clip_coef), ratio.clamp(min=1 - clip_coef)) * weights


def clipped_by_rows(logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, clip_coef: float) -> Tensor:
    """Sample by sample."""
    rows = []
    for now, then, advantage in zip(logprobs, old_logprobs.detach(), advantages.tolist(), strict=True):
        ratio = torch.exp(now - then)
        both = torch.stack([ratio * advantage, torch.clip(ratio, 1 - clip_coef, 1 + clip_coef) * advantage])
        rows.append(both.amin(dim=0))
    return torch.stack(rows)


PRODUCTS = "torch.minimum(ratio * advantages[:, None], clipped * advantages[:, None])"

test_calc_clipped_terms = exercise(
    reference=grpo.calc_clipped_terms,
    cases=clipped_cases,
    observe=with_gradient_of_logprobs,
    accepts=[clipped_by_sign, clipped_by_rows],
    mistakes=[
        *instead_of(
            "(logprobs - old_logprobs).exp()",
            {
                "(old_logprobs - logprobs).exp()": (
                    "inverts the ratio",
                    "the probability now is divided by the one then",
                ),
                "(logprobs - old_logprobs)": (
                    "takes the difference of logarithms for the ratio",
                    "a ratio is the exponential of a difference of logarithms",
                ),
                "logprobs / old_logprobs": (
                    "divides the logarithms",
                    "a ratio is the exponential of a difference of logarithms",
                ),
                "(logprobs.detach() - old_logprobs).exp()": (
                    "detaches the policy",
                    "the policy learns from these terms: gradients must flow through logprobs",
                ),
                "(logprobs - logprobs.detach()).exp()": (
                    "compares the policy with itself",
                    "the ratio compares with the policy that drew the tokens: old_logprobs",
                ),
                "(logprobs - old_logprobs).sum(dim=1, keepdim=True).exp().expand_as(logprobs)": (
                    "takes one ratio for the whole sample",
                    "each token has a ratio of its own",
                ),
                "logprobs.exp()": (
                    "leaves the old policy out",
                    "what counts is how the probability changed since the token was drawn",
                ),
            },
        ),
        *instead_of(
            PRODUCTS,
            {
                "torch.maximum(ratio * advantages[:, None], clipped * advantages[:, None])": (
                    "takes the larger of the two",
                    "the smaller one counts, so that going further never pays",
                ),
                "clipped * advantages[:, None]": (
                    "always clips",
                    "a ratio that went the wrong way must keep its gradient, so the smaller of both counts",
                ),
                "ratio * advantages[:, None]": ("does not clip at all", "the clip keeps the policy near the old one"),
                "-torch.minimum(ratio * advantages[:, None], clipped * advantages[:, None])": (
                    "returns a loss",
                    "the terms are to be made large, so they have no minus",
                ),
                "torch.minimum(ratio, clipped) * advantages[:, None]": (
                    "takes the minimum before it multiplies by the advantages",
                    "for a negative advantage the smaller product has the larger ratio",
                ),
                "torch.minimum(ratio * advantages[:, None], "
                "(ratio * advantages[:, None]).clamp(1 - clip_coef, 1 + clip_coef))": (
                    "clips the product",
                    "the ratio is clipped, and then multiplied by the advantage",
                ),
                "torch.minimum(ratio.detach() * advantages[:, None], clipped * advantages[:, None])": (
                    "detaches the ratio that isn't clipped",
                    "gradients flow through both terms",
                ),
                "torch.minimum(ratio * advantages[:, None], clipped * advantages[:, None]) / (advantages.std() + 1e-8)": (
                    "divides by the standard deviation of the advantages",
                    "the advantages count as they are: they were compared within their groups already",
                ),
                "torch.minimum(ratio * advantages[:, None], clipped)": (
                    "forgets the advantage in the clipped term",
                    "both terms are multiplied by the advantage",
                ),
                "torch.minimum(ratio * advantages, clipped * advantages)": (
                    "gives each place in a sample an advantage, in place of each sample",
                    "advantages have one number for each sample, which all of its tokens share: advantages[:, None]",
                    "RuntimeError",
                ),
                "torch.minimum(ratio * advantages[:, None], clipped * advantages[:, None]).mean()": (
                    "takes the mean over tokens",
                    "a term for each token is asked for; average_over_tokens comes later",
                ),
            },
        ),
        Mistake(
            "normalises the advantages",
            "ratio = (",
            "advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)\n    ratio = (",
            why="the advantages count as they are: they were compared within their groups already",
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
            },
        ),
    ],
)


def grpo_cases(generator: torch.Generator) -> list[Case]:
    """Responses of several lengths; what fills the rest is anything; each way to average."""

    def case(label: str, sizes: tuple[int, int], rest: tuple[Any, ...], filling: float = -50.0) -> Case:
        batch, _ = sizes
        logprobs, old = draw_logprobs(generator, 0.4, *sizes)
        ref = logprobs + 0.5 * torch.randn(*sizes, generator=generator)
        advantages = torch.randn(batch, generator=generator)
        lengths = torch.randint(1, sizes[1], (batch, 1), generator=generator)
        is_response = torch.arange(sizes[1]) < lengths
        is_response[0] = True
        filled = [x.where(is_response, value) for x, value in ((logprobs, filling), (old, 1.0), (ref, -filling))]
        return Case(label=label, args=(*filled, advantages, is_response, *rest))

    return [
        case("responses of several lengths", (4, 6), (0.2, 0.1)),
        case("no KL penalty", (3, 5), (0.1, 0.0)),
        case("a mean over tokens", (5, 7), (0.2, 0.5, "token")),
        case("divided by a constant", (4, 9), (0.3, 0.3, "constant")),
        case("one sample", (1, 8), (0.2, 0.2, "sequence")),
        case("filling that is not finite", (3, 4), (0.2, 0.2), float("-inf")),
        case("filling that is NaN", (5, 3), (0.2, 0.2, "token"), float("nan")),
    ]


def grpo_loss_by_samples(
    logprobs: Tensor,
    old_logprobs: Tensor,
    ref_logprobs: Tensor,
    advantages: Tensor,
    is_response: Tensor,
    clip_coef: float,
    kl_coef: float,
    normalization: grpo.Normalization = "sequence",
) -> Tensor:
    """Sample by sample, of its drawn tokens alone."""
    losses = []
    for i, keep in enumerate(is_response):
        now, then, reference = (x[i][keep] for x in (logprobs, old_logprobs.detach(), ref_logprobs.detach()))
        ratio = (now - then).exp()
        products = ratio * advantages[i], torch.clamp(ratio, 1 - clip_coef, 1 + clip_coef) * advantages[i]
        kl = (reference - now).exp() - (reference - now) - 1
        losses.append(kl_coef * kl - torch.min(*products))
    if normalization == "sequence":
        return torch.stack([loss.mean() for loss in losses]).mean()
    total = torch.cat(losses).sum()
    return total / (is_response.sum() if normalization == "token" else is_response.numel())


def grpo_loss_of_two_means(
    logprobs: Tensor,
    old_logprobs: Tensor,
    ref_logprobs: Tensor,
    advantages: Tensor,
    is_response: Tensor,
    clip_coef: float,
    kl_coef: float,
    normalization: grpo.Normalization = "sequence",
) -> Tensor:
    """Averages the objective and the penalty apart."""
    now, then, reference = (x.masked_fill(~is_response, 0) for x in (logprobs, old_logprobs, ref_logprobs))
    terms = grpo.calc_clipped_terms(now, then, advantages, clip_coef)
    kl = torch.exp(reference - now) - 1 + now - reference
    penalty, gain = (grpo.average_over_tokens(x, is_response, normalization) for x in (kl, terms))
    return kl_coef * penalty - gain


FILL = (
    "logprobs, old_logprobs, ref_logprobs = (x.where(is_response, 0.0) for x in (logprobs, old_logprobs, ref_logprobs))"
)

test_grpo_loss = exercise(
    reference=grpo.grpo_loss,
    cases=grpo_cases,
    observe=with_gradient_of_logprobs,
    accepts=[grpo_loss_by_samples, grpo_loss_of_two_means],
    equivalent={
        "x.where(is_response, 0.0) -> x.where(is_response, 1.0)": "any number will do, as it's masked again afterwards"
    },
    mistakes=[
        *instead_of(
            "-average_over_tokens(terms - penalties, is_response, normalization)",
            {
                "average_over_tokens(terms - penalties, is_response, normalization)": (
                    "returns the objective",
                    "a loss is to be made small, so it's minus the objective",
                ),
                "-average_over_tokens(terms + penalties, is_response, normalization)": (
                    "rewards the distance from the reference",
                    "the KL is a penalty: it lowers the objective, so it raises the loss",
                ),
                "-average_over_tokens(terms - penalties, is_response)": (
                    'always averages by "sequence"',
                    "normalization is an argument, which average_over_tokens takes",
                ),
                "-average_over_tokens(terms, is_response, normalization)": (
                    "leaves the KL penalty out",
                    "kl_coef times the KL is taken from each token's objective",
                ),
                "-average_over_tokens(terms, is_response, normalization) + penalties.mean()": (
                    "averages the KL over filling too",
                    "where is_response is False nothing counts, in the penalty as in the objective",
                ),
                "-average_over_tokens(terms - penalties, torch.ones_like(is_response), normalization)": (
                    "counts the filling",
                    "where is_response is False nothing counts: pass the mask to average_over_tokens",
                ),
                "-average_over_tokens(terms - penalties, is_response, normalization).detach()": (
                    "detaches the loss",
                    "gradients must flow through logprobs",
                ),
            },
        ),
        *instead_of(
            "kl_k3(logprobs, ref_logprobs)",
            {
                "kl_k3(ref_logprobs, logprobs)": (
                    "turns the KL round",
                    "the KL is from the policy to the reference, with r = reference / policy: kl_k3(logprobs, ref_logprobs)",
                ),
                "kl_k3(logprobs, old_logprobs)": (
                    "holds the policy near the old one in place of the reference",
                    "the KL is from the reference: ref_logprobs",
                ),
                "(logprobs - ref_logprobs)": (
                    "estimates the KL by k1",
                    "k3 is asked for: r - 1 - log r with r = reference / policy, never below 0",
                ),
                "(logprobs - ref_logprobs).square() / 2": (
                    "estimates the KL by k2",
                    "k3 is asked for: r - 1 - log r with r = reference / policy",
                ),
                "kl_k3(logprobs.detach(), ref_logprobs)": (
                    "detaches the KL",
                    "the penalty must pull the policy back: gradients flow through logprobs in it too",
                ),
            },
        ),
        *instead_of(
            "kl_coef * kl_k3",
            {
                "kl_k3": ("leaves out the weight of the KL", "the KL counts kl_coef times"),
            },
        ),
        *instead_of(
            "calc_clipped_terms(logprobs, old_logprobs, advantages, clip_coef)",
            {
                "calc_clipped_terms(logprobs, ref_logprobs, advantages, clip_coef)": (
                    "takes the reference for the old policy",
                    "the ratio compares with the policy that drew the tokens: old_logprobs",
                ),
                "calc_clipped_terms(logprobs, logprobs.detach(), advantages, clip_coef)": (
                    "compares the policy with itself",
                    "the ratio compares with the policy that drew the tokens: old_logprobs",
                ),
                "calc_clipped_terms(old_logprobs, logprobs, advantages, clip_coef)": (
                    "inverts the ratio",
                    "the probability now is divided by the one then: logprobs come first",
                ),
                "(logprobs - old_logprobs).exp() * advantages[:, None]": (
                    "does not clip the ratio",
                    "the clip keeps the policy near the old one: calc_clipped_terms",
                ),
                "logprobs * advantages[:, None]": (
                    "takes the log-probability for the ratio",
                    "PPO's objective has the ratio of the probabilities: calc_clipped_terms",
                ),
            },
        ),
        *instead_of(
            FILL,
            {
                "pass": (
                    "lets the filling's values into the gradient",
                    "filling may be infinite or NaN, and 0 * inf is NaN in the backward pass: replace it first",
                ),
            },
        ),
    ],
)
