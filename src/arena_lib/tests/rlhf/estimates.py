"""Judge of part 3 of section 2.4: the KL divergence from samples alone."""

import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.rlhf import divergences
from arena_lib.tests.rlhf.divergences import with_gradient_of_policy

__test__ = False


def k3_cases(generator: torch.Generator) -> list[Case]:
    """Near and far from the reference, on both sides of it; of no axis to two."""

    def draw(*shape: int, distance: float = 1.0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
        ref = -3 * torch.rand(shape, generator=generator, dtype=dtype) - 0.2
        return ref + distance * torch.randn(shape, generator=generator, dtype=dtype), ref

    calls = {
        "samples and tokens": draw(3, 5),
        "one axis": draw(7, distance=0.6),
        "one token": draw(1, 1),
        "a single number": draw(),
        "near the reference": draw(2, 4, distance=0.1),
        "far from the reference": draw(4, 6, distance=3.0),
        "alike": (torch.tensor([-0.5, -2.0]), torch.tensor([-0.5, -2.0])),
        "in float64": draw(2, 3, dtype=torch.float64),
    }
    return [Case(label=label, args=args) for label, args in calls.items()]


def k3_by_ratio(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    """The ratio of the probabilities first."""
    r = ref_logprobs.exp() / logprobs.exp()
    return r - 1 - r.log()


def k3_from_k1(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    """k1 and what makes it positive."""
    k1 = logprobs - ref_logprobs
    return k1 + torch.exp(-k1) - 1


K3 = "torch.expm1(log_ratio) - log_ratio"

test_kl_k3 = exercise(
    reference=divergences.kl_k3,
    cases=k3_cases,
    observe=with_gradient_of_policy,
    accepts=[k3_by_ratio, k3_from_k1],
    mistakes=[
        *instead_of(
            "ref_logprobs - logprobs",
            {
                "logprobs - ref_logprobs": ("inverts the ratio", "r is q / p: the reference's divided by the policy's"),
                "ref_logprobs - logprobs.detach()": (
                    "detaches the policy",
                    "the penalty must pull the policy back: gradients flow through logprobs",
                ),
                "ref_logprobs / logprobs": (
                    "divides the logarithms",
                    "the logarithm of a ratio is a difference of logarithms",
                ),
                "ref_logprobs.exp() - logprobs.exp()": (
                    "takes the difference of the probabilities for log r",
                    "the logarithm of a ratio is the difference of the logarithms",
                ),
            },
        ),
        *instead_of(
            K3,
            {
                "-log_ratio": ("gives k1", "a term of k1 may be below 0: k3 adds r - 1"),
                "log_ratio.abs()": ("takes the absolute difference", "k3 is r - 1 - log r, which is right on average"),
                "log_ratio.square() / 2": ("gives k2", "k2 is not right on average; k3 is r - 1 - log r"),
                "log_ratio.exp() - log_ratio": ("leaves out the 1", "where both are alike r is 1, and the result is 0"),
                "torch.expm1(log_ratio)": ("leaves out log r", "r - 1 alone is 0 on average: log r is subtracted"),
                "torch.expm1(log_ratio) + log_ratio": ("adds log r", "log r is subtracted"),
                "log_ratio + 1 - log_ratio.exp()": (
                    "turns the sign round",
                    "k3 is never below 0: r is never below 1 + log r",
                ),
                "log_ratio - 1 - log_ratio.exp()": (
                    "takes log r for r and r for log r",
                    "r is the exponential of the difference",
                ),
                "log_ratio.exp() * log_ratio - torch.expm1(log_ratio)": (
                    "multiplies by r log r",
                    "that estimates the other direction from its samples; here tokens are drawn from the policy",
                ),
                "(torch.expm1(log_ratio) - log_ratio).mean()": (
                    "takes the mean over tokens",
                    "each drawn token has an estimate of its own",
                ),
                "torch.expm1(log_ratio.clamp(-1, 1)) - log_ratio.clamp(-1, 1)": (
                    "clips log r",
                    "nothing is clipped: the mean over many tokens would be wrong",
                ),
                "torch.expm1(log_ratio.detach()) - log_ratio": (
                    "detaches r",
                    "the gradient of k3 comes from r and from log r",
                ),
                "(torch.expm1(log_ratio) - log_ratio).float()": (
                    "rounds to float32",
                    "the result has the dtype of the log-probabilities",
                ),
            },
        ),
    ],
)
