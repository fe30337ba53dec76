"""The residual stream taken apart: stacks of what adds up to it, as norms scale them, and what they add to logits.

Shapes:  stacks have a first axis "component", then the axes of what was cached
Raises:  UnknownNameError for a layer or activation that isn't there; ShapeError for tokens that do not fit;
         ConfigError for what needs weights that changed since the pass.
Source:  the interface of TransformerLens, github.com/TransformerLensOrg/TransformerLens; the
         decomposition: Elhage et al. 2021, "A mathematical framework for transformer circuits".
Differs: our weights are not folded, so `apply_ln` and `logit_attrs` include the norm's gain: the
         components of the whole stream and the norm's bias add up to the logits.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import Parameter

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.transformer.activations.slices import BatchSlice, PosSlice, take

Stack = Float[Tensor, "component ..."]


def unembedding(model: Any) -> Tensor:
    """The weight that holds W_U: its own, or where the two are tied the embedding's."""
    W_U = model.unembed.W_U
    return W_U if isinstance(W_U, Parameter) else model.embed.W_E


class ResidualStacks(Mapping[Any, Tensor]):
    """Adds the stacks to a cache of `model`'s activations."""

    model: Any

    def _require_unchanged(self, *weights: Tensor) -> None:
        """Refuse weights that changed since the pass."""
        raise NotImplementedError

    def decompose_resid(
        self,
        layer: int | None = None,
        *,
        mlp_input: bool = False,
        mode: Literal["all", "mlp", "attn"] = "all",
        apply_ln: bool = False,
        pos_slice: PosSlice = None,
        incl_embeds: bool = True,
        return_labels: bool = False,
    ) -> Stack | tuple[Stack, list[str]]:
        """What adds up to the residual stream entering `layer` (None or -1: the final norm): embeddings and outputs.

        `mlp_input` adds that layer's attention. `mode` leaves out the other kind of layer, and
        `incl_embeds=False` the embeddings.
        """
        if mode not in ("all", "mlp", "attn"):
            raise ConfigError(f"mode must be 'all', 'mlp' or 'attn': got {mode!r}. Choose one of the three.")
        last = self._layer(layer)
        embeds = self.model.embed_hooks
        names = {name.removeprefix("hook_"): name for name in embeds if incl_embeds}
        for layer_idx in range(last + mlp_input):
            if mode != "mlp":
                names[f"{layer_idx}_attn_out"] = f"blocks.{layer_idx}.hook_attn_out"
            has_mlp = f"blocks.{layer_idx}.hook_mlp_out" in self.model.hook_dict
            if mode != "attn" and has_mlp and layer_idx < last:
                names[f"{layer_idx}_mlp_out"] = f"blocks.{layer_idx}.hook_mlp_out"
        # The embeddings keep their place until the end, so that a stack of nothing has the shape of one.
        stack = torch.stack([take(self[name], pos_slice) for name in names.values() or embeds])[: len(names)]
        if apply_ln:
            stack = self.apply_ln_to_stack(stack, layer, mlp_input=mlp_input, pos_slice=pos_slice)
        return (stack, list(names)) if return_labels else stack

    def accumulated_resid(
        self,
        layer: int | None = None,
        *,
        incl_mid: bool = False,
        apply_ln: bool = False,
        pos_slice: PosSlice = None,
        return_labels: bool = False,
    ) -> Stack | tuple[Stack, list[str]]:
        """The residual stream entering each layer up to `layer` (None or -1: also the final one).

        `apply_ln` applies the whole final norm to each, with statistics of its own (the logit lens).
        """
        last, n_layers = self._layer(layer), self.model.cfg.n_layers
        names = {}
        for layer_idx in range(min(last + 1, n_layers)):
            names[f"{layer_idx}_pre"] = f"blocks.{layer_idx}.hook_resid_pre"
            if incl_mid and layer_idx < last:
                names[f"{layer_idx}_mid"] = f"blocks.{layer_idx}.hook_resid_mid"
        if last == n_layers:
            names["final_post"] = f"blocks.{n_layers - 1}.hook_resid_post"
        stack = torch.stack([take(self[name], pos_slice) for name in names.values()])
        if apply_ln:
            self._require_unchanged(self.model.ln_final.w)
            stack = self.model.ln_final.plain(stack)
        return (stack, list(names)) if return_labels else stack

    def stack_head_results(
        self,
        layer: int | None = None,
        *,
        return_labels: bool = False,
        incl_remainder: bool = False,
        pos_slice: PosSlice = None,
        apply_ln: bool = False,
    ) -> Stack | tuple[Stack, list[str]]:
        """What each head of the layers before `layer` (None or -1: all) adds, layer by layer: "L0H0", "L0H1" ...

        `incl_remainder` adds what the heads leave of the residual stream entering `layer`.
        """
        last = self._layer(layer)
        self._require_unchanged(*(block.attn.W_O for block in self.model.blocks[:last]))
        z_at = [take(self["z", layer_idx].movedim(-2, 0), pos_slice) for layer_idx in range(last)]
        results = [
            torch.einsum("n...h,nhd->n...d", z, self.model.blocks[layer_idx].attn.W_O)
            for layer_idx, z in enumerate(z_at)
        ]
        labels = [f"L{layer_idx}H{head_idx}" for layer_idx, z in enumerate(z_at) for head_idx in range(z.shape[0])]
        if incl_remainder or not results:
            resid = take(self["resid_post", last - 1] if last else self["resid_pre", 0], pos_slice)
            remainder = resid - torch.stack([result.sum(dim=0) for result in results]).sum(dim=0) if results else resid
            results.append(remainder[None] if incl_remainder else remainder[None][:0])
            labels += ["remainder"] * incl_remainder
        stack = torch.cat(results)
        if apply_ln:
            stack = self.apply_ln_to_stack(stack, layer, pos_slice=pos_slice)
        return (stack, labels) if return_labels else stack

    def apply_ln_to_stack(
        self,
        stack: Stack,
        layer: int | None = None,
        *,
        mlp_input: bool = False,
        pos_slice: PosSlice = None,
        batch_slice: BatchSlice = None,
    ) -> Stack:
        """Each component as the norm before `layer` (None or -1: the final one) scales it.

        The scale is the one of the whole stream, so the components and the norm's bias add up to its output.
        A stack of some positions or examples needs the slices that it was taken with.
        """
        norm, scale = self._norm_before(layer, mlp_input)
        scale = take(self._examples(scale, batch_slice), pos_slice)
        if stack.shape[-scale.ndim : -1] != scale.shape[:-1]:
            raise ShapeError(
                f"a stack must have the pass's batch and positions, {tuple(scale.shape[:-1])}: got one of shape "
                f"{tuple(stack.shape)}. Pass the pos_slice and the batch_slice that it was taken with."
            )
        return norm.centre(stack) / scale * norm.w

    def _examples(self, tensor: Tensor, batch_slice: BatchSlice) -> Tensor:
        """What `batch_slice` picks of an activation "batch seq d"."""
        if batch_slice is not None and tensor.ndim != 3:
            raise ShapeError("examples are picked along the batch axis: got a cache without it. Leave batch_slice out.")
        return take(tensor, batch_slice, axis=-3)

    def _norm_before(self, layer: int | None, mlp_input: bool) -> tuple[Any, Tensor]:
        """The norm before `layer` (None or -1: the final one) and its scale in this pass."""
        last = self._layer(layer)
        if last == self.model.cfg.n_layers:
            norm, scale = self.model.ln_final, self["ln_final.hook_scale"]
        else:
            part = "ln2" if mlp_input else "ln1"
            norm, scale = getattr(self.model.blocks[last], part), self["scale", last, part]
        self._require_unchanged(norm.w)
        return norm, scale

    def logit_attrs(
        self,
        residual_stack: Stack,
        tokens: str | int | Sequence[str] | Sequence[int] | Int[Tensor, "..."],
        incorrect_tokens: str | int | Sequence[str] | Sequence[int] | Int[Tensor, "..."] | None = None,
        *,
        pos_slice: PosSlice = None,
        batch_slice: BatchSlice = None,
    ) -> Float[Tensor, "component ..."]:
        """How much each component adds to the logit of `tokens`, less that of `incorrect_tokens` if given.

        `tokens` is one token, or "batch" (one for each example), or "batch seq": ids, or text that is one
        token each. A stack of some positions or examples needs the same `pos_slice` and `batch_slice` here;
        tokens are those of the stack's examples.
        """
        directions = self._directions(tokens, residual_stack)
        if incorrect_tokens is not None:
            directions = directions - self._directions(incorrect_tokens, residual_stack)
        scaled = self.apply_ln_to_stack(residual_stack, pos_slice=pos_slice, batch_slice=batch_slice)
        return (scaled * directions).sum(dim=-1)

    def _directions(
        self, tokens: str | int | Sequence[str] | Sequence[int] | Tensor, stack: Stack
    ) -> Float[Tensor, "... d_model"]:
        """Columns of W_U for `tokens`, with axes that broadcast over the stack's after "component"."""
        self._require_unchanged(unembedding(self.model))
        ids = self.model.to_token_ids(tokens)
        inner = stack.shape[1:-1]
        if ids.ndim > len(inner) or ids.shape != inner[: ids.ndim]:
            raise ShapeError(
                f"tokens must be one token or have the stack's first axes {tuple(inner)}: got {tuple(ids.shape)}. "
                "Give one token for each example, or one for each example and position."
            )
        columns = self.model.W_U.T[ids]
        return columns.reshape(*ids.shape, *(1,) * (len(inner) - ids.ndim), -1) if ids.ndim else columns

    def _layer(self, layer: int | None) -> int:
        """The layer as a number from 0 to n_layers; None and -1 mean the last."""
        n_layers = self.model.cfg.n_layers
        if layer is None or layer == -1:
            return n_layers
        if not 0 <= layer <= n_layers:
            raise UnknownNameError("layer", str(layer), map(str, range(-1, n_layers + 1)))
        return layer
