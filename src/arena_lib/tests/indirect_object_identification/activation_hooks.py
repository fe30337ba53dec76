"""Judges of the hooks of activation patching, which exchange one activation for the clean run's.

Shapes:  an activation and a cache -> an activation.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise
from arena_lib.checking.observing import Observations
from arena_lib.interp.patching import activation
from arena_lib.tests.indirect_object_identification.small_models import (
    hook_at,
    what_goes_on,
)

__test__ = False

RESIDUAL, HEADS, PATTERN = "batch seq d_model", "batch seq n_heads d_head", "batch n_heads seq_q seq_k"


def hook_case(label: str, name: str, shape: tuple[int, ...], index: int, axes: str, generator: torch.Generator) -> Case:
    """An activation at one place and a clean run's cache, which holds another place too."""
    now, clean, elsewhere = torch.randn(3, *shape, generator=generator)
    cache = {"blocks.9.hook_elsewhere": elsewhere, name: clean}
    return Case(
        label=label,
        given={"now": now, "cache": cache, "name": name, "index": index},
        axes={"what goes on": axes},
    )


def exchanged(function: Callable[..., Any], case: Case) -> Observations:
    """What the model reads after the hook, and whether it left the cache alone."""
    now, cache, name, index = (case.given[key] for key in ("now", "cache", "name", "index"))
    return what_goes_on(function, now, hook_at(name), index, cache, caches={"clean_cache": cache})


def residual_cases(generator: torch.Generator) -> list[Case]:
    """Different places and positions; one prompt; a prompt of one token."""
    calls = {
        "a position in the middle": ("blocks.1.hook_resid_pre", (3, 5, 4), 2),
        "the first position": ("blocks.0.hook_attn_out", (2, 4, 3), 0),
        "the last position": ("blocks.2.hook_mlp_out", (4, 3, 5), 2),
        "one prompt": ("blocks.0.hook_resid_pre", (1, 4, 6), 1),
        "prompts of one token": ("blocks.1.hook_attn_out", (2, 1, 3), 0),
    }
    return [hook_case(label, *call, RESIDUAL, generator) for label, call in calls.items()]


def residual_in_place(corrupted_residual_component: Tensor, hook: Any, pos: int, clean_cache: Any) -> None:
    """Writes into what it got."""
    corrupted_residual_component[:, pos, :] = clean_cache[hook.name][:, pos, :]


def residual_by_where(corrupted_residual_component: Tensor, hook: Any, pos: int, clean_cache: Any) -> Tensor:
    """Chooses by position."""
    is_patched = torch.arange(corrupted_residual_component.shape[1]) == pos
    return torch.where(is_patched[:, None], clean_cache[hook.name], corrupted_residual_component)


WRITES_INTO_THE_CACHE = "the cache is needed for the next patch: write into the model's tensor, or make a new one"
RETURNS_NOTHING = "patched is another tensor than the one that came in: return it, or write into that one"

test_patch_residual_component = exercise(
    reference=activation.patch_residual_component,
    cases=residual_cases,
    observe=exchanged,
    accepts=[residual_in_place, residual_by_where],
    mistakes=[
        Mistake(
            "patches all positions",
            "patched[:, pos] = clean_cache[hook.name][:, pos]",
            "patched[:] = clean_cache[hook.name]",
            why="only the position pos comes from the clean run; the others stay corrupted",
        ),
        Mistake(
            "patches a prompt in place of a position",
            function=lambda resid, hook, pos, clean_cache: _exchange(
                resid, clean_cache[hook.name], (pos % len(resid),)
            ),
            why="the axes are batch, seq, d_model: positions are the second",
        ),
        Mistake(
            "patches from this position on",
            "patched[:, pos] = clean_cache[hook.name][:, pos]",
            "patched[:, pos:] = clean_cache[hook.name][:, pos:]",
            why="one position at a time, or nobody knows which of them mattered",
        ),
        Mistake(
            "patches all but the position",
            "patched = corrupted_residual_component.clone()",
            "patched, clean_cache = clean_cache[hook.name].clone(), {hook.name: corrupted_residual_component}",
            why="pos comes from the clean run, all else stays as it was",
        ),
        Mistake(
            "changes a copy and returns nothing",
            "return patched",
            "return None",
            why=RETURNS_NOTHING,
        ),
        Mistake(
            "writes into the clean run's cache",
            "patched[:, pos] = clean_cache[hook.name][:, pos]",
            "clean_cache[hook.name][:, pos] = patched[:, pos]",
            why=WRITES_INTO_THE_CACHE,
        ),
        Mistake(
            "adds the clean activation",
            "patched[:, pos] = clean_cache",
            "patched[:, pos] += clean_cache",
            why="patching replaces: the corrupted value goes",
        ),
        Mistake(
            "takes the first thing in the cache",
            "clean_cache[hook.name][:, pos]",
            "next(iter(clean_cache.values()))[:, pos]",
            why="the clean value must come from the place where the hook is: clean_cache[hook.name]",
        ),
    ],
)


def _exchange(tensor: Tensor, clean: Tensor, index: Any) -> Tensor:
    tensor[index] = clean[index]
    return tensor


