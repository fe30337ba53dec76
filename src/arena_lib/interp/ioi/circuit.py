"""A circuit as a claim: these heads, at these positions, and nothing else, do the task.

The claim is tested by taking everything else away. Every other head, and the circuit's heads at every other
position, give their mean over the ABC data set: what they write when the names are any names. Means are
taken for each template by itself, since a position means something else in another sentence.

Shapes:  z "batch seq n_heads d_head"; a mask "n_layers batch seq n_heads".
Raises:  ConfigError for a class of heads without a position; UnknownNameError for a role or a head that is
         not there; ShapeError for prompts of another number or length than those of the means.
Source:  Wang et al. 2022, arXiv:2211.00593, section 2.2 (mean ablation over p_ABC) and section 4.
Differs: MLPs, norms and embeddings always run as they are; so does the paper's code.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.interp.circuits.evaluation import CircuitMetric, Node, mean_knockout
from arena_lib.interp.hooking import hooked
from arena_lib.interp.ioi.prompts import IOIDataset
from arena_lib.interp.models import Head, HookedLM
from arena_lib.interp.patching import nodes
from arena_lib.interp.patching.metrics import Metric

Circuit = Mapping[str, Sequence[Head]]
"""Heads by class: {"name mover": [(9, 9), (9, 6)], ...}."""

SEQ_POS_TO_KEEP: dict[str, str] = {
    "name mover": "end",
    "negative name mover": "end",
    "S suppression": "end",
    "S-inhibition": "end",
    "induction": "S2",
    "duplicate token": "S2",
    "previous token": "S1+1",
    "unexplained": "end",
}
"""For each class the position at which its heads do their work."""


def compute_means_by_template(
    z: Float[Tensor, "batch seq n_heads d_head"], groups: Int[Tensor, " batch"]
) -> Float[Tensor, "batch seq n_heads d_head"]:
    """For each prompt the mean of z over all prompts of its group, position by position.

    `groups` holds the index of each prompt's template. Groups may have any sizes and any numbers, and come in any
    order. Row i of the result is the mean of the rows j with groups[j] == groups[i], i included, so all prompts
    of a group have equal rows. z stays as it is.

    Gradients flow through it.
    """
    means = torch.empty_like(z)
    for group in groups.unique():
        rows = groups == group
        means[rows] = z[rows].mean(dim=0)
    return means


def make_circuit_mask(
    circuit: Circuit,
    seq_pos_to_keep: Mapping[str, str],
    word_idx: Mapping[str, Int[Tensor, " batch"]],
    sizes: tuple[int, int, int],
) -> Bool[Tensor, "n_layers batch seq n_heads"]:
    """True where a head keeps its own output: each head of the circuit at the position of its class.

    `circuit` maps a class to its heads, (layer, head); `seq_pos_to_keep` maps the class to a role such as
    "end"; `word_idx` maps the role to its position in each prompt, "batch": all its values have this length. A head
    may be in several classes, and keeps its output at the positions of all of them. A class without heads keeps
    nothing. `sizes` is (n_layers, seq, n_heads).
    """
    n_layers, seq, n_heads = sizes
    some = next(iter(word_idx.values()))
    prompts = torch.arange(len(some), device=some.device)
    mask = torch.zeros(n_layers, len(prompts), seq, n_heads, dtype=torch.bool, device=some.device)
    for kind, heads in circuit.items():
        for layer, head in heads:
            mask[layer, prompts, word_idx[seq_pos_to_keep[kind]], head] = True
    return mask


def mean_ablation_hook(
    z: Float[Tensor, "batch seq n_heads d_head"],
    hook: Any,
    means: Float[Tensor, "n_means seq_means n_heads d_head"],
    is_kept: Bool[Tensor, "n_means seq_means n_heads"],
) -> Float[Tensor, "batch seq n_heads d_head"]:
    """A hook for one layer's `attn.hook_z`: z where `is_kept`, and the means elsewhere."""
    if z.shape != means.shape:
        raise ShapeError(
            f"prompts must align with those of the means: got z of shape {tuple(z.shape)} for means of shape "
            f"{tuple(means.shape)}. Run the circuit on the data set that means_dataset stands in for."
        )
    return torch.where(is_kept[..., None], z, means)


