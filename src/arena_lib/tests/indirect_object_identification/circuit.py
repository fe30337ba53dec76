"""Judge of mean ablation: a model of which only a circuit is left.

Shapes:  a model and prompts "batch seq" -> the model, with hooks.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.ioi import circuit
from arena_lib.tests.indirect_object_identification.circuit_mask import (
    CIRCUITS,
    POSITIONS,
    mask_by_loop,
    means_by_matrix,
)
from arena_lib.tests.indirect_object_identification.small_prompts import make_prompts, make_reader

__test__ = False


def ablation_cases(generator: torch.Generator) -> list[Case]:
    """Circuits in two forms of models; hooks that stay and hooks that go; a model that had a circuit before."""
    calls: dict[str, tuple[str, str, bool, bool]] = {
        "heads of two classes": ("llama", "heads of two classes", True, False),
        "one head": ("llama", "one head", False, False),
        "on a model that had another circuit": ("llama", "a head in two classes", True, True),
    }
    cases = []
    for n_prompts, (label, (form, name, is_permanent, had_one)) in enumerate(calls.items(), start=6):
        dataset, means_dataset = make_prompts(n_prompts, generator)
        given = {"model": make_reader(form, generator), "dataset": dataset, "means_dataset": means_dataset}
        given |= {"circuit": CIRCUITS[name], "is_permanent": is_permanent, "had_one": had_one}
        axes = {"logits": "batch seq d_vocab", "logits after reset_hooks": "batch seq d_vocab"}
        call = f"model, means_dataset, {CIRCUITS[name]}, seq_pos_to_keep, is_permanent={is_permanent}"
        cases.append(Case(label=label, given=given, axes=axes, call=call))
    return cases


def what_is_left(function: Any, case: Case) -> Observations:
    """The logits with the hooks and after a reset, and whether the model came back."""
    model, dataset, means_dataset = (case.given[key] for key in ("model", "dataset", "means_dataset"))
    try:
        if case.given["had_one"]:
            model.add_hook("blocks.1.attn.hook_z", lambda z, hook: 2 * z, is_permanent=True)
            model.add_hook("blocks.0.hook_mlp_out", lambda out, hook: out + 1)
        returned = function(model, means_dataset, case.given["circuit"], POSITIONS, case.given["is_permanent"])
        with_hooks = model(dataset.toks)
        model.reset_hooks()
        return {
            "the function returns the same model": returned is model,
            "logits": with_hooks.detach(),
            "logits after reset_hooks": model(dataset.toks).detach(),
        }
    finally:
        model.reset_hooks(including_permanent=True)


def ablate_by_writing(
    model: Any, means_dataset: Any, circuit: Any, seq_pos_to_keep: Any, is_permanent: bool = True
) -> Any:
    """One hook for all layers, which writes into z; the means are computed in the hook, from a cache of everything."""
    model.reset_hooks(including_permanent=True)
    _, cache = model.run_with_cache(means_dataset.toks)
    n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
    mask = mask_by_loop(
        circuit, seq_pos_to_keep, means_dataset.word_idx, (n_layers, means_dataset.toks.shape[1], n_heads)
    )

    def hook_z(z: Tensor, hook: Any) -> None:
        drop = ~mask[hook.layer()]
        z[drop] = means_by_matrix(cache[hook.name], means_dataset.groups)[drop]

    model.add_hook(lambda name: name.endswith("hook_z"), hook_z, is_permanent=is_permanent)
    return model


def ablate_by_template(
    model: Any, means_dataset: Any, circuit: Any, seq_pos_to_keep: Any, is_permanent: bool = True
) -> Any:
    """Runs each template by itself, and keeps head by head."""
    model.reset_hooks(including_permanent=True)
    n_layers = model.cfg.n_layers
    means: dict[int, Tensor] = {}
    for group in means_dataset.groups.unique():
        rows = means_dataset.groups == group
        _, cache = model.run_with_cache(means_dataset.toks[rows], names_filter=lambda name: name.endswith("hook_z"))
        for layer in range(n_layers):
            z = cache["z", layer]
            means.setdefault(layer, torch.zeros(len(rows), *z.shape[1:]))[rows] = z.mean(0, keepdim=True)

    def hook_z(z: Tensor, hook: Any, layer: int) -> Tensor:
        result = means[layer].clone()
        for kind, heads in circuit.items():
            for other, head in heads:
                if other == layer:
                    places = means_dataset.word_idx[seq_pos_to_keep[kind]]
                    rows = torch.arange(len(places))
                    result[rows, places, head] = z[rows, places, head]
        return result

    for layer in range(n_layers):
        add = model.add_perma_hook if is_permanent else model.add_hook
        add(f"blocks.{layer}.attn.hook_z", partial(hook_z, layer=layer))
    return model


RESETS_AND_RUNS = """    model.reset_hooks(including_permanent=True)
    names = [f"blocks.{layer}.attn.hook_z" for layer in range(lm.n_layers)]
    _, cache = lm.run_with_cache(means_dataset.toks, names)
