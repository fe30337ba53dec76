"""Path patching of many senders at once: the numbers of the four-step loop for a fraction of the work.

The loop (`path.py`) runs the whole model twice for each sender. But with attention frozen on the original
prompts, a sender changes the residual stream by an amount that only MLPs add to:

    change                          what the sender writes, new less original (`direct_path.py`)
    change += mlp(orig + change) - mlp(orig)    at each later MLP, unless the path is direct

So the frozen run is a walk over the layers on which the changes of all senders form one batch: a sender
joins where it writes, and no attention is computed. If the receiver is the final residual stream and the metric
reads one position, the walk visits that position alone. If receivers are inputs of heads or MLPs, what arrives is
patched into runs of the original prompts that begin at the first receiver, all senders in one batch.

Shapes:  tokens "batch seq" -> "senders", or "n_layers n_heads" for all heads.
Raises:  what `path.path_patch` does; ShapeError for a position outside the prompts.
Source:  Wang et al. 2022, arXiv:2211.00593, appendix B; the bookkeeping by changes: own derivation.
Differs: each sender is patched by itself; `path.path_patch` patches a set of senders together.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.core.progress import progress
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import AnyModel, HookedLM
from arena_lib.interp.patching.activation import Cache
from arena_lib.interp.patching.direct_path import head_input_changes, sender_changes
from arena_lib.interp.patching.experiment import PathExperiment
from arena_lib.interp.patching.metrics import Metric
from arena_lib.interp.patching.nodes import (
    FinalResidual,
    Head,
    HeadInput,
    MLPInput,
    Part,
    Receiver,
    Sender,
    check_list,
    check_nodes,
    reaches,
)
from arena_lib.interp.patching.readout import Readout, chunks, keep_positions, make_readout
from arena_lib.transformer.activations.hooks import HookSpec


@torch.no_grad()
def path_patch_each(
    model: AnyModel,
    experiment: PathExperiment,
    senders: Sequence[Sender],
    receivers: Sequence[Receiver],
    metric: Metric,
    *,
    max_tokens: int | None = None,
) -> Float[Tensor, " senders"]:
    """`path.path_patch` for each sender by itself, in the order given.

    Caches of `names_for_paths(model)` in the experiment save the two runs that make them.
    """
    lm = hooked(model)
    check_nodes(lm, senders, receivers)
    experiment = experiment.with_caches(lm, names_for_paths(lm))
    tokens = experiment.orig_tokens
    walk = _Walk(
        lm,
        experiment.orig_cache,
        experiment.new_cache,
        receivers,
        make_readout(lm, tokens, metric, experiment.read_at),
        passes_mlps=experiment.through == "mlps" and lm.has_mlp,
    )
    order = sorted(range(len(senders)), key=lambda idx: senders[idx].writes_at)
    width = tokens[:, :1] if walk.is_final and walk.read.positions is not None else tokens
    parts = []
    with progress(len(senders), "path patching") as bar:
        for chunk in chunks(order, width, max_tokens):
            parts.append(walk.metrics([senders[idx] for idx in chunk]))
            bar.update(len(chunk))
    values = torch.cat(parts)
    return values[torch.tensor(order, device=values.device).argsort()]


@torch.no_grad()
def path_patch_heads(
    model: AnyModel,
    experiment: PathExperiment,
    receivers: Sequence[Receiver],
    metric: Metric,
    *,
    max_tokens: int | None = None,
) -> Float[Tensor, "n_layers n_heads"]:
    """`path_patch_each` for every head. A head that comes before no receiver changes nothing: it has the original metric."""
    lm = hooked(model)
    check_list("receivers", receivers)
    heads = [Head(*head) for head in lm.heads]
    senders = [head for head in heads if any(reaches(head, receiver) for receiver in receivers)]
    if not senders:
        check_nodes(lm, heads, receivers)
    experiment = experiment.with_caches(lm, names_for_paths(lm))
    values = path_patch_each(lm, experiment, senders, receivers, metric, max_tokens=max_tokens)
    read = make_readout(lm, experiment.orig_tokens, metric, experiment.read_at)
    final = experiment.orig_cache[f"blocks.{lm.n_layers - 1}.hook_resid_post"]
    result = read.of_pre(final, lm.n_layers).repeat(len(heads))
    result[[heads.index(sender) for sender in senders]] = values
    return result.unflatten(0, (lm.n_layers, lm.n_heads))


def names_for_paths(model: AnyModel) -> list[str]:
    """The hook names that the fast forms of path patching read from a cache."""
    lm = hooked(model)
    kinds = ["hook_resid_pre", "attn.hook_q", "attn.hook_k", "attn.hook_v", "attn.hook_z", "hook_attn_out"]
    kinds += ["hook_mlp_out", "hook_resid_post"] if lm.has_mlp else ["hook_resid_post"]
    return [f"blocks.{layer}.{kind}" for layer in range(lm.n_layers) for kind in kinds]


@dataclass
class _Arrived:
    """What the receivers' inputs change by, for the senders of one batch."""

    heads: dict[HeadInput, Float[Tensor, "rows batch seq d_head"]] = field(default_factory=dict)
    mlps: dict[int, Float[Tensor, "rows batch seq d_model"]] = field(default_factory=dict)
    """By layer: what the output of its MLP changes by."""


