"""Judges of the hooks of path patching: freezing all heads but one, and patching receivers.

Shapes:  z, q, k, v "batch seq n_heads d_head" -> the same.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.patching import path
from arena_lib.tests.indirect_object_identification.small_models import (
    hook_at,
    make_cache,
    what_goes_on,
)

__test__ = False

HEADS = "batch seq n_heads d_head"


def freeze_cases(generator: torch.Generator) -> list[Case]:
    """The sender in this layer and in another one; the first head and the last; one prompt."""
    calls = {
        "a sender of this layer": (1, (3, 5, 4, 2), (1, 1)),
        "a sender of another layer": (2, (2, 4, 3, 5), (1, 2)),
        "a head with the number of this layer, in another layer": (1, (2, 3, 4, 5), (2, 1)),
        "the first head of layer 0": (0, (4, 3, 2, 6), (0, 0)),
        "one prompt": (3, (1, 4, 5, 3), (3, 4)),
    }
    cases = []
    for label, (layer, shape, sender) in calls.items():
        now, orig, new, other_orig, other_new = torch.randn(5, *shape, generator=generator)
        name = f"blocks.{layer}.attn.hook_z"
        given = {
            "now": now,
            "name": name,
            "orig": make_cache({"blocks.9.attn.hook_z": other_orig, name: orig}),
            "new": make_cache({"blocks.9.attn.hook_z": other_new, name: new}),
            "sender": sender,
        }
        call = f"tensor, hook, new_cache, orig_cache, head_to_patch={sender}"
        cases.append(
            Case(label=f"on {name}, {label}", given=given, axes={"activation after the hook": HEADS}, call=call)
        )
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


HEADS_WHY = "the axes are batch, seq, n_heads, d_head, so heads are the third axis"
RETURNS_NOTHING = Mistake(
    "changes a copy and returns nothing",
    "return patched",
    "return None",
    why="the patched copy is a new tensor: return it, or write into the tensor that the hook received",
)

test_patch_or_freeze_head_vectors = exercise(
    reference=path.patch_or_freeze_head_vectors,
    cases=freeze_cases,
    observe=frozen,
    accepts=[freeze_in_place, freeze_by_where],
    mistakes=[
        *instead_of(
            "patched = orig_cache[hook.name].clone()",
            {
                "patched = orig_head_vector.clone()": (
                    "does not freeze the other heads",
                    "every head but the sender gets its value from orig_cache, in every layer",
                ),
                "new_cache, orig_cache = orig_cache, new_cache; patched = orig_cache[hook.name].clone()": (
                    "swaps the two caches",
                    "the sender's value is from new_cache, everything else from orig_cache",
                ),
                "patched = orig_cache[hook.name]": (
                    "writes the new value into the cache",
                    "the next senders need the cache unchanged: write into the model's tensor or into a copy",
                ),
                "patched = (orig_cache[hook.name] if hook.layer() >= head_to_patch[0] else orig_head_vector).clone()": (
                    "freezes only from the sender's layer on",
                    "the heads of all layers get their original values, also those before the sender",
                ),
                "patched = (orig_cache[hook.name] if hook.layer() <= head_to_patch[0] else orig_head_vector).clone()": (
                    "freezes only up to the sender's layer",
                    "the heads of later layers are frozen too, because they would react to the sender",
                ),
                "patched = torch.zeros_like(orig_head_vector)": (
                    "sets the other heads to zero",
                    "frozen heads keep their values of the original prompts, from orig_cache",
                ),
                "patched = new_cache[hook.name].clone()": (
                    "sets all heads to their new values",
                    "only the sender gets its new value; all other heads get their original values",
                ),
            },
        ),
        *instead_of(
            "if layer == hook.layer():",
            {
                "if head < patched.shape[2]:": (
                    "patches the head in every layer",
                    "the sender is one head of one layer: compare hook.layer()",
                ),
                "if layer != hook.layer() and head < patched.shape[2]:": (
                    "patches the head in all layers but its own",
                    "the sender's new value is set in the sender's own layer",
                ),
                "if False:": ("never sets the sender's new value", "in the sender's layer its head gets the new value"),
                "if layer != hook.layer():\n        patched = orig_head_vector.clone()\n    else:": (
                    "freezes only the sender's layer",
                    "the heads of all layers are frozen, also those after the sender, which would react to it",
                ),
            },
        ),
        *instead_of(
            "patched[:, :, head] = new_cache[hook.name][:, :, head]",
            {
                "kept = new_cache[hook.name][:, :, head].clone(); new_cache[hook.name][:] = patched; "
                "patched = new_cache[hook.name]; patched[:, :, head] = kept": (
                    "writes the original values into new_cache",
                    "the next senders need both caches unchanged: write into the model's tensor or into a copy",
                ),
                "patched = orig_head_vector.clone(); patched[:, :, head] = new_cache[hook.name][:, :, head]": (
                    "does not freeze the other heads of the sender's layer",
                    "every head but the sender gets its value from orig_cache, also in the sender's layer",
                ),
                "patched = new_cache[hook.name].clone(); patched[:, :, head] = orig_cache[hook.name][:, :, head]": (
                    "sets all heads of the layer but the sender to their new values",
                    "the sender gets its new value, and the other heads their original ones",
                ),
                "patched = orig_head_vector.clone(); "
                "patched[:, :, head] += (new_cache[hook.name] - orig_cache[hook.name])[:, :, head]\n"
                "    else:\n        patched = orig_head_vector.clone()": (
                    "adds the difference of the two caches to the head",
                    "the sender gets its new value itself, and every other head its original one",
                ),
                "patched[:, :, head] = 0.0": (
                    "sets the sender to zero",
                    "the sender gets its value on the new prompts: new_cache[hook.name]",
                ),
                "patched[:, :, head] = new_cache[hook.name][:, :, head].mean(dim=0)": (
                    "averages the sender's new value over prompts",
                    "each prompt gets the value of the new prompt with the same index",
                ),
                "patched[0, :, head] = new_cache[hook.name][0, :, head]": (
                    "patches the first prompt only",
                    "the sender is patched in all prompts",
                ),
                "patched[:, head] = new_cache[hook.name][:, head]": (
                    "uses the axis of positions as that of the heads",
                    HEADS_WHY,
                ),
                "patched[:, -1, head] = new_cache[hook.name][:, -1, head]": (
                    "patches the last position only",
                    "the sender is patched at all positions",
                ),
                "patched[:] = new_cache[hook.name]": (
                    "patches the whole layer",
                    "the other heads of the sender's layer are frozen as well",
                ),
                "patched[:, :, head] += new_cache[hook.name][:, :, head]": (
                    "adds the sender's new value",
                    "the sender's original value is replaced",
                ),
                "patched[:, :, head] = orig_head_vector[:, :, head]": (
                    "does not change the sender's value of this run",
                    "the sender gets its value on the new prompts: new_cache[hook.name]",
                ),
            },
        ),
        Mistake(
            "uses the head's number as the layer",
            "layer, head = head_to_patch",
            "head, layer = head_to_patch; head %= orig_head_vector.shape[2]",
            why="head_to_patch is (layer, head)",
        ),
        RETURNS_NOTHING,
        *instead_of(
            "return patched",
            {
                "return patched[:, :, head]": (
                    "returns only the sender's value",
                    "the tensor that a hook returns replaces the whole activation, so it must have the whole shape",
                )
            },
        ),
    ],
)


def input_cases(generator: torch.Generator) -> list[Case]:
    """Several receivers, one, none in this layer; receivers of other layers; one prompt."""
    calls = {
        "two receivers of this layer and two of others": (
            "blocks.1.attn.hook_q",
            (3, 4, 5, 2),
            [(1, 3), (2, 1), (0, 2), (1, 0)],
        ),
        "one receiver": ("blocks.2.attn.hook_v", (2, 4, 3, 5), [(2, 1)]),
        "no receiver in this layer": ("blocks.0.attn.hook_k", (4, 3, 5, 2), [(1, 4), (3, 0)]),
        "the same receiver twice": ("blocks.1.attn.hook_k", (2, 6, 3, 4), [(1, 1), (1, 1)]),
        "one prompt": ("blocks.3.attn.hook_q", (1, 3, 4, 5), [(0, 1), (3, 2)]),
    }
    cases = []
    for label, (name, shape, receivers) in calls.items():
        layer = name.split(".")[1]
        names = ["blocks.9.attn.hook_q", *(f"blocks.{layer}.attn.hook_{part}" for part in "qkv")]
        now, *values = torch.randn(1 + len(names), *shape, generator=generator)
        cache = make_cache(dict(zip(names, values, strict=True)))
        given = {"now": now, "name": name, "cache": cache, "receivers": receivers}
        call = f"tensor, hook, patched_cache, head_list={receivers}"
        cases.append(
            Case(label=f"on {name}, {label}", given=given, axes={"activation after the hook": HEADS}, call=call)
        )
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
    equivalent={
        "patched = orig_activation.clone() -> patched = orig_activation": "a hook may write into the model's tensor"
    },
    mistakes=[
        *instead_of(
            "heads = [head for layer, head in head_list if layer == hook.layer()]",
            {
                "heads = [head for layer, head in head_list if head < patched.shape[2]]": (
                    "patches the receivers of all layers in this layer",
                    "a hook changes one layer, so it patches only the receivers of hook.layer()",
                ),
                "heads = [head for layer, head in head_list if layer == hook.layer()][:1]": (
                    "patches the first receiver only",
                    "all receivers of the layer are patched at once",
                ),
                "heads = [head for layer, head in head_list if layer >= hook.layer() and head < patched.shape[2]]": (
                    "patches the receivers of later layers too",
                    "a hook changes one layer, so it patches only the receivers of hook.layer()",
                ),
                "heads = [head for layer, head in head_list if layer == head_list[0][0]]": (
                    "compares layers with the first receiver's instead of the hook's",
                    "the hook patches the receivers of its own layer, hook.layer()",
                ),
                "heads = [head for layer, head in head_list if layer == hook.layer()][-1:]": (
                    "patches the last receiver only",
                    "all receivers of the layer are patched at once",
                ),
                "heads = [head for layer, head in head_list if layer != hook.layer() and head < patched.shape[2]]": (
                    "patches receivers of the other layers",
                    "a hook changes one layer, so it patches only the receivers of hook.layer()",
                ),
                "heads = [layer for layer, head in head_list if head == hook.layer()]": (
                    "uses the head's number as the layer",
                    "a receiver is (layer, head)",
                ),
                "heads = [i for i in range(patched.shape[2]) if (hook.layer(), i) not in head_list]": (
                    "patches all heads but the receivers",
                    "the receivers get the recorded values, and the other heads keep theirs",
                ),
            },
        ),
        *instead_of(
            "patched = orig_activation.clone()",
            dict.fromkeys(
                (
                    "patched = torch.zeros_like(orig_activation)",
                    "patched = orig_activation * (hook.layer() not in [layer for layer, _ in head_list])",
                ),
                ("sets the other heads to zero", "the other heads keep their values of this run"),
            ),
        ),
        *instead_of(
            "return patched",
            {
                "return patched[:, :, heads]": (
                    "returns only the receivers",
                    "the tensor that a hook returns replaces the whole activation, so it must have the whole shape",
                )
            },
        ),
        *instead_of(
            "patched[:, :, heads] = patched_cache[hook.name][:, :, heads]",
            {
                "recorded = patched_cache[hook.name]; kept = recorded[:, :, heads].clone(); recorded[:] = patched; "
                "recorded[:, :, heads] = kept; patched = recorded": (
                    "writes into the cache",
                    "the recorded values are written into the model's tensor, and the cache stays unchanged",
                ),
                'patched[:, :, heads] = patched_cache[f"blocks.{hook.layer()}.attn.hook_q"][:, :, heads]': (
                    "always uses the recorded queries",
                    "the hook may be on queries, keys or values: take patched_cache[hook.name]",
                ),
                "patched[:, :, heads] = patched_cache[hook.name][:, :, heads].mean(dim=0)": (
                    "averages the recorded values over prompts",
                    "each prompt gets the value recorded for it",
                ),
                "patched[0, :, heads] = patched_cache[hook.name][0, :, heads]": (
                    "patches the first prompt only",
                    "the receivers are patched in all prompts",
                ),
                "patched[:, :, heads] = 0.0": (
                    "sets the receivers to zero",
                    "the receivers get their recorded values",
                ),
                "patched[:] = patched_cache[hook.name]": (
                    "patches the whole layer",
                    "the other heads keep their values of this run",
                ),
                "patched = patched_cache[hook.name].clone() if heads else patched": (
                    "patches the whole layer if there is a receiver in it",
                    "the other heads of the layer keep their values of this run",
                ),
                "heads = [head % patched.shape[1] for head in heads]; "
                "patched[:, heads] = patched_cache[hook.name][:, heads]": (
                    "uses the axis of positions as that of the heads",
                    HEADS_WHY,
                ),
                "patched_cache[hook.name][:, :, heads] = patched[:, :, heads]": (
                    "writes into the cache",
                    "the recorded values are written into the model's tensor, and the cache stays unchanged",
                ),
                "patched[:, :, heads] += patched_cache[hook.name][:, :, heads]": (
                    "adds the recorded values",
                    "the receiver's input is replaced",
                ),
                "patched[:, -1, heads] = patched_cache[hook.name][:, -1, heads]": (
                    "patches the last position only",
                    "the receivers are patched at all positions",
                ),
            },
        ),
        RETURNS_NOTHING,
    ],
)
