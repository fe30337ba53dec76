"""Judges of part 3 of section 2.4: entropy, and the KL divergence in full."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.rlhf import divergences

__test__ = False

NEVER = -torch.inf


def with_gradient_of_policy(function: Callable[..., Any], case: Case) -> Observations:
    """What comes out, and the gradient of the policy; whether one flows to the reference too is left open.

    An infinite divergence has no gradient.
    """
    seen = outputs_and_gradients(function, case)
    policy = () if case.given.get("is_infinite") else ("gradient of logits", "gradient of logprobs")
    return {name: value for name, value in seen.items() if name in ("output", CHANGED, *policy)}


def entropy_cases(generator: torch.Generator) -> list[Case]:
    """Of one axis to four; nearly certain and quite undecided; tokens that can't be said."""

    def draw(*shape: int, scale: float = 1.5, dtype: torch.dtype = torch.float32) -> Tensor:
        return scale * torch.randn(*shape, generator=generator, dtype=dtype) + 0.7

    calls = {
        "two axes and a vocabulary": draw(2, 3, 5),
        "one position": draw(7),
        "one axis": draw(4, 3),
        "three axes": draw(2, 1, 3, 6),
        "all tokens alike": torch.full((2, 9), 1.5),
        "large logits": draw(3, 2, 8, scale=300.0),
        "tokens that are never said": torch.tensor([[0.3, NEVER, 1.0, -0.4], [NEVER, NEVER, 2.0, 2.5]]),
        "one token certain": torch.tensor([[NEVER, 4.0, NEVER], [0.5, 0.0, 1.0]]),
        "in float64": draw(3, 4, dtype=torch.float64),
    }
    return [Case(label=label, args=(logits,)) for label, logits in calls.items()]


def entropy_by_distribution(logits: Tensor) -> Tensor:
    """By torch's distributions."""
    return Categorical(logits=logits).entropy()


def entropy_by_mean_logit(logits: Tensor) -> Tensor:
    """Log sum exp, less the mean of the logits."""
    said = logits.masked_fill(logits == NEVER, 0.0)
    return logits.logsumexp(-1) - (logits.softmax(-1) * said).sum(-1)


SURPRISE = "(logprobs.exp() * -logprobs.where(is_possible, 0.0)).sum(dim=-1)"

test_compute_entropy = exercise(
    reference=divergences.compute_entropy,
    cases=entropy_cases,
    observe=outputs_and_gradients,
    accepts=[entropy_by_distribution, entropy_by_mean_logit],
    equivalent={
        "(logprobs.exp() * -logprobs.where(is_possible, 0.0)).sum -> "
        "(logprobs.exp() * -logprobs.where(is_possible, 1.0)).sum": "it's multiplied by p, which is 0 there"
    },
    mistakes=[
        *instead_of(
            SURPRISE,
            {
                "(logprobs.exp() * logprobs.where(is_possible, 0.0)).sum(dim=-1)": (
                    "leaves the minus out",
                    "log p is never above 0, and entropy never below it",
                ),
                "(logprobs.exp() * -logprobs).sum(dim=-1)": (
                    "gives NaN for a token with probability 0",
                    "0 * inf is NaN: replace log p by 0 where p is 0",
                ),
                "(logprobs.exp() * -logprobs).where(is_possible, 0.0).sum(dim=-1)": (
                    "lets -inf into the gradient",
                    "0 * inf is NaN in the backward pass as well: replace log p before it is multiplied",
                ),
                "(logits.softmax(dim=-1) * -logits.softmax(dim=-1).log()).sum(dim=-1)": (
                    "takes the logarithm of a softmax",
                    "a small probability is rounded to 0, and 0 * log 0 is NaN: log_softmax does not round",
                ),
                "torch.special.entr(logits.softmax(dim=-1)).sum(dim=-1)": (
                    "asks torch.special.entr",
                    "its gradient at a probability of 0 is infinite, which makes NaN: work with log_softmax",
                ),
                "(logprobs.exp() * -logprobs.where(is_possible, 0.0)).mean(dim=-1)": (
                    "takes the mean over the vocabulary",
                    "p says already how much each token weighs: add up",
                ),
                "(logprobs.exp() * -logprobs.where(is_possible, 0.0)).sum()": (
                    "adds up all positions",
                    "each position has an entropy of its own: sum over dim=-1",
                ),
                "-logprobs.where(is_possible, 0.0).sum(dim=-1)": (
                    "leaves p out",
                    "the mean surprise of what is said: each -log p counts p times",
                ),
                "-logprobs.where(is_possible, 0.0).mean(dim=-1)": (
                    "takes the plain mean of the surprises",
                    "each -log p counts p times, not as often as the others",
                ),
                "(logprobs.exp() * -logits.where(is_possible, 0.0)).sum(dim=-1)": (
                    "takes logits for log-probabilities",
                    "log_softmax makes log-probabilities of logits",
                ),
                "(logprobs.exp() * -logprobs.where(is_possible, 0.0)).sum(dim=-1) / 0.6931471805599453": (
                    "counts in bits",
                    "nats are asked for: the natural logarithm",
                ),
                "(logprobs.exp() * -logprobs.where(is_possible, 0.0)).sum(dim=-1).exp()": (
                    "gives the perplexity",
                    "entropy is its logarithm",
                ),
                "(logprobs.exp().detach() * -logprobs.where(is_possible, 0.0)).sum(dim=-1)": (
                    "lets no gradient through the probabilities",
                    "p depends on the logits too, and the gradients of log p add up to 0 without it: detach neither",
                ),
                "(logprobs.exp() * -logprobs.where(is_possible, 0.0)).sum(dim=-1).float()": (
                    "rounds to float32",
                    "the result has the dtype of the logits",
                ),
            },
        ),
        *instead_of(
            "log_softmax(dim=-1)",
            {
                "log_softmax(dim=0)": (
                    "takes the softmax over the first axis",
                    "the probabilities of the tokens of the vocabulary add up to 1: dim=-1",
                ),
            },
        ),
    ],
)


