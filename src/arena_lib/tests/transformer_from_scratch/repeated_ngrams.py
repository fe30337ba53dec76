"""The judge of blocking repeated n-grams: which next tokens get log-probability -inf."""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.transformer.beam_search import ban_repeated_ngrams

__test__ = False

D_VOCAB = 5


def ban_cases(generator: torch.Generator) -> list[Case]:
    """Pairs, triples, single tokens, a text that is too short, and an n-gram that overlaps itself."""
    texts = {
        "triples": ([[1, 0, 3, 4, 4, 0, 0, 3], [1, 2, 2, 1, 4, 1, 1, 1]], 3),
        "pairs": ([[0, 1, 2, 0], [3, 3, 1, 3]], 2),
        "single tokens": ([[0, 2, 2], [3, 1, 3]], 1),
        "texts too short to repeat anything": ([[0], [1]], 3),
        "a text as long as the n-gram": ([[1, 1], [1, 2]], 2),
        "the same token over and over": ([[2, 2, 2, 2]], 3),
        "tokens that begin alike, or end alike": ([[0, 1, 2, 3, 1, 4, 0, 1], [4, 1, 0, 2, 3, 0, 0, 1]], 3),
        "one token that was followed by several": ([[1, 0, 1, 2, 1]], 2),
    }
    return [
        Case(
            label=label,
            args=(torch.randn(len(text), D_VOCAB, generator=generator).log_softmax(-1), torch.tensor(text), size),
            axes={"output": "n_beams d_vocab"},
        )
        for label, (text, size) in texts.items()
    ]


def ban_by_loops(logprobs: Tensor, tokens: Tensor, ngram_size: int) -> Tensor:
    """Collects the n-grams of each text in a set."""
    banned = torch.zeros_like(logprobs, dtype=torch.bool)
    for beam, text in enumerate(tokens.tolist()):
        seen = {tuple(text[i : i + ngram_size]) for i in range(len(text) - ngram_size + 1)}
        tail = text[len(text) - ngram_size + 1 :] if ngram_size > 1 else []
        for token in range(logprobs.shape[1]):
            banned[beam, token] = (*tail, token) in seen
    return logprobs.masked_fill(banned, -torch.inf)


def ban_of_all_beams(logprobs: Tensor, tokens: Tensor, ngram_size: int) -> Tensor:
    """The mistake of one set of n-grams for all beams."""
    texts = tokens.tolist()
    seen = {tuple(text[i : i + ngram_size]) for text in texts for i in range(len(text) - ngram_size + 1)}
    tails = [tuple(text[len(text) - ngram_size + 1 :]) if len(text) >= ngram_size else (-1,) for text in texts]
    banned = [[(*tail, token) in seen for token in range(logprobs.shape[1])] for tail in tails]
    return logprobs.masked_fill(torch.tensor(banned), -torch.inf)