@torch.no_grad()
def add_mean_ablation_hook(
    model: Any,
    means_dataset: IOIDataset,
    circuit: Circuit,
    seq_pos_to_keep: Mapping[str, str],
    is_permanent: bool = True,
) -> Any:
    """Keeps only the circuit of the model, and returns the model: the same object, with hooks.

    1. `model.reset_hooks(including_permanent=True)`, so that no earlier circuit stays.
    2. Run the whole model on `means_dataset.toks`, and keep `blocks.{layer}.attn.hook_z` of each layer.
    3. `model.add_hook(name, hook, is_permanent=is_permanent)` at each of them, also in layers without a head of
       the circuit: the hook keeps z where `make_circuit_mask` says so, and elsewhere puts
       `compute_means_by_template` of step 2. It may write into z. A permanent hook outlives `model.reset_hooks()`.

    `means_dataset` has `toks` "batch seq", `groups` "batch" and `word_idx`: prompt i has the template and
    positions of prompt i of the data that the model will be run on.
    """
    lm = hooked(model)
    check_circuit(lm, means_dataset, circuit, seq_pos_to_keep)
    model.reset_hooks(including_permanent=True)
    names = [f"blocks.{layer}.attn.hook_z" for layer in range(lm.n_layers)]
    _, cache = lm.run_with_cache(means_dataset.toks, names)
    sizes = (lm.n_layers, means_dataset.toks.shape[1], lm.n_heads)
    masks = make_circuit_mask(circuit, seq_pos_to_keep, means_dataset.word_idx, sizes)
    for name, is_kept in zip(names, masks, strict=True):
        means = compute_means_by_template(cache[name], means_dataset.groups)
        model.add_hook(name, partial(mean_ablation_hook, means=means, is_kept=is_kept), is_permanent=is_permanent)
    return model


def check_circuit(
    lm: HookedLM, means_dataset: IOIDataset, circuit: Circuit, seq_pos_to_keep: Mapping[str, str]
) -> None:
    """Refuses heads that are not there, and classes without a position that the prompts have."""
    for kind, heads in circuit.items():
        lm.check_heads(heads)
        if kind not in seq_pos_to_keep:
            raise ConfigError(
                f"each class of heads must have a position in seq_pos_to_keep: got none for {kind!r}. "
                f"There are {', '.join(map(repr, seq_pos_to_keep))}."
            )
        if seq_pos_to_keep[kind] not in means_dataset.word_idx:
            raise UnknownNameError("role in a prompt", seq_pos_to_keep[kind], means_dataset.word_idx)


class HeadsMetric(CircuitMetric):
    """F of a set of heads, each at the positions of its class. MLPs are in every circuit, the empty one too."""

    def _measure(self, kept: frozenset[Node], positions: Mapping[Node, Tensor] | None) -> float:
        mlps = {node for node in self.nodes if isinstance(node, nodes.MLP)}
        return super()._measure(kept | mlps, positions)


@torch.no_grad()
def make_heads_metric(
    model: Any,
    dataset: IOIDataset,
    means_dataset: IOIDataset,
    circuit: Circuit,
    metric: Metric,
    seq_pos_to_keep: Mapping[str, str] = SEQ_POS_TO_KEEP,
) -> HeadsMetric:
    """F for `circuits.compute_faithfulness` and the other criteria, by the same mean ablation.

    A circuit is then any set of this circuit's heads, (layer, head).
    """
    lm = hooked(model)
    check_circuit(lm, means_dataset, circuit, seq_pos_to_keep)
    sizes = (lm.n_layers, dataset.toks.shape[1], lm.n_heads)
    mask = make_circuit_mask(circuit, seq_pos_to_keep, dataset.word_idx, sizes)
    heads = {head for members in circuit.values() for head in members}
    positions: dict[Node, Tensor] = {nodes.Head(*head): mask[head[0], ..., head[1]] for head in heads}
    knockout = mean_knockout(lm, means_dataset.toks, means_dataset.groups)
    return HeadsMetric(lm, dataset.toks, metric, knockout, positions)
