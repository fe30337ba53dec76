"""Judges of the detectors: heads that look at themselves, at the token before, at the first, or one past a copy.

Where no threshold is handed in, every head is clearly of a kind or clearly not, so that any sensible default
gives the same names. Where one is, heads are of every degree, and which of them count is for the mean alone to say.

Shapes:  cache["pattern", layer] "n_heads seq_q seq_k".
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations, n_positional
from arena_lib.interp.heads.detectors import (
    current_attn_detector,
    first_attn_detector,
    induction_attn_detector,
    prev_attn_detector,
)
from arena_lib.tests.intro_to_mech_interp.patterns import CLEAR, CLEAR_OF_COPIES, PatternCache, clear_and_graded

__test__ = False

SHORT = (5, 3, 4)
"""Lengths of the texts with heads of every degree: the shorter, the more each entry of a mean matters."""


def current_cases(generator: torch.Generator) -> list[Case]:
    """Heads that look at themselves, and others."""
    return clear_and_graded(current_attn_detector, CLEAR, SHORT, generator)


def prev_cases(generator: torch.Generator) -> list[Case]:
    """Heads that look at the token before, and others."""
    return clear_and_graded(prev_attn_detector, CLEAR, SHORT, generator)


def first_cases(generator: torch.Generator) -> list[Case]:
    """Heads that look at the first token, and others."""
    return clear_and_graded(first_attn_detector, CLEAR, SHORT, generator)


def induction_cases(generator: torch.Generator) -> list[Case]:
    """Heads that look one past the copy, beside those that look at the copy, before it, or two past it."""
    return clear_and_graded(induction_attn_detector, CLEAR_OF_COPIES, (9, 7, 5), generator)


def named_heads(function: Callable[..., Any], case: Case) -> Observations:
    """Which heads are left out and which are named wrongly, and whether the patterns are as they were.

    A function in the older form, without a parameter for the threshold, isn't asked where there is one.
    """
    patterns, rest, reference = (case.given[name] for name in ("patterns", "rest", "reference"))
    own = [pattern.clone() for pattern in patterns]
    names = (function if n_positional(function) > len(rest) else reference)(PatternCache(own), *rest)
    if isinstance(names, str | Tensor) or not hasattr(names, "__iter__"):
        raise Unfit(f'A detector returns a list of names such as "0.7": got {type(names).__name__}.')
    names = list(names)
    for name in names:
        if not isinstance(name, str):
            raise Unfit(f'Each head is named by a string, "layer.head": got {name!r}.')
    right = set(reference(PatternCache(patterns), *rest))
    return {
        "heads in your list that don't count": sorted(set(names) - right, key=_in_order),
        "heads that your list lacks": sorted(right - set(names), key=_in_order),
        "heads named more than once": sorted({name for name in names if names.count(name) > 1}, key=_in_order),
        "the patterns are unchanged": all(map(torch.equal, own, patterns)),
    }


def _in_order(name: str) -> tuple[Any, ...]:
    """Sorts "0.7" before "0.10"; whatever is no such name comes last."""
    parts = name.split(".")
    return (0, *map(int, parts)) if all(part.isdigit() for part in parts) else (1, name)


def detector(score: Callable[[Tensor], Any], default: float = 0.4) -> Callable[..., list[str]]:
    """A detector that loops over layers and heads, with a score for one head's pattern."""

    def detect(cache: Any, threshold: float = default) -> list[str]:
        cfg = cache.model.cfg
        return [
            f"{layer}.{head}"
            for layer in range(cfg.n_layers)
            for head in range(cfg.n_heads)
            if score(cache["pattern", layer][head]) > threshold
        ]

    return detect


