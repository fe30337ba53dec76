"""Judges of path patching's sweeps over all senders, to the final residual stream and to heads.

Shapes:  two data sets with .toks "batch seq" -> metrics "n_layers n_heads".
"""

import itertools
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.patching import path
from arena_lib.tests.indirect_object_identification.path_hooks import freeze_by_where, freeze_in_place, input_in_place
from arena_lib.tests.indirect_object_identification.small_models import (
    ATTENTION_ONLY_CONFIG,
    GPT2_CONFIG,
    LLAMA_CONFIG,
    contrast,
    make_model,
    make_tokens,
    what_a_sweep_gives,
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
        "caches": {name: model.run_with_cache(tokens)[1] for name, tokens in caches.items()},
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


def heads_cases(generator: torch.Generator) -> list[Case]:
    """Queries, keys, values; receivers in several layers; shared keys; with and without caches."""
    one, two, other = [(2, 3)], [(2, 3), (1, 1)], [(1, 2)]
    shared = "a model whose heads share keys and values"
    return [
        path_case("a model of GPT-2's form", GPT2_CONFIG, (4, 5), generator, receivers=[(1, 0), (1, 2)], part="v"),
        path_case(shared, LLAMA_CONFIG, (1, 5), generator, receivers=one, part="v"),
        path_case("without caches", LLAMA_CONFIG, (2, 4), generator, has_caches=False, receivers=two, part="q"),
        path_case(shared, LLAMA_CONFIG, (2, 3), generator, receivers=other, part="k"),
    ]


def swept_to_final(function: Callable[..., Any], case: Case) -> Observations:
    """The metrics for all senders, and what the sweep leaves behind."""
    model, caches = case.given["model"], case.given["caches"]
    args = (model, contrast, dataset(case.given["new"]), dataset(case.given["orig"]), *caches.values())
    return what_a_sweep_gives(function, model, *args, caches=caches)


def swept_to_heads(function: Callable[..., Any], case: Case) -> Observations:
    """The metrics for all senders before the latest receiver, and what the sweep leaves behind."""
    model, caches = case.given["model"], case.given["caches"]
    receivers, part = case.given["receivers"], case.given["part"]
    sets = (dataset(case.given["new"]), dataset(case.given["orig"]))
    args = (list(receivers), part, model, contrast, *sets, *caches.values())
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
            "head_to_patch=(lm.n_layers - 1, lm.n_heads - 1)": (
                "always sends from the last head of the last layer",
                OWN_ENTRY,
            ),
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
    Mistake(
        "subtracts the original run's metric",
        "results.append(check_metric(patching_metric(",
        "results.append(-patching_metric(lm.run(orig_tokens)) + check_metric(patching_metric(",
        why="the result is the metric itself, without a baseline subtracted",
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
            "leaves the final norm out",
            "lm.unembed(recorded[final])",
            "lm.model.unembed(recorded[final])",
            why="logits are unembed(ln_final(resid))",
        ),
        Mistake(
            "records the stream that enters the last layer",
            'final = f"blocks.{lm.n_layers - 1}.hook_resid_post"',
            'final = f"blocks.{lm.n_layers - 1}.hook_resid_pre"',
            why="the final stream is resid_post of the last layer",
        ),
        Mistake(
            "measures the original run",
            "patching_metric(lm.unembed(recorded[final]))",
            "patching_metric(lm.run(orig_tokens))",
            why="the metric is computed from the logits that the recorded stream gives",
        ),
    ],
)


