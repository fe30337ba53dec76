"""Path patching by its definition: what a sender's change does through chosen paths and no others.

Activation patching changes a head's output for everything that comes later. Path patching asks what it
changes for one reader. Four steps, a function each (`path_patch_logits`):

    1. run the original and the new prompts, and keep what heads and MLPs write;
    2. freeze everything on the original prompts, and give the senders their values on the new ones;
    3. run that, and record what now arrives at the receivers;
    4. run the original prompts untouched but for the receivers, which get what was recorded.

This is the plain form, one run of the model for each question; the exercises' references are here, and the
fast forms are held equal to it.

Shapes:  tokens "batch seq"; the sweeps give "n_layers n_heads".
Raises:  what `check_nodes` does; ShapeError for prompts that differ in shape; ConfigError or ShapeError for a
         metric that returns anything but one number as a tensor.
Source:  Wang et al. 2022, arXiv:2211.00593, appendix B; Goldowsky-Dill et al. 2023, arXiv:2304.05969.
Differs: `through="direct"` freezes MLPs as well, which the first paper recomputes. Norms are recomputed
         always, the final one included, so no effect is approximated.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.core.progress import progress
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import AnyModel, HookedLM, check_aligned, check_metric
from arena_lib.interp.patching.activation import Cache
from arena_lib.interp.patching.experiment import PathExperiment
from arena_lib.interp.patching.metrics import Metric
from arena_lib.interp.patching.nodes import (
    MLP,
    PARTS,
    Embed,
    FinalResidual,
    Head,
    HeadInput,
    Part,
    Receiver,
    Sender,
    check_nodes,
)
from arena_lib.interp.patching.readout import find_positions, keep_positions
from arena_lib.transformer.activations.hooks import HookSpec


def path_patch(
    model: AnyModel,
    experiment: PathExperiment,
    senders: Sequence[Sender],
    receivers: Sequence[Receiver],
    metric: Metric,
) -> Float[Tensor, ""]:
    """The metric of the original prompts if `receivers` see `senders` as they are on the new prompts.

    Caches of `names_to_keep(model)` in the experiment save the first step.
    """
    logits = path_patch_logits(model, experiment, senders, receivers)
    positions = find_positions(hooked(model), logits.shape[:2], experiment.read_at)
    return check_metric(metric(keep_positions(logits, positions)))


@torch.no_grad()
def path_patch_logits(
    model: AnyModel, experiment: PathExperiment, senders: Sequence[Sender], receivers: Sequence[Receiver]
) -> Float[Tensor, "batch seq d_vocab"]:
    """The logits, at every position, of which `path_patch` takes the metric."""
    lm = hooked(model)
    check_nodes(lm, senders, receivers)
    experiment = experiment.with_caches(lm, names_to_keep(lm))
    frozen = freeze_all_but(senders, lm, experiment)
    arrived = record_inputs(receivers, lm, experiment.orig_tokens, frozen)
    return run_with_inputs(receivers, lm, experiment.orig_tokens, arrived)


# -- the four steps -------------------------------------------------------------------------------


def names_to_keep(model: AnyModel) -> list[str]:
    """Step 1 keeps these hooks: what every head and MLP writes, and what enters the first block."""
    lm = hooked(model)
    kinds = ("attn.hook_z", "hook_mlp_out") if lm.has_mlp else ("attn.hook_z",)
    return ["blocks.0.hook_resid_pre", *(f"blocks.{layer}.{kind}" for layer in range(lm.n_layers) for kind in kinds)]


def freeze_all_but(senders: Sequence[Sender], lm: HookedLM, experiment: PathExperiment) -> dict[str, Tensor]:
    """Step 2: for each hook name the value it's held at. Heads and, on direct paths, MLPs are held at the original's."""
    kinds = ("attn.hook_z", "hook_mlp_out") if lm.has_mlp and experiment.through == "direct" else ("attn.hook_z",)
    names = [f"blocks.{layer}.{kind}" for layer in range(lm.n_layers) for kind in kinds]
    orig_cache, new_cache = experiment.orig_cache, experiment.new_cache
    frozen = {name: orig_cache[name].clone() for name in names}
    for sender in senders:
        if isinstance(sender, Head):
            name = f"blocks.{sender.layer}.attn.hook_z"
            frozen[name][:, :, sender.head] = new_cache[name][:, :, sender.head]
        elif isinstance(sender, MLP):
            name = f"blocks.{sender.layer}.hook_mlp_out"
            frozen[name] = new_cache[name]
        elif isinstance(sender, Embed):
            frozen["blocks.0.hook_resid_pre"] = new_cache["blocks.0.hook_resid_pre"]
    return frozen


def record_inputs(
    receivers: Sequence[Receiver], lm: HookedLM, tokens: Int[Tensor, "batch seq"], frozen: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Step 3: what arrives at each receiver's hook names in a run where `frozen` is held."""
    names = {name for receiver in receivers for name in input_names(lm, receiver)}
    hold = [(name, partial(replace_activation, value=value)) for name, value in frozen.items()]
    return record_with_hooks(lm, tokens, hold, names)


