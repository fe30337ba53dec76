"""The judge of the first step of beam search: how beams grow."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.tests.transformer_from_scratch.repeated_ngrams import D_VOCAB, ban_by_loops
from arena_lib.transformer.beam_search import Beams, extend_beams

__test__ = False

END = 4


class TableModel:
    """A model that knows only the last token and the length: its logits come from a fixed table."""

    def __init__(self, generator: torch.Generator) -> None:
        self.table = 2 * torch.randn(D_VOCAB, D_VOCAB, generator=generator)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits "batch seq d_vocab"; each position's are shifted by a constant, which softmax doesn't see."""
        return self.table[tokens] + torch.arange(tokens.shape[1], dtype=torch.float32)[:, None]


def make_beams(model: Any, tokens: list[list[int]], logprobs: list[float], eos: int | None = END) -> Beams:
    """Beams over a table model."""
    return Beams(model=model, tokens=torch.tensor(tokens), logprob_sums=torch.tensor(logprobs), eos_token_id=eos)


def extend_cases(generator: torch.Generator) -> list[Case]:
    """One beam, several, blocked n-grams, and more continuations than there are tokens."""
    model = TableModel(generator)
    one = make_beams(model, [[0, 3]], [-1.5])
    several = make_beams(model, [[0, 1, 0], [2, 3, 1], [1, 1, 2]], [-0.5, -2.0, -1.25])
    ended = make_beams(model, [[0, END], [2, 3]], [-0.5, -2.0])
    calls: dict[str, tuple[Any, ...]] = {
        "one beam": (one, 2),
        "several beams": (several, 3),
        "a beam whose last token is the end token": (ended, 2),
        "no repeated pairs": (several, 4, 2),
        "the two best tokens that don't repeat": (several, 2, 1),
        "no repeated tokens, so that few are left": (several, D_VOCAB + 3, 1),
    }
    axes = {"tokens": "n_beams seq", "logprob_sums": "n_beams"}
    return [Case(label=label, args=args, axes=axes) for label, args in calls.items()]


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


