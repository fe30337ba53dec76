"""The judge of beam search: the texts that it finds, whatever the order of its steps."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.tests.transformer_from_scratch.beams import END, TableModel, make_beams
from arena_lib.transformer.beam_search import Beams, beam_search

__test__ = False

Text = tuple[float, list[int]]
"""A text's log-probability and its tokens."""

OVERTAKEN_SEED = 7
"""The first seed at which each way of stopping too early shows: one text ends early, and a better one late."""
REPEATING_SEED = 8
"""The first seed at which a text that goes on is likelier than one that has ended."""
ONLY_SPEED = "stopping later finds the same texts"


def search_cases(generator: torch.Generator) -> list[Case]:
    """Greedy, wide, with n-gram blocking, with several results, and with an end token that is likely."""
    models = [TableModel(generator) for _ in range(3)]
    models[2].table[:, END] += 2.0
    start = [make_beams(model, [[0, 2]], [0.0]) for model in models]
    overtaken = TableModel(torch.Generator().manual_seed(OVERTAKEN_SEED))
    overtaken.table[:, END] += 2.0
    repeats = TableModel(torch.Generator().manual_seed(REPEATING_SEED))
    return [
        Case(label="no end token", args=(make_beams(models[1], [[1]], [0.0], eos=None), 2, 3, 2)),
        Case(label="one beam", args=(start[0], 1, 4)),
        Case(label="three beams", args=(start[0], 3, 4)),
        Case(label="several results", args=(start[1], 4, 5, 3)),
        Case(label="no repeated pairs", args=(start[1], 3, 6, 2, 2)),
        Case(label="texts that end early", args=(start[2], 3, 6, 2)),
        Case(label="a second text that is overtaken", args=(make_beams(overtaken, [[0, 2]], [0.0]), 3, 6, 2)),
        Case(label="an unfinished text that is the likeliest", args=(make_beams(repeats, [[0, 2]], [0.0]), 3, 3)),
        Case(label="nothing to add", args=(start[0], 2, 0)),
    ]


def search_all(
    beams: Beams,
    n_beams: int,
    max_new_tokens: int,
    n_return: int = 1,
    no_repeat_ngram_size: int | None = None,
    *,
    badness: Callable[[Text], float] = lambda text: -text[0],
    stops: Callable[[list[Text], int], bool] = lambda finished, n_return: False,
    n_results: Callable[[int], int] = lambda n_return: n_return,
) -> list[Text]:
    """Never stops early, and sorts all texts at the end; wrong versions sort, stop and cut in other ways."""
    pool: list[Text] = []
    for _ in range(max_new_tokens):
        if len(beams.tokens) and not stops(pool, n_return):
            beams, done = beams.generate(n_beams, no_repeat_ngram_size).filter(n_beams)
            pool += [(float(s), t.tolist()) for s, t in zip(done.logprob_sums, done.tokens, strict=True)]
    pool += [(float(s), t.tolist()) for s, t in zip(beams.logprob_sums, beams.tokens, strict=True)]
    return sorted(pool, key=badness)[: n_results(n_return)]


def with_tensors(*args: Any) -> list[tuple[Tensor, list[int]]]:
    """Leaves each log-probability a tensor without axes."""
    return [(torch.tensor(logprob), tokens) for logprob, tokens in search_all(*args)]


def with_probabilities(*args: Any) -> list[Text]:
    """Returns probabilities."""
    return [(math.exp(logprob), tokens) for logprob, tokens in search_all(*args)]


def with_tokens_first(*args: Any) -> list[tuple[list[int], float]]:
    """Returns pairs the other way round."""
    return [(tokens, logprob) for logprob, tokens in search_all(*args)]


def without_the_end_token(beams: Beams, *args: Any) -> list[Text]:
    """Cuts the end token off."""
    return [(p, text[:-1] if text[-1] == beams.eos_token_id else text) for p, text in search_all(beams, *args)]


def without_blocking_and_prompt(
    beams: Beams, n_beams: int, max_new_tokens: int, n_return: int = 1, no_repeat_ngram_size: int | None = None
) -> list[Text]:
    """Makes two mistakes at once."""
    return without_the_prompt(beams, n_beams, max_new_tokens, n_return)


def without_the_prompt(beams: Beams, *args: Any) -> list[Text]:
    """Returns the new tokens only."""
    return [(logprob, tokens[beams.tokens.shape[1] :]) for logprob, tokens in search_all(beams, *args)]


