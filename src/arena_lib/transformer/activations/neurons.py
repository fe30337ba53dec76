"""The residual stream down to single neurons: what each adds, and the whole stream as heads, neurons, embeddings, biases.

Stacks of all neurons are large: d_mlp vectors for each position and layer. `project_output_onto` takes their products
with one or a few directions without making the vectors, and `neuron_slice` some neurons only.

Shapes:  results "batch seq neuron d_out"; stacks "component batch seq d_out"; d_out is d_model, or the number of
         directions, or for a single direction "d_model" isn't there at all.
Raises:  UnknownNameError for a layer or activation that isn't there, also for a model without MLPs.
Source:  the interface of TransformerLens, github.com/TransformerLensOrg/TransformerLens.
Differs: `apply_ln` includes the norm's gain, as in `stacks.py`; with layer 0 the remainder is what enters block 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.transformer.activations.slices import PosSlice, take
from arena_lib.transformer.activations.stacks import ResidualStacks, Stack

NeuronSlice = int | slice | tuple[int | None, ...] | list[int] | Tensor | None
"""Neurons, as positions are picked; one neuron stays as an axis of length 1."""
Projection = Float[Tensor, "d_model"] | Float[Tensor, "d_model n_directions"] | None


class NeuronStacks(ResidualStacks):
    """Adds stacks of neurons to a cache."""

    def get_neuron_results(
        self,
        layer: int,
        neuron_slice: NeuronSlice = None,
        pos_slice: PosSlice = None,
        project_output_onto: Projection = None,
    ) -> Float[Tensor, "..."]:
        """What each neuron of a layer adds to the stream: its output times its row of W_out."""
        return self._neurons_times(layer, self._W_out(layer), neuron_slice, pos_slice, project_output_onto)

    def stack_neuron_results(
        self,
        layer: int | None = None,
        *,
        pos_slice: PosSlice = None,
        neuron_slice: NeuronSlice = None,
        return_labels: bool = False,
        incl_remainder: bool = False,
        apply_ln: bool = False,
        project_output_onto: Projection = None,
        mlp_input: bool = False,
    ) -> Stack | tuple[Stack, list[str]]:
        """What each neuron of the layers before `layer` (None or -1: all) adds, layer by layer: "L0N0", "L0N1" ...

        `incl_remainder` adds what they leave of the stream entering `layer`, or with `mlp_input` its MLP.
        """
        last = self._layer(layer)
        parts, labels = [], []
        for layer_idx in range(last):
            rows = self._W_out(layer_idx)
            if apply_ln:
                norm, scale = self._norm_before(layer, mlp_input)
                rows = norm.centre(rows) * norm.w
            results = self._neurons_times(layer_idx, rows, neuron_slice, pos_slice, project_output_onto)
            if apply_ln:
                scale = take(scale, pos_slice)
                results = results / (scale if _is_single(project_output_onto) else scale[..., None])
            parts.append(results.movedim(-1 if _is_single(project_output_onto) else -2, 0))
            picked = torch.arange(len(rows), device=rows.device)[_with_axis(neuron_slice)]
            labels += [f"L{layer_idx}N{neuron}" for neuron in picked.tolist()]
        if incl_remainder or not parts:
            resid = (
                self["resid_mid", last] if mlp_input else self["resid_post", last - 1] if last else self["resid_pre", 0]
            )
            whole = take(resid, pos_slice)[None]
            if apply_ln:
                whole = self.apply_ln_to_stack(whole, layer, mlp_input=mlp_input, pos_slice=pos_slice)
            remainder = _project(whole, project_output_onto)
            for results in parts:
                remainder = remainder - results.sum(dim=0)
            parts.append(remainder if incl_remainder else remainder[:0])
            labels += ["remainder"] * incl_remainder
        stack = torch.cat(parts)
        return (stack, labels) if return_labels else stack

    def get_full_resid_decomposition(
        self,
        layer: int | None = None,
        *,
        mlp_input: bool = False,
        expand_neurons: bool = True,
        apply_ln: bool = False,
        pos_slice: PosSlice = None,
        return_labels: bool = False,
        project_output_onto: Projection = None,
    ) -> Stack | tuple[Stack, list[str]]:
        """What adds up to the stream entering `layer`: every head, every neuron, embeddings, and all biases as one.

        Without `expand_neurons` each MLP's output, its bias included, takes its neurons' place.
        """
        last = self._layer(layer)
        heads, labels = self.stack_head_results(last + mlp_input, pos_slice=pos_slice, return_labels=True)
        rest, names = [], list(self.model.embed_hooks)
        has_mlp = last > 0 and "blocks.0.hook_mlp_out" in self.model.hook_dict
        if has_mlp and not expand_neurons:
            names = [f"blocks.{layer_idx}.hook_mlp_out" for layer_idx in range(last)] + names
        rest = [take(self[name], pos_slice) for name in names]
        biases = self.model.accumulated_bias(last, mlp_input=mlp_input, include_mlp_biases=expand_neurons)
        small = [heads, torch.stack([*rest, biases.expand_as(rest[-1])])]
        if apply_ln:
            small = [self.apply_ln_to_stack(stack, layer, mlp_input=mlp_input, pos_slice=pos_slice) for stack in small]
        stacks = [_project(stack, project_output_onto) for stack in small]
        if has_mlp and expand_neurons:
            neurons, neuron_labels = self.stack_neuron_results(
                layer,
                pos_slice=pos_slice,
                apply_ln=apply_ln,
                project_output_onto=project_output_onto,
                mlp_input=mlp_input,
                return_labels=True,
            )
            stacks.insert(1, neurons)
            labels += neuron_labels
        labels += [_label(name) for name in names] + ["bias"]
        stack = torch.cat(stacks)
        return (stack, labels) if return_labels else stack

    def _W_out(self, layer: int) -> Float[Tensor, "d_mlp d_model"]:
        self["post", layer]
        W_out = self.model.blocks[layer].mlp.W_out
        self._require_unchanged(W_out)
        return W_out

    def _neurons_times(
        self,
        layer: int,
        rows: Float[Tensor, "d_mlp d_model"],
        neuron_slice: NeuronSlice,
        pos_slice: PosSlice,
        project_output_onto: Projection,
    ) -> Float[Tensor, "..."]:
        """Each neuron's output times its row, or the row's products with the directions."""
        picked = _with_axis(neuron_slice)
        outputs = take(self["post", layer], pos_slice)[..., picked]
        rows = _project(rows[picked], project_output_onto)
        return outputs * rows if _is_single(project_output_onto) else outputs[..., None] * rows


def _project(stack: Float[Tensor, "... d_model"], onto: Projection) -> Float[Tensor, "..."]:
    return stack if onto is None else stack @ onto.to(stack.dtype)


def _is_single(onto: Projection) -> bool:
    return onto is not None and onto.ndim == 1


def _with_axis(neuron_slice: NeuronSlice) -> slice | list[int] | Tensor:
    if isinstance(neuron_slice, int):
        return [neuron_slice]
    if isinstance(neuron_slice, tuple):
        return slice(*neuron_slice)
    return slice(None) if neuron_slice is None else neuron_slice


def _label(name: str) -> str:
    """As `decompose_resid` calls it: "embed", "0_mlp_out"."""
    parts = name.split(".")
    label = parts[-1].removeprefix("hook_")
    return f"{parts[1]}_{label}" if parts[0] == "blocks" else label