def kl_cases(generator: torch.Generator) -> list[Case]:
    """Near and far, of one axis to three; alike; tokens that one or both never say."""

    def draw(*shape: int, distance: float = 1.0, scale: float = 1.5, dtype: torch.dtype = torch.float32) -> Any:
        logits = scale * torch.randn(*shape, generator=generator, dtype=dtype) + 0.4
        return logits, logits + distance * torch.randn(*shape, generator=generator, dtype=dtype) - 0.9

    both_never = torch.tensor([[0.3, NEVER, 1.0, -0.4], [NEVER, NEVER, 2.0, 2.5]])
    calls = {
        "two axes and a vocabulary": draw(2, 3, 5),
        "one position": draw(7, distance=2.0),
        "one axis, near each other": draw(4, 3, distance=0.2),
        "alike but for a constant": (torch.tensor([[0.2, 1.0, -0.5]]), torch.tensor([[5.2, 6.0, 4.5]])),
        "large logits": draw(3, 2, 6, scale=200.0, distance=80.0),
        "tokens that both never say": (both_never, both_never.flip(0).where(both_never > NEVER, NEVER) + 0.6),
        "tokens that the policy never says": (both_never, torch.tensor([[0.5, 2.0, 0.1, 0.3], [1.0, 0.0, 0.5, 0.2]])),
        "in float64": draw(3, 4, dtype=torch.float64),
    }
    infinite = Case(
        label="a token that the reference alone never says",
        args=(torch.tensor([[0.0, 1.0, 2.0], [0.5, NEVER, 1.0]]), torch.tensor([[0.3, NEVER, 1.0], [0.1, NEVER, 2.0]])),
        given={"is_infinite": True},
    )
    return [*(Case(label=label, args=args) for label, args in calls.items()), infinite]


def kl_by_kl_div(logits: Tensor, ref_logits: Tensor) -> Tensor:
    """By torch's kl_div, which takes the reference first; what is never said gets a log-probability that is finite."""
    logprobs, ref_logprobs = (x.log_softmax(dim=-1).masked_fill(logits == NEVER, -1e30) for x in (logits, ref_logits))
    return torch.nn.functional.kl_div(ref_logprobs, logprobs, log_target=True, reduction="none").sum(dim=-1)


def kl_by_cross_entropy(logits: Tensor, ref_logits: Tensor) -> Tensor:
    """The cross entropy less the entropy."""
    p, q = (x.log_softmax(dim=-1) for x in (logits, ref_logits))
    weights = p.exp()
    is_said = weights > 0
    p, q = (torch.where(is_said, x, torch.zeros_like(x)) for x in (p, q))
    return torch.einsum("...v,...v->...", weights, -q) - torch.einsum("...v,...v->...", weights, -p)


def kl_by_torch_distributions(logits: Tensor, ref_logits: Tensor) -> Tensor:
    """Wrong: torch takes q for 0 where it's too small for a float, and 0 * inf gets into the gradient."""
    return kl_divergence(Categorical(logits=logits), Categorical(logits=ref_logits))


RATIO = "logprobs.where(is_possible, 0.0) - ref_logprobs.where(is_possible, 0.0)"
KL = "(p * log_ratio).sum(dim=-1)"