test_beam_search = exercise(
    reference=beam_search,
    cases=search_cases,
    accepts=[search_all, with_tensors],
    equivalent={
        "found = sorted(found, reverse=True)[:n_return] -> found = sorted(found, reverse=True)[:n_return + 1]": ONLY_SPEED,
        "all(beams.logprob_sums <= found[-1][0]) -> all(beams.logprob_sums < found[-1][0])": ONLY_SPEED,
        "len(beams.tokens) == 0 or is_settled -> len(beams.tokens) == 0 and is_settled": ONLY_SPEED,
        "len(beams.tokens) == 0 or is_settled -> len(beams.tokens) == -1 or is_settled": ONLY_SPEED,
    },
    mistakes=[
        *instead_of(
            "found += zip(finished.logprob_sums.tolist(), finished.tokens.tolist(), strict=True)",
            {
                "pass": ("forgets the finished texts", "a text that ended early may well be the likeliest"),
            },
        ),
        *instead_of(
            "    found += zip(beams.logprob_sums.tolist(), beams.tokens.tolist(), strict=True)\n    return",
            {
                "    return": (
                    "forgets the unfinished texts",
                    "texts that have reached max_new_tokens are results too",
                ),
                "    found += sorted(zip(beams.logprob_sums.tolist(), beams.tokens.tolist()), reverse=True)[: n_return - len(found)]\n"
                "    return": (
                    "returns unfinished texts only where too few are finished",
                    "finished and unfinished texts are ranked together",
                ),
                "    found = found or list(zip(beams.logprob_sums.tolist(), beams.tokens.tolist(), strict=True))\n    return": (
                    "returns unfinished texts only if none is finished",
                    "finished and unfinished texts are ranked together",
                ),
            },
        ),
        *instead_of(
            "beams.generate(n_beams, no_repeat_ngram_size).filter(n_beams)",
            {
                "beams.generate(n_beams).filter(n_beams)": (
                    "forgets to block repeated n-grams",
                    "no_repeat_ngram_size must reach generate",
                ),
                "beams.generate(n_beams, no_repeat_ngram_size).filter(1)": (
                    "keeps one beam only",
                    "beam search keeps n_beams beams, because a beam that is second now can be first in the end",
                ),
            },
        ),
        *instead_of(
            "found[-1][0]",
            {
                "found[0][0]": (
                    "stops when the best text is found, not when all are",
                    "the last of the n_return results may still be overtaken by a text that is growing",
                )
            },
        ),
        *instead_of(
            "range(max_new_tokens)",
            {
                "range(max_new_tokens + 1)": (
                    "adds one token too many",
                    "max_new_tokens is the largest number of new tokens",
                ),
                "range(max_new_tokens - 1)": (
                    "adds one token too few",
                    "texts grow until they end, or hold max_new_tokens new tokens",
                ),
            },
        ),
        Mistake(
            "stops as soon as n_return texts are finished",
            function=partial(search_all, stops=lambda finished, n_return: len(finished) >= n_return),
            why="a text that is still growing may be likelier than they are",
        ),
        Mistake(
            "stops at the first finished text",
            function=partial(search_all, stops=lambda finished, n_return: len(finished) > 0),
            why="a text that is still growing may be likelier",
        ),
        Mistake(
            "returns the least likely first",
            function=partial(search_all, badness=lambda text: text[0]),
            why="the best comes first, and the rest is cut off",
        ),
        Mistake(
            "ranks by log-probability per token",
            function=partial(search_all, badness=lambda text: -text[0] / len(text[1])),
            why="the score is the plain sum, without a length penalty",
        ),
        Mistake(
            "returns the best text only",
            function=partial(search_all, n_results=lambda n_return: 1),
            why="the result holds the n_return likeliest texts",
        ),
        Mistake(
            "returns more than n_return texts",
            function=partial(search_all, n_results=lambda n_return: 999),
            why="the result holds the n_return likeliest texts: cut off the rest",
        ),
        Mistake("returns the tokens first", function=with_tokens_first, why="a result is (log-probability, token ids)"),
        Mistake(
            "cuts the end token off",
            function=without_the_end_token,
            why="the texts are returned as the search found them",
        ),
        Mistake(
            "forgets to block repeated n-grams, and returns the new tokens only",
            function=without_blocking_and_prompt,
            why="no_repeat_ngram_size must reach generate, and the result holds the prompt too",
        ),
        Mistake("returns probabilities", function=with_probabilities, why="a text comes with its log-probability"),
        Mistake(
            "returns the new tokens only",
            function=without_the_prompt,
            why="the result holds the prompt, followed by the new tokens",
        ),
    ],
)
