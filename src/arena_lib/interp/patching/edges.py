"""Edges of the model's graph: which sender each receiver listens to, one by one and as a whole circuit.

The stream that a receiver reads is a sum of what senders wrote before it. Edge by edge, each summand may come
from the run at hand or from another run on other prompts:

    input of r = (stream of the other run at r) + sum over edges s -> r of the circuit (s at hand - s in the other)

`run_edges` runs a circuit so: along its edges flows what the model computes, along all others what it
computed on the other prompts. With every edge it is the model; with none it is the other run. `score_edges`
patches one edge at a time, and `find_edges` keeps those that matter.

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab"; scores "edges".
Raises:  what `check_nodes` does; ConfigError for an edge whose sender comes too late; ShapeError for prompts
         that differ in shape; what `check_metric` raises.
Source:  Goldowsky-Dill et al. 2023, arXiv:2304.05969 (edges as paths); Conmy et al. 2023, arXiv:2304.14997 (the
         graph of heads' inputs, and circuits run by their edges).
Differs: keys and values that query heads share are one receiver, that of the group's first head.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import AnyModel, HookedLM, check_aligned
from arena_lib.interp.patching.activation import Cache
from arena_lib.interp.patching.direct_path import head_input_changes
from arena_lib.interp.patching.experiment import PathExperiment
from arena_lib.interp.patching.metrics import Metric
from arena_lib.interp.patching.nodes import (
    MLP,
    PARTS,
    Embed,
    FinalResidual,
    Head,
    HeadInput,
    MLPInput,
    Receiver,
    Sender,
    check_nodes,
    reaches,
)
from arena_lib.interp.patching.path_fast import names_for_paths, path_patch_each
from arena_lib.interp.patching.readout import ReadAt, make_readout

Edge = tuple[Sender, Receiver]


def all_edges(model: AnyModel) -> list[Edge]:
    """Every edge of a model, in the order of receivers, then senders."""
    lm = hooked(model)
    senders: list[Sender] = [Embed()]
    receivers: list[Receiver] = []
    for layer in range(lm.n_layers):
        senders += [Head(layer, head) for head in range(lm.n_heads)]
        inputs = [HeadInput(layer, head, part) for part in PARTS for head in range(lm.n_heads)]
        receivers += list(dict.fromkeys(as_group(lm, receiver) for receiver in inputs))
        if lm.has_mlp:
            senders.append(MLP(layer))
            receivers.append(MLPInput(layer))
    receivers.append(FinalResidual())
    return [(sender, receiver) for receiver in receivers for sender in senders if _is_edge(lm, sender, receiver)]


def as_group(lm: HookedLM, receiver: Receiver) -> Receiver:
    """The receiver, with keys and values that several query heads share under the first of these."""
    if not isinstance(receiver, HeadInput) or receiver.part == "q":
        return receiver
    share = lm.n_heads // lm.n_kv_heads
    return HeadInput(receiver.layer, receiver.head // share * share, receiver.part)


# -- one edge at a time -----------------------------------------------------------------------------


@torch.no_grad()
def score_edges(
    model: AnyModel,
    orig_tokens: Int[Tensor, "batch seq"],
    new_tokens: Int[Tensor, "batch2 seq2"],
    metric: Metric,
    edges: Sequence[Edge] | None = None,
    *,
    read_at: ReadAt = None,
    max_tokens: int | None = None,
) -> Float[Tensor, " edges"]:
    """What the metric of the original prompts changes by when one edge alone carries what it carries on the new ones.

    Exact, for every edge of the model or those given: the receiver's input changes by the sender's difference, and
    what follows from the receiver is run.
    """
    lm = hooked(model)
    experiment = PathExperiment(orig_tokens, new_tokens, "direct", read_at).with_caches(lm, names_for_paths(lm))
    chosen = check_edges(lm, all_edges(lm) if edges is None else edges)
    scores: dict[Edge, Tensor] = {}
    for receiver in dict.fromkeys(receiver for _, receiver in chosen):
        senders = [sender for sender, other in chosen if other == receiver]
        values = path_patch_each(lm, experiment, senders, [receiver], metric, max_tokens=max_tokens)
        scores |= {(sender, receiver): value for sender, value in zip(senders, values, strict=True)}
    read = make_readout(lm, orig_tokens, metric, read_at)
    final = experiment.orig_cache[f"blocks.{lm.n_layers - 1}.hook_resid_post"]
    return torch.stack([scores[edge] for edge in chosen]) - read.of_pre(final, lm.n_layers)


def find_edges(
    model: AnyModel,
    orig_tokens: Int[Tensor, "batch seq"],
    new_tokens: Int[Tensor, "batch2 seq2"],
    metric: Metric,
    threshold: float,
    *,
    read_at: ReadAt = None,
) -> list[Edge]:
    """The edges whose score is larger than the threshold, up or down; the strongest come first."""
    edges = all_edges(model)
    sizes = score_edges(model, orig_tokens, new_tokens, metric, edges, read_at=read_at).abs()
    return [edges[idx] for idx in sizes.argsort(descending=True, stable=True).tolist() if sizes[idx] > threshold]


# -- a whole circuit --------------------------------------------------------------------------------


@torch.no_grad()
def run_edges(
    model: AnyModel,
    tokens: Int[Tensor, "batch seq"],
    other_tokens: Int[Tensor, "batch2 seq2"],
    edges: Iterable[Edge],
    *,
    other_cache: Cache | None = None,
) -> Float[Tensor, "batch seq d_vocab"]:
    """The logits of `tokens` when only these edges carry what the run computes, and all others that of the other prompts.

    Clean `tokens` and corrupted others keep a circuit and corrupt the rest; swapped, they corrupt the circuit alone.
    A circuit's activations are those of the run itself, so that edges which follow each other pass effects on.
    `other_cache` (all activations, or `names_for_paths(model)`) saves running the other prompts.
    """
    lm = hooked(model)
    check_aligned(tokens, other_tokens)
    sources: dict[Receiver, list[Sender]] = {}
    for sender, receiver in check_edges(lm, edges):
        sources.setdefault(receiver, []).append(sender)
    other = other_cache if other_cache is not None else lm.run_with_cache(other_tokens, names_for_paths(lm))[1]
    embedded = lm.run_with_cache(tokens, ["blocks.0.hook_resid_pre"], stop_at_layer=1)[1]["blocks.0.hook_resid_pre"]
    changes: dict[Sender, Tensor] = {Embed(): embedded - other["blocks.0.hook_resid_pre"]}
    for layer in range(lm.n_layers):
        z = _run_heads(lm, layer, other, sources, changes) - other[f"blocks.{layer}.attn.hook_z"]
        written = torch.einsum("bsnh,nhm->nbsm", z, lm.W_O(layer))
        changes |= {Head(layer, head): change for head, change in enumerate(written)}
        if lm.has_mlp:
            resid = lm.mlp_reads(other, layer)
            out = lm.mlp_out(layer, resid + _arriving(MLPInput(layer), sources, changes, resid))
            changes[MLP(layer)] = out - other[f"blocks.{layer}.hook_mlp_out"]
    final = other[f"blocks.{lm.n_layers - 1}.hook_resid_post"]
    return lm.unembed(final + _arriving(FinalResidual(), sources, changes, final))


def _run_heads(
    lm: HookedLM, layer: int, other: Cache, sources: dict[Receiver, list[Sender]], changes: dict[Sender, Tensor]
) -> Float[Tensor, "batch seq n_heads d_head"]:
    """The z of a layer whose heads each see their own queries, keys and values."""
    resid_pre = other[f"blocks.{layer}.hook_resid_pre"]
    hooks = []
    for part in PARTS:
        name = f"blocks.{layer}.attn.hook_{part}"
        patched = other[name].clone()
        for slot in range(patched.shape[2]):
            receiver = HeadInput(layer, slot * lm.n_heads // patched.shape[2], part)
            if receiver in sources:
                arriving = _arriving(receiver, sources, changes, resid_pre)
                patched[:, :, slot] += head_input_changes(lm, other, layer, part, [receiver.head], arriving[None])[
                    0, :, :, 0
                ]
        hooks.append((name, partial(_put, value=patched)))
    kept: list[Tensor] = []
    lm.run_layer(resid_pre, layer, [*hooks, (f"blocks.{layer}.attn.hook_z", lambda z, hook: kept.append(z))])
    return kept[0]


def _arriving(
    receiver: Receiver, sources: dict[Receiver, list[Sender]], changes: dict[Sender, Tensor], like: Tensor
) -> Float[Tensor, "batch seq d_model"]:
    """What a receiver's edges of the circuit change its input by."""
    return sum((changes[sender] for sender in sources.get(receiver, [])), torch.zeros_like(like))


