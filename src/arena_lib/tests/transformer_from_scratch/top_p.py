"""Judge of choosing one token among the most likely that together reach a probability."""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.tests.transformer_from_scratch.draws import (
    REPEATS,
    TOLERANCES,
    draws_case,
    generator_mistakes,
    many_draws,
)
from arena_lib.tests.transformer_from_scratch.sampling import PROBABILITIES, STEEP
from arena_lib.transformer import sampling

__test__ = False


def top_p_cases(generator: torch.Generator) -> list[Case]:
    """Sorted probabilities are 0.45, 0.20, 0.17, 0.13, 0.05: no threshold lies near a cumulative sum."""
    logits = PROBABILITIES.log() + 200.0
    equal = torch.tensor([0.23, 0.31, 0.23, 0.23]).log()
    return [
        draws_case("the third token reaches top_p", logits, 0.70, 2, with_generator=True),
        draws_case("the first token is enough", PROBABILITIES.log() - 3.0, 0.30),
        draws_case("at least two tokens", logits, 0.10, 2),
        draws_case("a top_p of zero", logits, 0.0, 3),
        draws_case("a minimum below what top_p keeps", logits, 0.90, 2),
        draws_case("nearly all", STEEP.log() - 2.0, 0.98, many=True),
        draws_case("a top_p of one", PROBABILITIES.log() - 2.0, 1.0, with_generator=True, alike=(0, 2)),
        draws_case("equal tokens at the line", equal, 0.35, alike=(0, 2, 3)),
    ]


def top_p_by_mask(logits: Tensor, top_p: float, min_tokens_to_keep: int = 1) -> int:
    """Keeps a token if what lies before it, in order, is still below top_p."""
    probabilities, order = logits.softmax(-1).sort(descending=True)
    before = probabilities.cumsum(-1) - probabilities
    kept = (before < top_p) | (torch.arange(len(logits)) < min_tokens_to_keep)
    return int(order[torch.multinomial(probabilities * kept, 1)])


test_sample_top_p = exercise(
    reference=sampling.sample_top_p,
    cases=top_p_cases,
    observe=many_draws,
    tolerance=TOLERANCES,
    accepts=[top_p_by_mask],
    equivalent={
        "n_below = int((cumulative < top_p).sum()) -> n_below = int((cumulative <= top_p).sum())": (
            "a sum that is exactly top_p is a matter of rounding"
        )
    },
    mistakes=[
        *instead_of(
            "max(n_below + 1, min_tokens_to_keep)",
            {
                "max(n_below, min_tokens_to_keep)": (
                    "leaves out the token that reaches top_p",
                    "the kept tokens must reach top_p together, so the one that reaches it stays",
                ),
                "max(n_below + 2, min_tokens_to_keep)": (
                    "keeps one token too many",
                    "as few as possible are kept: stop at the token that reaches top_p",
                ),
                "n_below + 1": (
                    "ignores min_tokens_to_keep",
                    "however small top_p is, at least min_tokens_to_keep tokens stay",
                ),
                "n_below + min_tokens_to_keep": (
                    "keeps min_tokens_to_keep tokens in addition to those of top_p",
                    "min_tokens_to_keep is the smallest number of tokens kept, not a number to add",
                ),
                "min(n_below + 1, min_tokens_to_keep)": (
                    "always keeps just min_tokens_to_keep",
                    "min_tokens_to_keep is the smallest number of tokens kept, not the largest",
                ),
                "min_tokens_to_keep if top_p == 0 else n_below + 1": (
                    "takes min_tokens_to_keep for a top_p of 0 only",
                    "however small top_p is, at least min_tokens_to_keep tokens stay",
                ),
                "1 if top_p == 0 else max(n_below + 1, min_tokens_to_keep)": (
                    "is greedy for a top_p of 0",
                    "a top_p of 0 keeps min_tokens_to_keep tokens",
                ),
                "len(logits) if top_p == 0 else max(n_below + 1, min_tokens_to_keep)": (
                    "draws among all tokens for a top_p of 0",
                    "a top_p of 0 keeps min_tokens_to_keep tokens",
                ),
                "max(int((sorted_logits >= sorted_logits[n_below]).sum()) if n_below < len(logits) else n_below, "
                "min_tokens_to_keep)": (
                    "keeps all that tie with the token that reaches top_p",
                    "as few as possible are kept: stop at the token that reaches top_p",
                ),
                "n_below + 2": (
                    "keeps one token too many, and ignores min_tokens_to_keep",
                    "as few as possible are kept, but at least min_tokens_to_keep",
                ),
                "n_below": (
                    "leaves out the token that reaches top_p, and ignores min_tokens_to_keep",
                    "the one that reaches top_p stays, and at least min_tokens_to_keep tokens do",
                ),
                "len(logits)": ("draws among all tokens", "only the most likely that together reach top_p stay"),
            },
        ),
        *instead_of(
            "logits.sort(descending=True)",
            {
                "logits.sort(descending=False)": (
                    "starts from the least likely token",
                    "the nucleus is made of the most likely tokens",
                ),
                "(logits, torch.arange(len(logits)))": (
                    "does not sort the tokens",
                    "the most likely tokens are kept, wherever they stand in the vocabulary",
                ),
            },
        ),
        *instead_of(
            "int(token_ids[sample_basic(sorted_logits[:n_keep], generator=generator)])",
            {
                "sample_basic(sorted_logits[:n_keep], generator=generator)": (
                    "returns the rank, not the token",
                    "after sorting, a place in the list is a rank: the order that sort returns too says which token stands there",
                ),
                "sample_basic(logits.where(torch.arange(len(logits)) < n_keep, -torch.inf), generator=generator)": (
                    "lays the mask of the sorted tokens over the unsorted ones",
                    "a mask made in sorted order must go back to the tokens' own places, by the order that sort returns too",
                ),
                "sample_basic(torch.zeros_like(logits).scatter(0, token_ids[:n_keep], sorted_logits[:n_keep]), "
                "generator=generator)": (
                    "sets the other logits to zero",
                    "softmax gives a logit of 0 some probability: tokens that can't be drawn get the logit -inf",
                ),
                "int(token_ids[0])": (
                    "always takes the most likely token",
                    "one of the kept tokens is drawn",
                ),
            },
        ),
        *instead_of(
            "sample_basic(sorted_logits[:n_keep]",
            {
                "sample_basic(0 * sorted_logits[:n_keep]": (
                    "draws the kept tokens with equal probability",
                    "among the kept tokens the probabilities keep their proportions",
                ),
                "sample_basic(sorted_logits.softmax(dim=-1)[:n_keep]": (
                    "takes the softmax of probabilities",
                    "sample_basic takes logits: a second softmax makes the probabilities almost equal",
                ),
            },
        ),
        *instead_of(
            "sorted_logits.float().softmax(dim=-1).cumsum(dim=-1)",
            {
                "sorted_logits.softmax(dim=-1)": (
                    "does not sum up the probabilities",
                    "top_p is compared with the sum of the probabilities so far, not with each probability",
                ),
                "sorted_logits.cumsum(dim=-1)": (
                    "sums up the logits",
                    "top_p is a probability: take the softmax before summing up",
                ),
            },
        ),
        Mistake(
            "ignores the generator where nothing is cut off",
            "return int(",
            "if top_p >= 1:\n        return sample_basic(logits)\n    return int(",
            why="generators with the same seed must give the same draws, whatever top_p is",
            shows=lambda seen: [case.get(REPEATS) for case in seen if REPEATS in case] == [True, False],
        ),
        *generator_mistakes(sampling.sample_top_p),
    ],
)
