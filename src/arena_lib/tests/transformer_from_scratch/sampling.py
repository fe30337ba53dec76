"""Judges of choosing one token from its logits: greedily, at random, from the top k, from the top p."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.tests.transformer_from_scratch.draws import (
    FREQUENCIES,
    TOLERANCES,
    VOCAB,
    as_token,
    draws_case,
    generator_mistakes,
    many_draws,
)
from arena_lib.transformer import sampling

__test__ = False

PROBABILITIES = torch.tensor([0.13, 0.45, 0.05, 0.20, 0.17])
"""A distribution in no order, whose cumulative sums are far from the thresholds that the cases use."""
STEEP = torch.tensor([0.06, 0.90, 0.04])
"""One by which a softmax of probabilities and equal chances can be told apart, by many draws."""


def one_token(function: Callable[..., Any], case: Case) -> Observations:
    """The token that a function without randomness chooses."""
    seen = outputs(function, case)
    return seen | {"output": as_token(seen["output"])}


def greedy_search_cases(generator: torch.Generator) -> list[Case]:
    """Logits whose largest is neither first, last, nor the largest in size."""
    return [
        Case(label="the largest also in size", args=(torch.tensor([0.5, -2.0, 3.0, 2.5, -1.0]),)),
        Case(label="mixed signs", args=(torch.tensor([0.5, -9.0, 3.0, 2.5, -1.0]),), axes={"output": VOCAB}),
        Case(label="all below zero", args=(torch.tensor([-4.0, -1.5, -3.0, -2.0]),)),
        Case(label="a large vocabulary", args=(torch.randn(301, generator=generator),)),
    ]


def greedy_by_topk(logits: Tensor) -> int:
    """Takes the first of the top one."""
    return int(logits.topk(1).indices.item())


test_greedy_search = exercise(
    reference=sampling.greedy_search,
    cases=greedy_search_cases,
    observe=one_token,
    accepts=[
        greedy_by_topk,
        lambda logits: max(range(len(logits)), key=lambda i: float(logits[i])),
        lambda logits: logits.argmax(),
    ],
    mistakes=instead_of(
        "logits.argmax()",
        {
            "logits.argmin()": ("takes the least likely token", "the largest logit has the largest probability"),
            "logits.max()": (
                "returns the largest logit, not its index",
                "the result is a token id: the index of the largest logit, not its value",
            ),
            "logits.abs().argmax()": (
                "takes the logit with the largest absolute value",
                "a very negative logit means a very unlikely token",
            ),
            "(len(logits) - 1)": ("always takes the last token", "the largest logit may stand anywhere"),
        },
    ),
)


def draws_cases(generator: torch.Generator) -> list[Case]:
    """Logits so large or so negative that their exponentials overflow or vanish, and a token that can't be drawn."""
    impossible = torch.cat([STEEP.log(), torch.tensor([-torch.inf])])
    return [
        draws_case("large logits", PROBABILITIES.log() + 200.0, with_generator=True),
        draws_case("very negative logits", PROBABILITIES.log() - 200.0),
        draws_case("a token of probability 0", impossible, many=True),
    ]


def sample_basic_by_categorical(logits: Tensor) -> int:
    """Asks torch's Categorical."""
    return int(torch.distributions.Categorical(logits=logits).sample().item())


def sample_basic_by_gumbel(logits: Tensor, generator: torch.Generator | None = None) -> int:
    """Adds Gumbel noise and takes the largest."""
    uniform = torch.rand(logits.shape, generator=generator).clamp_min(1e-20)
    return int((logits - (-uniform.log()).log()).argmax())


test_sample_basic = exercise(
    reference=sampling.sample_basic,
    cases=draws_cases,
    observe=many_draws,
    tolerance=TOLERANCES,
    accepts=[sample_basic_by_categorical, sample_basic_by_gumbel],
    mistakes=[
        *instead_of(
            "int(torch.multinomial(probabilities, num_samples=1, generator=generator))",
            {
                "int(probabilities.argmax())": (
                    "always takes the most likely token",
                    "each token is drawn with its probability, so the less likely tokens must be drawn too",
                )
            },
        ),
        *instead_of(
            "logits.softmax(dim=-1)",
            {
                "logits.softmax(dim=-1).softmax(dim=-1)": (
                    "takes the softmax twice",
                    "softmax already gives probabilities; a second one makes them almost equal",
                ),
                "(-logits).nan_to_num(posinf=-999.0).softmax(dim=-1)": (
                    "prefers the unlikely tokens",
                    "larger logits mean larger probabilities",
                ),
                "logits.exp() / logits.exp().sum()": (
                    "computes exponentials that overflow",
                    "exp of 89 or more is infinite in float32: softmax subtracts the largest logit first",
                ),
                "logits": ("draws from the logits themselves", "weights of a draw must not be negative: take softmax"),
                "logits.sigmoid()": (
                    "uses a sigmoid instead of the softmax",
                    "probabilities of all tokens must sum to one",
                ),
            },
        ),
        Mistake(
            "draws every token with the same probability",
            "logits.softmax(dim=-1)",
            "torch.ones_like(logits)",
            why="each token is drawn with probability softmax(logits)",
            shows=lambda seen: float(seen[0][FREQUENCIES].max() - seen[0][FREQUENCIES].min()) < 0.15,
        ),
        *generator_mistakes(sampling.sample_basic),
    ],
)


