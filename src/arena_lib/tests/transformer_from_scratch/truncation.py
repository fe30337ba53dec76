"""Judges of sampling from a distribution whose tail is cut off: top-k and top-p.

Shapes:  logits "d_vocab" -> one token id.
Raises:  see `arena_lib.checking`.
Source:  own design.
"""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise
from arena_lib.tests.transformer_from_scratch._draws import (
    DRAWS,
    FREQUENCIES,
    IGNORES_THE_GENERATOR,
    PROBABILITIES,
    many_draws,
)
from arena_lib.transformer import sampling

__test__ = False


def top_k_cases(generator: torch.Generator) -> list[Case]:
    """A few tokens, one token, and a k larger than the vocabulary."""
    logits = PROBABILITIES.log() - 1.0
    return [
        Case(label=label, args=(logits, k), given={"d_vocab": 5}, axes=DRAWS)
        for label, k in [("three of five", 3), ("only the best", 1), ("more than there are", 9)]
    ]


def top_k_by_mask(logits: Tensor, k: int) -> int:
    """Sets everything below the k-th logit to -inf."""
    threshold = logits.sort(descending=True).values[min(k, len(logits)) - 1]
    return int(torch.distributions.Categorical(logits=logits.masked_fill(logits < threshold, -torch.inf)).sample())


test_sample_top_k = exercise(
    reference=sampling.sample_top_k,
    cases=top_k_cases,
    observe=many_draws,
    tolerance=FREQUENCIES,
    accepts=[top_k_by_mask],
    mistakes=[
        Mistake(
            "returns the rank, not the token",
            "int(best.indices[sample_basic(best.values, generator=generator)])",
            "sample_basic(best.values, generator=generator)",
            why="topk returns values and where they stood: the draw picks a rank, and indices turn it into a token",
        ),
        Mistake(
            "keeps one token too many",
            "min(k, logits.shape[0])",
            "min(k + 1, logits.shape[0])",
            why="exactly the k most likely tokens stay",
        ),
        Mistake(
            "keeps the least likely tokens",
            "logits.topk(min(k, logits.shape[0]))",
            "logits.topk(min(k, logits.shape[0]), largest=False)",
            why="top-k cuts off the unlikely tail",
        ),
        Mistake(
            "draws the k tokens alike",
            "sample_basic(best.values, generator=generator)",
            "sample_basic(torch.zeros_like(best.values), generator=generator)",
            why="among the k the probabilities keep their proportions",
        ),
        Mistake(
            "fails for a k larger than the vocabulary",
            "min(k, logits.shape[0])",
            "k",
            why="topk can't take more than there are: a larger k means all tokens",
        ),
        IGNORES_THE_GENERATOR,
    ],
)


def top_p_cases(generator: torch.Generator) -> list[Case]:
    """Sorted probabilities are 0.45, 0.20, 0.17, 0.13, 0.05: no threshold lies near a cumulative sum."""
    logits = PROBABILITIES.log() + 2.0
    arguments: dict[str, tuple[Any, ...]] = {
        "the third token crosses the line": (0.70,),
        "the first token is enough": (0.30,),
        "at least two tokens": (0.10, 2),
        "a top_p of zero": (0.0, 3),
        "fewer asked for than p keeps": (0.90, 2),
        "a top_p of one": (1.0,),
    }
    return [
        Case(label=label, args=(logits, *rest), given={"d_vocab": 5}, axes=DRAWS) for label, rest in arguments.items()
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
    tolerance=FREQUENCIES,
    accepts=[top_p_by_mask],
    mistakes=[
        Mistake(
            "leaves out the token that crosses the line",
            "max(n_below + 1, min_tokens_to_keep)",
            "max(n_below, min_tokens_to_keep)",
            why="the kept tokens must reach top_p together, so the one that crosses it stays",
        ),
        Mistake(
            "keeps one token too many",
            "n_below + 1",
            "n_below + 2",
            why="as few as possible are kept: stop at the token that crosses top_p",
        ),
        Mistake(
            "ignores min_tokens_to_keep",
            "max(n_below + 1, min_tokens_to_keep)",
            "n_below + 1",
            why="however small top_p is, that many tokens stay",
        ),
        Mistake(
            "always keeps just min_tokens_to_keep",
            "max(n_below + 1, min_tokens_to_keep)",
            "min(n_below + 1, min_tokens_to_keep)",
            why="it is the least number, not the most",
        ),
        Mistake(
            "starts from the least likely token",
            "descending=True",
            "descending=False",
            why="the nucleus is made of the most likely tokens",
        ),
        Mistake(
            "returns the rank, not the token",
            "int(token_ids[sample_basic(sorted_logits[:n_keep], generator=generator)])",
            "sample_basic(sorted_logits[:n_keep], generator=generator)",
            why="after sorting, a place in the list is a rank: token_ids turns it back into a token",
        ),
        Mistake(
            "draws the kept tokens alike",
            "sample_basic(sorted_logits[:n_keep], generator=generator)",
            "sample_basic(0 * sorted_logits[:n_keep], generator=generator)",
            why="among the kept tokens the probabilities keep their proportions",
        ),
        Mistake(
            "does not sum up the probabilities",
            ".cumsum(dim=-1)",
            "",
            why="top_p bounds what the tokens have together, not what each has",
        ),
        IGNORES_THE_GENERATOR,
    ],
)
