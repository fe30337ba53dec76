"""The judge of the second step of beam search: which beams stay, and which are finished."""

from collections.abc import Callable
from typing import Any

import torch

from arena_lib.checking import Case, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.tests.transformer_from_scratch.beams import END, TableModel, make_beams, method_of_beams
from arena_lib.transformer.beam_search import Beams, filter_beams

__test__ = False


def filter_by_lists(beams: Beams, k: int) -> tuple[Beams, Beams]:
    """Sorts indices in Python."""
    order = beams.logprob_sums.argsort(descending=True)[:k].tolist()
    done = [i for i in order if int(beams.tokens[i, -1]) == beams.eos_token_id]
    going = [i for i in order if i not in done]
    return beams.select(torch.tensor(going, dtype=torch.long)), beams.select(torch.tensor(done, dtype=torch.long))


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