def _put(activation: Tensor, hook: Any, value: Tensor) -> Tensor:
    return value


# -- checks -----------------------------------------------------------------------------------------


def _is_edge(lm: HookedLM, sender: Sender, receiver: Receiver) -> bool:
    """Whether the receiver reads what the sender wrote; in a parallel block an MLP doesn't read its layer's heads."""
    is_beside = isinstance(sender, Head) and isinstance(receiver, MLPInput) and sender.layer == receiver.layer
    return reaches(sender, receiver) and not (lm.is_parallel and is_beside)


def check_edges(lm: HookedLM, edges: Iterable[Any]) -> list[Edge]:
    """The edges, each once and by group, if all of them are in the model's graph."""
    found = []
    for edge in edges:
        if not (isinstance(edge, tuple) and len(edge) == 2):
            raise ConfigError(
                f"an edge must be (sender, receiver): got {edge!r}. For example (Head(0, 1), FinalResidual())."
            )
        check_nodes(lm, [edge[0]], [edge[1]])
        if not _is_edge(lm, *edge):
            raise ConfigError(
                f"an edge's receiver must read what its sender writes: got {edge[0]} to {edge[1]}, whose block runs "
                "attention and MLP side by side. Leave this edge out."
            )
        found.append((edge[0], as_group(lm, edge[1])))
    return list(dict.fromkeys(found))
