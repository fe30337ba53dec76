"""Judges of the detectors: heads that look at themselves, at the token before, at the first, or one past a copy.

Every head of the patterns here is clearly of a kind or clearly not, so that any sensible threshold gives
the same names; some of each kind's queries look elsewhere.

Shapes:  cache["pattern", layer] "n_heads seq_q seq_k".
"""

import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise
from arena_lib.checking.observing import Observations
from arena_lib.interp.heads.detectors import (
    current_attn_detector,
    first_attn_detector,
    induction_attn_detector,
    prev_attn_detector,
)
from arena_lib.transformer.activations.hooks import get_act_name

__test__ = False

STRONG = 0.94
"""Attention that a head's queries pay to the key of its kind."""


class PatternCache(Mapping[str, Tensor]):
    """A cache that holds attention patterns: `cache["pattern", layer]`, full names, and the model's sizes."""

    def __init__(self, patterns: list[Tensor]) -> None:
        self.patterns = {f"blocks.{layer}.attn.hook_pattern": pattern for layer, pattern in enumerate(patterns)}
        sizes = types.SimpleNamespace(n_layers=len(patterns), n_heads=patterns[0].shape[-3])
        self.model = types.SimpleNamespace(cfg=sizes)

    def __getitem__(self, key: Any) -> Tensor:
        """By full name, or by (short name, layer)."""
        name = get_act_name(*((key,) if isinstance(key, str) else key))
        if name not in self.patterns:
            raise KeyError(f"{key!r}: this cache holds the patterns of layers 0 to {len(self.patterns) - 1}")
        return self.patterns[name]

    def __contains__(self, key: object) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.patterns)

    def __len__(self) -> int:
        return len(self.patterns)