test_compute_kl = exercise(
    reference=divergences.compute_kl,
    cases=kl_cases,
    observe=with_gradient_of_policy,
    accepts=[kl_by_kl_div, kl_by_cross_entropy],
    equivalent={
        f"{name}.where(is_possible, 0.0) -> {name}.where(is_possible, 1.0)": "it's multiplied by p, which is 0 there"
        for name in ("logprobs", "ref_logprobs")
    },
    mistakes=[
        Mistake(
            "asks torch.distributions",
            function=kl_by_torch_distributions,
            why="kl_divergence gives infinity where q is too small for a float, and a gradient of NaN where p is 0",
        ),
        *instead_of(
            "if logits.shape != ref_logits.shape",
            {
                "logits, ref_logits = ref_logits, logits\n    if logits.shape != ref_logits.shape": (
                    "goes from the reference to the policy",
                    "KL(policy || reference) is weighed with p, and log q is subtracted",
                ),
            },
        ),
        *instead_of(
            RATIO,
            {
                "ref_logprobs.where(is_possible, 0.0) - logprobs.where(is_possible, 0.0)": (
                    "turns the sign round",
                    "KL is never below 0: log p comes first, log q is subtracted",
                ),
                "logprobs - ref_logprobs": (
                    "gives NaN for tokens that the policy never says",
                    "0 * inf is NaN: replace both logarithms by 0 where p is 0",
                ),
                "logprobs.where(is_possible, 0.0) - ref_logprobs.clamp(min=-20).where(is_possible, 0.0)": (
                    "bounds log q from below",
                    "what the reference finds very unlikely costs as much as it does, up to infinity",
                ),
                "logprobs.where(is_possible, 0.0)": (
                    "leaves the reference out",
                    "log q is subtracted: the result is 0 where both policies are alike",
                ),
                "-ref_logprobs.where(is_possible, 0.0)": (
                    "gives the cross entropy",
                    "the policy's own log p belongs to it: the result is 0 where both policies are alike",
                ),
                "logits.where(is_possible, 0.0) - ref_logits.where(is_possible, 0.0)": (
                    "subtracts logits",
                    "logits may differ by a constant that changes no probability: log_softmax comes first",
                ),
                "logprobs.where(is_possible, 0.0).exp() - ref_logprobs.where(is_possible, 0.0).exp()": (
                    "subtracts probabilities",
                    "their logarithms are subtracted",
                ),
                "logits.softmax(dim=-1).log() - ref_logits.softmax(dim=-1).log()": (
                    "takes the logarithm of a softmax",
                    "a small probability is rounded to 0, whose logarithm is -inf: log_softmax does not round",
                ),
            },
        ),
        *instead_of(
            KL,
            {
                "(p * log_ratio).nan_to_num(0.0, 0.0, 0.0).sum(dim=-1)": (
                    "takes infinity for 0",
                    "the divergence is infinite where the policy may say what the reference never does",
                ),
                "(p * (logprobs - ref_logprobs)).nan_to_num(0.0, torch.inf).sum(dim=-1)": (
                    "replaces NaN at the end",
                    "the gradient is NaN all the same: replace both logarithms by 0 where p is 0, before they are multiplied",
                ),
                "(p * ((p + 1e-8) / (ref_logprobs.exp() + 1e-8)).log()).sum(dim=-1)": (
                    "adds a small number to the probabilities",
                    "that bounds what a very unlikely token costs: subtract logarithms, which log_softmax gives",
                ),
                "(ref_logprobs.exp() * log_ratio).sum(dim=-1)": (
                    "weighs with the reference's probabilities",
                    "what counts is what the policy says: p",
                ),
                "log_ratio.sum(dim=-1)": ("leaves p out", "each difference counts p times"),
                "(p * log_ratio).mean(dim=-1)": (
                    "takes the mean over the vocabulary",
                    "p says already how much each token weighs: add up",
                ),
                "(p * log_ratio).sum()": (
                    "adds up all positions",
                    "each position has a divergence of its own: sum over dim=-1",
                ),
                "(p * log_ratio.abs()).sum(dim=-1)": (
                    "takes absolute differences",
                    "terms below 0 belong to the sum, and only the sum is never below 0",
                ),
                "((p - ref_logprobs.exp()) * log_ratio).sum(dim=-1) / 2": (
                    "takes the mean of both directions",
                    "KL(policy || reference) alone is asked for",
                ),
                "(p.detach() * log_ratio).sum(dim=-1)": (
                    "lets no gradient through the probabilities",
                    "p depends on the logits too, and the gradients of log p add up to 0 without it: detach neither",
                ),
                "(p * log_ratio).sum(dim=-1) / 0.6931471805599453": (
                    "counts in bits",
                    "nats are asked for: the natural logarithm",
                ),
                "(p * log_ratio).sum(dim=-1).float()": (
                    "rounds to float32",
                    "the result has the dtype of the logits",
                ),
            },
        ),
    ],
)
