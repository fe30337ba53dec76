"""Judges of the two steps of beam search: beams that grow, and those that stay."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.tests.transformer_from_scratch.repeated_ngrams import D_VOCAB, ban_by_loops
from arena_lib.transformer.beam_search import Beams, extend_beams, filter_beams

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


def filter_cases(generator: torch.Generator) -> list[Case]:
    """Finished and unfinished beams, none of either kind, no end token, and fewer beams than asked for."""
    model = TableModel(generator)
    tokens = [[0, 1], [2, END], [1, 3], [3, END], [END, 2]]
    sums = [-3.0, -2.0, -0.5, -4.0, -1.0]
    beams = make_beams(model, tokens, sums)
    calls = {
        "only unfinished ones are good enough": (beams, 1),
        "some finished": (beams, 4),
        "all finished": (make_beams(model, [[1, END], [0, END]], [-2.0, -1.0]), 3),
        "no end token": (make_beams(model, [*tokens[:4], [1, 0]], sums, eos=None), 4),
        "fewer than asked for": (beams, 9),
        "token 0 ends a text": (make_beams(model, [[2, 0], [1, 3], [0, 2]], [-1.0, -2.0, -3.0], eos=0), 2),
    }
    parts = ("unfinished", "finished")
    axes = {f"tokens of the {part} beams": "n_beams seq" for part in parts}
    axes |= {f"logprob_sums of the {part} beams": "n_beams" for part in parts}
    return [Case(label=label, args=args, axes=axes) for label, args in calls.items()]


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


NO_END = "eos_token_id is None if no token ends a text: then no beam is finished"
TOGETHER = "both parts together hold k beams: a finished text takes the place of an unfinished one"
SPLIT = (
    "order = beams.logprob_sums.argsort(descending=True)\n"
    "    ends = beams.tokens[order, -1] == (-1 if beams.eos_token_id is None else beams.eos_token_id)\n"
)

test_filter_beams = exercise(
    reference=filter_beams,
    cases=filter_cases,
    observe=filtered,
    adapt=method_of_beams("filter"),
    accepts=[filter_by_lists],
    mistakes=[
        *instead_of(
            "beams.select(best[~is_finished]), beams.select(best[is_finished])",
            {
                "beams.select(best[is_finished]), beams.select(best[~is_finished])": (
                    "swaps finished and unfinished",
                    "the first part goes on growing, so it holds the unfinished beams",
                ),
                "beams.select(best), beams.select(best[:0])": (
                    "counts no beam as finished",
                    "a beam whose last token is eos_token_id is finished",
                ),
                "beams.select(best[~is_finished].flip(0)), beams.select(best[is_finished].flip(0))": (
                    "puts the likeliest last",
                    "the beams that stay are sorted, the most likely first",
                ),
                "beams.select(best[~is_finished]), replace(beams.select(best[is_finished]), tokens=beams.tokens[best[is_finished], :-1])": (
                    "cuts the end token off",
                    "the finished beams' tokens stay as they are",
                ),
                "(lambda *parts: tuple(replace(part, logprob_sums=part.logprob_sums.exp()) for part in parts))"
                "(beams.select(best[~is_finished]), beams.select(best[is_finished]))": (
                    "returns probabilities",
                    "the beams keep their log-probabilities",
                ),
                "(lambda *parts: tuple(replace(part, logprob_sums=part.logprob_sums / beams.tokens.shape[1]) for part in parts))"
                "(beams.select(best[~is_finished]), beams.select(best[is_finished]))": (
                    "divides the log-probabilities by the length",
                    "the beams keep the sums of their log-probabilities",
                ),
                "beams.select(best), beams.select(best[is_finished])": (
                    "keeps finished beams among the unfinished",
                    "a finished text must not grow any more",
                ),
            },
        ),
        *instead_of(
            "best = beams.logprob_sums.topk(min(k, len(beams.logprob_sums))).indices",
            {
                "best = beams.logprob_sums.topk(min(k, len(beams.logprob_sums)), largest=False).indices": (
                    "keeps the least likely beams",
                    "the k most likely beams stay",
                ),
                "best = beams.logprob_sums.topk(min(k, len(beams.logprob_sums))).indices.sort().values": (
                    "keeps the beams in their old order",
                    "the beams that stay are sorted, the most likely first",
                ),
                "best = torch.arange(min(k, len(beams.logprob_sums)))[beams.logprob_sums[:k].argsort(descending=True)]": (
                    "keeps the first k beams, not the best",
                    "the k most likely beams stay, wherever they stand",
                ),
                "best = beams.logprob_sums.topk(k).indices": (
                    "fails when there are fewer beams than k",
                    "topk can't take more beams than there are: if there are fewer than k, all stay",
                ),
                "best = beams.logprob_sums.topk(min(k + 1, len(beams.logprob_sums))).indices": (
                    "keeps one beam too many",
                    "both parts together hold k beams",
                ),
                "best = beams.logprob_sums.argsort(descending=True)": (
                    "keeps every beam",
                    "without a cut the number of beams multiplies at every step",
                ),
                f"{SPLIT}    best = torch.cat([order[~ends][:k], order[ends][:k]])": (
                    "keeps k beams of each part",
                    TOGETHER,
                ),
                f"{SPLIT}    best = torch.cat([order[~ends][:k], order[ends]])": (
                    "cuts only the unfinished beams",
                    TOGETHER,
                ),
            },
        ),
        *instead_of(
            "beams.eos_token_id is None else",
            {
                "False else": ("doesn't ask whether there is an end token", NO_END),
                "not beams.eos_token_id else": (
                    "treats an end token of id 0 as none",
                    "0 is a token id like any other: ask whether eos_token_id is None",
                ),
                "False else last == 0 if beams.eos_token_id is None else": (
                    "counts token 0 as the end token if there is none",
                    NO_END,
                ),
            },
        ),
        *instead_of(
            "last == beams.eos_token_id\n",
            {
                "beams.tokens[best, 0] == beams.eos_token_id\n": (
                    "counts a beam as finished if it began with the end token",
                    "the last token says whether the text is over",
                ),
                "(beams.tokens[best] == beams.eos_token_id).any(dim=-1)\n": (
                    "counts a beam as finished if it contains the end token anywhere",
                    "the last token says whether the text is over: a prompt may begin with the same token",
                ),
            },
        ),
    ],
)
