"""Judge of path patching from all senders to the final residual stream, and what all sweeps over senders share.

Shapes:  two data sets with .toks "batch seq" -> metrics "n_layers n_heads".
"""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.patching import path
from arena_lib.tests.indirect_object_identification.activation_patching import loops_swapped
from arena_lib.tests.indirect_object_identification.path_hooks import freeze_by_where, freeze_in_place
from arena_lib.tests.indirect_object_identification.small_models import (
    ATTENTION_ONLY_CONFIG,
    GPT2_CONFIG,
    LLAMA_CONFIG,
    contrast,
    make_model,
    make_tokens,
    what_a_sweep_gives,
    whole_cache,
)

__test__ = False

CLOSE = {"result": Tolerance(rtol=1e-4, atol=2e-5)}


def dataset(tokens: Tensor) -> Any:
    """What path patching needs of a data set."""
    end = torch.full(tokens.shape[:1], tokens.shape[1] - 1)
    return SimpleNamespace(toks=tokens, word_idx={"end": end})


def path_case(
    label: str, cfg: Any, shape: tuple[int, int], generator: torch.Generator, *, has_caches: bool = True, **more: Any
) -> Case:
    """A model, two sets of prompts, and caches if they are handed in: the new one is of other prompts than the new set."""
    model = make_model(cfg, generator)
    new, cached, orig = (make_tokens(*shape, generator) for _ in range(3))
    caches = {"new_cache": cached, "orig_cache": orig} if has_caches else {}
    given = {
        "model": model,
        "new": new,
        "orig": orig,
        "caches": {name: whole_cache(model, tokens) for name, tokens in caches.items()},
    }
    receivers = f"{more['receivers']}, {more['part']!r}, " if more else ""
    call = f"{receivers}model, patching_metric, new_dataset, orig_dataset{''.join(f', {name}' for name in caches)}"
    return Case(label=label, given=given | more, axes={"result": "n_layers n_heads"}, call=call)


def final_cases(generator: torch.Generator) -> list[Case]:
    """Each form of the model, the quickest first; caches handed in, and to be made; one prompt."""
    return [
        path_case("a model of attention alone, one prompt", ATTENTION_ONLY_CONFIG, (1, 6), generator),
        path_case("a model of GPT-2's form", GPT2_CONFIG, (4, 5), generator),
        path_case("a model of Llama's form, without caches", LLAMA_CONFIG, (2, 5), generator, has_caches=False),
    ]


def swept_to_final(function: Callable[..., Any], case: Case) -> Observations:
    """The metrics for all senders, and what the sweep leaves behind."""
    model, caches = case.given["model"], case.given["caches"]
    args = (model, contrast, dataset(case.given["new"]), dataset(case.given["orig"]), *caches.values())
    return what_a_sweep_gives(function, model, *args, caches=caches)


def caches_of(model: Any, new_dataset: Any, orig_dataset: Any, new_cache: Any, orig_cache: Any) -> tuple[Any, Any]:
    """Both caches, made where they are missing."""
    if new_cache is None:
        new_cache = model.run_with_cache(new_dataset.toks)[1]
    if orig_cache is None:
        orig_cache = model.run_with_cache(orig_dataset.toks)[1]
    return new_cache, orig_cache


def final_by_hooks(
    model: Any, patching_metric: Any, new_dataset: Any, orig_dataset: Any, new_cache: Any = None, orig_cache: Any = None
) -> Tensor:
    """Adds the freezing hook by a test of names, and reads the stream from a cache."""
    new_cache, orig_cache = caches_of(model, new_dataset, orig_dataset, new_cache, orig_cache)
    results = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    last = f"blocks.{model.cfg.n_layers - 1}.hook_resid_post"
    for layer, head in results.isfinite().nonzero().tolist():
        freeze = partial(freeze_in_place, new_cache=new_cache, orig_cache=orig_cache, head_to_patch=(layer, head))
        model.add_hook(lambda name: name.endswith("hook_z"), freeze)
        _, cache = model.run_with_cache(orig_dataset.toks, names_filter=lambda name: name == last)
        model.reset_hooks()
        results[layer, head] = patching_metric(model.unembed(model.ln_final(cache[last])))
    return results


