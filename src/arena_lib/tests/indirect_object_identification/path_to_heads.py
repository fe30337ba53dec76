"""Judge of path patching from all senders to the queries, keys or values of some heads.

Shapes:  two data sets with .toks "batch seq" -> metrics "n_sender_layers n_heads".
"""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.patching import path
from arena_lib.tests.indirect_object_identification.path_hooks import freeze_in_place, input_in_place
from arena_lib.tests.indirect_object_identification.path_patching import (
    CLOSE,
    COMMON,
    FREE,
    ONE_AXIS,
    OWN_ENTRY,
    caches_of,
    dataset,
    path_case,
)
from arena_lib.tests.indirect_object_identification.small_models import (
    GPT2_CONFIG,
    LLAMA_CONFIG,
    contrast,
    what_a_sweep_gives,
)

__test__ = False


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


def swept_to_heads(function: Callable[..., Any], case: Case) -> Observations:
    """The metrics for all senders before the latest receiver, and what the sweep leaves behind."""
    model, caches = case.given["model"], case.given["caches"]
    receivers, part = case.given["receivers"], case.given["part"]
    sets = (dataset(case.given["new"]), dataset(case.given["orig"]))
    args = (list(receivers), part, model, contrast, *sets, *caches.values())
    return what_a_sweep_gives(function, model, *args, caches=caches)


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
            "always sends from the last sender",
            "head_to_patch=(layer, head)",
            "head_to_patch=(n_layers - 1, lm.n_heads - 1)",
            why=OWN_ENTRY,
        ),
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
                'input_names = sorted({f"blocks.{layer}.attn.hook_{receiver_input}" for layer, _ in slots})[-1:]': (
                    "patches only the receivers of the latest layer",
                    "all receivers are patched at once, whatever their layer",
                ),
                'input_names = sorted({f"blocks.{layer}.attn.hook_{receiver_input}" for layer, _ in slots})[:1]': (
                    "patches only the receivers of the earliest layer",
                    "all receivers are patched at once, whatever their layer",
                ),
                "slots = list(receiver_heads)\n"
                '    input_names = sorted({f"blocks.{layer}.attn.hook_q" for layer, _ in slots})': (
                    "always patches queries",
                    "receiver_input says which of q, k and v the receivers get",
                ),
            },
        ),
        *instead_of(
            "patched_cache=recorded",
            {
                "patched_cache=lm.run_with_cache(new_tokens)[1]": (
                    "gives the receivers what they get on the new prompts",
                    "the receivers get what arrives in step 1, where only the sender is new",
                ),
                "patched_cache=new_cache if input_names[0] in new_cache else lm.run_with_cache(new_tokens)[1]": (
                    "gives the receivers what they get on the new prompts",
                    "the receivers get what arrives in step 1, where only the sender is new",
                ),
            },
        ),
        *instead_of(
            "logits = lm.run(orig_tokens, [(name, patch) for name in input_names])",
            {
                "logits = lm.run(orig_tokens)": (
                    "measures the original run",
                    "in the last run the receivers get what was recorded",
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
                "(layer, head % lm.n_kv_heads)": (
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