def heads_by_hooks(
    receiver_heads: Any,
    receiver_input: str,
    model: Any,
    patching_metric: Any,
    new_dataset: Any,
    orig_dataset: Any,
    new_cache: Any = None,
    orig_cache: Any = None,
) -> Tensor:
    """Hooks by tests of names, what arrives from a cache, shared keys by the tensor's number of heads."""
    new_cache, orig_cache = caches_of(model, new_dataset, orig_dataset, new_cache, orig_cache)
    n_heads, before = model.cfg.n_heads, max(layer for layer, _ in receiver_heads)
    names = {f"blocks.{layer}.attn.hook_{receiver_input}" for layer, _ in receiver_heads}
    results = torch.zeros(before, n_heads)
    for sender in itertools.product(range(before), range(n_heads)):
        freeze = partial(freeze_in_place, new_cache=new_cache, orig_cache=orig_cache, head_to_patch=sender)
        model.add_hook(lambda name: name.endswith("hook_z"), freeze)
        _, arrived = model.run_with_cache(orig_dataset.toks, names_filter=lambda name: name in names)
        model.reset_hooks()

        def patch(tensor: Tensor, hook: Any, arrived: Any = arrived) -> None:
            shares = n_heads // tensor.shape[2]
            input_in_place(tensor, hook, arrived, [(layer, head // shares) for layer, head in receiver_heads])

        hooks = [(lambda name: name in names, patch)]
        results[sender] = patching_metric(model.run_with_hooks(orig_dataset.toks, fwd_hooks=hooks))
    return results


test_get_path_patch_head_to_heads = exercise(
    reference=path.get_path_patch_head_to_heads,
    cases=heads_cases,
    observe=swept_to_heads,
    tolerance=CLOSE,
    free=FREE,
    equivalent=ONE_AXIS,
    accepts=[heads_by_hooks],
    mistakes=[
        *COMMON,
        Mistake(
            "freezes heads in the last run too",
            "logits = lm.run(orig_tokens, [(name, patch) for name in input_names])",
            "logits = lm.run(orig_tokens, [*((name, freeze) for name in z_names), *((name, patch) for name in input_names)])",
            why="in the last run the receivers may affect all later parts, so nothing is frozen",
        ),
        *instead_of(
            "lm.heads[: n_layers * lm.n_heads]",
            {
                "lm.heads": (
                    "returns a row for every layer of the model",
                    "only heads in layers before the latest receiver's can send to it",
                ),
                "lm.heads[: (n_layers + 1) * lm.n_heads]": (
                    "returns a row for the latest receiver's own layer too",
                    "heads of one layer can't read each other: senders are in the layers before the latest receiver's",
                ),
                "lm.heads[: min(layer for layer, _ in receiver_heads) * lm.n_heads]": (
                    "returns rows only for the layers before the earliest receiver",
                    "senders are in all layers before the latest receiver's",
                ),
            },
        ),
        *instead_of(
            'input_names = sorted({f"blocks.{layer}.attn.hook_{receiver_input}" for layer, _ in slots})',
            {
                'input_names = sorted({f"blocks.{layer}.attn.hook_z" for layer, _ in slots})': (
                    "patches the receivers' outputs",
                    "the receiver's query, key or value is patched, not its output",
                ),
                "slots = list(receiver_heads)\n"
                '    input_names = sorted({f"blocks.{layer}.attn.hook_q" for layer, _ in slots})': (
                    "always patches queries",
                    "receiver_input says which of q, k and v the receivers get",
                ),
            },
        ),
        *instead_of(
            "head_list=slots)",
            {
                "head_list=slots[:1])": ("patches the first receiver only", "all receivers are patched at once"),
                "head_list=[(layer, head) for layer, _ in slots "
                "for head in range(lm.n_heads if receiver_input == 'q' else lm.n_kv_heads)])": (
                    "patches all heads of the receivers' layers",
                    "the other heads of the layer keep their values of this run",
                ),
            },
        ),
        *instead_of(
            "(layer, lm.input_head(receiver_input, head))",
            {
                "(layer, head if receiver_input == 'q' else head % lm.n_kv_heads)": (
                    "patches another shared head than the receiver's",
                    "neighbouring query heads share a key head: query head h reads key head h // (n_heads // n_kv_heads)",
                ),
                "(layer, head)": (
                    "uses the query head's number for a shared key",
                    "keys and values have fewer heads: query head h reads head h // (n_heads // n_kv_heads)",
                ),
            },
        ),
        Mistake(
            "runs the new prompts in the end",
            "logits = lm.run(orig_tokens, [(name, patch)",
            "logits = lm.run(new_tokens, [(name, patch)",
            why="the last run is on the original prompts, with the receivers patched",
        ),
    ],
)
