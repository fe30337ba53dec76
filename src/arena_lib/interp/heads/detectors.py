"""Heads that look at one thing: their own token, the one before, the first, an earlier copy, or what followed it.

A score is the mean attention that a head's queries pay to the key in question, from 0 to 1; a detector
names the heads above a threshold. The threshold is 0.4: high enough that a head of even attention to
many tokens is left out, low enough for one that sometimes does something else.

A cache is any mapping with `cache["pattern", layer]`, with or without an axis of examples.

Shapes:  pattern "*batch n_heads seq seq" -> scores "n_heads"; a cache -> names such as "0.7" (layer 0, head 7).
Raises:  ConfigError for a cache without attention patterns; ShapeError, by the last two, for a length
         that is not that of repeated tokens.
Source:  own design; the named patterns: Elhage et al. 2021, "A mathematical framework for transformer circuits",
         Olsson et al. 2022, arXiv:2209.11895.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.interp.heads.induction import copy_length, induction_score

THRESHOLD = 0.4
"""Mean attention above which a head counts as one of the kind."""

Scores = Callable[[Float[Tensor, "*batch n_heads seq seq"]], Float[Tensor, "n_heads"]]


def current_attn_scores(pattern: Float[Tensor, "*batch n_heads seq seq"]) -> Float[Tensor, "n_heads"]:
    """Mean attention of each head from a position to itself."""
    return _over_batch(pattern.diagonal(dim1=-2, dim2=-1).mean(dim=-1))


def prev_attn_scores(pattern: Float[Tensor, "*batch n_heads seq seq"]) -> Float[Tensor, "n_heads"]:
    """Mean attention of each head to the position before; the first position, which has none, doesn't count."""
    return _over_batch(pattern.diagonal(offset=-1, dim1=-2, dim2=-1).mean(dim=-1))


def first_attn_scores(pattern: Float[Tensor, "*batch n_heads seq seq"]) -> Float[Tensor, "n_heads"]:
    """Mean attention of each head to the first position; the first itself, which has no choice, doesn't count."""
    return _over_batch(pattern[..., 1:, 0].mean(dim=-1))


def duplicate_attn_scores(pattern: Float[Tensor, "*batch n_heads seq seq"]) -> Float[Tensor, "n_heads"]:
    """Mean attention of each head, in the second copy of repeated tokens, to the earlier copy of the same token."""
    n = copy_length(pattern.shape[-1])
    return _over_batch(pattern.diagonal(offset=-n, dim1=-2, dim2=-1)[..., 1:].mean(dim=-1))


def induction_attn_scores(pattern: Float[Tensor, "*batch n_heads seq seq"]) -> Float[Tensor, "n_heads"]:
    """`induction_score`, with or without an axis of examples."""
    return induction_score(pattern.reshape(-1, *pattern.shape[-3:]))


def _over_batch(scores: Float[Tensor, "*batch n_heads"]) -> Float[Tensor, "n_heads"]:
    return scores.reshape(-1, scores.shape[-1]).mean(dim=0)


def scores_by_layer(cache: Any, scores: Scores) -> Float[Tensor, "n_layers n_heads"]:
    """The scores of every head whose pattern the cache holds."""
    found: list[Tensor] = []
    while True:
        try:
            pattern = cache["pattern", len(found)]
        except LookupError:
            break
        found.append(scores(pattern))
    if not found:
        raise ConfigError(
            f'a cache must hold attention patterns, cache["pattern", 0] and so on: got {type(cache).__name__} '
            "without the first. Run the model with run_with_cache(tokens), without a filter that leaves them out."
        )
    return torch.stack(found)


def _names(is_found: Tensor) -> list[str]:
    return [f"{layer}.{head}" for layer, head in is_found.nonzero().tolist()]


def current_attn_detector(cache: Any, threshold: float = THRESHOLD) -> list[str]:
    """Names, such as "0.7" for head 7 of layer 0, of the heads in which positions mostly look at themselves.

    `cache["pattern", layer]` is "n_heads seq_q seq_k", for layer 0 to `cache.model.cfg.n_layers` - 1. A
    head counts if the mean of its pattern's diagonal is above the threshold. Any threshold from 0.3 to
    0.6 will do.
    """
    return _names(scores_by_layer(cache, current_attn_scores) > threshold)


def prev_attn_detector(cache: Any, threshold: float = THRESHOLD) -> list[str]:
    """Names of the heads in which positions mostly look at the position before them.

    As `current_attn_detector`, for the entries [i, i - 1] of each pattern, i = 1, 2, ...
    """
    return _names(scores_by_layer(cache, prev_attn_scores) > threshold)


def first_attn_detector(cache: Any, threshold: float = THRESHOLD) -> list[str]:
    """Names of the heads in which positions mostly look at the first position.

    As `current_attn_detector`, for the entries [i, 0] of each pattern, i = 1, 2, ...
    """
    return _names(scores_by_layer(cache, first_attn_scores) > threshold)


def duplicate_token_detector(cache: Any, threshold: float = THRESHOLD) -> list[str]:
    """Names of the heads in which the second copy of repeated tokens looks at the same token in the first."""
    return _names(scores_by_layer(cache, duplicate_attn_scores) > threshold)


def induction_attn_detector(cache: Any, threshold: float = THRESHOLD) -> list[str]:
    """Names of the heads in which the second copy of repeated tokens looks one past the same token in the first.

    `cache["pattern", layer]` is "n_heads seq_q seq_k" for layer 0 to `cache.model.cfg.n_layers` - 1, and
    belongs to one token and then twice the same n, so seq = 1 + 2n. A head counts if the mean of its
    entries [n + 1 + i, i + 2], i = 0 ... n - 1, is above the threshold. Any threshold from 0.3 to
    0.6 will do.
    """
    return _names(scores_by_layer(cache, induction_attn_scores) > threshold)