def final_by_logits(
    model: Any, patching_metric: Any, new_dataset: Any, orig_dataset: Any, new_cache: Any = None, orig_cache: Any = None
) -> Tensor:
    """With every head frozen, the logits of the second step are those of the last already."""
    new_cache, orig_cache = caches_of(model, new_dataset, orig_dataset, new_cache, orig_cache)
    n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
    values = []
    for layer in range(n_layers):
        for head in range(n_heads):

            def freeze(z: Tensor, hook: Any, sender: tuple[int, int] = (layer, head)) -> Tensor:
                return freeze_by_where(z, hook, new_cache, orig_cache, sender)

            hooks = [(f"blocks.{i}.attn.hook_z", freeze) for i in range(n_layers)]
            values.append(patching_metric(model.run_with_hooks(orig_dataset.toks, fwd_hooks=hooks)))
    return torch.stack(values).reshape(n_layers, n_heads)


FREEZES = "record_with_hooks(lm, orig_tokens, [(name, freeze) for name in z_names],"
NEW_CACHE = "new_cache = lm.run_with_cache(new_tokens, z_names)[1] if new_cache is None else new_cache"
ORIG_CACHE = "orig_cache = lm.run_with_cache(orig_tokens, z_names)[1] if orig_cache is None else orig_cache"

OWN_ENTRY = "each entry has its own sender: bind it to the hook with functools.partial, because a lambda reads the loop's variable only when it is called"
ALL_HELD = (
    "[*((name, freeze) for name in z_names), "
    '*((f"blocks.{i}.hook_mlp_out", lambda out, hook, value=lm.run_with_cache(orig_tokens)[1]: value[hook.name]) '
    "for i in range(lm.n_layers * lm.has_mlp))]"
)
FREE = {"orig_cache": "it only saves a run: the original prompts give the same values again"}
ONE_AXIS = {
    "return torch.stack(results).unflatten(0, (-1, lm.n_heads)) -> "
    "return torch.stack(results).unflatten(-1, (-1, lm.n_heads))": "the results have one axis"
}

COMMON = [
    Mistake(
        "does not freeze the later heads",
        "patch_or_freeze_head_vectors, new_cache=new_cache, orig_cache=orig_cache,",
        "lambda z, hook, head_to_patch: patch_head_input(z, hook, new_cache, [head_to_patch]),",
        why="heads that aren't frozen react to the sender, as in activation patching: put the freezing hook on z of every layer",
    ),
    Mistake(
        "swaps the new and the original cache",
        "new_cache=new_cache, orig_cache=orig_cache,",
        "new_cache=orig_cache, orig_cache=new_cache,",
        why="the sender's value is from new_cache, everything else from orig_cache",
    ),
    Mistake(
        "makes both caches from the new prompts",
        ORIG_CACHE,
        ORIG_CACHE.replace("orig_tokens", "new_tokens"),
        why="frozen heads have their values on the original prompts",
    ),
    *instead_of(
        NEW_CACHE,
        {
            NEW_CACHE.replace("new_tokens", "orig_tokens"): (
                "makes both caches from the original prompts",
                "the sender has its value on the new prompts",
            ),
            "new_cache = lm.run_with_cache(new_tokens, z_names)[1]": (
                "computes new_cache again although one was passed",
                "the sender's values come from new_cache if it is given; in this test it holds other prompts than new_dataset",
            ),
        },
    ),
    *instead_of(
        "head_to_patch=(layer, head)",
        {
            "head_to_patch=(layer, 0)": ("always sends from head 0", OWN_ENTRY),
            "head_to_patch=(layer, lm.n_heads - 1)": ("always sends from the last head", OWN_ENTRY),
            "head_to_patch=(head % lm.n_layers, layer)": (
                "uses the head's number as the layer",
                "a head is (layer, head)",
            ),
        },
    ),
    Mistake(
        "returns heads as the first axis",
        ".unflatten(0, (-1, lm.n_heads))",
        ".unflatten(0, (-1, lm.n_heads)).T",
        why="the result is [layer, head] of the sender",
    ),
    Mistake(
        "leaves its hooks on the model",
        "recorded = record_with_hooks(",
        "[lm.model.add_hook(name, freeze) for name in z_names]\n        recorded = record_with_hooks(",
        why="hooks that stay freeze the next runs as well; run_with_hooks takes them off again",
    ),
    Mistake(
        "runs the new prompts while it records",
        FREEZES,
        FREEZES.replace("orig_tokens", "new_tokens"),
        why="everything but the sender must be original, the embeddings too: run the original prompts",
    ),
    Mistake(
        "freezes the MLPs too",
        "[(name, freeze) for name in z_names]",
        ALL_HELD,
        why="MLPs are part of the direct path here, so they are computed again and not frozen",
    ),
    *instead_of(
        "results.append(check_metric(patching_metric(",
        {
            "results.append(-patching_metric(lm.run(orig_tokens)) + check_metric(patching_metric(": (
                "subtracts the original run's metric",
                "the result is the metric itself, without a baseline subtracted",
            ),
            "results.append(check_metric((lambda logits: patching_metric(logits[:, -1:]))(": (
                "calls the metric with the last position only",
                "the metric takes the model's logits at all positions, and chooses positions itself",
            ),
            "results.append(check_metric((lambda logits: patching_metric(logits.softmax(dim=-1)))(": (
                "calls the metric with probabilities",
                "the metric takes the model's logits, without a softmax",
            ),
        },
    ),
    *instead_of(
        "patched[:, :, head] = new_cache[hook.name][:, :, head]",
        {
            "patched[:, -1, head] = new_cache[hook.name][:, -1, head]": (
                "patches the sender at the last position only",
                "the sender has its new value at all positions",
            ),
            "patched[:] = new_cache[hook.name]": (
                "patches the sender's whole layer",
                "the other heads of the sender's layer are frozen as well",
            ),
            "patched[:, :, head] = 0.0": (
                "sets the sender to zero",
                "the sender gets its value on the new prompts, from new_cache",
            ),
        },
        within="patch_or_freeze_head_vectors",
    ),
    Mistake(
        "writes the sender's value into orig_cache",
        "orig_cache[hook.name].clone()",
        "orig_cache[hook.name]",
        why="the next senders need the original values: write into the model's tensor or into a copy",
        within="patch_or_freeze_head_vectors",
    ),
    *instead_of(
        "[(name, freeze) for name in z_names]",
        {
            "[*((name, freeze) for name in z_names), *((name, partial(patch_head_input, patched_cache=new_cache, "
            "head_list=lm.heads[: len(results)])) for name in z_names)]": (
                "patches the earlier senders too",
                "each entry has one sender: a hook that stays on changes the later runs too",
            ),
        },
    ),
    loops_swapped(
        "for layer, head in progress(lm.heads",
        "for layer, head in progress(sorted(lm.heads, key=lambda pair: pair[::-1])",
        "heads",
        "layers",
    ),
]

