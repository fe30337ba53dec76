"""What may go wrong in any detector of heads: what is taken in place of the mean, which heads are asked, how they are named.

Shapes:  pattern "n_heads seq_q seq_k"; a detector's entries, written as an expression of it, "n_heads n_entries".
"""

import re
from collections.abc import Sequence

from arena_lib.checking import Mistake, instead_of
from arena_lib.checking.observing import Observations

__test__ = False

TOO_MANY = "heads in your list that don't count"
REPEATED = "heads named more than once"


def by_other_numbers(scores: str, wrong: dict[str, tuple[str, str]]) -> tuple[Mistake, ...]:
    """The mistakes of another number for each head: expressions of `pattern` in place of the mean."""
    return instead_of(
        f"pattern_scores.{scores}", {f"lambda pattern: {number}": words for number, words in wrong.items()}
    )


def in_place_of_the_mean(scores: str, entries: str) -> tuple[Mistake, ...]:
    """What may be taken of the entries that count in place of their mean; query 0 counts for the diagonal alone."""
    counts_all = scores == "current_attn_scores"
    chosen = f"{entries}[..., 1:]" if counts_all else entries
    by_positions = {
        f"{entries}.sum(-1) / pattern.shape[-1]": (
            "divides by the number of positions",
            "not every position is a query that counts: divide by the number of those that do",
        )
    }
    return by_other_numbers(
        scores,
        {
            f"{entries}.sum(-1)": (
                "sums the entries",
                "the threshold is for a mean, which lies between 0 and 1 for any length",
            ),
            f"{entries}.median(-1).values": (
                "uses the median of the entries",
                "the threshold is for the mean of the entries",
            ),
            f"{chosen}.amax(-1)": (
                "counts a head if one query looks there",
                "one query is not enough: the score is the mean over the queries",
            ),
            f"{entries}.amin(-1)": (
                "counts a head only if every query does it",
                "one query may look elsewhere: take the mean over the queries",
            ),
            f"{entries}[..., -1]": (
                "uses only the last query",
                "the mean is over all queries that count",
            ),
            f"{entries}[..., :-1].mean(-1)": ("leaves the last query out", "the last query counts as well"),
            f"({entries} > threshold).double().mean(-1)": (
                "counts the queries whose attention is above the threshold",
                ATTENTION_ITSELF,
            ),
            f"({entries} > 0.5).double().mean(-1)": (
                "counts the queries whose attention is above one half",
                ATTENTION_ITSELF,
            ),
            f"({entries} == {entries.replace('pattern', 'pattern.amax(-1, keepdim=True).expand_as(pattern)')})"
            ".double().mean(-1)": ("counts the queries whose largest entry is there", ATTENTION_ITSELF),
            f"{entries}.mean(-1).mean(-1, keepdim=True).expand(len(pattern))": (
                "averages over the heads",
                'each head has a mean of its own: cache["pattern", layer][head]',
            ),
            f"(means := {entries}.mean(-1)) * (means == means.max())": (
                "names only the best head of a layer",
                "every head above the threshold is named, several of a layer or none",
            ),
            **({} if counts_all else by_positions),
        },
    )


def _repeats(seen: Sequence[Observations]) -> bool:
    return any(case[REPEATED] for case in seen)


def _writes_another_form(seen: Sequence[Observations]) -> bool:
    named = [name for case in seen for name in case[TOO_MANY]]
    return bool(named) and not any(re.fullmatch(r"\d+\.\d+", name) for name in named)


ATTENTION_ITSELF = "the threshold is for the mean of the attention itself, whether or not it is the largest entry"
EVERY_LAYER = "the heads of every layer of the cache are searched"
NAMES = '[f"{layer}.{head}" for layer, head in is_above.nonzero().tolist()]'
IN_ANY_DETECTOR = [
    *instead_of(
        "> threshold",
        {
            "< threshold": (
                "returns the heads below the threshold",
                "a head counts if its mean is above the threshold",
            ),
            "> 0.4": ("ignores the argument threshold", "0.4 is only the default: callers may give another threshold"),
            ">= threshold": (
                "counts a mean that is equal to the threshold",
                "a head counts if its mean is above the threshold: >, not >=",
            ),
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
            'f"{layer + 1}.{head}"': ("counts layers from one", "layers and heads are both counted from zero"),
            "(layer, head)": (
                "gives pairs of numbers, not names",
                'a name is a string, layer and head with a dot between: f"{layer}.{head}"',
            ),
        },
        within="heads_above",
    ),
    *instead_of(
        "in is_above.nonzero().tolist()",
        {
            "in is_above[:1].nonzero().tolist()": ("uses only the first layer", EVERY_LAYER),
            "in is_above[:-1].nonzero().tolist()": (
                "leaves the last layer out",
                "range(n_layers) ends at n_layers - 1 by itself, and that layer counts",
            ),
            "in is_above.nonzero().tolist() if layer == len(is_above) - 1": (
                "keeps the heads of the last layer only",
                "start the list once, before the loop over layers, and add to it",
            ),
        },
        within="heads_above",
    ),
    Mistake(
        "reads the first layer's patterns for every layer",
        "pattern_scores.scores_by_layer(cache, scores)",
        "pattern_scores.scores_by_layer(cache, scores)[:1].expand(cache.model.cfg.n_layers, -1)",
        within="heads_above",
        why=EVERY_LAYER + ': cache["pattern", layer]',
    ),
    Mistake(
        "names a head more than once",
        NAMES,
        f"2 * {NAMES}",
        within="heads_above",
        shows=_repeats,
        why="the mean over the queries decides once for each head, not each query for itself",
    ),
    Mistake(
        "writes the names in another form",
        'f"{layer}.{head}"',
        'f"L{layer}H{head}"',
        within="heads_above",
        shows=_writes_another_form,
        why='a name is layer and head with a dot between, "0.7" for head 7 of layer 0',
    ),
]
