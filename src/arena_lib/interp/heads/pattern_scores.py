"""How much each head looks at one kind of key: the mean attention of its queries to it, from 0 to 1.

Shapes:  pattern "*batch n_heads seq seq" -> scores "n_heads".
Raises:  ConfigError for a cache without attention patterns, or of padded prompts; ShapeError, by the last two, for a length
         that is not that of repeated tokens.
Source:  the named patterns: Elhage et al. 2021, "A mathematical framework for transformer circuits";
         Olsson et al. 2022, arXiv:2209.11895.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.interp.heads.induction import copy_length, induction_score

PatternScores = Callable[[Float[Tensor, "*batch n_heads seq seq"]], Float[Tensor, " n_heads"]]


def current_attn_scores(pattern: Float[Tensor, "*batch n_heads seq seq"]) -> Float[Tensor, " n_heads"]:
    """Mean attention of each head from a position to itself."""
    return _over_batch(pattern.diagonal(dim1=-2, dim2=-1).mean(dim=-1))


def prev_attn_scores(pattern: Float[Tensor, "*batch n_heads seq seq"]) -> Float[Tensor, " n_heads"]:
    """Mean attention of each head to the position before; the first position, which has none, doesn't count."""
    return _over_batch(pattern.diagonal(offset=-1, dim1=-2, dim2=-1).mean(dim=-1))


def first_attn_scores(pattern: Float[Tensor, "*batch n_heads seq seq"]) -> Float[Tensor, " n_heads"]:
    """Mean attention of each head to the first position; the first itself, which has no choice, doesn't count."""
    return _over_batch(pattern[..., 1:, 0].mean(dim=-1))


def duplicate_attn_scores(pattern: Float[Tensor, "*batch n_heads seq seq"]) -> Float[Tensor, " n_heads"]:
    """Mean attention of each head, in the second copy of repeated tokens, to the earlier copy of the same token."""
    n = copy_length(pattern.shape[-1])
    return _over_batch(pattern.diagonal(offset=-n, dim1=-2, dim2=-1)[..., 1:].mean(dim=-1))


def induction_attn_scores(pattern: Float[Tensor, "*batch n_heads seq seq"]) -> Float[Tensor, " n_heads"]:
    """`induction_score`, with or without an axis of examples."""
    return induction_score(pattern.reshape(-1, *pattern.shape[-3:]))


def scores_by_layer(cache: Any, scores: PatternScores) -> Float[Tensor, "n_layers n_heads"]:
    """The scores of every head whose pattern the cache holds."""
    if getattr(cache, "attention_mask", None) is not None:
        raise ConfigError(
            "a head's score is a mean over positions, which must all be real: got a cache of prompts of uneven length. "
            "Score prompts of one length, or each prompt's run alone."
        )
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


def _over_batch(scores: Float[Tensor, "*batch n_heads"]) -> Float[Tensor, " n_heads"]:
    return scores.reshape(-1, scores.shape[-1]).mean(dim=0)