test_get_path_patch_head_to_final_resid_post = exercise(
    reference=path.get_path_patch_head_to_final_resid_post,
    cases=final_cases,
    observe=swept_to_final,
    tolerance=CLOSE,
    free=FREE,
    equivalent=ONE_AXIS,
    accepts=[final_by_hooks, final_by_logits],
    mistakes=[
        *COMMON,
        Mistake(
            "always sends from the last head of the last layer",
            "head_to_patch=(layer, head)",
            "head_to_patch=(lm.n_layers - 1, lm.n_heads - 1)",
            why=OWN_ENTRY,
        ),
        Mistake(
            "leaves the final norm out",
            "lm.unembed(recorded[final])",
            "lm.model.unembed(recorded[final])",
            why="logits are unembed(ln_final(resid))",
        ),
        Mistake(
            "applies the final norm twice",
            "lm.unembed(recorded[final])",
            "lm.unembed(lm.final_norm(recorded[final]))",
            why="hooked(model).unembed has the final norm in it; model.unembed has not",
        ),
        Mistake(
            "unembeds without b_U",
            "lm.unembed(recorded[final])",
            "(lm.final_norm(recorded[final]) @ lm.W_U)",
            why="logits are unembed(ln_final(resid)), and the unembedding has a bias",
        ),
        *instead_of(
            'final = f"blocks.{lm.n_layers - 1}.hook_resid_post"',
            {
                'final = f"blocks.{lm.n_layers - 1}.hook_resid_pre"': (
                    "records the stream that enters the last layer",
                    "the final stream is resid_post of the last layer",
                ),
                "final = f\"blocks.{lm.n_layers - 1}.hook_resid_{'mid' if lm.has_mlp else 'post'}\"": (
                    "records the stream before the last MLP",
                    "the final stream is resid_post of the last layer, after its MLP",
                ),
                'final = "blocks.0.hook_resid_post"': (
                    "records the stream after the first layer",
                    "the final stream is resid_post of the last layer",
                ),
            },
        ),
        Mistake(
            "measures the original run",
            "patching_metric(lm.unembed(recorded[final]))",
            "patching_metric(lm.run(orig_tokens))",
            why="the metric is computed from the logits that the recorded stream gives",
        ),
    ],
)
