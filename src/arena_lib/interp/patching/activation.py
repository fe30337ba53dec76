"""Activation patching: run on one set of prompts, with one activation taken from a run on another.

If putting the clean run's activation into the corrupted run brings the right answer back, that activation
holds what the answer needs (denoising: it suffices). With the roles swapped, clean prompts and the corrupted
run's cache, the same functions ask what breaks (noising: it is needed). `corrupted_tokens` is what runs,
`clean_cache` is where activations are taken from.

These are the plain loops, a run of the model for each patch. `sweeps.py` gives the same numbers faster.

Shapes:  tokens "batch seq" -> metrics "n_layers seq" for the residual stream, "n_layers n_heads" for heads.
Raises:  ShapeError for a cache of other prompts, or of another number of them; UnknownNameError for what the
         cache does not hold; ConfigError or ShapeError for a metric that is not one number as a tensor.
Source:  Vig et al. 2020, arXiv:2004.12265; Meng et al. 2022, arXiv:2202.05262; Wang et al. 2022,
         arXiv:2211.00593.
Differs: where query heads share a key and a value, patching a head's key or value patches the one that it
         shares, for its whole group, so heads of a group have the same number there.
"""

from functools import partial
from itertools import product
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.core.progress import progress
from arena_lib.errors import ShapeError, UnknownNameError
from arena_lib.interp.assumptions import Assumption
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import check_metric, check_position
from arena_lib.interp.patching.metrics import Metric

Cache = Any
"""Activations by hook name, as `run_with_cache` gives them: ours or a bridge's."""

HEAD_PARTS = ("z", "q", "k", "v", "pattern")
"""What is patched of a head, in the order of `get_act_patch_attn_head_all_pos_every`."""


def patch_residual_component(
    corrupted_residual_component: Float[Tensor, "batch seq d_model"], hook: Any, pos: int, clean_cache: Cache
) -> Float[Tensor, "batch seq d_model"]:
    """A hook: position `pos` of every prompt gets what the clean run had there; all other positions keep theirs.

    A negative `pos` counts from the end. The clean run's activation of the same place is `clean_cache[hook.name]`. Return a new tensor, or write into
    the one that comes in; the cache must stay as it is.
    """
    clean = clean_cache[hook.name]
    patched = corrupted_residual_component.clone()
    check_position(pos, patched.shape[1])
    patched[:, pos] = clean[:, pos]
    return patched


@torch.no_grad()
def get_act_patch_resid_pre(
    model: Any, corrupted_tokens: Int[Tensor, "batch seq"], clean_cache: Cache, patching_metric: Metric
) -> Float[Tensor, "n_layers seq"]:
    """The metric after patching the residual stream that enters each layer (`resid_pre`), at each position.

    Entry [layer, pos] is `patching_metric(logits)` of a run on the corrupted tokens in which that position of
    `blocks.{layer}.hook_resid_pre` is patched (`patch_residual_component`) and all after it is computed anew.
    """
    lm = hooked(model)
    check_same_prompts(clean_cache["blocks.0.hook_resid_pre"], corrupted_tokens)
    results = []
    for layer, pos in progress(list(product(range(lm.n_layers), range(corrupted_tokens.shape[1]))), "resid_pre"):
        patch = partial(patch_residual_component, pos=pos, clean_cache=clean_cache)
        logits = lm.run(corrupted_tokens, [(f"blocks.{layer}.hook_resid_pre", patch)])
        results.append(check_metric(patching_metric(logits)))
    return torch.stack(results).unflatten(0, (lm.n_layers, -1))


@torch.no_grad()
def get_act_patch_block_every(
    model: Any, corrupted_tokens: Int[Tensor, "batch seq"], clean_cache: Cache, patching_metric: Metric
) -> Float[Tensor, "n_places n_layers seq"]:
    """As `get_act_patch_resid_pre`, for three places in each block: `resid_pre`, `attn_out` and `mlp_out`, in this order.

    `attn_out` and `mlp_out` are what attention and MLP add to the stream (`blocks.{layer}.hook_attn_out` and
    `blocks.{layer}.hook_mlp_out`). A model without MLPs has the first two places only.
    """
    lm = hooked(model)
    check_same_prompts(clean_cache["blocks.0.hook_resid_pre"], corrupted_tokens)
    places = ["resid_pre", "attn_out", "mlp_out"] if lm.has_mlp else ["resid_pre", "attn_out"]
    results = []
    for place, layer in progress(list(product(places, range(lm.n_layers))), "block by block"):
        for pos in range(corrupted_tokens.shape[1]):
            patch = partial(patch_residual_component, pos=pos, clean_cache=clean_cache)
            logits = lm.run(corrupted_tokens, [(f"blocks.{layer}.hook_{place}", patch)])
            results.append(check_metric(patching_metric(logits)))
    return torch.stack(results).unflatten(0, (len(places), lm.n_layers, -1))


