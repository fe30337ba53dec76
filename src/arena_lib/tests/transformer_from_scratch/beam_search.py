"""Judges of the beam search exercises of section 1.1.

Shapes:  tokens "n_beams seq", their log-probabilities "n_beams".
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise
from arena_lib.checking.observing import Observations
from arena_lib.transformer.beam_search import Beams, ban_repeated_ngrams, beam_search, extend_beams, filter_beams

__test__ = False

D_VOCAB = 5
END = 4
OVERTAKEN_SEED = 4
"""The first seed whose search finds its best text early, and its second best late."""


class TableModel:
    """A model that knows only the last token and the length: its logits come from a fixed table."""

    def __init__(self, generator: torch.Generator) -> None:
        self.table = 2 * torch.randn(D_VOCAB, D_VOCAB, generator=generator)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits "batch seq d_vocab"; each position's are shifted by a constant, which softmax doesn't see."""
        return self.table[tokens] + torch.arange(tokens.shape[1], dtype=torch.float32)[:, None]


def ban_cases(generator: torch.Generator) -> list[Case]:
    """Pairs, triples, single tokens, a text that is too short, and an n-gram that overlaps itself."""
    texts = {
        "pairs": ([[0, 1, 2, 0], [3, 3, 1, 3]], 2),
        "triples": ([[0, 1, 2, 0, 1], [1, 2, 0, 2, 1]], 3),
        "single tokens": ([[0, 2, 2], [3, 1, 3]], 1),
        "texts too short to repeat anything": ([[0], [1]], 3),
        "a text as long as the n-gram": ([[1, 1], [1, 2]], 2),
        "the same token over and over": ([[2, 2, 2, 2]], 3),
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


test_ban_repeated_ngrams = exercise(
    reference=ban_repeated_ngrams,
    cases=ban_cases,
    accepts=[ban_by_loops],
    mistakes=[
        Mistake(
            "compares one token too few",
            "(ngrams[:, :, :-1] == last)",
            "(ngrams[:, :, 1:-1] == last[:, :, 1:])",
            why="all of the last n - 1 tokens must be what the n-gram began with",
        ),
        Mistake(
            "matches if any token agrees",
            ".all(dim=-1)",
            ".any(dim=-1)",
            why="an n-gram repeats only if all of its first n - 1 tokens agree",
        ),
        Mistake(
            "bans the start of the n-gram, not its end",
            "ngrams[beam_idx, start, -1]",
            "ngrams[beam_idx, start, 0]",
            why="the token that would complete the n-gram again is its last one",
        ),
        Mistake(
            "bans in every beam what one beam said",
            "logprobs[beam_idx, ngrams[beam_idx, start, -1]]",
            "logprobs[:, ngrams[beam_idx, start, -1]]",
            why="each text may repeat what another text said",
        ),
        Mistake(
            "changes the argument in place",
            "logprobs = logprobs.clone()",
            "logprobs = logprobs",
            why="the caller's log-probabilities must stay as they were",
        ),
        Mistake(
            "sets the log-probability to zero",
            "= -torch.inf",
            "= 0.0",
            why="a log-probability of 0 is certainty; one that can't happen has -inf",
        ),
    ],
)


def make_beams(model: Any, tokens: list[list[int]], logprobs: list[float], eos: int | None = END) -> Beams:
    """Beams over a table model."""
    return Beams(model=model, tokens=torch.tensor(tokens), logprob_sums=torch.tensor(logprobs), eos_token_id=eos)


def extend_cases(generator: torch.Generator) -> list[Case]:
    """One beam, several, blocked n-grams, and more continuations than there are tokens."""
    model = TableModel(generator)
    one = make_beams(model, [[0, 3]], [-1.5])
    several = make_beams(model, [[0, 1, 0], [2, 3, 1], [1, 1, 2]], [-0.5, -2.0, -1.25])
    return [
        Case(label="one beam", args=(one, 2)),
        Case(label="several beams", args=(several, 3)),
        Case(label="no repeated pairs", args=(several, 4, 2)),
        Case(label="no repeated tokens, so that few are left", args=(several, D_VOCAB + 3, 1)),
    ]


def method_of_beams(name: str) -> Callable[[Any], Any]:
    """A class Beams with a method, as some notebooks have it, as a function of the beams."""

    def adapt(obj: Any) -> Any:
        if not isinstance(obj, type):
            return obj
        return lambda beams, *args: getattr(obj(**vars(beams)), name)(*args)

    return adapt


def extended(function: Callable[..., Any], case: Case) -> Observations:
    """Tokens and sums of the longer beams."""
    longer = function(*case.args)
    return {"tokens": longer.tokens, "logprob_sums": longer.logprob_sums}


def extend_by_loop(beams: Beams, k: int, no_repeat_ngram_size: int | None = None) -> Beams:
    """Extends one beam after the other."""
    texts, sums = [], []
    for text, total in zip(beams.tokens, beams.logprob_sums, strict=True):
        logits = beams.model(text[None])[0, -1]
        logprobs = logits - torch.logsumexp(logits, dim=0)
        if no_repeat_ngram_size:
            logprobs = ban_by_loops(logprobs[None], text[None], no_repeat_ngram_size)[0]
        for token in logprobs.argsort(descending=True)[:k]:
            if logprobs[token] > -torch.inf:
                texts.append(torch.cat([text, token[None]]))
                sums.append(total + logprobs[token])
    return replace(beams, tokens=torch.stack(texts), logprob_sums=torch.stack(sums))


def filter_by_lists(beams: Beams, k: int) -> tuple[Beams, Beams]:
    """Sorts indices in Python."""
    order = beams.logprob_sums.argsort(descending=True)[:k].tolist()
    done = [i for i in order if int(beams.tokens[i, -1]) == beams.eos_token_id]
    going = [i for i in order if i not in done]
    return beams.select(torch.tensor(going, dtype=torch.long)), beams.select(torch.tensor(done, dtype=torch.long))


test_extend_beams = exercise(
    reference=extend_beams,
    cases=extend_cases,
    observe=extended,
    adapt=method_of_beams("generate"),
    accepts=[extend_by_loop],
    mistakes=[
        Mistake(
            "adds logits in place of log-probabilities",
            "beams.model(beams.tokens)[:, -1].log_softmax(dim=-1)",
            "beams.model(beams.tokens)[:, -1]",
            why="only log-probabilities of different beams can be compared",
        ),
        Mistake(
            "reads the logits at the first position",
            "beams.model(beams.tokens)[:, -1]",
            "beams.model(beams.tokens)[:, 0]",
            why="the last position predicts the next token",
        ),
        Mistake(
            "forgets what the beam had already",
            'einops.rearrange(beams.logprob_sums, "n_beams -> n_beams 1") + best.values',
            "best.values",
            why="a beam's score is that of the whole continuation, not of its last token",
        ),
        Mistake(
            "forgets to block repeated n-grams",
            "if no_repeat_ngram_size is not None:",
            "if False:",
            why="with no_repeat_ngram_size no n-gram may occur twice in a beam",
        ),
        Mistake(
            "takes the k least likely tokens",
            "dim=-1)\n\n    sums",
            "dim=-1, largest=False)\n\n    sums",
            why="the k best continuations of each beam are asked for",
        ),
        Mistake(
            "keeps beams that cannot happen",
            "is_possible = sums > -torch.inf",
            "is_possible = sums <= torch.inf",
            why="a banned token has log-probability -inf, and such a beam must go",
        ),
        Mistake(
            "fails when k is larger than the vocabulary",
            "min(k, logprobs.shape[-1])",
            "k",
            why="topk can't take more than there are",
        ),
        Mistake(
            "mixes up which beam a continuation belongs to",
            '"n_beams seq -> n_beams k seq", k=sums.shape[1])',
            '"n_beams seq -> (n_beams k) seq", k=sums.shape[1]).reshape(sums.shape[1], -1, beams.tokens.shape[1]).transpose(0, 1)',
            why="each beam is repeated k times for its own k continuations",
        ),
    ],
)


def filter_cases(generator: torch.Generator) -> list[Case]:
    """Finished and unfinished beams, none of either kind, no end token, and fewer beams than asked for."""
    model = TableModel(generator)
    tokens = [[0, 1], [2, END], [1, 3], [3, END], [END, 2]]
    sums = [-3.0, -1.0, -0.5, -4.0, -2.0]
    beams = make_beams(model, tokens, sums)
    return [
        Case(label="some finished", args=(beams, 4)),
        Case(label="only unfinished ones are good enough", args=(beams, 1)),
        Case(label="all finished", args=(make_beams(model, [[1, END], [0, END]], [-2.0, -1.0]), 3)),
        Case(label="no end token", args=(make_beams(model, [*tokens[:4], [1, 0]], sums, eos=None), 4)),
        Case(label="fewer than asked for", args=(beams, 9)),
    ]


def filtered(function: Callable[..., Any], case: Case) -> Observations:
    """Both parts of the selection."""
    parts = function(*case.args)
    if not (isinstance(parts, tuple | list) and len(parts) == 2):
        raise Unfit(f"It must return two Beams, (unfinished, finished): got {type(parts).__name__}.")
    return {
        f"{name} of the {which} beams": getattr(part, name)
        for which, part in zip(("unfinished", "finished"), parts, strict=True)
        for name in ("tokens", "logprob_sums")
    }


test_filter_beams = exercise(
    reference=filter_beams,
    cases=filter_cases,
    observe=filtered,
    adapt=method_of_beams("filter"),
    accepts=[filter_by_lists],
    mistakes=[
        Mistake(
            "swaps finished and unfinished",
            "beams.select(best[~is_finished]), beams.select(best[is_finished])",
            "beams.select(best[is_finished]), beams.select(best[~is_finished])",
            why="the first part goes on growing, so it holds the unfinished beams",
        ),
        Mistake(
            "keeps the least likely beams",
            "beams.logprob_sums.topk(min(k, len(beams.logprob_sums)))",
            "beams.logprob_sums.topk(min(k, len(beams.logprob_sums)), largest=False)",
            why="the k most likely beams stay",
        ),
        Mistake(
            "takes a beam as finished if it began with the end token",
            "last = beams.tokens[best, -1]",
            "last = beams.tokens[best, 0]",
            why="the last token says whether the text is over",
        ),
        Mistake(
            "keeps the beams in their old order",
            ".indices\n    last",
            ".indices.sort().values\n    last",
            why="the likeliest stands first",
        ),
        Mistake(
            "fails when there are fewer beams than k",
            "min(k, len(beams.logprob_sums))",
            "k",
            why="topk can't take more than there are: then all stay",
        ),
        Mistake(
            "keeps every beam",
            "beams.logprob_sums.topk(min(k, len(beams.logprob_sums)))",
            "beams.logprob_sums.sort(descending=True)",
            why="without a cut the number of beams multiplies at every step",
        ),
    ],
)


def search_cases(generator: torch.Generator) -> list[Case]:
    """Greedy, wide, with n-gram blocking, with several results, and with an end token that is likely."""
    models = [TableModel(generator) for _ in range(3)]
    models[2].table[:, END] += 2.0
    start = [make_beams(model, [[0, 2]], [0.0]) for model in models]
    overtaken = TableModel(torch.Generator().manual_seed(OVERTAKEN_SEED))
    overtaken.table[:, END] += 2.0
    return [
        Case(label="one beam", args=(start[0], 1, 4)),
        Case(label="three beams", args=(start[0], 3, 4)),
        Case(label="several results", args=(start[1], 4, 5, 3)),
        Case(label="no repeated pairs", args=(start[1], 3, 6, 2, 2)),
        Case(label="texts that end early", args=(start[2], 3, 6, 2)),
        Case(label="a second text that is overtaken", args=(make_beams(overtaken, [[0, 2]], [0.0]), 3, 6, 2)),
        Case(label="no end token", args=(make_beams(models[1], [[1]], [0.0], eos=None), 2, 3, 2)),
        Case(label="nothing to add", args=(start[0], 2, 0)),
    ]


def search_by_recursion(
    beams: Beams, n_beams: int, max_new_tokens: int, n_return: int = 1, no_repeat_ngram_size: int | None = None
) -> list[tuple[float, list[int]]]:
    """Never stops early, and sorts all texts at the end."""
    pool: list[tuple[float, list[int]]] = []
    for _ in range(max_new_tokens):
        if len(beams.tokens):
            beams, done = beams.generate(n_beams, no_repeat_ngram_size).filter(n_beams)
            pool += [(float(s), t.tolist()) for s, t in zip(done.logprob_sums, done.tokens, strict=True)]
    pool += [(float(s), t.tolist()) for s, t in zip(beams.logprob_sums, beams.tokens, strict=True)]
    pool.sort(key=lambda pair: -pair[0])
    return pool[:n_return]


test_beam_search = exercise(
    reference=beam_search,
    cases=search_cases,
    accepts=[search_by_recursion],
    mistakes=[
        Mistake(
            "forgets the finished texts",
            "found += zip(finished.logprob_sums.tolist(), finished.tokens.tolist(), strict=True)",
            "pass",
            why="a text that ended early may well be the likeliest",
        ),
        Mistake(
            "forgets the unfinished texts",
            "    found += zip(beams.logprob_sums.tolist(), beams.tokens.tolist(), strict=True)\n    return",
            "    return",
            why="texts that have reached max_new_tokens are results too",
        ),
        Mistake(
            "returns the least likely first",
            "    return sorted(found, reverse=True)[:n_return]",
            "    return sorted(found)[:n_return]",
            why="the best comes first, and the rest is cut off",
        ),
        Mistake(
            "forgets to block repeated n-grams",
            "beams.generate(n_beams, no_repeat_ngram_size)",
            "beams.generate(n_beams)",
            why="no_repeat_ngram_size must reach generate",
        ),
        Mistake(
            "stops when the best text is found, not when all are",
            "found[-1][0]",
            "found[0][0]",
            why="the last of the n_return results may still be overtaken by a text that is growing",
        ),
        Mistake(
            "keeps one beam only",
            ".filter(n_beams)",
            ".filter(1)",
            why="that is greedy search: a beam that is second now can be first in the end",
        ),
        Mistake(
            "adds one token too many",
            "range(max_new_tokens)",
            "range(max_new_tokens + 1)",
            why="max_new_tokens is the most",
        ),
    ],
)
