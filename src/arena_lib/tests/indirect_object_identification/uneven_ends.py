"""Prompts that end at different positions, for functions with the parameter `end` and for those without it.

Shapes:  a tensor "batch seq ..." and ends "batch" -> the same, with each prompt's end at the last position.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.transformer.activations.cache import ActivationCache

__test__ = False

END_WHY = "where prompts end at different positions, end[i] is the position at which prompt i's answer is predicted"
IGNORES_END = ("ignores end", END_WHY)
ONE_END = ("uses the first prompt's end for all prompts", END_WHY)


def takes_end(function: Callable[..., Any]) -> bool:
    """Whether a function can be told where prompts end."""
    try:
        return "end" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def move_ends_last(tensor: Tensor, end: Tensor) -> Tensor:
    """Swaps what lies at each prompt's end and at the last position."""
    prompts, last = torch.arange(len(tensor)), tensor.shape[1] - 1
    order = torch.arange(tensor.shape[1]).repeat(len(tensor), 1)
    order[prompts, end], order[:, last] = last, end
    return tensor[prompts[:, None], order]


def move_ends_in_cache(cache: ActivationCache, end: Tensor) -> ActivationCache:
    """A cache in which everything that has a position is moved in this way."""
    whole = cache["ln_final.hook_scale"].shape[:2]
    tensors = {name: cache[name] for name in cache}
    moved = {name: move_ends_last(t, end) if t.shape[:2] == whole else t for name, t in tensors.items()}
    return ActivationCache(cache.model, list(cache), moved)
