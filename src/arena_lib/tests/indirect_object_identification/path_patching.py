"""Judges of path patching: the hooks of its second and fourth step, and the sweeps over all senders.

Shapes:  z, q, k, v "batch seq n_heads d_head"; two data sets with .toks "batch seq" -> "n_layers n_heads".
Raises:  see `arena_lib.checking`.
Source:  own design.
"""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, exercise
from arena_lib.checking.observing import Observations
from arena_lib.interp.patching import path
from arena_lib.tests.indirect_object_identification.small_models import (
    ATTENTION_ONLY_CONFIG,
    GPT2_CONFIG,
    LLAMA_CONFIG,
    contrast,
    hook_at,
    make_model,
    make_tokens,
    what_a_sweep_gives,
    what_goes_on,
)

__test__ = False

HEADS = "batch seq n_heads d_head"
CLOSE = {"results": Tolerance(rtol=1e-4, atol=2e-5)}


def freeze_cases(generator: torch.Generator) -> list[Case]:
    """The sender in this layer and in another one; the first head and the last; one prompt."""
    calls = {
        "a sender of this layer": (1, (3, 5, 4, 2), (1, 2)),
        "a sender of another layer": (2, (2, 4, 3, 5), (1, 2)),
        "the first head of layer 0": (0, (4, 3, 2, 6), (0, 0)),
        "a head with the number of its layer, in another layer": (1, (2, 3, 4, 5), (2, 1)),
        "one prompt": (3, (1, 4, 5, 3), (3, 4)),
    }
    cases = []
    for label, (layer, shape, sender) in calls.items():
        now, orig, new, other_orig, other_new = torch.randn(5, *shape, generator=generator)
        name = f"blocks.{layer}.attn.hook_z"
        given = {
            "now": now,
            "name": name,
            "orig": {"blocks.9.attn.hook_z": other_orig, name: orig},
            "new": {"blocks.9.attn.hook_z": other_new, name: new},
            "sender": sender,
        }
        cases.append(Case(label=label, given=given, axes={"what goes on": HEADS}))
    return cases


def frozen(function: Callable[..., Any], case: Case) -> Observations:
    """What the model reads after the hook, and whether it left the caches alone."""
    now, name, orig, new, sender = (case.given[key] for key in ("now", "name", "orig", "new", "sender"))
    caches = {"new_cache": new, "orig_cache": orig}
    return what_goes_on(function, now, hook_at(name), new, orig, sender, caches=caches)


def freeze_in_place(
    orig_head_vector: Tensor, hook: Any, new_cache: Any, orig_cache: Any, head_to_patch: tuple[int, int]
) -> Tensor:
    """Writes everything into what it got."""
    orig_head_vector[...] = orig_cache[hook.name][...]
    if head_to_patch[0] == hook.layer():
        orig_head_vector[:, :, head_to_patch[1]] = new_cache[hook.name][:, :, head_to_patch[1]]
    return orig_head_vector


def freeze_by_where(
    orig_head_vector: Tensor, hook: Any, new_cache: Any, orig_cache: Any, head_to_patch: tuple[int, int]
) -> Tensor:
    """Chooses by head; the layer is read from the hook's name."""
    heads = torch.arange(orig_head_vector.shape[2])[:, None]
    is_sender = (heads == head_to_patch[1]) & (int(hook.name.split(".")[1]) == head_to_patch[0])
    return torch.where(is_sender, new_cache[hook.name], orig_cache[hook.name])


