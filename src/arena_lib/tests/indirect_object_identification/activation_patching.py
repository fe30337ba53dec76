"""Judges of activation patching's sweeps over positions, places in a block, and heads.

Shapes:  corrupted tokens "batch seq" and a cache -> metrics by layer and position, or by layer and head.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.patching import activation
from arena_lib.tests.indirect_object_identification.activation_hooks import (
    head_in_place,
    pattern_in_place,
    residual_by_where,
    residual_in_place,
)
from arena_lib.tests.indirect_object_identification.small_models import (
    ATTENTION_ONLY_CONFIG,
    GPT2_CONFIG,
    LLAMA_CONFIG,
    contrast,
    make_model,
    make_tokens,
    what_a_sweep_gives,
)
from arena_lib.transformer.fast.attention_only import AttentionOnlyConfig
from arena_lib.transformer.fast.gpt2 import GPT2Config
from arena_lib.transformer.fast.llama import LlamaConfig

__test__ = False

CLOSE = {"results": Tolerance(rtol=1e-4, atol=2e-5)}
FORMS: dict[str, Any] = {"a model of GPT-2's form": GPT2_CONFIG, "a model of Llama's form": LLAMA_CONFIG}
PROMPTS: dict[type, tuple[int, int]] = {GPT2Config: (4, 5), LlamaConfig: (2, 6), AttentionOnlyConfig: (1, 4)}
"""How many prompts each form of model reads, and how long they are."""
ALL_FORMS: dict[str, Any] = {"one prompt, a model of attention alone": ATTENTION_ONLY_CONFIG} | FORMS


def sweep_cases(generator: torch.Generator, axes: str, configs: dict[str, Any]) -> list[Case]:
    """One case for each model. The quickest comes first: most known mistakes are ruled out by it."""
    cases = []
    for label, cfg in configs.items():
        model = make_model(cfg, generator)
        batch, seq = PROMPTS[type(cfg)]
        corrupted, clean = (make_tokens(batch, seq, generator) for _ in range(2))
        given = {"model": model, "corrupted": corrupted, "cache": model.run_with_cache(clean)[1]}
        call = "model, corrupted_tokens, clean_cache, patching_metric"
        cases.append(Case(label=label, given=given, axes={"results": axes}, call=call))
    return cases


def position_cases(generator: torch.Generator) -> list[Case]:
    """One prompt for attention alone, GPT-2's form, and Llama's."""
    return sweep_cases(generator, "n_layers seq", ALL_FORMS)


def place_cases(generator: torch.Generator) -> list[Case]:
    """GPT-2's form and Llama's."""
    return sweep_cases(generator, "n_places n_layers seq", FORMS)


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


def swept(function: Callable[..., Any], case: Case) -> Observations:
    """The metrics, and what the sweep leaves behind."""
    model, corrupted, cache = (case.given[key] for key in ("model", "corrupted", "cache"))
    args = (model, corrupted.clone(), cache, contrast)
    return what_a_sweep_gives(function, model, *args, caches={"clean_cache": cache})


def resid_pre_by_hooks(model: Any, corrupted_tokens: Tensor, clean_cache: Any, patching_metric: Any) -> Tensor:
    """Fills a table of zeros, with hooks that are added and taken off again."""
    seq = corrupted_tokens.size(1)
    results = torch.zeros(model.cfg.n_layers, seq)
    for layer in range(model.cfg.n_layers):
        for pos in range(seq):
            hook = partial(residual_in_place, pos=pos, clean_cache=clean_cache)
            model.add_hook(f"blocks.{layer}.hook_resid_pre", hook)
            results[layer, pos] = patching_metric(model(corrupted_tokens)).item()
            model.reset_hooks()
    return results


def resid_pre_from_the_stream(model: Any, corrupted_tokens: Tensor, clean_cache: Any, patching_metric: Any) -> Tensor:
    """Goes on from the patched stream, layer by layer."""
    own = model.run_with_cache(corrupted_tokens)[1]
    rows = []
    for layer in range(model.cfg.n_layers):
        for pos in range(corrupted_tokens.shape[-1]):
            stream = own["resid_pre", layer].clone()
            stream[:, pos] = clean_cache["resid_pre", layer][:, pos]
            rows.append(patching_metric(model(stream, start_at_layer=layer)))
    return torch.stack(rows).view(model.cfg.n_layers, -1)


def sweep_mistakes(place: str) -> tuple[Mistake, ...]:
    """What can go wrong in any sweep that patches at the hook name `place`."""
    run = f"lm.run(corrupted_tokens, [({place}, patch)])"
    last_layer, any_layer = (place.replace("{layer}", layer) for layer in ("{lm.n_layers - 1}", "{any_layer}"))
    runs = {
        run.replace(place, last_layer): (
            "always patches the last layer",
            "the name of the hook must change with the layer",
        ),
        run.replace(f"[({place}, patch)]", f"[({any_layer}, patch) for any_layer in range(lm.n_layers)]"): (
            "patches all layers at once",
            "one patch at a time: the other layers are computed anew from what they then read",
        ),
        "lm.run(corrupted_tokens)": (
            "measures the corrupted run without a patch",
            "the hook must be attached while the model runs: run_with_hooks(tokens, fwd_hooks=[(name, hook)])",
        ),
    }
    results = {
        "patching_metric(logits) - patching_metric(lm.run(corrupted_tokens))": (
            "subtracts the corrupted run's metric",
            "the metric itself is asked for; it has its own zero",
        ),
        "patching_metric(logits) / len(corrupted_tokens)": (
            "divides the metric by the number of prompts",
            "the metric itself is asked for: it says how prompts are averaged",
        ),
        "patching_metric(logits.softmax(dim=-1))": (
            "hands probabilities to the metric",
            "the metric reads logits, as the model gives them",
        ),
    }
    stays = Mistake(
        "leaves its hooks on the model",
        f"logits = {run}",
        f"lm.model.add_hook({place}, patch); logits = lm.run(corrupted_tokens)",
        why="hooks that stay patch the next runs as well; run_with_hooks takes them off again",
    )
    return (*instead_of(run, runs), stays, *instead_of("check_metric(patching_metric(logits))", results))


OWN_ENTRY = "each entry is for its own {}; a lambda in a loop sees the variable as it is when it is called"
POSITION_MISTAKES = instead_of(
    "pos=pos, ",
    {
        "pos=corrupted_tokens.shape[1] - 1, ": ("always patches the last position", OWN_ENTRY.format("position")),
        "pos=0, ": ("always patches the first position", OWN_ENTRY.format("position")),
        "pos=(pos + 1) % corrupted_tokens.shape[1], ": (
            "is one position off",
            "entry [layer, pos] is for position pos",
        ),
        "pos=slice(None), ": ("patches all positions at once", OWN_ENTRY.format("position")),
    },
)
ONE_AXIS = "the results have one axis, which is the first and the last"

test_get_act_patch_resid_pre = exercise(
    reference=activation.get_act_patch_resid_pre,
    cases=position_cases,
    observe=swept,
    tolerance=CLOSE,
    accepts=[resid_pre_by_hooks, resid_pre_from_the_stream],
    equivalent={
        "return torch.stack(results).unflatten(0, (lm.n_layers, -1)) -> return torch.stack(results).unflatten(-1, (lm.n_layers, -1))": ONE_AXIS
    },
    mistakes=[
        *sweep_mistakes('f"blocks.{layer}.hook_resid_pre"'),
        *instead_of(
            '(f"blocks.{layer}.hook_resid_pre", patch)',
            {
                f'(f"blocks.{{layer}}.hook_{place}", patch)': (
                    f"patches {words}",
                    "resid_pre is the stream that enters the layer",
                )
                for place, words in {
                    "resid_post": "the stream after the layer",
                    "resid_mid": "the stream between attention and MLP",
                    "attn_out": "what attention adds",
                }.items()
            },
        ),
        Mistake(
            "puts positions first",
            ".unflatten(0, (lm.n_layers, -1))",
            ".unflatten(0, (lm.n_layers, -1)).T",
            why="the result is [layer, position]",
        ),
        *POSITION_MISTAKES,
    ],
)


def places_by_hooks(model: Any, corrupted_tokens: Tensor, clean_cache: Any, patching_metric: Any) -> Tensor:
    """A table filled entry by entry, with a closure as the hook."""
    places, seq = ("resid_pre", "attn_out", "mlp_out"), corrupted_tokens.shape[1]
    results = torch.zeros(len(places), model.cfg.n_layers, seq)
    for i, layer, pos in results.isfinite().nonzero().tolist():

        def hook(tensor: Tensor, hook: Any, pos: int = pos) -> Tensor:
            return residual_by_where(tensor, hook, pos, clean_cache)

        logits = model.run_with_hooks(corrupted_tokens, fwd_hooks=[(f"blocks.{layer}.hook_{places[i]}", hook)])
        results[i, layer, pos] = patching_metric(logits)
    return results


test_get_act_patch_block_every = exercise(
    reference=activation.get_act_patch_block_every,
    cases=place_cases,
    observe=swept,
    tolerance=CLOSE,
    accepts=[places_by_hooks],
    equivalent={"0 -> -1": ONE_AXIS},
    mistakes=[
        *sweep_mistakes('f"blocks.{layer}.hook_{place}"'),
        Mistake(
            "has attention and MLP the wrong way round",
            '["resid_pre", "attn_out", "mlp_out"] if',
            '["resid_pre", "mlp_out", "attn_out"] if',
            why="the order is resid_pre, attn_out, mlp_out",
        ),
        Mistake(
            "patches resid_mid in place of attn_out",
            '["resid_pre", "attn_out", "mlp_out"] if',
            '["resid_pre", "resid_mid", "mlp_out"] if',
            why="resid_mid holds everything up to there; attn_out is what this layer's attention adds",
        ),
        Mistake(
            "patches the stream three times",
            '(f"blocks.{layer}.hook_{place}", patch)',
            '(f"blocks.{layer}.hook_resid_pre", patch)',
            why="each of the three places has a hook of its own",
        ),
        Mistake(
            "puts the places after the layers",
            ".unflatten(0, (len(places), lm.n_layers, -1))",
            ".unflatten(0, (len(places), lm.n_layers, -1)).transpose(0, 1)",
            why="the result is [place, layer, position]",
        ),
        *POSITION_MISTAKES,
    ],
)


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
        *sweep_mistakes('f"blocks.{layer}.attn.hook_z"'),
        *instead_of(
            '(f"blocks.{layer}.attn.hook_z", patch)',
            {
                '(f"blocks.{layer}.attn.hook_q", patch)': (
                    "patches the queries",
                    "a head's output is z, what its pattern brought together",
                ),
                '(f"blocks.{layer}.hook_attn_out", lambda out, hook: clean_cache[hook.name])': (
                    "patches the output of the whole layer",
                    "each head by itself: z has an axis for the heads, attn_out is their sum",
                ),
            },
        ),
        Mistake(
            "puts heads first",
            ".unflatten(0, (lm.n_layers, lm.n_heads))",
            ".unflatten(0, (lm.n_layers, lm.n_heads)).T",
            why="the result is [layer, head]",
        ),
        *instead_of(
            "head_index=head, ",
            {
                "head_index=0, ": ("always patches head 0", OWN_ENTRY.format("head")),
                "head_index=lm.n_heads - 1, ": ("always patches the last head", OWN_ENTRY.format("head")),
                "head_index=slice(None), ": ("patches all heads at once", OWN_ENTRY.format("head")),
                "head_index=lm.n_heads - 1 - head, ": (
                    "numbers the heads backwards",
                    "entry [layer, head] is for that head",
                ),
            },
        ),
    ],
)


def parts_by_hooks(model: Any, corrupted_tokens: Tensor, clean_cache: Any, patching_metric: Any) -> Tensor:
    """A table for each part; how many query heads share is read from the cache."""
    n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
    tables = []
    for part in ("z", "q", "k", "v", "pattern"):
        table = torch.zeros(n_layers, n_heads)
        for layer in range(n_layers):
            for head in range(n_heads):
                axis = 1 if part == "pattern" else 2
                own = head // (n_heads // clean_cache[part, layer].shape[axis])
                patch = pattern_in_place if part == "pattern" else head_in_place
                hook = partial(patch, head_index=own, clean_cache=clean_cache)
                logits = model.run_with_hooks(corrupted_tokens, fwd_hooks=[(f"blocks.{layer}.attn.hook_{part}", hook)])
                table[layer, head] = patching_metric(logits)
        tables.append(table)
    return torch.stack(tables)


test_get_act_patch_attn_head_all_pos_every = exercise(
    reference=activation.get_act_patch_attn_head_all_pos_every,
    cases=head_part_cases,
    observe=swept,
    tolerance=CLOSE,
    accepts=[parts_by_hooks],
    equivalent={"0 -> -1": ONE_AXIS},
    mistakes=[
        *sweep_mistakes('f"blocks.{layer}.attn.hook_{part}"'),
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
                    "lets heads that are not neighbours share a key",
                    "heads in a row share: query head h reads key head h // (n_heads // n_kv_heads)",
                ),
                "head_index=head": (
                    "takes the query head's number for a shared key",
                    "keys and values have fewer heads: query head h reads head h // (n_heads // n_kv_heads)",
                ),
                "head_index=0": ("always patches head 0", OWN_ENTRY.format("head")),
            },
        ),
        Mistake(
            "puts layers first",
            ".unflatten(0, (len(HEAD_PARTS), lm.n_layers, lm.n_heads))",
            ".unflatten(0, (len(HEAD_PARTS), lm.n_layers, lm.n_heads)).transpose(0, 1)",
            why="the result is [part, layer, head]",
        ),
        Mistake(
            "patches outputs in place of inputs",
            '(f"blocks.{layer}.attn.hook_{part}", patch)',
            "(f\"blocks.{layer}.attn.hook_{part if part == 'pattern' else 'z'}\", patch)",
            why="q, k and v have hooks of their own, and what they change is computed anew",
        ),
        Mistake(
            "has queries and keys the wrong way round",
            "product(HEAD_PARTS, lm.heads)",
            "product(('z', 'k', 'q', 'v', 'pattern'), lm.heads)",
            why="the order is z, q, k, v, pattern",
        ),
    ],
)