"""

test_add_mean_ablation_hook = exercise(
    reference=circuit.add_mean_ablation_hook,
    cases=ablation_cases,
    observe=what_is_left,
    accepts=[ablate_by_writing, ablate_by_template],
    mistakes=[
        Mistake(
            "does not remove the hooks of an earlier circuit",
            "    model.reset_hooks(including_permanent=True)\n",
            "",
            why="an earlier circuit's hooks would change the means and the results: reset the hooks first",
        ),
        Mistake(
            "removes only hooks that are not permanent",
            "model.reset_hooks(including_permanent=True)",
            "model.reset_hooks()",
            why="an earlier circuit may be permanent: reset_hooks(including_permanent=True)",
        ),
        Mistake(
            "computes the means before it removes the old hooks",
            RESETS_AND_RUNS,
            "\n".join([*RESETS_AND_RUNS.splitlines()[1:], RESETS_AND_RUNS.splitlines()[0]]) + "\n",
            why="the means must be those of the model itself, without an earlier circuit's hooks",
        ),
        *instead_of(
            "partial(mean_ablation_hook, means=means, is_kept=is_kept)",
            {
                f"lambda z, hook{bound}: mean_ablation_hook(z, hook, means=means, is_kept=is_kept)": (
                    f"uses the last layer's {words} in every layer",
                    "a hook made in a loop sees the loop's last values when it runs: bind them by partial or default arguments",
                )
                for bound, words in {
                    "": "means and mask",
                    ", is_kept=is_kept": "means",
                    ", means=means": "mask",
                }.items()
            },
        ),
        *instead_of(
            "is_permanent=is_permanent",
            {
                "is_permanent=False": (
                    "never makes its hooks permanent",
                    "with is_permanent the hooks must stay after model.reset_hooks()",
                ),
                "is_permanent=True": (
                    "always makes its hooks permanent",
                    "without is_permanent, model.reset_hooks() must remove the hooks",
                ),
            },
        ),
        Mistake(
            "hooks only layers with a head of the circuit",
            "        means = compute",
            "        if not is_kept.any():\n            continue\n        means = compute",
            why="in a layer without a head of the circuit all heads are replaced by their means, so every layer needs a hook",
        ),
        *instead_of(
            "is_kept=is_kept)",
            {
                "is_kept=~is_kept)": (
                    "replaces the circuit's heads instead of the others",
                    "heads of the circuit keep their outputs, and all others get the means",
                ),
                "is_kept=is_kept.any(dim=1, keepdim=True).expand_as(is_kept))": (
                    "keeps heads at all positions",
                    "a class of heads is kept only at the position where it works",
                ),
            },
        ),
        *instead_of(
            "compute_means_by_template(cache[name], means_dataset.groups)",
            {
                "compute_means_by_template(lm.run_with_cache(means_dataset.toks, [name])[1][name], means_dataset.groups)": (
                    "computes a layer's means while the earlier layers are ablated",
                    "the means are those of the whole model: run it once, before any hook is added",
                ),
                "compute_means_by_template(cache[names[0]], means_dataset.groups)": (
                    "uses the first layer's means in every layer",
                    "each layer's heads are replaced by their own means",
                ),
                "cache[name].mean(dim=0, keepdim=True).expand_as(cache[name])": (
                    "averages over all prompts",
                    "a position holds another word in another template, so each template has its own mean",
                ),
                "cache[name].mean(dim=(0, 1), keepdim=True).expand_as(cache[name])": (
                    "averages over positions too",
                    "each position keeps a mean of its own",
                ),
                "cache[name]": (
                    "uses single prompts instead of means",
                    "one ABC prompt still holds names of its own, and the mean over many doesn't",
                ),
                "torch.zeros_like(cache[name])": (
                    "ablates with zeros",
                    "the mean keeps what all prompts share, and zeros would remove that too",
                ),
            },
        ),
        Mistake(
            "ignores the circuit",
            "masks = make_circuit_mask(circuit, seq_pos_to_keep,",
            "masks = make_circuit_mask({}, seq_pos_to_keep,",
            why="the heads of the circuit keep their outputs at the positions of their classes",
        ),
        Mistake(
            "uses the first layer's mask in every layer",
            "masks = make_circuit_mask(circuit, seq_pos_to_keep, means_dataset.word_idx, sizes)",
            "masks = make_circuit_mask(circuit, seq_pos_to_keep, means_dataset.word_idx, sizes)[:1].expand(sizes[0], -1, -1, -1)",
            why="each layer has a mask of its own",
        ),
        Mistake(
            "keeps every head at the end",
            "make_circuit_mask(circuit, seq_pos_to_keep,",
            'make_circuit_mask(circuit, dict.fromkeys(circuit, "end"),',
            why="seq_pos_to_keep says at which role's position a class of heads is kept",
        ),
        Mistake(
            "returns nothing",
            "    return model\n",
            "    return None\n",
            why="the function returns the model",
        ),
    ],
)
