"""Judges of the numbers that weigh, section 2.4: means over drawn tokens, and the KL penalty's adaptive weight."""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients
from arena_lib.rlhf import grpo, ppo

__test__ = False


def average_cases(generator: torch.Generator) -> list[Case]:
    """Each way, for samples of several lengths; filling that would spoil a mean."""

    def case(
        label: str,
        lengths: list[int],
        gen_len: int,
        *ways: str,
        filling: float = 9.0,
        dtype: torch.dtype = torch.float32,
    ) -> Case:
        is_response = torch.arange(gen_len) < torch.tensor(lengths)[:, None]
        terms = torch.randn(len(lengths), gen_len, generator=generator, dtype=dtype) + 0.7
        return Case(label=label, args=(terms.where(is_response, filling), is_response, *ways))

    return [
        case("no way given", [5, 2, 1], 6),
        case("by sequence", [4, 1], 5, "sequence"),
        case("by sequence, and one sample drew nothing", [3, 0, 5, 2], 5, "sequence"),
        case("by token", [5, 1, 3], 7, "token"),
        case("by a constant", [5, 1, 3, 2], 6, "constant"),
        case("by a constant, NaN in the filling", [2, 4], 5, "constant", filling=float("nan")),
        case("by token, NaN in the filling", [1, 3, 2], 4, "token", filling=float("nan")),
        case("by sequence, NaN in the filling", [1, 4, 2, 3, 2], 4, "sequence", filling=float("nan")),
        case("one sample of one token", [1], 1, "token"),
        case("in float64", [2, 3], 4, "sequence", dtype=torch.float64),
    ]


def average_by_loop(terms: Tensor, is_response: Tensor, normalization: str = "sequence") -> Tensor:
    """Sample by sample."""
    drawn = [row[keep] for row, keep in zip(terms, is_response, strict=True)]
    if normalization == "sequence":
        return torch.stack([row.mean() if len(row) else row.sum() for row in drawn]).mean()
    return torch.cat(drawn).mean() if normalization == "token" else torch.cat(drawn).sum() / terms.numel()


def average_by_weights(terms: Tensor, is_response: Tensor, normalization: grpo.Normalization = "sequence") -> Tensor:
    """A weight for each token."""
    mask = is_response.to(terms.dtype)
    weights = {
        "sequence": mask / mask.sum(1, keepdim=True).clamp(min=1) / len(terms),
        "token": mask / mask.sum(),
        "constant": mask / mask.numel(),
    }[normalization]
    return (terms.masked_fill(~is_response, 0.0) * weights).sum()


SEQUENCE = "(terms.sum(dim=1) / is_response.sum(dim=1).clamp(min=1)).mean()"