def make_pattern(seq: int, wanted: Callable[[int], int], generator: torch.Generator, n_off: int = 1) -> Tensor:
    """One head whose query i looks at key `wanted(i)`, but for `n_off` queries and those for which it is no key."""
    pattern = torch.rand(seq, seq, generator=generator).tril() + 0.2 * torch.ones(seq, seq).tril()
    pattern = pattern / pattern.sum(dim=-1, keepdim=True)
    off = set((seq // 2 + torch.randperm(seq // 3, generator=generator)[:n_off]).tolist())
    for query in range(seq):
        if query not in off and 0 <= wanted(query) <= query:
            pattern[query] *= 1 - STRONG
            pattern[query, wanted(query)] += STRONG
    return pattern


def looks_nowhere(query: int) -> int:
    """No key: attention stays spread over all."""
    return -1


def kinds(seq: int) -> dict[str, Callable[[int], int]]:
    """For each kind of head the key of each query; those of induction are of 1 + 2n positions."""
    n = (seq - 1) // 2
    return {
        "spread": looks_nowhere,
        "current": lambda query: query,
        "previous": lambda query: query - 1,
        "two back": lambda query: query - 2,
        "first": lambda query: 0,
        "second": lambda query: 1,
        "next of copy": lambda query: query - n + 1 if query > n else -1,
        "copy": lambda query: query - n if query > n else -1,
        "before copy": lambda query: query - n - 1 if query > n else -1,
        "two past copy": lambda query: query - n + 2 if query > n else -1,
        "itself once": lambda query: query if query in (2, 5) else -1,
        "before once": lambda query: query - 1 if query in (3, 6) else -1,
        "first once": lambda query: 0 if query in (4, 7) else -1,
        "next of copy once": lambda query: query - n + 1 if query == n + 2 else -1,
    }


def make_cache(names: list[list[str]], seq: int, generator: torch.Generator) -> PatternCache:
    """A cache of heads of these kinds, layer by layer."""
    wanted = kinds(seq)
    return PatternCache([torch.stack([make_pattern(seq, wanted[name], generator) for name in row]) for row in names])


def detector_cases(generator: torch.Generator) -> list[Case]:
    """Three layers of five heads with one or several of each kind, one layer, and none of any kind."""
    layouts = {
        "three layers": [
            ["spread", "previous", "first", "current", "itself once"],
            ["current", "two back", "before once", "first", "previous"],
            ["first", "previous", "current", "second", "next of copy"],
        ],
        "one layer": [["previous", "current", "spread", "first"]],
        "two layers of more heads": [
            ["before once", "first", "second", "spread", "current", "previous", "first once"],
            ["current", "spread", "two back", "previous", "first once", "first", "itself once"],
        ],
        "none of the kind": [["spread", "two back", "copy"], ["itself once", "first once", "before once"]],
    }
    seqs = dict(zip(layouts, (17, 19, 23, 21), strict=True))
    return [Case(label=label, args=(make_cache(rows, seqs[label], generator),)) for label, rows in layouts.items()]


def induction_cases(generator: torch.Generator) -> list[Case]:
    """Heads that look one past the copy, beside those that look at the copy, before it, or two past it."""
    layouts = {
        "two layers": [
            ["previous", "copy", "spread", "next of copy", "first"],
            ["next of copy", "before copy", "next of copy", "two past copy", "current"],
        ],
        "three layers": [
            ["copy", "previous", "next of copy once"],
            ["two past copy", "next of copy", "spread"],
            ["before copy", "first", "next of copy"],
        ],
        "none of the kind": [["two past copy", "copy", "before copy", "next of copy once"]],
    }
    seqs = dict(zip(layouts, (41, 35, 47), strict=True))
    return [Case(label=label, args=(make_cache(rows, seqs[label], generator),)) for label, rows in layouts.items()]


def found_heads(function: Callable[..., Any], case: Case) -> Observations:
    """The names that the detector gives, in any order, and whether the patterns are as they were."""
    cache = case.args[0]
    own = PatternCache([cache["pattern", layer].clone() for layer in range(len(cache))])
    found = function(own)
    if isinstance(found, str | Tensor) or not hasattr(found, "__iter__"):
        raise Unfit(f'A detector returns a list of names such as "0.7": got {type(found).__name__}.')
    found = list(found)
    if not all(isinstance(name, str) for name in found):
        wrong = next(name for name in found if not isinstance(name, str))
        raise Unfit(f'Each head is named by a string, "layer.head": got {wrong!r}.')
    is_kept = all(torch.equal(own["pattern", layer], cache["pattern", layer]) for layer in range(len(cache)))
    return {"heads found": sorted(found, key=_in_order), "patterns left as they were": is_kept}


def _in_order(name: str) -> tuple[Any, ...]:
    """Sorts "0.7" before "0.10"; whatever is no such name comes last."""
    parts = name.split(".")
    return (0, *map(int, parts)) if all(part.isdigit() for part in parts) else (1, name)


def _by_argmax(offset: int) -> Callable[..., list[str]]:
    """Counts in how many rows the largest entry lies on the diagonal."""

    def detector(cache: Any) -> list[str]:
        names = []
        for layer in range(cache.model.cfg.n_layers):
            pattern = cache["pattern", layer]
            seq = pattern.shape[-1]
            is_hit = pattern.argmax(dim=-1) == torch.arange(seq) + offset
            names += [f"{layer}.{int(head)}" for head in (is_hit.float().mean(dim=-1) > 0.5).nonzero()]
        return names

    return detector


def _head_by_head(score: Callable[[Tensor], float], threshold: float) -> Callable[..., list[str]]:
    """Loops over layers and heads, with a score for one head's pattern."""

    def detector(cache: Any) -> list[str]:
        cfg = cache.model.cfg
        return [
            f"{layer}.{head}"
            for layer in range(cfg.n_layers)
            for head in range(cfg.n_heads)
            if score(cache["pattern", layer][head]) > threshold
        ]

    return detector


def _edited_in_place(cache: Any) -> list[str]:
    """The mistake of clearing what isn't looked at, in the cache itself."""
    names = []
    for layer in range(len(cache)):
        pattern = cache["pattern", layer]
        pattern *= torch.eye(pattern.shape[-1]).roll(1, 0).tril(-1)
        names += [f"{layer}.{int(head)}" for head in (pattern.sum((-2, -1)) / pattern.shape[-1] > 0.4).nonzero()]
    return names


ONE_LAYER_ONLY = Mistake(
    "looks at the first layer only",
    "in is_above.nonzero().tolist()",
    "in is_above[:1].nonzero().tolist()",
    within="heads_above",
    why="every layer of the cache has heads to look at",
)
SWAPPED_NAMES = Mistake(
    "names head and layer the wrong way round",
    'f"{layer}.{head}"',
    'f"{head}.{layer}"',
    within="heads_above",
    why="the layer comes first: 0.7 is head 7 of layer 0",
)
COUNTS_FROM_ONE = Mistake(
    "counts heads from one",
    'f"{layer}.{head}"',
    'f"{layer}.{head + 1}"',
    within="heads_above",
    why="layers and heads are both counted from zero",
)


BELOW_THE_THRESHOLD = Mistake(
    "finds the heads below the threshold",
    "> threshold",
    "< threshold",
    within="heads_above",
    why="a large mean is the mark",
)


def _any_query(score: Callable[[Tensor], float]) -> Mistake:
    return Mistake(
        "counts a head of which one query does it",
        function=_head_by_head(score, 0.4),
        why="a single query that looks there is no habit; take the mean over the queries",
    )


def _largest(entries: Tensor) -> float:
    """The largest but for the first two, where there are few keys to look at."""
    return float(entries[2:].max())


def _mean_below(offset: int) -> Callable[..., list[str]]:
    """The heads whose diagonal of this offset has a large mean."""
    return _head_by_head(lambda pattern: float(pattern.diagonal(offset).mean()), 0.4)


test_current_attn_detector = exercise(
    reference=current_attn_detector,
    cases=detector_cases,
    observe=found_heads,
    accepts=[_by_argmax(0), _head_by_head(lambda pattern: float(pattern.diag().mean()), 0.6)],
    mistakes=[
        Mistake(
            "looks at the keys before the queries",
            "current_attn_scores",
            "prev_attn_scores",
            why="a position that looks at itself lies on the main diagonal",
        ),
        BELOW_THE_THRESHOLD,
        ONE_LAYER_ONLY,
        SWAPPED_NAMES,
        COUNTS_FROM_ONE,
        _any_query(lambda pattern: _largest(pattern.diag())),
    ],
)

test_prev_attn_detector = exercise(
    reference=prev_attn_detector,
    cases=detector_cases,
    observe=found_heads,
    accepts=[
        _by_argmax(-1),
        _head_by_head(lambda pattern: float(pattern.diagonal(-1).mean()), 0.3),
        _head_by_head(lambda pattern: float(pattern[1:, :-1].diag().sum() / len(pattern)), 0.5),
    ],
    mistakes=[
        Mistake(
            "looks at the diagonal itself",
            "prev_attn_scores",
            "current_attn_scores",
            why="the position before query i is key i - 1, one below the diagonal",
        ),
        Mistake(
            "looks above the diagonal",
            function=_mean_below(1),
            why="above the diagonal lie keys of the future, and the mask makes them all zero",
        ),
        Mistake(
            "looks two positions back",
            function=_mean_below(-2),
            why="the position before is one back: offset -1",
        ),
        Mistake(
            "changes the patterns in the cache", function=_edited_in_place, why="others will read the cache after you"
        ),
        ONE_LAYER_ONLY,
        SWAPPED_NAMES,
        _any_query(lambda pattern: _largest(pattern.diagonal(-1))),
    ],
)

test_first_attn_detector = exercise(
    reference=first_attn_detector,
    cases=detector_cases,
    observe=found_heads,
    accepts=[
        _head_by_head(lambda pattern: float(pattern[:, 0].mean()), 0.5),
        _head_by_head(lambda pattern: float((pattern[:, 0] > 0.5).float().mean()), 0.5),
    ],
    mistakes=[
        Mistake(
            "reads the first row, not the first column",
            function=_head_by_head(lambda pattern: float(pattern[0].mean()), 0.4),
            why="rows are queries: what all queries pay to key 0 is the first column",
        ),
        Mistake(
            "looks at the second position",
            function=_head_by_head(lambda pattern: float(pattern[:, 1].mean()), 0.4),
            why="positions are counted from zero",
        ),
        BELOW_THE_THRESHOLD,
        ONE_LAYER_ONLY,
        SWAPPED_NAMES,
        _any_query(lambda pattern: _largest(pattern[1:, 0])),
    ],
)


def _induction_by_loop(cache: Any) -> list[str]:
    """Adds up the entries one by one, and counts the whole stripe."""
    names = []
    for name, pattern in cache.items():
        n = (pattern.shape[-1] - 1) // 2
        for head, own in enumerate(pattern):
            total = sum(float(own[query, query - n + 1]) for query in range(n + 1, 2 * n + 1))
            if total / n > 0.5:
                names.append(f"{name.split('.')[1]}.{head}")
    return names


test_induction_attn_detector = exercise(
    reference=induction_attn_detector,
    cases=induction_cases,
    observe=found_heads,
    accepts=[
        _induction_by_loop,
        _head_by_head(lambda pattern: float(pattern.diagonal(1 - (len(pattern) - 1) // 2).mean()), 0.4),
    ],
    mistakes=[
        Mistake(
            "looks at the copy itself",
            function=lambda cache: _stripe(cache, 0),
            why="a head that looks there finds the same token again, not what followed it; induction looks one further on",
        ),
        Mistake(
            "looks one before the copy",
            function=lambda cache: _stripe(cache, -1),
            why="the entries [n + 1 + i, i + 2] lie n - 1 below the diagonal",
        ),
        Mistake(
            "looks two past the copy",
            function=lambda cache: _stripe(cache, 2),
            why="the entries [n + 1 + i, i + 2] lie n - 1 below the diagonal",
        ),
        Mistake(
            "takes the whole length for n",
            function=lambda cache: _stripe(cache, 1, lambda seq: seq - 1),
            why="the sequence is one token and twice n, so n = (seq - 1) / 2",
        ),
        BELOW_THE_THRESHOLD,
        ONE_LAYER_ONLY,
        SWAPPED_NAMES,
    ],
)


def _stripe(cache: Any, past: int, length: Callable[[int], int] = lambda seq: (seq - 1) // 2) -> list[str]:
    """Heads with much attention `past` positions after the earlier copy."""
    names = []
    for layer in range(len(cache)):
        pattern = cache["pattern", layer]
        mean = pattern.diagonal(past - length(pattern.shape[-1]), -2, -1).mean(dim=-1)
        names += [f"{layer}.{int(head)}" for head in (mean > 0.4).nonzero()]
    return names
