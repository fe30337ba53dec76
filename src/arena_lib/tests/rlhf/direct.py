"""Judges of direct preference optimisation, section 2.4."""

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients
from arena_lib.rlhf import dpo
from arena_lib.rlhf.preferences.bradley_terry import bradley_terry_loss

__test__ = False


def logprob_cases(generator: torch.Generator) -> list[Case]:
    """Long and short answers; a policy near the reference and one far from it; a single pair; the constant left out."""

    def case(
        label: str, batch: int, distance: float, *constant: float, gap: float = 0.0, dtype: torch.dtype = torch.float64
    ) -> Case:
        references = -5 - 20 * torch.rand(2, batch, generator=generator, dtype=dtype)
        chosen, rejected = references + distance * torch.randn(2, batch, generator=generator, dtype=dtype)
        return Case(label=label, args=(chosen + gap, rejected, *references, *constant))

    return [
        case("a policy near the reference", 6, 0.5, 0.1),
        case("a policy far from it", 5, 4.0, 0.7, gap=2.0),
        case("another constant", 3, 2.0, 1.7),
        case("a single pair, the constant left out", 1, 3.0),
        case("answers that became far less likely", 4, 90.0, 0.9, gap=-1500.0, dtype=torch.float32),
    ]


H = "(chosen_logprobs - ref_chosen_logprobs.detach()) - (rejected_logprobs - ref_rejected_logprobs.detach())"
POLICY = "chosen_logprobs - rejected_logprobs"
REFERENCE = "ref_chosen_logprobs - ref_rejected_logprobs"

SWAPPED = f"({REFERENCE}).detach() - ({POLICY})"

LOG_RATIO_MISTAKES = instead_of(
    H,
    {
        POLICY: ("leaves the reference out", "what counts is how far the policy has moved from the reference"),
        f"({POLICY}) + ({REFERENCE}).detach()": (
            "takes the reference's difference with the wrong sign",
            "from each answer's log-probability the reference's of the same answer is subtracted",
        ),
        f"(({POLICY}) - ({REFERENCE}).detach()).abs()": (
            "takes the size of the difference alone",
            "the sign says which answer the policy prefers",
        ),
        f"({POLICY}) - ({REFERENCE})": (
            "lets gradients flow into the reference",
            "the reference's log-probabilities are data: detach them, or they would learn too",
        ),
        "(chosen_logprobs - ref_chosen_logprobs.detach()) - (rejected_logprobs - ref_rejected_logprobs).detach()": (
            "detaches the rejected answer",
            "the policy also learns to find the rejected answer less likely",
        ),
        f"({POLICY} - ({REFERENCE})).detach()": (
            "detaches the policy",
            "gradients flow through the policy's log-probabilities",
        ),
        "(chosen_logprobs - ref_chosen_logprobs.detach()).exp() - (rejected_logprobs - ref_rejected_logprobs.detach()).exp()": (
            "takes ratios in place of their logarithms",
            "h is a difference of log-ratios",
        ),
        "chosen_logprobs / ref_chosen_logprobs.detach() - rejected_logprobs / ref_rejected_logprobs.detach()": (
            "divides the logarithms",
            "the logarithm of a ratio is the difference of logarithms",
        ),
        "chosen_logprobs - ref_chosen_logprobs.detach() + 0 * rejected_logprobs": (
            "looks at the chosen answer alone",
            "h compares both answers of a pair",
        ),
        f"(({POLICY}) - ({REFERENCE}).detach()).mean()": (
            "averages over the pairs too early",
            "each pair has a loss of its own: the mean is taken of those",
        ),
    },
)
"""What goes wrong in the difference of log-ratios, which both losses share."""


def dpo_by_rewards(
    chosen_logprobs: Tensor,
    rejected_logprobs: Tensor,
    ref_chosen_logprobs: Tensor,
    ref_rejected_logprobs: Tensor,
    beta: float = 0.1,
) -> Tensor:
    """The Bradley-Terry loss of beta * log-ratio."""
    with torch.no_grad():
        references = ref_chosen_logprobs.clone(), ref_rejected_logprobs.clone()
    rewards = [beta * (x - r) for x, r in zip((chosen_logprobs, rejected_logprobs), references, strict=True)]
    return bradley_terry_loss(*rewards)


def dpo_by_softplus(
    chosen_logprobs: Tensor,
    rejected_logprobs: Tensor,
    ref_chosen_logprobs: Tensor,
    ref_rejected_logprobs: Tensor,
    beta: float = 0.1,
) -> Tensor:
    """The policy's margin less the reference's."""
    margins = chosen_logprobs - rejected_logprobs
    ref_margins = (ref_chosen_logprobs - ref_rejected_logprobs).detach()
    return F.softplus(-beta * (margins - ref_margins)).sum() / len(margins)


LOSS = "-F.logsigmoid(beta * h).mean()"

