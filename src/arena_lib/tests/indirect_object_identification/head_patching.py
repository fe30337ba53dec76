"""Judges of activation patching's sweeps over heads: their outputs, and everything else of them.

Shapes:  corrupted tokens "batch seq" and a cache -> metrics by layer and head.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.interp.patching import activation
from arena_lib.tests.indirect_object_identification.activation_hooks import (
    PATCHES_HEAD,
    head_in_place,
    pattern_in_place,
)
from arena_lib.tests.indirect_object_identification.activation_patching import (
    ALL_FORMS,
    CLOSE,
    ONE_AXIS,
    OWN_ENTRY,
    Sweep,
    loops_swapped,
    sweep_cases,
    swept,
)
from arena_lib.tests.indirect_object_identification.small_models import GPT2_CONFIG, LLAMA_CONFIG

__test__ = False


def head_output_cases(generator: torch.Generator) -> list[Case]:
    """One prompt for attention alone, GPT-2's form, and Llama's."""
    return sweep_cases(generator, "n_layers n_heads", ALL_FORMS)


def head_part_cases(generator: torch.Generator) -> list[Case]:
    """GPT-2's form, and Llama's with shared keys and values."""
    forms = {
        "a model of GPT-2's form": GPT2_CONFIG,
        "a model whose heads share keys and values": replace(LLAMA_CONFIG, n_layers=2),
    }
    return sweep_cases(generator, "n_parts n_layers n_heads", forms)


def heads_by_hooks(model: Any, corrupted_tokens: Tensor, clean_cache: Any, patching_metric: Any) -> Tensor:
    """Fills a table; hooks that write in place."""
    results = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            hook = partial(head_in_place, head_index=head, clean_cache=clean_cache)
            logits = model.run_with_hooks(corrupted_tokens, fwd_hooks=[(f"blocks.{layer}.attn.hook_z", hook)])
            results[layer, head] = patching_metric(logits)
    return results


def heads_by_results(model: Any, corrupted_tokens: Tensor, clean_cache: Any, patching_metric: Any) -> Tensor:
    """Exchanges a head's share of attn_out."""
    own = model.run_with_cache(corrupted_tokens)[1]
    rows = []
    for layer in range(model.cfg.n_layers):
        difference = clean_cache["z", layer] - own["z", layer]
        for head in range(model.cfg.n_heads):
            change = difference[:, :, head] @ model.blocks[layer].attn.W_O[head]
            hook = (f"blocks.{layer}.hook_attn_out", lambda out, hook, change=change: out + change)
            rows.append(patching_metric(model.run_with_hooks(corrupted_tokens, fwd_hooks=[hook])))
    return torch.stack(rows).reshape(model.cfg.n_layers, model.cfg.n_heads)


HEAD_OUTPUTS = Sweep(
    place='f"blocks.{layer}.attn.hook_z"',
    order="lm.heads",
    targets="layer, head",
    index="head",
    hook="partial(patch, head_index=head)",
    patches="patch_head_vector",
    words="heads",
)

test_get_act_patch_attn_head_out_all_pos = exercise(
    reference=activation.get_act_patch_attn_head_out_all_pos,
    cases=head_output_cases,
    observe=swept,
    tolerance=CLOSE,
    accepts=[heads_by_hooks, heads_by_results],
    equivalent={
        "torch.stack(results).unflatten(0, (lm.n_layers, lm.n_heads)) -> torch.stack(results).unflatten(-1, (lm.n_layers, lm.n_heads))": ONE_AXIS
    },
    mistakes=[
        *HEAD_OUTPUTS.mistakes(),
        loops_swapped(
            'progress(lm.heads, "head outputs")',
            "sorted(lm.heads, key=lambda pair: pair[::-1])",
            "heads",
            "layers",
        ),
        *instead_of(
            '(f"blocks.{layer}.attn.hook_z", patch)',
            {
                '(f"blocks.{layer}.attn.hook_q", patch)': (
                    "patches the queries",
                    "a head's output is z, the values weighted by its pattern",
                ),
                '(f"blocks.{layer}.attn.hook_v", patch)': (
                    "patches the values",
                    "a head's output is z, the values weighted by its pattern",
                ),
            },
        ),
        Mistake(
            "returns heads as the first axis",
            ".unflatten(0, (lm.n_layers, lm.n_heads))",
            ".unflatten(0, (lm.n_layers, lm.n_heads)).T",
            why="the result is [layer, head]",
        ),
        Mistake(
            "patches the last position only",
            PATCHES_HEAD,
            PATCHES_HEAD.replace("[:, :, ", "[:, -1, "),
            why="the head is patched at all positions",
            within="patch_head_vector",
        ),
        *instead_of(
            "head_index=head, ",
            {
                "head_index=0, ": ("always patches head 0", OWN_ENTRY.format("head")),
                "head_index=lm.n_heads - 1, ": ("always patches the last head", OWN_ENTRY.format("head")),
                "head_index=lm.n_heads - 1 - head, ": (
                    "numbers the heads in reverse",
                    "entry [layer, head] is the metric with that head patched",
                ),
            },
        ),
    ],
)


LOOPS_OVER_PARTS_LAST = (
    "loops over layers before parts but reshapes as if parts came first",
    "the first axis of the reshape is the outer loop, so the two must have the same order",
)


