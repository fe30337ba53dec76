"""How undecided a policy is, and how far it is from a reference: in full, and as estimates from what it said.

`logits` are the policy's, p their softmax; `ref_logits` are the reference's, q their softmax. Everywhere KL means
KL(p || q), from the policy to the reference: the mean over what the policy says of log p - log q, in nats.

With all logits at hand KL is a sum over the vocabulary. Training keeps only the log-probabilities of the tokens that were
drawn, and estimates it. With r = q / p at a drawn token (Schulman 2020):

    k1 = -log r             right on average; each term may be below 0, so it varies much
    k2 = (log r)^2 / 2      never below 0, varies little; wrong on average, by little where p and q are near
    k3 = r - 1 - log r      right on average and never below 0; varies little where p and q are near, much where they aren't

Put into a loss, their gradients are another matter: log p is differentiated at tokens that stay as they are. On average k1
then has a gradient of 0, that of k2 is the gradient of KL(p || q), and that of k3 is the gradient of KL(q || p), the other
direction (Tang and Munos 2025). `tests/rlhf/test_divergences.py` holds this.

Shapes:  logits "*axes d_vocab" -> "*axes"; logprobs of drawn tokens, any axes
Raises:  ShapeError for logits of other positions than gen_len says, for logits of policy and reference that differ in shape,
         such as in their vocabularies, or a mask of another shape.
Source:  Schulman 2020, "Approximating KL divergence" (k1, k2, k3); Tang and Munos 2025, arXiv:2506.09477 (their
         gradients); Ziegler et al. 2019, arXiv:1909.08593, section 2.2 (the penalty).
Differs: computed in float32 at least. Tokens with probability 0 add nothing, where the plain formula gives NaN.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.core.device import at_least_float32
from arena_lib.errors import ShapeError
from arena_lib.rlhf.masking import masked_mean


def compute_entropy(logits: Float[Tensor, "*axes d_vocab"]) -> Float[Tensor, "*axes"]:
    """Entropy of softmax(logits) in nats, at each position: -sum of p log p.

    From 0, where one token is certain, to log(d_vocab), where all are alike. A logit may be -inf: that token has
    probability 0, adds nothing, and gets a gradient of 0. Gradients flow through `logits`.

    >>> compute_entropy(torch.tensor([[0.0, 0.0], [5.0, float("-inf")]]))
    tensor([0.6931, 0.0000])
    """
    logprobs = at_least_float32(logits).log_softmax(dim=-1)
    is_possible = logprobs > -torch.inf
    return (logprobs.exp() * -logprobs.where(is_possible, 0.0)).sum(dim=-1)


def compute_kl(
    logits: Float[Tensor, "*axes d_vocab"], ref_logits: Float[Tensor, "*axes d_vocab"]
) -> Float[Tensor, "*axes"]:
    """KL(policy || reference) in nats, at each position: sum of p (log p - log q).

    It is 0 where both are alike, above 0 elsewhere, and infinite where the policy may say what the reference never does.
    Logits may be -inf: a token to which the policy gives probability 0 adds nothing, whatever the reference gives it, and
    gets a gradient of 0. Gradients flow through `logits`.

    >>> compute_kl(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 0.0]))
    tensor(0.)
    """
    if logits.shape != ref_logits.shape:
        raise ShapeError(
            "policy and reference must have logits for the same places and the same vocabulary: got "
            f"{tuple(logits.shape)} and {tuple(ref_logits.shape)}. Run both on the same tokens."
        )
    logprobs = at_least_float32(logits).log_softmax(dim=-1)
    ref_logprobs = at_least_float32(ref_logits).log_softmax(dim=-1)
    p = logprobs.exp()
    is_possible = p > 0  # also where p is too small for a float
    log_ratio = logprobs.where(is_possible, 0.0) - ref_logprobs.where(is_possible, 0.0)
    return (p * log_ratio).sum(dim=-1)


def kl_k1(logprobs: Float[Tensor, "*axes"], ref_logprobs: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """The estimate log p - log q of KL(policy || reference), in nats, at each drawn token.

    `logprobs` are what the policy gives the tokens that it drew, `ref_logprobs` what the reference gives them. The mean over
    many drawn tokens is right; single terms may be negative. Summed over a sequence, it estimates the sequence's KL.
    """
    return logprobs - ref_logprobs


def kl_k2(logprobs: Float[Tensor, "*axes"], ref_logprobs: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """The estimate (log p - log q)^2 / 2 of KL(policy || reference), in nats, at each drawn token.

    Never negative. Its mean isn't KL, but near it while policy and reference are near each other.
    """
    return (logprobs - ref_logprobs).square() / 2


def kl_k3(logprobs: Float[Tensor, "*axes"], ref_logprobs: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """The estimate r - 1 - log r of KL(policy || reference), in nats, with r = q / p at each drawn token.

    Never negative, and right on average: the mean of r - 1 over what the policy draws is 0. Gradients flow through
    `logprobs`.

    >>> kl_k3(torch.tensor([0.5, 0.25]).log(), torch.tensor([0.5, 0.5]).log())
    tensor([0.0000, 0.3069])
    """
    log_ratio = ref_logprobs - logprobs
    return torch.expm1(log_ratio) - log_ratio


@dataclass(frozen=True)
class EstimatorFigures:
    """An estimator of KL, judged exactly: over all tokens, each as often as the policy draws it."""

    mean: float
    """What many drawn tokens give on average, in nats."""
    bias: float
    """The mean less the true KL, in nats: 0 if it is right on average."""
    std: float
    """Standard deviation of the estimate from a single token, in nats."""


@torch.no_grad()
def measure_kl_estimators(
    logits: Float[Tensor, " d_vocab"], ref_logits: Float[Tensor, " d_vocab"]
) -> dict[str, EstimatorFigures]:
    """Mean, bias and spread of "k1", "k2" and "k3" between two distributions, without drawing: sums over all tokens.

    Both must give every token a probability above 0.

    >>> figures = measure_kl_estimators(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 0.0]))
    >>> {name: (round(figure.bias, 3), round(figure.std, 3)) for name, figure in figures.items()}
    {'k1': (0.0, 0.443), 'k2': (-0.006, 0.053), 'k3': (0.0, 0.078)}
    """
    logprobs, ref_logprobs = logits.double().log_softmax(dim=-1), ref_logits.double().log_softmax(dim=-1)
    p, kl = logprobs.exp(), compute_kl(logits.double(), ref_logits.double())
    figures = {}
    for name, estimate in (("k1", kl_k1), ("k2", kl_k2), ("k3", kl_k3)):
        terms = estimate(logprobs, ref_logprobs)
        mean = (p * terms).sum()
        std = (p * (terms - mean).square()).sum().sqrt()
        figures[name] = EstimatorFigures(float(mean), float(mean - kl), float(std))
    return figures


def calc_kl_penalty(
    logits: Float[Tensor, "minibatch_size gen_len d_vocab"],
    ref_logits: Float[Tensor, "minibatch_size gen_len d_vocab"],
    kl_coef: float,
    gen_len: int,
    *,
    mask: Bool[Tensor, "minibatch_size gen_len"] | None = None,
) -> Float[Tensor, ""]:
    """What straying from the reference costs, to be made small: kl_coef times the mean KL(policy || reference) of a token.

    Both logits are those that predict the `gen_len` tokens after the prompt, so that their second axis is gen_len; other
    lengths are refused (an assert will do). The mean is over samples and positions, over those alone where `mask` is True if
    there is one. Gradients flow through `logits`.
    """
    require_generated(logits, gen_len)
    return kl_coef * masked_mean(compute_kl(logits, ref_logits), mask)


def calc_entropy_bonus(
    logits: Float[Tensor, "minibatch_size gen_len d_vocab"],
    ent_coef: float,
    gen_len: int,
    *,
    mask: Bool[Tensor, "minibatch_size gen_len"] | None = None,
) -> Float[Tensor, ""]:
    """A reward for staying undecided, to be made large: ent_coef times the mean entropy of a token, in nats.

    `logits`, `gen_len` and `mask` are as in `calc_kl_penalty`. Gradients flow through `logits`.
    """
    require_generated(logits, gen_len)
    return ent_coef * masked_mean(compute_entropy(logits), mask)


def require_generated(logits: Tensor, gen_len: int) -> None:
    """Raise ShapeError unless the logits are those that predict the generated tokens."""
    if logits.shape[1] != gen_len:
        raise ShapeError(
            f"logits must be those that predict the generated tokens, gen_len = {gen_len} of them: got "
            f"{logits.shape[1]} positions. Cut them to logits[:, prefix_len - 1 : -1]."
        )
