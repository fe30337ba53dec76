"""Judges of choosing one token from its logits: greedily, at random, from the top k."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.tests.transformer_from_scratch.draws import (
    FREQUENCIES,
    REPEATS,
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
        Case(label="two that differ after the point", args=(torch.tensor([0.25, 3.2, 3.6, 0.5]),)),
        Case(label="two that hardly differ", args=(torch.tensor([0.25, 3.0001, 3.0003, 0.5]),)),
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
    mistakes=[
        *instead_of(
            "logits.argmax()",
            {
                "logits.long().argmax()": (
                    "rounds the logits",
                    "logits that differ after the point only are different: compare them as they are",
                ),
                "logits.half().argmax()": (
                    "compares the logits in half precision",
                    "logits that differ in the fourth digit are different: compare them as they are",
                ),
                "logits.argmin()": ("takes the least likely token", "the largest logit has the largest probability"),
                "logits.max()": (
                    "returns the largest logit, not its index",
                    "the result is a token id: the index of the largest logit, not its value",
                ),
                "logits.abs().argmax()": (
                    "takes the logit with the largest absolute value",
                    "a very negative logit means a very unlikely token",
                ),
                "logits.topk(2).indices[1]": (
                    "takes the second likeliest token",
                    "the largest logit comes first: index 0",
                ),
                "torch.multinomial(logits.softmax(dim=-1), 1)": (
                    "draws a token at random",
                    "greedy means that the most likely token is certain",
                ),
                "(len(logits) - 1)": ("always takes the last token", "the largest logit may stand anywhere"),
            },
        ),
        *instead_of(
            "int(logits.argmax())",
            {
                "float(logits.max())": (
                    "returns the largest logit as a number",
                    "the result is a token id: the index of the largest logit, not its value",
                ),
                "logits.topk(1).indices": ("returns a tensor with an axis", "the result is a token id: one int"),
                "[int(logits.argmax())]": ("returns a list", "the result is a token id: one int"),
            },
        ),
    ],
)


def draws_cases(generator: torch.Generator) -> list[Case]:
    """Logits so large or so negative that their exponentials overflow or vanish, and a token that can't be drawn.

    Among very many tokens the wrong kind of noise instead of Gumbel's shows.
    """
    one_of_many = torch.tensor([math.log(40.0)] + 40 * [0.0])
    impossible = torch.cat([STEEP.log(), torch.tensor([-torch.inf])])
    return [
        draws_case("large logits", PROBABILITIES.log() + 200.0, with_generator=True),
        draws_case("very negative logits", PROBABILITIES.log() - 200.0),
        draws_case("a token of probability 0", impossible, many=True),
        draws_case("one token as likely as forty others", one_of_many, many=True, alike=range(1, 41)),
    ]


def sample_basic_by_categorical(logits: Tensor) -> int:
    """Asks torch's Categorical."""
    return int(torch.distributions.Categorical(logits=logits).sample().item())


def sample_basic_by_gumbel(logits: Tensor, generator: torch.Generator | None = None) -> int:
    """Adds Gumbel noise and takes the largest."""
    uniform = torch.rand(logits.shape, generator=generator).clamp_min(1e-20)
    return int((logits - (-uniform.log()).log()).argmax())


GUMBEL = "the largest of logits plus noise is a draw from their softmax only with Gumbel noise, -log(-log(uniform))"

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
                **{
                    f"int((logits + {noise}).argmax())": (f"adds {name}", GUMBEL)
                    for noise, name in [
                        ("torch.rand(logits.shape, generator=generator)", "uniform noise instead of Gumbel noise"),
                        ("torch.randn(logits.shape, generator=generator)", "normal noise instead of Gumbel noise"),
                        (
                            "-torch.rand(logits.shape, generator=generator).log()",
                            "exponential noise instead of Gumbel noise",
                        ),
                    ]
                },
                "int(torch.multinomial(probabilities.sort(descending=True).values, 1, generator=generator))": (
                    "returns the rank, not the token",
                    "after sorting, a place in the list is a rank: draw from the probabilities in their own order",
                ),
                "torch.multinomial(probabilities, num_samples=1, generator=generator)": (
                    "returns a tensor with an axis",
                    "a token id is asked for: one int",
                ),
                "float(probabilities[torch.multinomial(probabilities, num_samples=1, generator=generator)])": (
                    "returns the probability of the token",
                    "a token id is asked for: its place, not its probability",
                ),
                "int(probabilities.argmax())": (
                    "always takes the most likely token",
                    "each token is drawn with its probability, so the less likely tokens must be drawn too",
                ),
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
                "logits.softmax(dim=-1).square()": (
                    "squares the probabilities",
                    "each token is drawn with probability softmax(logits)",
                ),
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
        draws_case("just as many as there are", logits, 5, with_generator=True),
        draws_case("equal logits at the last place", torch.tensor([0.2, 0.4, 0.2, 0.2]).log(), 2, alike=(0, 2, 3)),
        draws_case("a k larger than the vocabulary", STEEP.log() - 1.0, 9, many=True),
    ]


def top_k_by_mask(logits: Tensor, k: int) -> int:
    """Sets everything after the k-th token in order to -inf; of equal logits a random one comes first."""
    order = torch.randperm(len(logits))
    order = order[logits[order].argsort(descending=True, stable=True)]
    return int(torch.distributions.Categorical(logits=logits.index_fill(0, order[k:], -torch.inf)).sample())


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
                "int(best.indices[-1])": ("always takes the k-th token", "k tokens stay, and one of them is drawn"),
                "sample_basic(logits.where(logits.argsort(descending=True) < k, -torch.inf), generator=generator)": (
                    "takes argsort's result for ranks",
                    "argsort lists the tokens in order: its first k entries are the k tokens that stay",
                ),
                "sample_basic(logits.where(torch.arange(len(logits)) < k, -torch.inf), generator=generator)": (
                    "keeps the first k tokens of the vocabulary",
                    "a mask made in sorted order must go back to the tokens' own places",
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
                "logits.topk(int((logits >= logits.topk(min(k, logits.shape[0])).values[-1]).sum()))": (
                    "keeps all that tie with the k-th token",
                    "exactly k tokens stay: of equal logits at the last place only so many that there are k",
                ),
                "logits.topk(max(int((logits > logits.topk(min(k, logits.shape[0])).values[-1]).sum()), 1))": (
                    "leaves out the k-th token and all that tie with it",
                    "the k most likely tokens stay, the k-th included",
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
        Mistake(
            "ignores the generator where nothing is cut off",
            "return int(",
            "if k >= len(logits):\n        return sample_basic(logits)\n    return int(",
            why="generators with the same seed must give the same draws, whatever k is",
            shows=lambda seen: [case.get(REPEATS) for case in seen if REPEATS in case] == [True, False],
        ),
        *generator_mistakes(sampling.sample_top_k),
    ],
)