test_average_over_tokens = exercise(
    reference=grpo.average_over_tokens,
    cases=average_cases,
    observe=outputs_and_gradients,
    accepts=[average_by_loop, average_by_weights],
    equivalent={"require_same_shape(terms, is_response)": "terms and mask have one shape here"},
    mistakes=[
        *instead_of(
            'normalization: Normalization = "sequence"',
            {
                'normalization: Normalization = "token"': (
                    'averages by "token" where nothing is said',
                    'the default is "sequence", the paper\'s',
                ),
            },
        ),
        *instead_of(
            "masked_mean(terms, is_response)",
            {
                "terms.mean()": ('counts the filling with "token"', "the mean is over drawn tokens alone"),
                "terms.where(is_response, 0.0).sum() / terms.numel()": (
                    'divides by all places with "token"',
                    "the sum is divided by the number of drawn tokens; filling isn't counted",
                ),
                "(terms.where(is_response, 0.0).sum(1) / is_response.sum(1).clamp(min=1)).mean()": (
                    'averages by sample first with "token"',
                    "all drawn tokens have the same weight, whatever sample they are in",
                ),
                "terms.where(is_response, 0.0).sum()": (
                    'does not divide with "token"',
                    "it's a mean: the sum is divided by the number of drawn tokens",
                ),
                "(terms * is_response).sum() / is_response.sum()": (
                    'multiplies by the mask with "token"',
                    "0 * NaN is NaN: choose with where or masked_fill, or by index",
                ),
            },
        ),
        *instead_of(
            "    terms = terms.where(is_response, 0.0)\n",
            {
                "    terms = terms * is_response\n": (
                    "multiplies by the mask",
                    "0 * NaN is NaN: choose with where or masked_fill, or by index",
                ),
                "": ("counts the filling", "what stands where is_response is False doesn't matter"),
                "    terms = terms.where(~is_response, 0.0)\n": (
                    "keeps the filling in place of the drawn tokens",
                    "is_response is True where a token was drawn",
                ),
                "    terms = terms.masked_fill_(~is_response, 0.0)\n": (
                    "writes into terms",
                    "terms stay as they are: masked_fill_ writes into them, masked_fill makes a new tensor",
                ),
                "    terms = terms.detach().where(is_response, 0.0)\n": (
                    "detaches the terms",
                    "the policy learns through this number: gradients must flow through terms",
                ),
            },
        ),
        *instead_of(
            "terms.sum() / terms.numel()",
            {
                "terms.sum() / is_response.sum()": (
                    'divides by the drawn tokens with "constant"',
                    "the divisor depends on no sample: batch * gen_len",
                ),
                "terms.sum() / len(terms)": (
                    'divides by the batch alone with "constant"',
                    "the divisor is batch * gen_len",
                ),
                "terms.sum() / terms.shape[1]": (
                    'divides by gen_len alone with "constant"',
                    "the divisor is batch * gen_len",
                ),
                "terms.sum()": ('does not divide with "constant"', "the divisor is batch * gen_len"),
                "terms.sum() / (len(terms) * is_response.sum(dim=1).max())": (
                    'divides by the longest sample with "constant"',
                    "the divisor depends on no sample: batch * gen_len",
                ),
            },
        ),
        *instead_of(
            SEQUENCE,
            {
                "terms.sum(dim=1).mean()": (
                    'does not divide a sample\'s sum by its length with "sequence"',
                    "each sample has the same weight: its sum is divided by how many tokens it drew",
                ),
                "terms.mean(dim=1).mean()": (
                    'divides a sample\'s sum by gen_len with "sequence"',
                    "each sample's mean is over its own tokens, so its sum is divided by how many it drew",
                ),
                "(terms.sum() / is_response.sum())": (
                    'averages over all tokens at once with "sequence"',
                    "first each sample's mean over its own tokens, then the mean over samples",
                ),
                "(terms.sum(dim=1) / is_response.sum(dim=1).clamp(min=1)).sum()": (
                    'adds the samples up with "sequence"',
                    "the mean over samples is asked for",
                ),
                "(terms.sum(dim=0) / is_response.sum(dim=0).clamp(min=1)).mean()": (
                    'averages over samples first with "sequence"',
                    "a sample's tokens stand along the second axis: first its own mean, dim=1",
                ),
                "(terms.sum(dim=1) / is_response.sum(dim=1)).mean()": (
                    "divides by zero where a sample drew nothing",
                    "a sample without drawn tokens adds 0: its length is taken as 1 at least",
                ),
                "(terms.sum(dim=1) / is_response.sum(dim=1))[is_response.any(dim=1)].mean()": (
                    "leaves samples without drawn tokens out of the mean",
                    "a sample without drawn tokens counts as one, with a mean of 0",
                ),
                "(terms.sum(dim=1) / (is_response.sum(dim=1) + 1)).mean()": (
                    "adds 1 to each length",
                    "a sample's sum is divided by just how many tokens it drew; only where that's 0 by 1",
                ),
            },
        ),
    ],
)


def weight_cases(generator: torch.Generator) -> list[Case]:
    """Near the target and far from it, on both sides; other steps."""
    calls = {
        "just on target": (0.4, 6.0, 6.0),
        "a little too far": (0.5, 6.6, 6.0),
        "a little too near": (0.3, 5.4, 6.0),
        "much too far": (0.2, 31.0, 6.0),
        "much too near": (0.7, 0.5, 4.0),
        "estimated below 0": (0.7, -1.0, 3.0),
        "a large step": (0.2, 2.2, 2.0, 0.7),
        "a large step, much too far": (0.2, 9.0, 2.0, 1.5),
        "a small target": (1.5, 0.11, 0.1, 0.25),
    }
    return [Case(label=label, args=args) for label, args in calls.items()]


