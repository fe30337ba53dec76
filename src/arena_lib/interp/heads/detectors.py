"""Heads that look at one thing: their own token, the one before, the first, an earlier copy, or what followed it.

A detector names the heads whose score (`pattern_scores.py`: mean attention, from 0 to 1) is above a
threshold. It is 0.4 unless you say otherwise: high enough that a head of even attention to many tokens
is left out, low enough for one that sometimes does something else.

Shapes:  a cache, which is any mapping with `cache["pattern", layer]`, "n_heads seq seq" or with an axis of
         examples before that, -> names such as "0.7" (layer 0, head 7).
Source:  own design; for the kinds see `pattern_scores`.
"""

from typing import Any

from arena_lib.interp.heads import pattern_scores


def heads_above(cache: Any, scores: pattern_scores.PatternScores, threshold: float) -> list[str]:
    """Names of the heads whose score is above the threshold, layer by layer."""
    is_above = pattern_scores.scores_by_layer(cache, scores) > threshold
    return [f"{layer}.{head}" for layer, head in is_above.nonzero().tolist()]


def current_attn_detector(cache: Any, threshold: float = 0.4) -> list[str]:
    """Names, such as "0.7" for head 7 of layer 0, of the heads in which positions mostly look at themselves.

    `cache["pattern", layer]` is "n_heads seq_q seq_k"; layers are counted from 0, and there are
    `cache.model.cfg.n_layers` of them. A head counts if the mean of its pattern's diagonal is above
    `threshold`; being equal to it is not enough. If the caller gives none it is 0.4 (any default from 0.3 to
    0.6 will do); one that is given must be used. The order of the names is free.
    """
    return heads_above(cache, pattern_scores.current_attn_scores, threshold)


def prev_attn_detector(cache: Any, threshold: float = 0.4) -> list[str]:
    """Names of the heads in which positions mostly look at the position before them.

    As `current_attn_detector`, threshold and names included, for the entries [i, i - 1] of each pattern,
    i = 1, 2, ... A text has two tokens or more.
    """
    return heads_above(cache, pattern_scores.prev_attn_scores, threshold)


def first_attn_detector(cache: Any, threshold: float = 0.4) -> list[str]:
    """Names of the heads in which positions mostly look at the first position.

    As `current_attn_detector`, threshold and names included, for the entries [i, 0] of each pattern,
    i = 1, 2, ... A text has two tokens or more.
    """
    return heads_above(cache, pattern_scores.first_attn_scores, threshold)


def duplicate_token_detector(cache: Any, threshold: float = 0.4) -> list[str]:
    """Names of the heads in which the second copy of repeated tokens looks at the same token in the first."""
    return heads_above(cache, pattern_scores.duplicate_attn_scores, threshold)


def induction_attn_detector(cache: Any, threshold: float = 0.4) -> list[str]:
    """Names of the heads in which the second copy of repeated tokens looks one past the same token in the first.

    As `current_attn_detector`, threshold and names included, for patterns of one token and then twice the
    same n, so seq = 1 + 2n: the mean is that of the entries [n + 1 + i, i + 2], i = 0 ... n - 1.
    """
    return heads_above(cache, pattern_scores.induction_attn_scores, threshold)
