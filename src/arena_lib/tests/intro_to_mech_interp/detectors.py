"""Judges of the detectors: heads that look at themselves, at the token before, at the first, or one past a copy.

Where no threshold is handed in, every head is clearly of a kind or clearly not, so that any sensible default
gives the same names. Where one is, heads are of every degree, and which of them count is for the mean alone to say.

Shapes:  cache["pattern", layer] "n_heads seq_q seq_k".
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise
from arena_lib.checking.observing import Observations, n_positional
from arena_lib.interp.heads.detectors import (
    current_attn_detector,
    first_attn_detector,
    induction_attn_detector,
    prev_attn_detector,
)
from arena_lib.tests.intro_to_mech_interp.detector_mistakes import (
    IN_ANY_DETECTOR,
    REPEATED,
    TOO_MANY,
    by_other_numbers,
    in_place_of_the_mean,
)
from arena_lib.tests.intro_to_mech_interp.patterns import (
    CLEAR,
    CLEAR_OF_COPIES,
    PatternCache,
    at_the_threshold,
    clear_and_graded,
)

__test__ = False

ONE_QUERY = (
    "counts a head if one query looks there",
    "one query is not enough: the score is the mean over the queries",
)
WHOLE_PATTERN = (
    "uses the mean of the whole pattern",
    "each row sums to one wherever the head looks: only the entries of this kind of head count",
)
SHORT = (5, 3, 4)
"""Lengths of the texts with heads of every degree: the shorter, the more each entry of a mean matters."""
FOUR = torch.arange(4)
AT_HALF = [(1.0, 0.125, 0.5, 0.375), (1.0, 0.25, 0.5, 0.3125), (1.0, 0.1875, 0.375, 0.375), (1.0, 0.125, 0.125, 0.75)]
"""Entries of four heads whose means are 0.5, 1/64 above it, 1/64 below it, and 0.5; none ties with another of its row."""


def current_cases(generator: torch.Generator) -> list[Case]:
    """Heads that look at themselves, and others."""
    return [
        *clear_and_graded(current_attn_detector, CLEAR, SHORT, generator),
        at_the_threshold(current_attn_detector, FOUR, FOUR, AT_HALF),
    ]


def prev_cases(generator: torch.Generator) -> list[Case]:
    """Heads that look at the token before, and others."""
    return [
        *clear_and_graded(prev_attn_detector, CLEAR, SHORT, generator),
        at_the_threshold(prev_attn_detector, FOUR + 1, FOUR, AT_HALF),
    ]


def first_cases(generator: torch.Generator) -> list[Case]:
    """Heads that look at the first token, and others."""
    return [
        *clear_and_graded(first_attn_detector, CLEAR, SHORT, generator),
        at_the_threshold(first_attn_detector, FOUR + 1, 0 * FOUR, AT_HALF),
    ]


def induction_cases(generator: torch.Generator) -> list[Case]:
    """Heads that look one past the copy, beside those that look at the copy, before it, or two past it."""
    return [
        *clear_and_graded(induction_attn_detector, CLEAR_OF_COPIES, (9, 7, 5), generator),
        at_the_threshold(induction_attn_detector, FOUR + 5, FOUR + 2, AT_HALF),
    ]


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
        TOO_MANY: sorted(set(names) - right, key=_in_order),
        "heads that your list lacks": sorted(right - set(names), key=_in_order),
        REPEATED: sorted({name for name in names if names.count(name) > 1}, key=_in_order),
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


test_current_attn_detector = exercise(
    reference=current_attn_detector,
    cases=current_cases,
    observe=named_heads,
    accepts=[
        detector(lambda pattern: pattern.trace() / len(pattern), 0.6),
        without_threshold(detector(lambda pattern: pattern.diag().mean(), 0.3)),
    ],
    mistakes=[
        *IN_ANY_DETECTOR,
        *by_other_numbers(
            "current_attn_scores",
            {
                "pattern.diagonal(-1, -2, -1).mean(-1)": (
                    "reads the diagonal below the main one",
                    "a position's attention to itself is on the main diagonal",
                ),
                "pattern.diagonal(0, -2, -1)[..., 1:].mean(-1)": (
                    "leaves the first position out",
                    "the mean is over the whole diagonal, the first position included",
                ),
                "pattern.diagonal(0, -2, -1).amax(-1)": ONE_QUERY,
                "pattern.mean((-2, -1))": WHOLE_PATTERN,
            },
        ),
        *in_place_of_the_mean("current_attn_scores", "pattern.diagonal(0, -2, -1)"),
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
        *IN_ANY_DETECTOR,
        *by_other_numbers(
            "prev_attn_scores",
            {
                "pattern.diagonal(0, -2, -1).mean(-1)": (
                    "reads the main diagonal",
                    "the position before query i is key i - 1, one below the diagonal",
                ),
                "pattern.diagonal(1, -2, -1).mean(-1)": (
                    "reads a diagonal above the main one",
                    "entries above the diagonal belong to future keys, and the mask makes them all zero",
                ),
                "pattern.diagonal(-2, -2, -1).mean(-1)": (
                    "reads the diagonal of two positions back",
                    "the previous position is one back: offset -1",
                ),
                "(pattern.diagonal(-1, -2, -1) + pattern.diagonal(0, -2, -1)[..., 1:]).mean(-1)": (
                    "adds what a position gives to itself",
                    "only the entries [i, i - 1] count: a head that looks at itself is of another kind",
                ),
                "pattern.diagonal(-1, -2, -1)[..., 1:].mean(-1)": (
                    "leaves the second position out",
                    "query 1 is the first that has a position before it, and it counts",
                ),
                "(pattern.diagonal(-1, -2, -1).sum(-1) + pattern[..., 0, 0]) / pattern.shape[-1]": (
                    "counts the first position, with itself as the one before",
                    "nothing stands before the first position: the queries from 1 on count",
                ),
                "pattern.mean((-2, -1))": WHOLE_PATTERN,
            },
        ),
        Mistake(
            "changes the patterns in the cache",
            function=_edited_in_place,
            why="later code reads the same cache, so its patterns must stay unchanged",
        ),
        *in_place_of_the_mean("prev_attn_scores", "pattern.diagonal(-1, -2, -1)"),
    ],
)

FIRST_COLUMN = "rows are queries: what all queries pay to key 0 is the first column"

test_first_attn_detector = exercise(
    reference=first_attn_detector,
    cases=first_cases,
    observe=named_heads,
    accepts=[
        detector(lambda pattern: pattern[1:, 0].sum() / (len(pattern) - 1), 0.5),
        without_threshold(detector(lambda pattern: pattern[:, 0].mean(), 0.5)),
    ],
    mistakes=[
        *IN_ANY_DETECTOR,
        *by_other_numbers(
            "first_attn_scores",
            {
                "pattern[..., 0].mean(-1)": (
                    "counts the first query",
                    "the first position can only look at itself, so only the queries from 1 on count",
                ),
                "pattern[..., 0, :].mean(-1)": ("reads the first row, not the first column", FIRST_COLUMN),
                "pattern[..., 0, 1:].mean(-1)": ("reads the first row, not the first column", FIRST_COLUMN),
                "pattern[..., 1:, 1].mean(-1)": (
                    "reads the column of the second position",
                    "positions are counted from zero",
                ),
                "pattern[..., 1:, -1].mean(-1)": (
                    "looks at the last position",
                    "the first position is key 0: what all queries pay to it is the first column",
                ),
                "pattern[..., 0].amax(-1)": ONE_QUERY,
                "pattern[..., 2:, 0].mean(-1)": ("leaves out the second query too", "all queries from 1 on count"),
            },
        ),
        *in_place_of_the_mean("first_attn_scores", "pattern[..., 1:, 0]"),
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


N = "pattern.shape[-1] // 2"
WHOLE_STRIPE = f"pattern.diagonal(1 - {N}, -2, -1)"


def stripe_elsewhere(past: int, name: str, why: str) -> tuple[Mistake, ...]:
    """The mistake of the diagonal `past` positions after the earlier copy: the whole of it, or the second copy's part."""
    whole = f"pattern.diagonal({past} - {N}, -2, -1)"
    return by_other_numbers(
        "induction_attn_scores",
        {f"{whole}.mean(-1)": (name, why), f"{whole}[..., {1 + past}:].mean(-1)": (name, why)},
    )


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
        *IN_ANY_DETECTOR,
        *stripe_elsewhere(
            0,
            "uses attention to the earlier copy itself",
            "an induction head looks at the token after the earlier copy, because it predicts that token; the earlier copy itself is one position before",
        ),
        *stripe_elsewhere(-1, "uses attention to the token before the earlier copy", N_MINUS_1_BELOW),
        *stripe_elsewhere(2, "uses attention to two tokens after the earlier copy", N_MINUS_1_BELOW),
        *by_other_numbers(
            "induction_attn_scores",
            {
                f"{WHOLE_STRIPE}.mean(-1)": (
                    "uses the whole diagonal",
                    "the first two entries of the diagonal don't belong to the second copy: leave them out with [2:]",
                ),
                f"{WHOLE_STRIPE}[..., 1:].mean(-1)": (
                    "uses one entry too many",
                    "the first query that counts is n + 1, whose key is 2",
                ),
                f"{WHOLE_STRIPE}[..., 3:].mean(-1)": (
                    "leaves one entry out",
                    "the first query that counts is n + 1, whose key is 2",
                ),
                f"pattern.diagonal({N} - 1, -2, -1).mean(-1)": (
                    "reads a diagonal above the main one",
                    "entries above the diagonal belong to future keys, and the mask makes them all zero",
                ),
                "pattern.diagonal(2 - pattern.shape[-1], -2, -1).mean(-1)": (
                    "uses the whole length as n",
                    "the sequence is the token that begins it, then two copies of n tokens: n = (seq - 1) / 2",
                ),
                f"pattern.diagonal(1 - {N}, -2, -1)[..., 1:-1].mean(-1)": (
                    "forgets the token at the start",
                    "query n + i and key i + 1 hold the copies only without the token that begins the text: "
                    "with it they are n + 1 + i and i + 2",
                ),
                f"pattern[..., {N} + 1 :, 2 : {N} + 2].mean((-2, -1))": (
                    "uses the mean over all pairs of both copies",
                    "each query of the second copy has one key that counts: a diagonal, not a block",
                ),
                f"{WHOLE_STRIPE}[..., 2:].sum(-1) / (pattern.shape[-1] // 2 + 2)": (
                    "divides by the length of the whole diagonal",
                    "n of its n + 2 entries count: divide by n",
                ),
            },
        ),
        *in_place_of_the_mean("induction_attn_scores", f"{WHOLE_STRIPE}[..., 2:]"),
    ],
)