def patch_head_vector(
    corrupted_head_vector: Float[Tensor, "batch seq n_heads d_head"], hook: Any, head_index: int, clean_cache: Cache
) -> Float[Tensor, "batch seq n_heads d_head"]:
    """A hook on z, q, k or v: one head gets what it had in the clean run, at all positions; the others keep theirs.

    As in `patch_residual_component`, it may write into the tensor that comes in, and the cache must stay as it is.
    """
    clean = clean_cache[hook.name]
    patched = corrupted_head_vector.clone()
    check_head(head_index, patched.shape[2])
    patched[:, :, head_index] = clean[:, :, head_index]
    return patched


@torch.no_grad()
def get_act_patch_attn_head_out_all_pos(
    model: Any, corrupted_tokens: Int[Tensor, "batch seq"], clean_cache: Cache, patching_metric: Metric
) -> Float[Tensor, "n_layers n_heads"]:
    """The metric after patching each head's output z (`blocks.{layer}.attn.hook_z`) at all positions at once."""
    lm = hooked(model)
    check_same_prompts(clean_cache["blocks.0.attn.hook_z"], corrupted_tokens)
    results = []
    for layer, head in progress(lm.heads, "head outputs"):
        patch = partial(patch_head_vector, head_index=head, clean_cache=clean_cache)
        logits = lm.run(corrupted_tokens, [(f"blocks.{layer}.attn.hook_z", patch)])
        results.append(check_metric(patching_metric(logits)))
    return torch.stack(results).unflatten(0, (lm.n_layers, lm.n_heads))


def patch_attn_patterns(
    corrupted_head_vector: Float[Tensor, "batch n_heads seq_q seq_k"], hook: Any, head_index: int, clean_cache: Cache
) -> Float[Tensor, "batch n_heads seq_q seq_k"]:
    """A hook on the patterns: one head looks where it looked in the clean run; the others look as they do.

    As in `patch_residual_component`, it may write into the tensor that comes in, and the cache must stay as it is.
    """
    clean = clean_cache[hook.name]
    patched = corrupted_head_vector.clone()
    check_head(head_index, patched.shape[1])
    patched[:, head_index] = clean[:, head_index]
    return patched


@torch.no_grad()
def get_act_patch_attn_head_all_pos_every(
    model: Any, corrupted_tokens: Int[Tensor, "batch seq"], clean_cache: Cache, patching_metric: Metric
) -> Float[Tensor, "n_parts n_layers n_heads"]:
    """The metric after patching five things of each head, at all positions: z, q, k, v and the pattern, in this order.

    The hook names are `blocks.{layer}.attn.hook_z`, and with `q`, `k`, `v` and `pattern` in its place. Where
    query heads share keys and values, `hook_k` and `hook_v` have fewer heads: patch the one that the query head
    reads, index `hooked(model).input_head("k", head)` (query head h reads h // (n_heads // n_kv_heads)).
    """
    lm = hooked(model)
    lm.require(Assumption.PATTERN)
    check_same_prompts(clean_cache["blocks.0.attn.hook_z"], corrupted_tokens)
    results = []
    for part, (layer, head) in progress(list(product(HEAD_PARTS, lm.heads)), "heads' outputs and inputs"):
        if part == "pattern":
            patch = partial(patch_attn_patterns, head_index=head, clean_cache=clean_cache)
        else:
            patch = partial(patch_head_vector, head_index=lm.input_head(part, head), clean_cache=clean_cache)
        logits = lm.run(corrupted_tokens, [(f"blocks.{layer}.attn.hook_{part}", patch)])
        results.append(check_metric(patching_metric(logits)))
    return torch.stack(results).unflatten(0, (len(HEAD_PARTS), lm.n_layers, lm.n_heads))


def check_same_prompts(cached: Float[Tensor, "batch seq *rest"], tokens: Int[Tensor, "batch2 seq2"]) -> None:
    """What is patched must come from as many prompts of the same length as those that run."""
    if cached.shape[:2] != tokens.shape:
        raise ShapeError(
            f"clean and corrupted prompts must have the same shape: got a cache of {tuple(cached.shape[:2])} and "
            f"tokens of {tuple(tokens.shape)}. Give as many of each, and words of as many tokens in the same places."
        )


def check_head(head_index: int, n_heads: int) -> None:
    """There must be such a head in the hook's tensor."""
    if not -n_heads <= head_index < n_heads:
        raise UnknownNameError("head", str(head_index), map(str, range(n_heads)))