test_ban_repeated_ngrams = exercise(
    reference=ban_repeated_ngrams,
    cases=ban_cases,
    accepts=[ban_by_loops],
    mistakes=[
        *instead_of(
            "(ngrams[:, :, :-1] == last).all(dim=-1)",
            {
                "(ngrams[:, :, :-1].sort(dim=-1).values == last.sort(dim=-1).values).all(dim=-1)": (
                    "compares the tokens in any order",
                    "an n-gram repeats only with its tokens in the same order",
                ),
                "(ngrams[:, :, :-1] == last)[:, :, -1:].all(dim=-1)": (
                    "compares only the newest token",
                    "all of the last n - 1 tokens must be what the n-gram began with",
                ),
                "(ngrams[:, :, :-1] == last)[:, :, :1].all(dim=-1)": (
                    "compares only the first of the last n - 1 tokens",
                    "all of the last n - 1 tokens must be what the n-gram began with",
                ),
                "(ngrams[:, :, :-1] == last).all(dim=-1) & (torch.arange(ngrams.shape[1]) % ngram_size == 0)": (
                    "looks at every n-th place only",
                    "an n-gram may begin at any place of the text, and n-grams may overlap",
                ),
                "(m := (ngrams[:, :, :-1] == last).all(dim=-1)) & (m.cumsum(dim=1) == 1)": (
                    "looks at the first place only where the tokens occurred",
                    "the same n - 1 tokens may have been followed by several others: each of them is banned",
                ),
                "(m := (ngrams[:, :, :-1] == last).all(dim=-1)) & (m.flip(1).cumsum(dim=1).flip(1) == 1)": (
                    "looks at the latest place only where the tokens occurred",
                    "the same n - 1 tokens may have been followed by several others: each of them is banned",
                ),
                "(ngrams[:, :, 1:-1] == last[:, :, 1:]).all(dim=-1)": (
                    "compares one token too few",
                    "all of the last n - 1 tokens must be what the n-gram began with",
                ),
                "(ngrams[:, :, :-1] == last).any(dim=-1)": (
                    "matches if any token agrees",
                    "an n-gram repeats only if all of its first n - 1 tokens agree",
                ),
                "torch.ones_like(ngrams[:, :, 0], dtype=torch.bool)": (
                    "bans every token that ended any n-gram",
                    "a token is banned only after the same n - 1 tokens as before",
                ),
            },
        ),
        *instead_of(
            "logprobs[beam_idx, ngrams[beam_idx, start, -1]] = -torch.inf",
            {
                "logprobs[beam_idx, ngrams[beam_idx, start, 0]] = -torch.inf": (
                    "bans the start of the n-gram, not its end",
                    "the token that would complete the n-gram again is its last one",
                ),
                "logprobs[:, ngrams[beam_idx, start, -1]] = -torch.inf": (
                    "bans in every beam what another beam contains",
                    "each beam is a text of its own, and may repeat what another beam contains",
                ),
                "logprobs[beam_idx[beam_idx == 0], ngrams[beam_idx, start, -1][beam_idx == 0]] = -torch.inf": (
                    "looks at the first beam only",
                    "every beam has n-grams of its own",
                ),
                "logprobs[beam_idx, ngrams[beam_idx, start, -1]] = 0.0": (
                    "sets the log-probability to zero",
                    "a log-probability of 0 means certainty: a banned token has -inf",
                ),
            },
        ),
        *instead_of(
            "if seq < ngram_size:\n        return logprobs",
            {
                "if seq < ngram_size or ngram_size == 1:\n        return logprobs": (
                    "bans nothing when n is 1",
                    "the slice [-(n - 1):] is [0:] for n = 1, the whole text instead of nothing: count from the front",
                ),
                "if True:\n        return logprobs.scatter(1, tokens, -torch.inf)": (
                    "bans every token of the text",
                    "a token is banned only after the same n - 1 tokens as before",
                ),
            },
        ),
        *instead_of(
            "tokens.unfold(dimension=1, size=ngram_size, step=1)",
            {
                "tokens.unfold(dimension=1, size=ngram_size, step=1).flip(1)[:, :-1]": (
                    "leaves out the oldest n-gram",
                    "every n-gram of the text counts, also the first",
                ),
                "tokens.unfold(dimension=1, size=ngram_size, step=1)[:, :-1]": (
                    "leaves out the newest n-gram",
                    "the n-gram that ends with the newest token occurred already, too",
                ),
            },
        ),
        *instead_of(
            "    seq = tokens.shape[1]\n",
            {
                "    seq, ngram_size = tokens.shape[1], ngram_size + 1\n": (
                    "uses n-grams one token too long",
                    "the last n - 1 tokens and the next one make an n-gram",
                ),
                "    seq, ngram_size = tokens.shape[1], max(ngram_size - 1, 1)\n": (
                    "uses n-grams one token too short",
                    "the last n - 1 tokens and the next one make an n-gram",
                ),
            },
        ),
        Mistake(
            "renormalises the others",
            "def ban_repeated_ngrams(",
            "@lambda ban: lambda *args: ban(*args).log_softmax(dim=-1)\ndef ban_repeated_ngrams(",
            why="the other tokens keep their log-probabilities",
        ),
        Mistake(
            "bans the n-grams of all beams in every beam",
            function=ban_of_all_beams,
            why="each text may repeat what another text said",
        ),
        Mistake(
            "sets a large negative number, not -inf",
            "= -torch.inf",
            "= -1e4",
            why="extend_beams leaves out beams of log-probability -inf: any other number keeps them",
            shows=lambda seen: any(bool((case["output"].nan_to_num(neginf=0.0) < -99.0).any()) for case in seen),
        ),
        *instead_of(
            "logprobs = logprobs.clone()",
            {
                "logprobs = logprobs": (
                    "changes the argument in place",
                    "the caller's log-probabilities must stay as they were",
                )
            },
        ),
    ],
)