test_dpo_loss = exercise(
    reference=dpo.dpo_loss,
    cases=logprob_cases,
    observe=outputs_and_gradients,
    accepts=[dpo_by_rewards, dpo_by_softplus],
    mistakes=[
        Mistake(
            "swaps chosen and rejected",
            H,
            SWAPPED,
            why="the chosen answer's log-ratio is to become larger than the rejected one's",
        ),
        *LOG_RATIO_MISTAKES,
        *instead_of(
            LOSS,
            {
                "F.logsigmoid(beta * h).mean()": ("forgets the minus", "a loss is to be made small"),
                "-(beta * h).mean()": (
                    "forgets the log-sigmoid",
                    "without it a pair that is decided long ago would pull as hard as ever",
                ),
                "-F.sigmoid(beta * h).mean()": (
                    "forgets the logarithm",
                    "the loss is -log of the probability of the choice",
                ),
                "-F.sigmoid(beta * h).log().mean()": (
                    "takes the logarithm of a sigmoid that can be 0",
                    "logsigmoid is finite where a sigmoid is too small for floating point",
                ),
                "-beta * F.logsigmoid(h).mean()": (
                    "puts beta outside the log-sigmoid",
                    "beta scales the implicit rewards, so it stands inside",
                ),
                "-F.logsigmoid(h).mean()": ("leaves beta out", "implicit rewards are beta times the log-ratios"),
                "-F.logsigmoid(h / beta).mean()": ("divides by beta", "implicit rewards are beta times the log-ratios"),
                "-F.logsigmoid(beta * h).mean() / beta": ("divides the loss by beta", "beta stands inside alone"),
                "-F.logsigmoid(beta * h).sum()": (
                    "sums over the pairs",
                    "a mean doesn't depend on the size of the batch",
                ),
                "-F.logsigmoid(beta * h)": ("gives a number for each pair", "the result is the mean over the pairs"),
                "F.relu(1 - beta * h).mean()": ("takes a hinge loss", "DPO's loss is -log sigmoid"),
                "(h - 1 / (2 * beta)).pow(2).mean()": ("takes IPO's loss", "DPO's loss is -log sigmoid(beta * h)"),
            },
        ),
    ],
)


def ipo_by_mse(
    chosen_logprobs: Tensor,
    rejected_logprobs: Tensor,
    ref_chosen_logprobs: Tensor,
    ref_rejected_logprobs: Tensor,
    tau: float = 0.1,
) -> Tensor:
    """The mean squared error to one target."""
    margins = chosen_logprobs - rejected_logprobs - (ref_chosen_logprobs - ref_rejected_logprobs).detach()
    return F.mse_loss(margins, torch.full_like(margins, 0.5 / tau))


def ipo_by_scaling(
    chosen_logprobs: Tensor,
    rejected_logprobs: Tensor,
    ref_chosen_logprobs: Tensor,
    ref_rejected_logprobs: Tensor,
    tau: float = 0.1,
) -> Tensor:
    """(tau h - 1/2)^2 / tau^2, with each log-ratio by itself."""
    log_ratios = [
        x - ref.detach()
        for x, ref in ((chosen_logprobs, ref_chosen_logprobs), (rejected_logprobs, ref_rejected_logprobs))
    ]
    scaled = tau * (log_ratios[0] - log_ratios[1]) - 0.5
    return torch.stack([error * error / (tau * tau) for error in scaled]).mean()


SQUARE = "(h - 1 / (2 * tau)).pow(2).mean()"

test_ipo_loss = exercise(
    reference=dpo.ipo_loss,
    cases=logprob_cases,
    observe=outputs_and_gradients,
    accepts=[ipo_by_mse, ipo_by_scaling],
    mistakes=[
        Mistake(
            "swaps chosen and rejected, or adds the target",
            H,
            SWAPPED,
            why="the chosen answer's log-ratio is to be the larger one by 1 / (2 tau)",
        ),
        *LOG_RATIO_MISTAKES,
        *instead_of(
            SQUARE,
            {
                "(h - 1 / tau).pow(2).mean()": ("forgets the 2 in the target", "the target is 1 / (2 tau)"),
                "(h - 1 / 2 * tau).pow(2).mean()": (
                    "multiplies by tau where it divides",
                    "1 / 2 * tau is tau / 2: the target 1 / (2 * tau) needs brackets",
                ),
                "(h - 2 * tau).pow(2).mean()": ("inverts the target", "the target is 1 / (2 tau)"),
                "(h - 2 / tau).pow(2).mean()": ("takes 2 / tau for the target", "the target is 1 / (2 tau)"),
                "(h - tau).pow(2).mean()": ("takes tau for the target", "the target is 1 / (2 tau)"),
                "(tau * h - 1 / 2).pow(2).mean()": (
                    "multiplies the difference by tau",
                    "h itself is compared with 1 / (2 tau); the other form is smaller by tau^2",
                ),
                "(tau * h - 1 / (2 * tau)).pow(2).mean()": (
                    "multiplies h by tau",
                    "tau stands in the target alone",
                ),
                "h.pow(2).mean()": ("leaves the target out", "log-ratios should differ by 1 / (2 tau)"),
                "(h - 1 / (2 * tau)).abs().mean()": ("takes the distance itself", "the distance is squared"),
                "F.relu(1 / (2 * tau) - h).pow(2).mean()": (
                    "lets h grow beyond the target",
                    "the loss rises again where h is larger than 1 / (2 tau): that holds the policy back",
                ),
                "(h - 1 / (2 * tau)).pow(2).sum()": (
                    "sums over the pairs",
                    "a mean doesn't depend on the size of the batch",
                ),
                "(h - 1 / (2 * tau)).pow(2)": ("gives a number for each pair", "the result is the mean over the pairs"),
                "(h - 1 / (2 * tau)).pow(2).mean() / 2": (
                    "halves the loss",
                    "the equation has no 1/2 before the square",
                ),
                "-F.logsigmoid(tau * h).mean()": ("takes DPO's loss", "IPO squares the distance from a target"),
            },
        ),
    ],
)