test_patch_or_freeze_head_vectors = exercise(
    reference=path.patch_or_freeze_head_vectors,
    cases=freeze_cases,
    observe=frozen,
    accepts=[freeze_in_place, freeze_by_where],
    mistakes=[
        Mistake(
            "does not freeze the other heads",
            "patched = orig_cache[hook.name].clone()",
            "patched = orig_head_vector.clone()",
            why="in later layers the heads have already read the change: they must have their original values",
        ),
        Mistake(
            "patches the head in every layer",
            "if layer == hook.layer():",
            "if head < patched.shape[2]:",
            why="the sender is one head of one layer: compare hook.layer()",
        ),
        Mistake(
            "patches the head in all layers but its own",
            "if layer == hook.layer():",
            "if layer != hook.layer() and head < patched.shape[2]:",
            why="the sender's new value belongs into its own layer",
        ),
        Mistake(
            "has the two caches the wrong way round",
            "patched = orig_cache[hook.name].clone()",
            "new_cache, orig_cache = orig_cache, new_cache; patched = orig_cache[hook.name].clone()",
            why="the sender is new, everything else original",
        ),
        Mistake(
            "writes the new value into the cache",
            "orig_cache[hook.name].clone()",
            "orig_cache[hook.name]",
            why="the cache serves the next senders, too: write into the model's tensor or into a copy",
        ),
        Mistake(
            "takes the axis of positions for the heads",
            "patched[:, :, head] = new_cache[hook.name][:, :, head]",
            "patched[:, head] = new_cache[hook.name][:, head]",
            why="the axes are batch, seq, n_heads, d_head: heads are the third",
        ),
        Mistake(
            "patches the last position only",
            "patched[:, :, head] = new_cache[hook.name][:, :, head]",
            "patched[:, -1, head] = new_cache[hook.name][:, -1, head]",
            why="the sender is patched at all positions",
        ),
        Mistake(
            "patches the whole layer",
            "patched[:, :, head] = new_cache[hook.name][:, :, head]",
            "patched[:] = new_cache[hook.name]",
            why="the other heads of the sender's layer are frozen as well",
        ),
        Mistake(
            "never patches",
            "if layer == hook.layer():",
            "if False:",
            why="in the sender's layer its head gets the new value",
        ),
        Mistake(
            "changes a copy and returns nothing",
            "return patched",
            "return None",
            why="patched is another tensor than the one that came in: return it, or write into that one",
        ),
    ],
)


def input_cases(generator: torch.Generator) -> list[Case]:
    """Several receivers, one, none in this layer; receivers of other layers; one prompt."""
    calls = {
        "two receivers of this layer and one of another": (
            "blocks.1.attn.hook_q",
            (3, 5, 4, 2),
            [(1, 3), (2, 2), (1, 0)],
        ),
        "one receiver": ("blocks.2.attn.hook_v", (2, 4, 3, 5), [(2, 1)]),
        "no receiver in this layer": ("blocks.0.attn.hook_k", (4, 3, 5, 2), [(1, 4), (3, 0)]),
        "the same receiver twice": ("blocks.1.attn.hook_k", (2, 6, 3, 4), [(1, 1), (1, 1)]),
        "one prompt": ("blocks.3.attn.hook_q", (1, 3, 4, 5), [(0, 1), (3, 2)]),
    }
    cases = []
    for label, (name, shape, receivers) in calls.items():
        now, recorded, elsewhere = torch.randn(3, *shape, generator=generator)
        cache = {"blocks.9.attn.hook_q": elsewhere, name: recorded}
        given = {"now": now, "name": name, "cache": cache, "receivers": receivers}
        cases.append(Case(label=label, given=given, axes={"what goes on": HEADS}))
    return cases


def received(function: Callable[..., Any], case: Case) -> Observations:
    """What the model reads after the hook, and whether it left the cache alone."""
    now, name, cache, receivers = (case.given[key] for key in ("now", "name", "cache", "receivers"))
    return what_goes_on(function, now, hook_at(name), cache, list(receivers), caches={"patched_cache": cache})


def input_in_place(orig_activation: Tensor, hook: Any, patched_cache: Any, head_list: Any) -> None:
    """Writes head by head into what it got."""
    for layer, head in head_list:
        if f"blocks.{layer}." in hook.name:
            orig_activation[:, :, head] = patched_cache[hook.name][:, :, head]


def input_by_where(orig_activation: Tensor, hook: Any, patched_cache: Any, head_list: Any) -> Tensor:
    """Chooses by head."""
    heads = range(orig_activation.shape[2])
    is_receiver = torch.tensor([(hook.layer(), head) in head_list for head in heads])
    return torch.where(is_receiver[:, None], patched_cache[hook.name], orig_activation)


