"""Attention patterns of heads that are clearly of a kind, and of heads of every degree, in a cache for the detectors.

Shapes:  cache["pattern", layer] "n_heads seq_q seq_k".
"""

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case
from arena_lib.tests.intro_to_mech_interp.small_models import random_patterns
from arena_lib.transformer.activations.hooks import get_act_name
from arena_lib.wording import counted

__test__ = False

STRONG = 0.8
"""Attention that a head's queries pay to the key of its kind."""
THRESHOLDS = (0.7, 0.5, 0.15)
"""Those that are handed in, each with heads of every degree."""
OUT_OF_REACH = 1.5
"""A threshold above every mean, which lies between 0 and 1; a sum or a largest entry may differ there."""


class PatternCache(Mapping[str, Tensor]):
    """A cache that holds attention patterns: `cache["pattern", layer]`, full names, and the model's sizes."""

    def __init__(self, patterns: Sequence[Tensor]) -> None:
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


def make_pattern(seq: int, wanted: Callable[[int], int], generator: torch.Generator) -> Tensor:
    """One head whose query i looks at key `wanted(i)`, but for one query and those for which it is no key."""
    pattern = torch.rand(seq, seq, generator=generator).tril() + 0.2 * torch.ones(seq, seq).tril()
    pattern = pattern / pattern.sum(dim=-1, keepdim=True)
    off = seq // 2 + int(torch.randint(seq // 3, (), generator=generator))
    for query in range(seq):
        if query != off and 0 <= wanted(query) <= query:
            pattern[query] *= 1 - STRONG
            pattern[query, wanted(query)] += STRONG
    return pattern


def kinds(seq: int) -> dict[str, Callable[[int], int]]:
    """For each kind of head the key of each query, -1 for none; those of induction are of 1 + 2n positions."""
    n = (seq - 1) // 2
    return {
        "spread": lambda query: -1,
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


CLEAR = {
    17: [
        ["spread", "previous", "first", "current", "itself once"],
        ["current", "two back", "before once", "first", "previous"],
        ["first", "previous", "current", "second", "first once"],
    ],
    21: [["spread", "two back", "copy"], ["itself once", "first once", "before once"]],
}
"""By length, the kinds of heads, layer by layer: several of each kind, and none of any."""
CLEAR_OF_COPIES = {
    41: [
        ["previous", "copy", "spread", "next of copy", "first"],
        ["next of copy", "before copy", "next of copy", "two past copy", "current"],
    ],
    35: [
        ["copy", "previous", "next of copy once"],
        ["two past copy", "next of copy", "spread"],
        ["before copy", "first", "next of copy"],
    ],
}
"""The same for repeated tokens."""


def clear_and_graded(
    reference: Callable[..., list[str]],
    clear: Mapping[int, list[list[str]]],
    seqs: tuple[int, ...],
    generator: torch.Generator,
) -> list[Case]:
    """Heads that are clearly of a kind or not, without a threshold; heads of every degree in short texts, with one."""
    cases = []
    for seq, rows in clear.items():
        of_kind = kinds(seq)
        patterns = [torch.stack([make_pattern(seq, of_kind[name], generator) for name in row]) for row in rows]
        given = {"patterns": patterns, "rest": (), "reference": reference}
        cases.append(Case(label=counted(seq, "position"), given=given, call="cache"))
    for seq, threshold in zip(seqs, THRESHOLDS, strict=True):
        patterns = list(random_patterns(2, 9, seq, seq, generator=generator))
        given = {"patterns": patterns, "rest": (threshold,), "reference": reference}
        cases.append(Case(label=counted(seq, "position"), given=given, call=f"cache, threshold={threshold}"))
    patterns = list(random_patterns(2, 4, seqs[0], seqs[0], generator=generator))
    given = {"patterns": patterns, "rest": (OUT_OF_REACH,), "reference": reference}
    cases.append(Case(label="a threshold that no mean reaches", given=given, call=f"cache, threshold={OUT_OF_REACH}"))
    return cases


def at_the_threshold(
    reference: Callable[..., list[str]], queries: Tensor, keys: Tensor, rows: Sequence[Sequence[float]]
) -> Case:
    """Heads whose entries [query, key] are those of `rows`, so that their means lie at 0.5 exactly or 1/64 beside it.

    Every number is a sum of few powers of two and so is how many there are: any order of summing is exact.
    """
    seq = int(queries[-1]) + 1
    patterns = torch.ones(2, len(rows), seq, seq).tril() / torch.arange(1, seq + 1)[:, None]
    for head, entries in enumerate(rows):
        for query, key, entry in zip(queries.tolist(), keys.tolist(), entries, strict=True):
            patterns[:, head, query, : query + 1] = (1 - entry) / max(query, 1)
            patterns[:, head, query, key] = entry
    patterns = torch.stack([patterns[0], patterns[1].flip(0)])  # the second layer has them the other way round
    given = {"patterns": list(patterns), "rest": (0.5,), "reference": reference}
    return Case(label="means at the threshold and close to it", given=given, call="cache, threshold=0.5")