def head_cases(generator: torch.Generator) -> list[Case]:
    """Outputs, queries and keys; heads at both ends and in the middle; one prompt."""
    calls = {
        "the output of a head": ("blocks.1.attn.hook_z", (3, 5, 4, 2), 2),
        "the query of the first head": ("blocks.0.attn.hook_q", (4, 3, 2, 5), 0),
        "the key of the last head": ("blocks.2.attn.hook_k", (2, 6, 3, 4), 2),
        "one prompt": ("blocks.1.attn.hook_v", (1, 4, 5, 3), 3),
    }
    return [hook_case(label, *call, HEADS, generator) for label, call in calls.items()]


def head_in_place(corrupted_head_vector: Tensor, hook: Any, head_index: int, clean_cache: Any) -> Tensor:
    """Copies into what it got, and returns that."""
    corrupted_head_vector[..., head_index, :].copy_(clean_cache[hook.name][..., head_index, :])
    return corrupted_head_vector


def head_by_mask(corrupted_head_vector: Tensor, hook: Any, head_index: int, clean_cache: Any) -> Tensor:
    """Chooses by head."""
    is_patched = (torch.arange(corrupted_head_vector.shape[-2]) == head_index)[:, None]
    return clean_cache[hook.name].where(is_patched, corrupted_head_vector)


PATCHES_ONE_HEAD = "patched[:, :, head_index] = clean_cache[hook.name][:, :, head_index]"

test_patch_head_vector = exercise(
    reference=activation.patch_head_vector,
    cases=head_cases,
    observe=exchanged,
    accepts=[head_in_place, head_by_mask],
    mistakes=[
        Mistake(
            "patches all heads",
            PATCHES_ONE_HEAD,
            "patched[:] = clean_cache[hook.name]",
            why="the other heads of the layer keep their corrupted values",
        ),
        Mistake(
            "takes the axis of positions for the heads",
            function=lambda z, hook, head_index, clean_cache: _exchange(
                z, clean_cache[hook.name], (slice(None), head_index)
            ),
            why="the axes are batch, seq, n_heads, d_head: heads are the third",
        ),
        Mistake(
            "patches the last position only",
            PATCHES_ONE_HEAD,
            "patched[:, -1, head_index] = clean_cache[hook.name][:, -1, head_index]",
            why="the head is patched at all positions",
        ),
        Mistake(
            "takes the first head's clean value",
            "clean_cache[hook.name][:, :, head_index]",
            "clean_cache[hook.name][:, :, 0]",
            why="a head gets what the same head had in the clean run",
        ),
        Mistake("changes a copy and returns nothing", "return patched", "return None", why=RETURNS_NOTHING),
        Mistake(
            "writes into the clean run's cache",
            PATCHES_ONE_HEAD,
            "clean_cache[hook.name][:, :, head_index] = patched[:, :, head_index]",
            why=WRITES_INTO_THE_CACHE,
        ),
        Mistake(
            "sets the head to zero",
            "clean_cache[hook.name][:, :, head_index]",
            "0.0",
            why="that is ablation: patching puts the clean run's value there",
        ),
    ],
)


def pattern_cases(generator: torch.Generator) -> list[Case]:
    """Patterns of different sizes: heads at both ends and in the middle; one prompt."""
    calls = {
        "a head in the middle": ("blocks.1.attn.hook_pattern", (2, 4, 3, 3), 1),
        "the first head": ("blocks.0.attn.hook_pattern", (3, 2, 5, 5), 0),
        "the last head": ("blocks.2.attn.hook_pattern", (4, 3, 6, 6), 2),
        "one prompt": ("blocks.1.attn.hook_pattern", (1, 3, 4, 4), 1),
    }
    return [hook_case(label, *call, PATTERN, generator) for label, call in calls.items()]


def pattern_in_place(corrupted_head_vector: Tensor, hook: Any, head_index: int, clean_cache: Any) -> None:
    """Writes into what it got."""
    corrupted_head_vector[:, head_index, :, :] = clean_cache[hook.name][:, head_index, :, :]


test_patch_attn_patterns = exercise(
    reference=activation.patch_attn_patterns,
    cases=pattern_cases,
    observe=exchanged,
    accepts=[pattern_in_place],
    mistakes=[
        Mistake(
            "takes the queries' axis for the heads",
            "patched[:, head_index] = clean_cache[hook.name][:, head_index]",
            "patched[:, :, head_index] = clean_cache[hook.name][:, :, head_index]",
            why="a pattern has the axes batch, n_heads, seq_q, seq_k: heads are the second",
        ),
        Mistake(
            "patches all heads",
            "patched[:, head_index] = clean_cache[hook.name][:, head_index]",
            "patched[:] = clean_cache[hook.name]",
            why="the other heads keep looking where they look",
        ),
        Mistake(
            "patches the last query only",
            "patched[:, head_index] = clean_cache[hook.name][:, head_index]",
            "patched[:, head_index, -1] = clean_cache[hook.name][:, head_index, -1]",
            why="the whole pattern of the head is patched, every query's row",
        ),
        Mistake("changes a copy and returns nothing", "return patched", "return None", why=RETURNS_NOTHING),
        Mistake(
            "writes into the clean run's cache",
            "patched[:, head_index] = clean_cache[hook.name][:, head_index]",
            "clean_cache[hook.name][:, head_index] = patched[:, head_index]",
            why=WRITES_INTO_THE_CACHE,
        ),
    ],
)