test_patch_head_input = exercise(
    reference=path.patch_head_input,
    cases=input_cases,
    observe=received,
    accepts=[input_in_place, input_by_where],
    mistakes=[
        Mistake(
            "patches receivers of all layers here",
            "for layer, head in head_list if layer == hook.layer()]",
            "for layer, head in head_list if head < patched.shape[2]]",
            why="a hook sees one layer: of the receivers only those of hook.layer() are there",
        ),
        Mistake(
            "patches the whole layer",
            "patched[:, :, heads] = patched_cache[hook.name][:, :, heads]",
            "patched[:] = patched_cache[hook.name]",
            why="the other heads must get what they get in an ordinary run",
        ),
        Mistake(
            "patches the whole layer if there is a receiver in it",
            "patched[:, :, heads] = patched_cache[hook.name][:, :, heads]",
            "patched = patched_cache[hook.name].clone() if heads else patched",
            why="the other heads of the layer must get what they get in an ordinary run",
        ),
        Mistake(
            "patches the first receiver only",
            "heads = [head for layer, head in head_list if layer == hook.layer()]",
            "heads = [head for layer, head in head_list if layer == hook.layer()][:1]",
            why="all receivers of the layer are patched at once",
        ),
        Mistake(
            "takes the axis of positions for the heads",
            "patched[:, :, heads] = patched_cache[hook.name][:, :, heads]",
            "heads = [head % patched.shape[1] for head in heads]; patched[:, heads] = patched_cache[hook.name][:, heads]",
            why="the axes are batch, seq, n_heads, d_head: heads are the third",
        ),
        Mistake(
            "changes a copy and returns nothing",
            "return patched",
            "return None",
            why="patched is another tensor than the one that came in: return it, or write into that one",
        ),
        Mistake(
            "writes into the cache",
            "patched[:, :, heads] = patched_cache[hook.name][:, :, heads]",
            "patched_cache[hook.name][:, :, heads] = patched[:, :, heads]",
            why="what was recorded goes into the model's tensor, not the other way round",
        ),
        Mistake(
            "adds what was recorded",
            "patched[:, :, heads] = patched_cache",
            "patched[:, :, heads] += patched_cache",
            why="the receiver's input is replaced",
        ),
    ],
)


def dataset(tokens: Tensor) -> Any:
    """What path patching needs of a data set."""
    end = torch.full(tokens.shape[:1], tokens.shape[1] - 1)
    return SimpleNamespace(toks=tokens, word_idx={"end": end})


def path_case(
    label: str, cfg: Any, shape: tuple[int, int], generator: torch.Generator, *, has_caches: bool, **more: Any
) -> Case:
    """A model, two sets of prompts, and their caches if they are handed in."""
    model = make_model(cfg, generator)
    new, orig = make_tokens(*shape, generator), make_tokens(*shape, generator)
    caches = {"new_cache": new, "orig_cache": orig} if has_caches else {}
    given = {
        "model": model,
        "new": new,
        "orig": orig,
        "caches": {name: model.run_with_cache(tokens)[1] for name, tokens in caches.items()},
    }
    return Case(label=label, given=given | more, axes={"results": "n_layers n_heads"})


def final_cases(generator: torch.Generator) -> list[Case]:
    """Each form of the model; caches handed in, and to be made; one prompt."""
    return [
        path_case("GPT-2's form", GPT2_CONFIG, (3, 5), generator, has_caches=True),
        path_case("Llama's form, without caches", LLAMA_CONFIG, (2, 4), generator, has_caches=False),
        path_case("attention alone, one prompt", ATTENTION_ONLY_CONFIG, (1, 6), generator, has_caches=True),
    ]