test_extend_beams = exercise(
    reference=extend_beams,
    cases=extend_cases,
    observe=extended,
    adapt=method_of_beams("generate"),
    accepts=[extend_by_loop],
    equivalent={
        "best = logprobs.topk(min(k, logprobs.shape[-1]), dim=-1) -> best = logprobs.topk(min(k, logprobs.shape[-1]))": (
            "the last axis is topk's default"
        )
    },
    mistakes=[
        *instead_of(
            "[:, -1]).log_softmax(dim=-1)",
            {
                "[:, -1]).flatten().log_softmax(dim=0).reshape(len(beams.tokens), -1)": (
                    "takes the softmax over all beams together",
                    "each beam's probabilities sum to one over the vocabulary, the last axis",
                ),
                "[:, -1])": (
                    "adds logits instead of log-probabilities",
                    "only log-probabilities of different beams can be compared",
                ),
                "[:, -1]).softmax(dim=-1)": (
                    "adds probabilities instead of log-probabilities",
                    "probabilities multiply along a text; their logarithms add up",
                ),
                "[:, -1]).log_softmax(dim=0)": (
                    "takes the softmax over the beams",
                    "each beam's probabilities sum to one over the vocabulary, the last axis",
                ),
                "[:, 0]).log_softmax(dim=-1)": (
                    "reads the logits at the first position",
                    "the last position predicts the next token",
                ),
            },
        ),
        *instead_of(
            'einops.rearrange(beams.logprob_sums, "n_beams -> n_beams 1") + best.values',
            {
                '(einops.rearrange(beams.logprob_sums, "n_beams -> n_beams 1") + best.values) / 2': (
                    "averages the old log-probability and the token's",
                    "the log-probabilities of a text's tokens are summed",
                ),
                'einops.rearrange(beams.logprob_sums, "n_beams -> n_beams 1") + 0 * best.values.clamp(min=-99)': (
                    "keeps the beam's old log-probability",
                    "the sum grows by the log-probability of each token",
                ),
                "best.values": (
                    "forgets the log-probability that the beam already had",
                    "a beam's score is that of the whole continuation, not of its last token",
                ),
                'einops.rearrange(beams.logprob_sums, "n_beams -> n_beams 1") - best.values': (
                    "subtracts the log-probability",
                    "a text gets less likely as it grows: add the negative number",
                ),
                'einops.rearrange(beams.logprob_sums, "n_beams -> n_beams 1") * best.values': (
                    "multiplies log-probabilities",
                    "probabilities multiply along a text; their logarithms add up",
                ),
            },
        ),
        *instead_of(
            "logprobs = ban_repeated_ngrams(logprobs, beams.tokens, no_repeat_ngram_size)",
            {
                "pass": (
                    "forgets to block repeated n-grams",
                    "with no_repeat_ngram_size no n-gram may occur twice in a beam",
                ),
                "logprobs = ban_repeated_ngrams(logprobs, beams.tokens, no_repeat_ngram_size).log_softmax(dim=-1)": (
                    "renormalises the probabilities after blocking",
                    "the log-softmax comes first: blocking changes no other token's log-probability",
                ),
                "kth = logprobs.topk(min(k, logprobs.shape[-1])).values[:, -1:]\n"
                "        logprobs = ban_repeated_ngrams(logprobs, beams.tokens, no_repeat_ngram_size)\n"
                "        logprobs = logprobs.masked_fill(logprobs < kth, -torch.inf)": (
                    "blocks after it chose the k best",
                    "block first: each beam has k continuations that are allowed",
                ),
            },
        ),
        *instead_of(
            "logprobs.topk(min(k, logprobs.shape[-1]), dim=-1)",
            {
                "logprobs.topk(min(k + 1, logprobs.shape[-1]), dim=-1)": (
                    "extends each beam by one token too many",
                    "the result holds the k best continuations of each beam",
                ),
                "logprobs.sort(dim=-1, descending=True)": (
                    "extends each beam by every token",
                    "the result holds the k best continuations of each beam",
                ),
                "logprobs.topk(min(k, logprobs.shape[-1]), dim=-1, largest=False)": (
                    "extends each beam by the k least likely tokens",
                    "the result holds the k best continuations of each beam",
                ),
                "logprobs.topk(1, dim=-1)": (
                    "extends each beam by its best token only",
                    "the result holds the k best continuations of each beam",
                ),
                "logprobs.topk(k, dim=-1)": (
                    "fails when k is larger than the vocabulary",
                    "topk can't take more tokens than the vocabulary has",
                ),
            },
        ),
        *instead_of(
            "is_possible = sums > -torch.inf",
            {
                "is_possible = sums <= torch.inf": (
                    "keeps beams of log-probability -inf",
                    "a banned token has log-probability -inf: leave out the beams that end in one",
                )
            },
        ),
        *instead_of(
            '"n_beams seq -> n_beams k seq", k=sums.shape[1])',
            {
                '"n_beams seq -> k n_beams seq", k=sums.shape[1]).reshape(len(sums), sums.shape[1], -1)': (
                    "mixes up which beam a continuation belongs to",
                    "each beam is repeated k times for its own k continuations: the first beam's come first",
                )
            },
        ),
        *instead_of(
            "return replace(beams, tokens=longer[is_possible], logprob_sums=sums[is_possible])",
            {
                "longer, sums, is_possible = (t.transpose(0, 1) for t in (longer, sums, is_possible))\n"
                "    return replace(beams, tokens=longer[is_possible], logprob_sums=sums[is_possible])": (
                    "puts the best continuation of each beam first, then the second of each",
                    "beams that come from the first beam stand first, then those from the second",
                ),
                "longer, sums, is_possible = (t.flip(1) for t in (longer, sums, is_possible))\n"
                "    return replace(beams, tokens=longer[is_possible], logprob_sums=sums[is_possible])": (
                    "puts each beam's likeliest continuation last",
                    "of the beams that come from one beam the likeliest stands first",
                ),
                "longer, sums, is_possible = (t.flip(0) for t in (longer, sums, is_possible))\n"
                "    return replace(beams, tokens=longer[is_possible], logprob_sums=sums[is_possible])": (
                    "puts the continuations of the last beam first",
                    "beams that come from the first beam stand first",
                ),
                "goes_on = is_possible & (parents[..., -1] != (-1 if beams.eos_token_id is None else beams.eos_token_id))\n"
                "    return replace(beams, tokens=longer[goes_on], logprob_sums=sums[goes_on])": (
                    "leaves out the beams that have ended",
                    "filter_beams sets finished beams aside; all beams that are given are extended",
                ),
                "return replace(beams, tokens=longer[is_possible], logprob_sums=sums[is_possible])"
                ".select(sums[is_possible].argsort(descending=True))": (
                    "sorts all beams by their log-probability",
                    "beams that come from the first beam come first; filter_beams does the ranking",
                ),
                "return replace(beams, tokens=longer[is_possible], logprob_sums=sums[is_possible])"
                ".select(sums[is_possible].argsort(descending=True)[:k])": (
                    "keeps the k best of all beams only",
                    "each beam has k continuations; filter_beams makes the choice among them",
                ),
            },
        ),
    ],
)