def parts_by_hooks(model: Any, corrupted_tokens: Tensor, clean_cache: Any, patching_metric: Any) -> Tensor:
    """A table for each part; how many query heads share is read from the cache."""
    n_heads = model.cfg.n_heads

    def head_in_cache(name: str, head: int) -> int:
        return head if "pattern" in name else head // (n_heads // clean_cache[name].shape[2])

    return patch_parts(model, corrupted_tokens, clean_cache, patching_metric, head_in_cache)


def patch_parts(
    model: Any,
    corrupted_tokens: Tensor,
    clean_cache: Any,
    patching_metric: Any,
    head_in_cache: Callable[[str, int], int] = lambda name, head: head,
) -> Tensor:
    """The tables of all parts; by default query heads' numbers serve for shared keys too, of which there are fewer."""
    tables = torch.zeros(5, model.cfg.n_layers, model.cfg.n_heads)
    for i, layer, head in tables.isfinite().nonzero().tolist():
        name = f"blocks.{layer}.attn.hook_{('z', 'q', 'k', 'v', 'pattern')[i]}"
        patch = pattern_in_place if i == 4 else head_in_place
        hook = partial(patch, head_index=head_in_cache(name, head), clean_cache=clean_cache)
        tables[i, layer, head] = patching_metric(model.run_with_hooks(corrupted_tokens, fwd_hooks=[(name, hook)]))
    return tables


HEAD_PARTS = Sweep(
    place='f"blocks.{layer}.attn.hook_{part}"',
    order="list(product(HEAD_PARTS, lm.heads))",
    targets="part, (layer, head)",
    index="head",
    hook="partial(patch_attn_patterns if part == 'pattern' else patch_head_vector, "
    "head_index=lm.input_head(part, head), clean_cache=clean_cache)",
    patches="patch_head_vector",
    words="heads",
)

test_get_act_patch_attn_head_all_pos_every = exercise(
    reference=activation.get_act_patch_attn_head_all_pos_every,
    cases=head_part_cases,
    observe=swept,
    tolerance=CLOSE,
    accepts=[parts_by_hooks],
    equivalent={
        "0 -> -1": ONE_AXIS,
        "lm.require(Assumption.PATTERN)": "it refuses bridges of other families, which the exercise doesn't speak of",
    },
    mistakes=[
        *HEAD_PARTS.mistakes(),
        Mistake(
            "patches the last position only",
            PATCHES_HEAD,
            PATCHES_HEAD.replace("[:, :, ", "[:, -1, "),
            why="the head is patched at all positions",
            within="patch_head_vector",
        ),
        Mistake(
            "treats patterns as vectors of heads",
            'if part == "pattern":',
            "if False:",
            why="in a pattern heads are the second axis; elsewhere they are the third",
        ),
        *instead_of(
            "head_index=lm.input_head(part, head)",
            {
                "head_index=head % lm.n_kv_heads if part in ('k', 'v') else head": (
                    "assumes that every n_kv_heads-th head shares a key",
                    "neighbouring query heads share a key head: query head h reads key head h // (n_heads // n_kv_heads)",
                ),
                "head_index=min(head, lm.n_kv_heads - 1) if part in ('k', 'v') else head": (
                    "uses the last key head for every head whose number is too high",
                    "neighbouring query heads share a key head: query head h reads key head h // (n_heads // n_kv_heads)",
                ),
                "head_index=0": ("always patches head 0", OWN_ENTRY.format("head")),
            },
        ),
        Mistake(
            "uses the query head's number for a shared key",
            function=patch_parts,
            why="keys and values have fewer heads: query head h reads head h // (n_heads // n_kv_heads)",
        ),
        Mistake(
            "returns layers as the first axis",
            ".unflatten(0, (len(HEAD_PARTS), lm.n_layers, lm.n_heads))",
            ".unflatten(0, (len(HEAD_PARTS), lm.n_layers, lm.n_heads)).transpose(0, 1)",
            why="the result is [part, layer, head]",
        ),
        Mistake(
            "patches the head's output instead of q, k and v",
            '(f"blocks.{layer}.attn.hook_{part}", patch)',
            "(f\"blocks.{layer}.attn.hook_{part if part == 'pattern' else 'z'}\", patch)",
            why="q, k and v have hooks of their own, and attention is then computed from the patched values",
        ),
        *instead_of(
            "product(HEAD_PARTS, lm.heads)",
            {
                "product(('z', 'k', 'q', 'v', 'pattern'), lm.heads)": (
                    "swaps queries and keys",
                    "the first axis of the result is z, q, k, v, pattern, in this order",
                ),
                "product(('q', 'k', 'v', 'z', 'pattern'), lm.heads)": (
                    "returns the outputs after the inputs",
                    "the first axis of the result is z, q, k, v, pattern, in this order",
                ),
                "product(('q', 'k', 'v', 'pattern', 'z'), lm.heads)": (
                    "returns the outputs last",
                    "the first axis of the result is z, q, k, v, pattern, in this order",
                ),
                "sorted(product(HEAD_PARTS, lm.heads), key=lambda item: item[1])": LOOPS_OVER_PARTS_LAST,
                "sorted(product(HEAD_PARTS, lm.heads), key=lambda item: item[1][0])": LOOPS_OVER_PARTS_LAST,
            },
        ),
    ],
)