def heads_cases(generator: torch.Generator) -> list[Case]:
    """Queries, keys, values; receivers in several layers; shared keys; with and without caches."""
    return [
        path_case(
            "values of two heads", GPT2_CONFIG, (3, 5), generator, has_caches=True, receivers=[(1, 0), (1, 2)], part="v"
        ),
        path_case(
            "values that heads share", LLAMA_CONFIG, (1, 5), generator, has_caches=True, receivers=[(2, 3)], part="v"
        ),
        path_case(
            "queries of heads in two layers, without caches",
            LLAMA_CONFIG,
            (2, 4),
            generator,
            has_caches=False,
            receivers=[(2, 3), (1, 1)],
            part="q",
        ),
        path_case(
            "the key of a head in the middle",
            LLAMA_CONFIG,
            (2, 3),
            generator,
            has_caches=True,
            receivers=[(1, 2)],
            part="k",
        ),
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


FREEZES = "lm.run(orig_tokens, [*((name, freeze) for name in z_names), "
NEW_CACHE = "new_cache = lm.run_with_cache(new_tokens, z_names)[1] if new_cache is None else new_cache"
ORIG_CACHE = "orig_cache = lm.run_with_cache(orig_tokens, z_names)[1] if orig_cache is None else orig_cache"

COMMON = [
    Mistake(
        "freezes nothing",
        "patch_or_freeze_head_vectors, new_cache=new_cache, orig_cache=orig_cache,",
        "lambda z, hook, head_to_patch: patch_head_input(z, hook, new_cache, [head_to_patch]),",
        why="without freezing the effect passes through later heads as well: that is activation patching",
    ),
    Mistake(
        "has new and original caches the wrong way round",
        "new_cache=new_cache, orig_cache=orig_cache,",
        "new_cache=orig_cache, orig_cache=new_cache,",
        why="the sender is new, everything else original",
    ),
    Mistake(
        "makes both caches from the new prompts",
        ORIG_CACHE,
        ORIG_CACHE.replace("orig_tokens", "new_tokens"),
        why="frozen heads have their values on the original prompts",
    ),
    Mistake(
        "makes both caches from the original prompts",
        NEW_CACHE,
        NEW_CACHE.replace("new_tokens", "orig_tokens"),
        why="the sender has its value on the new prompts",
    ),
    Mistake(
        "always sends from head 0",
        "head_to_patch=(layer, head)",
        "head_to_patch=(layer, 0)",
        why="each entry is for a sender of its own; a lambda in a loop sees the variable as it is when it is called",
    ),
    Mistake(
        "takes the head's number for the layer",
        "head_to_patch=(layer, head)",
        "head_to_patch=(head % lm.n_layers, layer)",
        why="a head is (layer, head)",
    ),
    Mistake(
        "puts heads first",
        ".unflatten(0, (-1, lm.n_heads))",
        ".unflatten(0, (-1, lm.n_heads)).T",
        why="the result is [layer, head] of the sender",
    ),
    Mistake(
        "leaves its hooks on the model",
        FREEZES,
        "[lm.model.add_hook(name, freeze) for name in z_names]; lm.run(orig_tokens, [",
        why="hooks that stay freeze the next runs as well; run_with_hooks takes them off again",
    ),
]

test_get_path_patch_head_to_final_resid_post = exercise(
    reference=path.get_path_patch_head_to_final_resid_post,
    cases=final_cases,
    observe=swept_to_final,
    tolerance=CLOSE,
    accepts=[final_by_hooks, final_by_logits],
    mistakes=[
        *COMMON,
        Mistake(
            "runs the new prompts",
            FREEZES,
            FREEZES.replace("orig_tokens", "new_tokens"),
            why="embeddings and whatever else is not the sender must be original: run the original prompts",
        ),
        Mistake(
            "freezes the MLPs, too",
            "*((name, freeze) for name in z_names), ",
            "*((name, freeze) for name in z_names), "
            '*((f"blocks.{i}.hook_mlp_out", lambda out, hook, value=lm.run_with_cache(orig_tokens)[1]: value[hook.name]) '
            "for i in range(lm.n_layers * lm.has_mlp)), ",
            why="here MLPs are part of the path: they are computed anew",
        ),
        Mistake(
            "leaves the final norm out",
            "lm.unembed(recorded[final])",
            "lm.model.unembed(recorded[final])",
            why="logits are unembed(ln_final(resid))",
        ),
        Mistake(
            "records the stream before the last layer",
            'final = f"blocks.{lm.n_layers - 1}.hook_resid_post"',
            'final = f"blocks.{lm.n_layers - 1}.hook_resid_pre"',
            why="the final stream is resid_post of the last layer",
        ),
        Mistake(
            "measures the original run",
            "patching_metric(lm.unembed(recorded[final]))",
            "patching_metric(lm.run(orig_tokens))",
            why="the metric is of the logits that the recorded stream gives",
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
    for sender in results.isfinite().nonzero().tolist():
        freeze = partial(freeze_in_place, new_cache=new_cache, orig_cache=orig_cache, head_to_patch=sender)
        model.add_hook(lambda name: name.endswith("hook_z"), freeze)
        _, arrived = model.run_with_cache(orig_dataset.toks, names_filter=lambda name: name in names)
        model.reset_hooks()

        def patch(tensor: Tensor, hook: Any, arrived: Any = arrived) -> None:
            shares = n_heads // tensor.shape[2]
            input_in_place(tensor, hook, arrived, [(layer, head // shares) for layer, head in receiver_heads])

        hooks = [(lambda name: name in names, patch)]
        results[tuple(sender)] = patching_metric(model.run_with_hooks(orig_dataset.toks, fwd_hooks=hooks))
    return results


test_get_path_patch_head_to_heads = exercise(
    reference=path.get_path_patch_head_to_heads,
    cases=heads_cases,
    observe=swept_to_heads,
    tolerance=CLOSE,
    accepts=[heads_by_hooks],
    mistakes=[
        *COMMON,
        Mistake(
            "freezes the last run, too",
            "logits = lm.run(orig_tokens, [(name, patch) for name in input_names])",
            "logits = lm.run(orig_tokens, [*((name, freeze) for name in z_names), *((name, patch) for name in input_names)])",
            why="in the last run what the receivers do may go everywhere: nothing is frozen any more",
        ),
        Mistake(
            "has a row for every layer of the model",
            "lm.heads[: n_layers * lm.n_heads]",
            "lm.heads",
            why="only heads in layers before the latest receiver's can send to it",
        ),
        Mistake(
            "patches the receivers' outputs",
            'input_names = sorted({f"blocks.{layer}.attn.hook_{receiver_input}" for layer, _ in slots})',
            'input_names = sorted({f"blocks.{layer}.attn.hook_z" for layer, _ in slots})',
            why="what the receiver reads is patched, its query, key or value, not what it writes",
        ),
        Mistake(
            "always patches queries",
            'input_names = sorted({f"blocks.{layer}.attn.hook_{receiver_input}" for layer, _ in slots})',
            "slots = list(receiver_heads)\n"
            '    input_names = sorted({f"blocks.{layer}.attn.hook_q" for layer, _ in slots})',
            why="receiver_input says which of q, k and v the receivers get",
        ),
        Mistake(
            "patches the first receiver only",
            "head_list=slots)",
            "head_list=slots[:1])",
            why="all receivers are patched at once",
        ),
        Mistake(
            "patches all heads of the receivers' layers",
            "head_list=slots)",
            "head_list=[(layer, head) for layer, _ in slots "
            "for head in range(lm.n_heads if receiver_input == 'q' else lm.n_kv_heads)])",
            why="other heads of the layer get what they get in an ordinary run",
        ),
        Mistake(
            "takes another shared value than the receiver's",
            "(layer, lm.input_head(receiver_input, head))",
            "(layer, head if receiver_input == 'q' else head % lm.n_kv_heads)",
            why="heads in a row share: query head h reads key head h // (n_heads // n_kv_heads)",
        ),
        Mistake(
            "runs the new prompts in the end",
            "logits = lm.run(orig_tokens, [(name, patch)",
            "logits = lm.run(new_tokens, [(name, patch)",
            why="the last run is on the original prompts, with the receivers patched",
        ),
        Mistake(
            "records while the new prompts run",
            FREEZES,
            FREEZES.replace("orig_tokens", "new_tokens"),
            why="embeddings and whatever else is not the sender must be original: run the original prompts",
        ),
    ],
)