def adapted_by_branches(kl_coef: float, kl: float, target_kl: float, step_size: float = 0.1) -> float:
    """By cases."""
    relative = kl / target_kl
    if relative > 1.2:
        return kl_coef + kl_coef * step_size * 0.2
    return kl_coef * (1 - 0.2 * step_size) if relative < 0.8 else kl_coef * (1 + step_size * (relative - 1))


def adapted_by_torch(kl_coef: float, kl: float, target_kl: float, step_size: float = 0.1) -> float:
    """With torch's clamp."""
    error = (torch.tensor(kl, dtype=torch.float64) / target_kl - 1).clamp(-0.2, 0.2)
    return float(kl_coef * (1 + step_size * error))


ERROR = "(kl - target_kl) / target_kl"
CLIPPED = "min(max(error, -LARGEST_ERROR), LARGEST_ERROR)"

test_adapt_kl_coef = exercise(
    reference=ppo.adapt_kl_coef,
    cases=weight_cases,
    accepts=[adapted_by_branches, adapted_by_torch],
    mistakes=[
        *instead_of(
            ERROR,
            {
                "(target_kl - kl) / target_kl": (
                    "turns the sign round",
                    "the penalty grows while the policy is further away than wanted",
                ),
                "kl - target_kl": ("does not divide by the target", "the error is relative to the target"),
                "(kl - target_kl) / kl": ("divides by the KL", "the error is relative to the target"),
                "kl / target_kl": ("does not subtract the target", "on target the error is 0"),
                "abs(kl - target_kl) / target_kl": (
                    "takes the absolute error",
                    "the weight shrinks while the policy is nearer than wanted",
                ),
            },
        ),
        *instead_of(
            "step_size * " + CLIPPED,
            {
                "step_size * error": ("does not clip the error", "the error is kept between -0.2 and 0.2"),
                "step_size * max(max(error, -LARGEST_ERROR), LARGEST_ERROR)": (
                    "takes the larger of the error and 0.2",
                    "0.2 is the bound above: min(error, 0.2)",
                ),
                "step_size * min(min(error, -LARGEST_ERROR), LARGEST_ERROR)": (
                    "takes the smaller of the error and -0.2",
                    "-0.2 is the bound below: max(error, -0.2)",
                ),
                "step_size * min(error, LARGEST_ERROR)": ("clips only from above", "the error isn't below -0.2 either"),
                "step_size * max(error, -LARGEST_ERROR)": ("clips only from below", "the error isn't above 0.2 either"),
                "min(max(step_size * error, -LARGEST_ERROR), LARGEST_ERROR)": (
                    "clips the step in place of the error",
                    "the error is clipped first, and then multiplied by step_size",
                ),
                "step_size * min(max(error, -1.0), 1.0)": ("clips at 1", "the error is kept between -0.2 and 0.2"),
                CLIPPED: ("leaves step_size out", "the clipped error counts step_size times"),
                "0.1 * " + CLIPPED: ("always takes a step size of 0.1", "step_size is an argument"),
                "step_size * min(max(error, -0.1), 0.1)": ("clips at 0.1", "the error is kept between -0.2 and 0.2"),
                "step_size * min(max(error, 0.0), LARGEST_ERROR)": (
                    "never lowers the weight",
                    "the weight shrinks while the policy is nearer than wanted: the bound below is -0.2",
                ),
            },
        ),
        *instead_of(
            "kl_coef * (1 + ",
            {
                "kl_coef * (": ("multiplies by the change alone", "the weight is multiplied by 1 + the change"),
                "(kl_coef + ": ("adds the change to the weight", "the weight is multiplied by 1 + the change"),
                "(1 + ": ("leaves the old weight out", "the old weight is multiplied by 1 + the change"),
                "kl_coef / (1 + ": (
                    "divides by the factor",
                    "the weight is multiplied: it grows while the policy is too far",
                ),
            },
        ),
        Mistake(
            "takes the exponential of the change for the factor",
            "(1 + step_size * min(max(error, -LARGEST_ERROR), LARGEST_ERROR))",
            "2.718281828459045 ** (step_size * min(max(error, -LARGEST_ERROR), LARGEST_ERROR))",
            why="the factor is 1 + the change",
        ),
        Mistake(
            "takes another step size where none is given",
            "step_size: float = 0.1",
            "step_size: float = 1.0",
            why="the paper's step size is 0.1",
        ),
    ],
)
