"""Judges of part 3 of section 2.4: the terms of a loss that are made of KL and of entropy."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import kl_div

from arena_lib.checking import Case, Mistake, also_called, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rlhf import divergences
from arena_lib.tests.rlhf.divergences import with_gradient_of_policy

__test__ = False


def with_refusals(function: Callable[..., Any], case: Case) -> Observations:
    """What comes out, with the policy's gradient; of logits of another length only whether they are refused."""
    if not case.given.get("is_refused"):
        return with_gradient_of_policy(function, case)
    fresh = case.fresh()
    try:
        function(*fresh.args, **fresh.kwargs)
    except NotImplementedError:
        raise
    except Exception:
        return {"logits that are not of length gen_len": "refused"}
    return {"logits that are not of length gen_len": "accepted"}


def draw_mask(generator: torch.Generator, batch: int, gen_len: int) -> Tensor:
    """Responses of several lengths, of which one is whole if there are several."""
    mask = torch.arange(gen_len) < torch.randint(1, gen_len, (batch, 1), generator=generator)
    mask[: min(1, batch - 1)] = True
    return mask


def term_cases(generator: torch.Generator, n_policies: int) -> list[Case]:
    """Samples and positions, with a mask and without; large logits; logits that are too long or too short."""

    def case(
        label: str,
        sizes: tuple[int, int, int],
        coef: float,
        *,
        scale: float = 1.5,
        gen_len: int | None = None,
        is_masked: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> Case:
        logits = scale * torch.randn(*sizes, generator=generator, dtype=dtype) + 0.6
        ref_logits = logits + 0.6 * scale * torch.randn(*sizes, generator=generator, dtype=dtype) - 0.3
        return Case(
            label=label,
            args=(*(logits, ref_logits)[:n_policies], coef, sizes[1] if gen_len is None else gen_len),
            kwargs={"mask": draw_mask(generator, *sizes[:2])} if is_masked else {},
            given={"is_refused": gen_len is not None},
        )

    return [
        case("several samples", (3, 5, 7), 0.4),
        case("one sample", (1, 4, 6), 2.5),
        case("one token each", (4, 1, 5), 1.0),
        case("responses of several lengths", (4, 6, 3), 0.7, is_masked=True),
        case("one response with a mask", (1, 7, 4), 3.0, is_masked=True),
        case("large logits", (2, 3, 8), 1.5, scale=200.0),
        case("large logits with a mask", (5, 4, 6), 0.2, scale=200.0, is_masked=True),
        case("a coefficient of 0", (2, 4, 3), 0.0),
        case("in float64", (3, 2, 4), 0.5, dtype=torch.float64),
        case("the prompt's logits are there too", (2, 6, 3), 0.5, gen_len=4),
        case("logits are missing", (2, 3, 5), 0.5, gen_len=4),
    ]


def kl_penalty_cases(generator: torch.Generator) -> list[Case]:
    """Logits of policy and reference."""
    return term_cases(generator, 2)


def entropy_bonus_cases(generator: torch.Generator) -> list[Case]:
    """Logits of the policy."""
    return term_cases(generator, 1)


def kl_penalty_by_kl_div(
    logits: Tensor, ref_logits: Tensor, kl_coef: float, gen_len: int, *, mask: Tensor | None = None
) -> Tensor:
    """By torch's kl_div, which takes the reference first."""
    assert logits.shape[1] == ref_logits.shape[1] == gen_len
    logprobs, ref_logprobs = logits.log_softmax(-1), ref_logits.detach().log_softmax(-1)
    terms = kl_div(ref_logprobs, logprobs, log_target=True, reduction="none").sum(-1)
    return kl_coef * (terms if mask is None else terms[mask]).mean()


def kl_penalty_by_weights(
    logits: Tensor, ref_logits: Tensor, kl_coef: float, gen_len: int, *, mask: Tensor | None = None
) -> Tensor:
    """A weight for each position; the cross entropy less the entropy."""
    if logits.size(1) != gen_len:
        raise ValueError(gen_len)
    counts = torch.ones(logits.shape[:2]) if mask is None else mask.float()
    weights = kl_coef * counts.to(logits.dtype) / counts.sum()
    p = logits.softmax(-1)
    normalized = [x - x.logsumexp(-1, keepdim=True) for x in (logits, ref_logits)]
    return torch.einsum("bsv,bsv,bs->", p, normalized[0] - normalized[1], weights)


SAME = "require_generated(logits, gen_len)"
NOT_CHECKED = "takes logits of any length"
LENGTHS = "the logits of a prompt, or of fewer tokens, would be averaged unseen: refuse them"
TERMS = {
    "masked_mean({0})": (
        "counts the filling",
        "with a mask the mean is over those positions alone where it is True",
    ),
    "masked_mean({0}, None if mask is None else ~mask)": (
        "takes the mask the wrong way round",
        "True stands where a token was drawn",
    ),
    "({0} if mask is None else {0} * mask).mean()": (
        "divides by all positions",
        "the sum is divided by how many positions the mask counts",
    ),
    "({0}.mean(dim=1) if mask is None else ({0} * mask).sum(dim=1) / mask.sum(dim=1)).mean()": (
        "averages samples first",
        "all drawn tokens have the same weight, however long their sample is",
    ),
    "masked_mean({0}, mask) * ({0}.numel() if mask is None else mask.sum())": (
        "adds up all positions",
        "the mean over samples and positions is asked for",
    ),
    "({0} if mask is None else {0} * mask).sum() / len(logits)": (
        "adds up the positions of a sample",
        "the mean over samples and positions is asked for",
    ),
    "masked_mean({0}, mask) / gen_len": (
        "divides by gen_len once more",
        "the mean over positions has been divided by their number",
    ),
    "masked_mean({0}, mask) / logits.shape[-1]": (
        "takes the mean over the vocabulary",
        "at each position the terms of all tokens are added up",
    ),
    "masked_mean({0}, mask).detach() + 0 * logits.sum()": (
        "detaches the policy",
        "gradients must flow through logits",
    ),
    "masked_mean({0}, mask).float()": ("rounds to float32", "the result has the dtype of the logits"),
}


def terms_of(call: str) -> dict[str, tuple[str, ...]]:
    """The mistakes that both terms share, for one of them."""
    return {wrong.replace("{0}", call): words for wrong, words in TERMS.items()}


KL = "compute_kl(logits, ref_logits)"
UNSTABLE_KL = "(logits.softmax(-1) * (logits.softmax(-1) / ref_logits.softmax(-1)).log()).sum(-1)"

test_calc_kl_penalty = exercise(
    reference=divergences.calc_kl_penalty,
    cases=kl_penalty_cases,
    observe=with_refusals,
    accepts=[kl_penalty_by_kl_div, kl_penalty_by_weights],
    mistakes=[
        *instead_of(f"masked_mean({KL}, mask)", terms_of(KL)),
        *instead_of(
            KL,
            {
                "compute_kl(ref_logits, logits)": (
                    "goes from the reference to the policy",
                    "the penalty is KL(policy || reference): what the policy says is weighed",
                ),
                "-compute_kl(logits, ref_logits)": (
                    "turns the sign round",
                    "a penalty is to be made small, and KL is never below 0",
                ),
                "compute_entropy(logits)": ("takes the entropy", "the penalty is for being far from the reference"),
                UNSTABLE_KL: (
                    "divides softmaxes",
                    "small probabilities are rounded to 0, and 0 / 0 is NaN: log_softmax does not round",
                ),
                "compute_kl(logits.softmax(-1), ref_logits.softmax(-1))": (
                    "takes the softmax twice",
                    "compute_kl takes logits",
                ),
            },
        ),
        *instead_of(
            "kl_coef * ",
            {
                "": ("leaves kl_coef out", "the mean counts kl_coef times"),
            },
        ),
        Mistake(NOT_CHECKED, SAME, "pass", why=LENGTHS),
    ],
)

ENTROPY = "compute_entropy(logits)"
UNSTABLE_ENTROPY = "-(logits.softmax(-1) * logits.softmax(-1).log()).sum(-1)"


def entropy_bonus_by_loop(logits: Tensor, ent_coef: float, gen_len: int, *, mask: Tensor | None = None) -> Tensor:
    """Position by position."""
    assert logits.shape[1] == gen_len
    rows = logits.flatten(end_dim=1) if mask is None else logits[mask]
    entropies = [torch.distributions.Categorical(logits=row).entropy() for row in rows]
    return ent_coef * torch.stack(entropies).mean()


def entropy_bonus_by_mean_logit(logits: Tensor, ent_coef: float, gen_len: int, *, mask: Tensor | None = None) -> Tensor:
    """The logarithm of the sum less the mean logit."""
    if logits.shape[1] != gen_len:
        raise IndexError(gen_len)
    entropy = logits.logsumexp(-1) - (logits.softmax(-1) * logits).sum(-1)
    if mask is None:
        return entropy.mean().mul(ent_coef)
    return entropy.masked_fill(~mask, 0).sum() * ent_coef / mask.sum()


test_calc_entropy_bonus = exercise(
    reference=divergences.calc_entropy_bonus,
    cases=entropy_bonus_cases,
    observe=with_refusals,
    accepts=[entropy_bonus_by_loop, entropy_bonus_by_mean_logit],
    mistakes=[
        *instead_of(f"masked_mean({ENTROPY}, mask)", terms_of(ENTROPY)),
        *instead_of(
            ENTROPY,
            {
                UNSTABLE_ENTROPY: (
                    "takes the logarithm of a softmax",
                    "small probabilities are rounded to 0, and 0 * log 0 is NaN: log_softmax does not round",
                ),
                "compute_entropy(logits.softmax(-1))": ("takes the softmax twice", "compute_entropy takes logits"),
                "(compute_entropy(logits) / 0.6931471805599453)": ("counts in bits", "nats are asked for"),
                "-logits.log_softmax(-1).mean(-1)": (
                    "takes the plain mean of the surprises",
                    "each -log p counts p times",
                ),
            },
        ),
        *instead_of(
            "ent_coef * ",
            {
                "": ("leaves ent_coef out", "the mean counts ent_coef times"),
                "-ent_coef * ": (
                    "gives a penalty",
                    "a bonus is to be made large, so it has no minus; where it's part of a loss it's subtracted",
                ),
            },
        ),
        Mistake(NOT_CHECKED, SAME, "pass", why=LENGTHS),
    ],
)

test_calc_kl_penalty_stability = also_called(test_calc_kl_penalty)
test_calc_entropy_bonus_stability = also_called(test_calc_entropy_bonus)