def top_k_cases(generator: torch.Generator) -> list[Case]:
    """A few tokens, one token, and a k larger than the vocabulary."""
    logits = PROBABILITIES.log() - 1.0
    return [
        draws_case("three of five", logits, 3, with_generator=True),
        draws_case("only the best", logits, 1),
        draws_case("large logits", PROBABILITIES.log() + 200.0, 2),
        draws_case("a k larger than the vocabulary", STEEP.log() - 1.0, 9, many=True),
    ]


def top_k_by_mask(logits: Tensor, k: int) -> int:
    """Sets everything below the k-th logit to -inf."""
    threshold = logits.sort(descending=True).values[min(k, len(logits)) - 1]
    return int(torch.distributions.Categorical(logits=logits.masked_fill(logits < threshold, -torch.inf)).sample())


test_sample_top_k = exercise(
    reference=sampling.sample_top_k,
    cases=top_k_cases,
    observe=many_draws,
    tolerance=TOLERANCES,
    accepts=[top_k_by_mask],
    equivalent={
        "best = logits.topk(min(k, logits.shape[0])) -> best = logits.topk(min(k, logits.shape[-1]))": "one axis only"
    },
    mistakes=[
        *instead_of(
            "int(best.indices[sample_basic(best.values, generator=generator)])",
            {
                "sample_basic(best.values, generator=generator)": (
                    "returns the rank, not the token",
                    "topk returns values and where they stood: the draw picks a rank, and indices turn it into a token",
                ),
                "int(best.indices[0])": (
                    "always takes the most likely token",
                    "k tokens stay, and one of them is drawn",
                ),
                "sample_basic(torch.zeros_like(logits).scatter(0, best.indices, best.values), generator=generator)": (
                    "sets the other logits to zero",
                    "softmax gives a logit of 0 some probability: tokens that can't be drawn get the logit -inf",
                ),
            },
        ),
        *instead_of(
            "sample_basic(best.values",
            {
                "sample_basic(torch.zeros_like(best.values)": (
                    "draws the k tokens with equal probability",
                    "among the k the probabilities keep their proportions",
                ),
                "sample_basic(logits.softmax(dim=-1)[best.indices]": (
                    "takes the softmax of probabilities",
                    "sample_basic takes logits: a second softmax makes the probabilities almost equal",
                ),
            },
        ),
        *instead_of(
            "logits.topk(min(k, logits.shape[0]))",
            {
                "logits.topk(min(k, logits.shape[0]), largest=False)": (
                    "keeps the least likely tokens",
                    "top-k cuts off the unlikely tail",
                ),
                "logits[:k].sort(descending=True)": (
                    "keeps the first k tokens of the vocabulary",
                    "the k tokens with the largest logits stay, wherever they stand",
                ),
                "logits.topk(min(k + 1, logits.shape[0]))": (
                    "keeps one token too many",
                    "exactly the k most likely tokens stay",
                ),
                "logits.topk(min(max(k - 1, 1), logits.shape[0]))": (
                    "keeps one token too few",
                    "exactly the k most likely tokens stay",
                ),
                "logits.topk(logits.shape[0])": ("draws among all tokens", "only the k most likely can be drawn"),
                "logits.topk(k)": (
                    "fails for a k larger than the vocabulary",
                    "topk can't take more than there are: a larger k means all tokens",
                ),
            },
        ),
        *generator_mistakes(sampling.sample_top_k),
    ],
)


def top_p_cases(generator: torch.Generator) -> list[Case]:
    """Sorted probabilities are 0.45, 0.20, 0.17, 0.13, 0.05: no threshold lies near a cumulative sum."""
    logits = PROBABILITIES.log() + 200.0
    return [
        draws_case("the third token reaches top_p", logits, 0.70, 2, with_generator=True),
        draws_case("the first token is enough", logits, 0.30),
        draws_case("at least two tokens", logits, 0.10, 2),
        draws_case("a top_p of zero", logits, 0.0, 3),
        draws_case("a minimum below what top_p keeps", logits, 0.90, 2),
        draws_case("nearly all", STEEP.log() - 2.0, 0.98, many=True),
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
                    "after sorting, a place in the list is a rank: token_ids turns it back into a token",
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
        *generator_mistakes(sampling.sample_top_p),
    ],
)