@dataclass(frozen=True, eq=False)
class _Walk:
    """The frozen run of the original prompts, on the changes that senders make."""

    lm: HookedLM
    orig: Cache
    new: Cache
    receivers: Sequence[Receiver]
    read: Readout
    passes_mlps: bool

    @property
    def is_final(self) -> bool:
        """Whether the changes go to the final residual stream."""
        return FinalResidual() in self.receivers

    def at(self, kind: str, layer: int) -> Tensor:
        """An activation of the original run, at the positions that matter."""
        tensor = self.orig[f"blocks.{layer}.{kind}"]
        return keep_positions(tensor, self.read.positions) if self.is_final else tensor

    def metrics(self, senders: Sequence[Sender]) -> Float[Tensor, " senders"]:
        """The metric for each sender; they come in the order in which they write."""
        keep = partial(keep_positions, positions=self.read.positions if self.is_final else None)
        changes = sender_changes(self.lm, senders, self.orig, self.new, keep)
        arrived = self.follow(senders, changes)
        if self.is_final:
            return self.read.of_final((self.at("hook_resid_post", self.lm.n_layers - 1) + changes).flatten(0, 1))
        return self.run_receivers(arrived)

    def follow(self, senders: Sequence[Sender], changes: Float[Tensor, "rows batch seq d_model"]) -> _Arrived:
        """What arrives at heads and MLPs. On the way MLPs add to `changes`, in place."""
        times = [sender.writes_at for sender in senders]
        last = max(receiver.reads_at for receiver in self.receivers)
        arrived = _Arrived()
        for layer in range(self.lm.n_layers):
            joined = changes[: bisect_left(times, 2 * layer)]
            for receiver in self.receivers:
                if isinstance(receiver, HeadInput) and receiver.layer == layer:
                    part, heads = receiver.part, [receiver.head]
                    change = head_input_changes(self.lm, self.orig, layer, part, heads, joined)[..., 0, :]
                    arrived.heads[receiver] = _pad(change, len(changes))
            if not self.lm.is_parallel:  # where it is, an MLP doesn't see the heads of its own layer
                joined = changes[: bisect_left(times, 2 * layer + 1)]
            is_receiver = MLPInput(layer) in self.receivers
            if is_receiver or (self.passes_mlps and len(joined) and last > 2 * layer + 1):
                change = self.mlp_change(layer, joined)
                if is_receiver:
                    arrived.mlps[layer] = _pad(change, len(changes))
                if self.passes_mlps:
                    joined += change
        return arrived

    def mlp_change(
        self, layer: int, changes: Float[Tensor, "rows batch seq d_model"]
    ) -> Float[Tensor, "rows batch seq d_model"]:
        """What an MLP's output changes by where its input does."""
        resid = self.at("hook_resid_pre", layer) + changes
        if not self.lm.is_parallel:
            resid = resid + self.at("hook_attn_out", layer)
        out = self.lm.mlp_out(layer, resid.flatten(0, 1)).unflatten(0, changes.shape[:2])
        return out - self.at("hook_mlp_out", layer)

    def run_receivers(self, arrived: _Arrived) -> Float[Tensor, " rows"]:
        """The metric of the original prompts with what arrived at the receivers, run from the first of them on."""
        first = min(self.receivers, key=lambda receiver: receiver.reads_at)
        assert not isinstance(first, FinalResidual)
        hooks = [self.hook_of_heads(layer, part, arrived) for layer, part in self.parts()]
        if isinstance(first, MLPInput):
            resid = self.orig[f"blocks.{first.layer}.hook_resid_post"] + arrived.mlps.pop(first.layer)
            start = first.layer + 1
        else:
            n_rows = len(next(iter(arrived.heads.values())))
            start = first.layer
            resid = self.orig[f"blocks.{start}.hook_resid_pre"].expand(n_rows, -1, -1, -1)
        hooks += [self.hook_of_mlp(layer, change) for layer, change in arrived.mlps.items()]
        return self.read.of_pre(resid.flatten(0, 1), start, hooks)

    def parts(self) -> list[tuple[int, Part]]:
        """Which queries, keys and values receive, each layer and part once."""
        parts = [(receiver.layer, receiver.part) for receiver in self.receivers if isinstance(receiver, HeadInput)]
        return list(dict.fromkeys(parts))

    def hook_of_heads(self, layer: int, part: Part, arrived: _Arrived) -> HookSpec:
        """A hook that gives the heads that receive in this layer and part what arrived."""
        name = f"blocks.{layer}.attn.hook_{part}"
        own = self.orig[name]
        slots = {
            self.lm.input_head(part, node.head): node
            for node in arrived.heads
            if (node.layer, node.part) == (layer, part)
        }
        values = {slot: (own[:, :, slot] + arrived.heads[node]).flatten(0, 1) for slot, node in slots.items()}
        return name, partial(_put_heads, values=values)

    def hook_of_mlp(self, layer: int, change: Float[Tensor, "rows batch seq d_model"]) -> HookSpec:
        """A hook that gives an MLP's output as it is for what arrived."""
        name = f"blocks.{layer}.hook_mlp_out"
        return name, partial(_put_mlp, value=(self.orig[name] + change).flatten(0, 1), read=self.read)


def _put_heads(activation: Tensor, hook: Any, values: dict[int, Tensor]) -> Tensor:
    patched = activation.clone()
    for slot, value in values.items():
        patched[:, :, slot] = value
    return patched


def _put_mlp(activation: Tensor, hook: Any, value: Tensor, read: Readout) -> Tensor:
    """The value; the last MLP may run on the positions that are read alone."""
    return value if activation.shape == value.shape else read.keep(value)


def _pad(change: Float[Tensor, "joined ..."], n_rows: int) -> Float[Tensor, "rows ..."]:
    """Senders that write later change nothing here."""
    return torch.cat([change, change.new_zeros(n_rows - len(change), *change.shape[1:])])