def without_threshold(detect: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """A detector of the older form, which knows its own threshold alone."""
    return lambda cache: detect(cache)


def wrong_score(name: str, score: Callable[[Tensor], Any], why: str) -> Mistake:
    """The mistake of another score."""
    return Mistake(name, function=detector(score), why=why)


Where = Callable[[int], tuple[Tensor, Tensor]]
"""The queries that count in a text of this length, and the key of each."""


def itself(seq: int) -> tuple[Tensor, Tensor]:
    """Every position and itself."""
    return torch.arange(seq), torch.arange(seq)


def the_one_before(seq: int) -> tuple[Tensor, Tensor]:
    """Every position but the first, and the one before it."""
    return torch.arange(1, seq), torch.arange(seq - 1)


def the_first(seq: int) -> tuple[Tensor, Tensor]:
    """Every position but the first, and the first."""
    return torch.arange(1, seq), torch.zeros(seq - 1, dtype=torch.int64)


def one_past_the_copy(seq: int) -> tuple[Tensor, Tensor]:
    """The second copy's positions, and the one after the earlier copy of each."""
    n = (seq - 1) // 2
    return torch.arange(n + 1, seq), torch.arange(2, n + 2)


def in_place_of_the_mean(where: Where) -> list[Mistake]:
    """What may be taken of the entries that count in place of their mean."""

    def wrong(name: str, score: Callable[[Tensor], Any], why: str) -> Mistake:
        return wrong_score(name, lambda pattern: score(pattern[where(len(pattern))]), why)

    def largest_is_meant(pattern: Tensor) -> Tensor:
        queries, keys = where(len(pattern))
        return (pattern[queries].argmax(dim=-1) == keys).double().mean()

    n_trivial = int(where(9)[0][0] == 0)  # the first position looks at itself in every head
    by_positions = wrong_score(
        "divides by the number of positions",
        lambda pattern: pattern[where(len(pattern))].sum() / len(pattern),
        why="not every position is a query that counts: divide by the number of those that do",
    )
    return [
        wrong("sums the entries", torch.sum, "the threshold is for a mean, which lies between 0 and 1 for any length"),
        wrong("uses the median of the entries", torch.median, "the threshold is for the mean of the entries"),
        wrong(
            "counts a head if one query looks there",
            lambda entries: entries[n_trivial:].max(),
            "one query is not enough: the score is the mean over the queries",
        ),
        wrong("uses only the last query", lambda entries: entries[-1], "the mean is over all queries that count"),
        wrong_score("counts the queries whose largest entry is there", largest_is_meant, ATTENTION_ITSELF),
        *([] if n_trivial else [by_positions]),
    ]


ATTENTION_ITSELF = "the threshold is for the mean of the attention itself, whether or not it is the largest entry"
IN_ANY_DETECTOR = [
    *instead_of(
        "> threshold",
        {
            "< threshold": (
                "returns the heads below the threshold",
                "a head counts if its mean is above the threshold",
            ),
            "> 0.4": ("ignores the argument threshold", "0.4 is only the default: callers may give another threshold"),
        },
        within="heads_above",
    ),
    *instead_of(
        'f"{layer}.{head}"',
        {
            'f"{head}.{layer}"': (
                "writes the head before the layer",
                "the layer comes first: 0.7 is head 7 of layer 0",
            ),
            'f"{layer}.{head + 1}"': ("counts heads from one", "layers and heads are both counted from zero"),
        },
        within="heads_above",
    ),
    Mistake(
        "uses only the first layer",
        "in is_above.nonzero().tolist()",
        "in is_above[:1].nonzero().tolist()",
        within="heads_above",
        why="the heads of every layer of the cache are searched",
    ),
]

test_current_attn_detector = exercise(
    reference=current_attn_detector,
    cases=current_cases,
    observe=named_heads,
    accepts=[
        detector(lambda pattern: pattern.trace() / len(pattern), 0.6),
        without_threshold(detector(lambda pattern: pattern.diag().mean(), 0.3)),
    ],
    mistakes=[
        Mistake(
            "reads the diagonal below the main one",
            "current_attn_scores",
            "prev_attn_scores",
            why="a position's attention to itself is on the main diagonal",
        ),
        wrong_score(
            "leaves the first position out",
            lambda pattern: pattern.diag()[1:].mean(),
            why="the mean is over the whole diagonal, the first position included",
        ),
        *in_place_of_the_mean(itself),
        *IN_ANY_DETECTOR,
    ],
)


def _edited_in_place(cache: Any, threshold: float = 0.4) -> list[str]:
    """The mistake of clearing what isn't looked at, in the cache itself."""
    for pattern in cache.values():
        pattern *= torch.eye(pattern.shape[-1]).roll(1, 0).tril(-1)
    return prev_attn_detector(cache, threshold)


test_prev_attn_detector = exercise(
    reference=prev_attn_detector,
    cases=prev_cases,
    observe=named_heads,
    accepts=[
        detector(lambda pattern: pattern[1:, :-1].diag().mean(), 0.3),
        without_threshold(detector(lambda pattern: pattern[1:, :-1].trace() / len(pattern), 0.5)),
    ],
    mistakes=[
        Mistake(
            "reads the main diagonal",
            "prev_attn_scores",
            "current_attn_scores",
            why="the position before query i is key i - 1, one below the diagonal",
        ),
        wrong_score(
            "reads a diagonal above the main one",
            lambda pattern: pattern.diagonal(1).mean(),
            why="entries above the diagonal belong to future keys, and the mask makes them all zero",
        ),
        wrong_score(
            "reads the diagonal of two positions back",
            lambda pattern: pattern.diagonal(-2).mean(),
            why="the previous position is one back: offset -1",
        ),
        Mistake(
            "changes the patterns in the cache",
            function=_edited_in_place,
            why="later code reads the same cache, so its patterns must stay unchanged",
        ),
        *in_place_of_the_mean(the_one_before),
        *IN_ANY_DETECTOR,
    ],
)

test_first_attn_detector = exercise(
    reference=first_attn_detector,
    cases=first_cases,
    observe=named_heads,
    accepts=[
        detector(lambda pattern: pattern[1:, 0].sum() / (len(pattern) - 1), 0.5),
        without_threshold(detector(lambda pattern: pattern[:, 0].mean(), 0.5)),
    ],
    mistakes=[
        wrong_score(
            "counts the first query",
            lambda pattern: pattern[:, 0].mean(),
            why="the first position can only look at itself, so only the queries from 1 on count",
        ),
        wrong_score(
            "reads the first row, not the first column",
            lambda pattern: pattern[0].mean(),
            why="rows are queries: what all queries pay to key 0 is the first column",
        ),
        wrong_score(
            "reads the column of the second position",
            lambda pattern: pattern[1:, 1].mean(),
            why="positions are counted from zero",
        ),
        wrong_score(
            "leaves out the second query too", lambda pattern: pattern[2:, 0].mean(), why="all queries from 1 on count"
        ),
        *in_place_of_the_mean(the_first),
        *IN_ANY_DETECTOR,
    ],
)


def _induction_by_loop(cache: Any, threshold: float = 0.5) -> list[str]:
    """Adds up the entries one by one, by the names of a cache's patterns."""
    names = []
    for name, pattern in cache.items():
        n = (pattern.shape[-1] - 1) // 2
        for head, own in enumerate(pattern):
            total = sum(float(own[query, query - n + 1]) for query in range(n + 1, 2 * n + 1))
            if total / n > threshold:
                names.append(f"{name.split('.')[1]}.{head}")
    return names


def stripe_elsewhere(past: int, name: str, why: str) -> list[Mistake]:
    """The mistake of the diagonal `past` positions after the earlier copy: the whole of it, or the second copy's part."""

    def whole(pattern: Tensor) -> Tensor:
        return pattern.diagonal(past - len(pattern) // 2)

    return [
        wrong_score(name, lambda pattern: whole(pattern).mean(), why),
        wrong_score(name, lambda pattern: whole(pattern)[1 + past :].mean(), why),
    ]


N_MINUS_1_BELOW = "the entries [n + 1 + i, i + 2] lie n - 1 below the diagonal"

test_induction_attn_detector = exercise(
    reference=induction_attn_detector,
    cases=induction_cases,
    observe=named_heads,
    accepts=[
        _induction_by_loop,
        without_threshold(detector(lambda pattern: pattern.diagonal(1 - (len(pattern) - 1) // 2).mean())),
    ],
    mistakes=[
        *stripe_elsewhere(
            0,
            "uses attention to the earlier copy itself",
            "an induction head looks at the token after the earlier copy, because it predicts that token; the earlier copy itself is one position before",
        ),
        *stripe_elsewhere(-1, "uses attention to the token before the earlier copy", N_MINUS_1_BELOW),
        *stripe_elsewhere(2, "uses attention to two tokens after the earlier copy", N_MINUS_1_BELOW),
        wrong_score(
            "uses the whole diagonal",
            lambda pattern: pattern.diagonal(1 - len(pattern) // 2).mean(),
            why="the first two entries of the diagonal don't belong to the second copy: leave them out with [2:]",
        ),
        wrong_score(
            "uses one entry too many",
            lambda pattern: pattern.diagonal(1 - len(pattern) // 2)[1:].mean(),
            why="the first query that counts is n + 1, whose key is 2",
        ),
        wrong_score(
            "reads a diagonal above the main one",
            lambda pattern: pattern.diagonal(len(pattern) // 2 - 1).mean(),
            why="entries above the diagonal belong to future keys, and the mask makes them all zero",
        ),
        wrong_score(
            "uses the whole length as n",
            lambda pattern: pattern.diagonal(2 - len(pattern)).mean(),
            why="the sequence is the token that begins it, then two copies of n tokens: n = (seq - 1) / 2",
        ),
        *in_place_of_the_mean(one_past_the_copy),
        *IN_ANY_DETECTOR,
    ],
)