def run_with_inputs(
    receivers: Sequence[Receiver], lm: HookedLM, tokens: Int[Tensor, "batch seq"], arrived: Mapping[str, Tensor]
) -> Float[Tensor, "batch seq d_vocab"]:
    """Step 4: the logits where the receivers, and nothing else, get what arrived."""
    hooks = []
    for receiver in receivers:
        if isinstance(receiver, FinalResidual):
            return lm.unembed(arrived[input_names(lm, receiver)[0]])
        for name in input_names(lm, receiver):
            if isinstance(receiver, HeadInput):
                slot = (receiver.layer, lm.input_head(receiver.part, receiver.head))
                hooks.append((name, partial(patch_head_input, patched_cache=arrived, head_list=[slot])))
            else:
                hooks.append((name, partial(replace_activation, value=arrived[name])))
    return lm.run(tokens, hooks)


def input_names(lm: HookedLM, receiver: Receiver) -> list[str]:
    """The hook names that hold what a receiver reads: exactly, its norm and weights applied."""
    if isinstance(receiver, FinalResidual):
        return [f"blocks.{lm.n_layers - 1}.hook_resid_post"]
    if isinstance(receiver, HeadInput):
        return [f"blocks.{receiver.layer}.attn.hook_{receiver.part}"]
    names = [f"blocks.{receiver.layer}.mlp.hook_{kind}" for kind in ("pre", "pre_linear")]
    there = [name for name in names if lm.has_hook(name)]
    if not there:
        raise ConfigError(
            f"an MLP that receives must have hooks for what it reads: got {type(lm.model).__name__}, which has no "
            f"{names[0]}. Patch to the heads of the next layer, or to FinalResidual()."
        )
    return there


def record_with_hooks(
    lm: HookedLM, tokens: Int[Tensor, "batch seq"], hooks: Iterable[HookSpec], names: Iterable[str]
) -> dict[str, Tensor]:
    """What arrives at these hook names in a run with `hooks`."""
    recorded: dict[str, Tensor] = {}
    record = partial(keep_activation, store=recorded)
    lm.run(tokens, [*hooks, *((name, record) for name in names)])
    return recorded


def replace_activation(activation: Tensor, hook: Any, value: Tensor) -> Tensor:
    """A hook: the value in place of the activation."""
    return value


def keep_activation(activation: Tensor, hook: Any, store: dict[str, Tensor]) -> None:
    """A hook: notes the activation under the hook's name and changes nothing."""
    store[hook.name] = activation


# -- head by head ---------------------------------------------------------------------------------


def patch_or_freeze_head_vectors(
    orig_head_vector: Float[Tensor, "batch seq n_heads d_head"],
    hook: Any,
    new_cache: Cache,
    orig_cache: Cache,
    head_to_patch: tuple[int, int],
) -> Float[Tensor, "batch seq n_heads d_head"]:
    """A hook on the heads' outputs z: freezes all heads of the layer, except the one that is patched.

    Every head gets its value in `orig_cache` under `hook.name`. If the hook's layer (`hook.layer()`) is that
    of `head_to_patch` (layer, head), that head gets its value in `new_cache`. Return a new
    tensor, or write into the one that comes in; the caches stay as they are.
    """
    patched = orig_cache[hook.name].clone()
    layer, head = head_to_patch
    if layer == hook.layer():
        patched[:, :, head] = new_cache[hook.name][:, :, head]
    return patched


def patch_head_input(
    orig_activation: Float[Tensor, "batch seq n_heads d_head"],
    hook: Any,
    patched_cache: Cache,
    head_list: Sequence[tuple[int, int]],
) -> Float[Tensor, "batch seq n_heads d_head"]:
    """A hook on queries, keys or values: the receivers get what `patched_cache` holds, the others keep theirs.

    `head_list` holds the receivers as pairs (layer, head). Only those of the hook's own layer (`hook.layer()`)
    are patched, with their values in `patched_cache[hook.name]`. There may be several of them, or none.
    It may write into the tensor that comes in.
    """
    patched = orig_activation.clone()
    heads = [head for layer, head in head_list if layer == hook.layer()]
    patched[:, :, heads] = patched_cache[hook.name][:, :, heads]
    return patched


@torch.no_grad()
def get_path_patch_head_to_final_resid_post(
    model: Any,
    patching_metric: Metric,
    new_dataset: Any,
    orig_dataset: Any,
    new_cache: Cache | None = None,
    orig_cache: Cache | None = None,
) -> Float[Tensor, "n_layers n_heads"]:
    """Path patching from each head to the final residual stream, through MLPs but no other head.

    The datasets hold their tokens, "batch seq", as `.toks`. Each cache that isn't given is made by running the model:
    z of all layers is all that is needed. Then, for each head as the sender:

    1. Run the model on the original tokens with `patch_or_freeze_head_vectors` at every layer's z: the sender
       has its new value, all other heads their original one; MLPs and norms are recomputed. Keep
       `resid_post` of the last layer.
    2. Turn it into logits (`hooked(model).unembed` applies the final norm and the unembedding), and put
       `patching_metric(logits)` at [layer, head].
    """
    lm = hooked(model)
    new_tokens, orig_tokens = check_tokens(new_dataset, orig_dataset)
    z_names = [f"blocks.{layer}.attn.hook_z" for layer in range(lm.n_layers)]
    final = f"blocks.{lm.n_layers - 1}.hook_resid_post"
    new_cache = lm.run_with_cache(new_tokens, z_names)[1] if new_cache is None else new_cache
    orig_cache = lm.run_with_cache(orig_tokens, z_names)[1] if orig_cache is None else orig_cache

    results = []
    for layer, head in progress(lm.heads, "head to final residual"):
        freeze = partial(
            patch_or_freeze_head_vectors, new_cache=new_cache, orig_cache=orig_cache, head_to_patch=(layer, head)
        )
        recorded = record_with_hooks(lm, orig_tokens, [(name, freeze) for name in z_names], [final])
        results.append(check_metric(patching_metric(lm.unembed(recorded[final]))))
    return torch.stack(results).unflatten(0, (-1, lm.n_heads))


@torch.no_grad()
def get_path_patch_head_to_heads(
    receiver_heads: Sequence[tuple[int, int]],
    receiver_input: Part,
    model: Any,
    patching_metric: Metric,
    new_dataset: Any,
    orig_dataset: Any,
    new_cache: Cache | None = None,
    orig_cache: Cache | None = None,
) -> Float[Tensor, "n_sender_layers n_heads"]:
    """Path patching from each earlier head to the queries, keys or values ("q", "k", "v") of some heads.

    Senders are all heads in the layers before the latest receiver's, so there is one row for each such layer.
    Datasets and caches are as in `get_path_patch_head_to_final_resid_post`. For each sender:

    1. Run the model on the original tokens with `patch_or_freeze_head_vectors` at every layer's z, and keep
       what arrives at the receivers' hook (`attn.hook_q`, `hook_k` or `hook_v`), MLPs and norms recomputed.
    2. Run it on the original tokens once more, where the receivers get that (`patch_head_input`) and everything
       else is computed freely, and put `patching_metric(logits)` at [layer, head] of the sender.

    Where heads share keys and values, a receiver's key or value is the one that it shares:
    `hooked(model).input_head(receiver_input, head)` is its index in the hook's tensor.
    """
    lm = hooked(model)
    new_tokens, orig_tokens = check_tokens(new_dataset, orig_dataset)
    n_layers = check_receivers(lm, receiver_heads, receiver_input)
    z_names = [f"blocks.{layer}.attn.hook_z" for layer in range(lm.n_layers)]
    new_cache = lm.run_with_cache(new_tokens, z_names)[1] if new_cache is None else new_cache
    orig_cache = lm.run_with_cache(orig_tokens, z_names)[1] if orig_cache is None else orig_cache

    slots = [(layer, lm.input_head(receiver_input, head)) for layer, head in receiver_heads]
    input_names = sorted({f"blocks.{layer}.attn.hook_{receiver_input}" for layer, _ in slots})
    results = []
    for layer, head in progress(lm.heads[: n_layers * lm.n_heads], f"head to {receiver_input} of heads"):
        freeze = partial(
            patch_or_freeze_head_vectors, new_cache=new_cache, orig_cache=orig_cache, head_to_patch=(layer, head)
        )
        recorded = record_with_hooks(lm, orig_tokens, [(name, freeze) for name in z_names], input_names)
        patch = partial(patch_head_input, patched_cache=recorded, head_list=slots)
        logits = lm.run(orig_tokens, [(name, patch) for name in input_names])
        results.append(check_metric(patching_metric(logits)))
    return torch.stack(results).unflatten(0, (-1, lm.n_heads))


def check_tokens(new_dataset: Any, orig_dataset: Any) -> tuple[Int[Tensor, "batch seq"], Int[Tensor, "batch seq"]]:
    """The tokens of two datasets, which must align: each is a tensor, or has one as `.toks`."""
    new_tokens, orig_tokens = (getattr(dataset, "toks", dataset) for dataset in (new_dataset, orig_dataset))
    for tokens in (new_tokens, orig_tokens):
        if not isinstance(tokens, Tensor):
            raise ConfigError(
                f"a dataset must be tokens or have them as .toks: got {type(tokens).__name__}. "
                "Make them with model.to_tokens."
            )
    check_aligned(new_tokens, orig_tokens)
    return new_tokens, orig_tokens


def check_receivers(lm: HookedLM, receiver_heads: Sequence[tuple[int, int]], receiver_input: str) -> int:
    """How many layers come before the latest receiver; refuses heads that don't exist or that nothing precedes."""
    if receiver_input not in PARTS:
        raise UnknownNameError("input of a head", str(receiver_input), PARTS)
    n_layers = max((layer for layer, _ in lm.check_heads(receiver_heads)), default=0)
    if n_layers == 0:
        raise ConfigError(
            f"receiver_heads must hold a head that some head comes before: got {list(receiver_heads)}. "
            "Heads of layer 0 read embeddings only; choose receivers in later layers."
        )
    return n_layers
