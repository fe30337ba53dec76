"""The activations of one forward pass by name, and the usual ways to take them apart.

Tensors in the cache are references to what flowed through the model (see `hooks.py` for what
writing in place does); scores, patterns, norms' scales, neurons' and heads' outputs are made on first
access (`derived.py`).

Shapes:  cache["pattern", layer] and the like as in the table of `hooks.py`; stacks have a first axis "component".
Raises:  UnknownNameError for a name that is not in the cache; ShapeError for tokens that do not fit;
         ConfigError for what needs weights that changed since the pass.
Source:  the interface of TransformerLens, github.com/TransformerLensOrg/TransformerLens; the
         decomposition: Elhage et al. 2021, "A mathematical framework for transformer circuits".
Differs: our weights are not folded, so `apply_ln` and `logit_attrs` include the norm's gain: the
         components of the whole stream and the norm's bias add up to the logits.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import Parameter

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.transformer.activations.derived import refuse_gradient
from arena_lib.transformer.activations.hooks import get_act_name
from arena_lib.transformer.scores import visible_pairs
from arena_lib.wording import counted

PosSlice = int | slice | tuple[int | None, ...] | list[int] | Tensor | None
"""Positions: one, a slice, a tuple (start, end) or (start, end, step) that means the slice, or a list of them."""
Stack = Float[Tensor, "component ..."]


class ActivationCache(Mapping[str, Tensor]):
    """A mapping from hook names, full or short (`cache["pattern", 0]`, `cache["scale", 0, "ln1"]`), to tensors."""

    def __init__(
        self,
        model: Any,
        names: Sequence[str],
        stored: dict[str, Tensor],
        has_batch_dim: bool = True,
        padding: Bool[Tensor, "batch seq"] | None = None,
    ) -> None:
        """`padding` is the pass's attention_mask, by which scores and patterns are made; None if there was none."""
        self.model = model
        self.has_batch_dim = has_batch_dim
        self._stored = stored
        self._padding = padding
        self._versions = {id(weight): _version(weight) for weight in _weights_read_later(model)}
        self._names = [name for name in names if self._can_get(name)]

    def __getitem__(self, key: str | tuple[Any, ...]) -> Tensor:
        """The tensor of a full name, or of (short name, layer) or (short name, layer, module)."""
        name = self._full_name(key)
        if not self._can_get(name):
            raise UnknownNameError("activation in this cache", name, self._names)
        if name not in self._stored:
            if name.endswith("hook_result"):
                self._require_unchanged(self.model.blocks[self.model.hook_dict[name].layer()].attn.W_O)
            rule = self.model.derivations[name]
            sources = [self._stored[source.name] for source in rule.sources]
            made = rule.compute(*sources, self._visible()) if rule.reads_padding else rule.compute(*sources)
            self._stored[name] = refuse_gradient(made, f"Ask the pass for it: names_filter=[{name!r}].")
        if self.has_batch_dim:
            return self._stored[name]
        return refuse_gradient(self._stored[name][0], "Run the model without remove_batch_dim.")

    def __iter__(self) -> Iterator[str]:
        """The names that were asked for."""
        return iter(self._names)

    def __len__(self) -> int:
        """How many names were asked for."""
        return len(self._names)

    def __contains__(self, key: object) -> bool:
        """Whether `cache[key]` gives a tensor, asked for or not."""
        return self._can_get(self._full_name(key))  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"ActivationCache({counted(len(self._names), 'activation')} of {type(self.model).__name__})"

    @property
    def attention_mask(self) -> Bool[Tensor, "*batch seq"] | None:
        """True at the real tokens of the pass; None if it had no mask. What stands at padding means nothing."""
        return self._padding if self.has_batch_dim or self._padding is None else self._padding[0]

    def _visible(self) -> Bool[Tensor, "batch 1 seq_q seq_k"] | None:
        return None if self._padding is None else visible_pairs(self._padding, self._padding.shape[1])

    def _full_name(self, key: str | tuple[Any, ...]) -> str:
        if isinstance(key, str):
            return get_act_name(key)
        name, layer, *module = key
        if isinstance(layer, int) and layer < 0:
            layer += self.model.cfg.n_layers
        return get_act_name(name, layer, *module)

    def _can_get(self, name: str) -> bool:
        if name in self._stored:
            return True
        rule = self.model.derivations.get(name)
        return rule is not None and all(source.name in self._stored for source in rule.sources)

    def to(self, device: str | torch.device) -> "ActivationCache":
        """A cache whose tensors are on `device`."""
        moved = {name: tensor.to(device) for name, tensor in self._stored.items()}
        other = self._sharing(moved, self.has_batch_dim)
        other._padding = None if self._padding is None else self._padding.to(device)
        return other

    def remove_batch_dim(self) -> "ActivationCache":
        """A cache of the same tensors without their batch axis, which must have length 1."""
        lengths = {tensor.shape[0] for tensor in self._stored.values()} if self.has_batch_dim else {1}
        if lengths - {1}:
            raise ShapeError(
                f"the batch must have length 1 to be removed: got {sorted(lengths)}. Run the model on one sequence."
            )
        return self._sharing(self._stored, has_batch_dim=False)

    def _sharing(self, stored: dict[str, Tensor], has_batch_dim: bool) -> "ActivationCache":
        """A cache of the same pass with these tensors."""
        other = copy(self)
        other._stored, other.has_batch_dim = stored, has_batch_dim
        return other

    def _require_unchanged(self, *weights: Tensor) -> None:
        """Weights must be those of the pass where a result of the pass is made of them."""
        if any(_version(weight) != self._versions.get(id(weight)) for weight in weights):
            raise ConfigError(
                "what the cache makes of weights must be made of those of its pass: got a model whose weights were "
                "changed since. Run the model again, or take what you need from the cache before changing them."
            )

    # -- stacks of components -----------------------------------------------------------------

    def decompose_resid(
        self,
        layer: int | None = None,
        *,
        mlp_input: bool = False,
        mode: Literal["all", "mlp", "attn"] = "all",
        apply_ln: bool = False,
        pos_slice: PosSlice = None,
        return_labels: bool = False,
    ) -> Stack | tuple[Stack, list[str]]:
        """What adds up to the residual stream entering `layer` (None or -1: the final norm): embeddings and outputs.

        `mlp_input` adds that layer's attention. `mode` leaves out the other kind of layer.
        """
        if mode not in ("all", "mlp", "attn"):
            raise ConfigError(f"mode must be 'all', 'mlp' or 'attn': got {mode!r}. Choose one of the three.")
        last = self._layer(layer)
        names = {name.removeprefix("hook_"): name for name in self.model.embed_hooks}
        for layer_idx in range(last + mlp_input):
            if mode != "mlp":
                names[f"{layer_idx}_attn_out"] = f"blocks.{layer_idx}.hook_attn_out"
            has_mlp = f"blocks.{layer_idx}.hook_mlp_out" in self.model.hook_dict
            if mode != "attn" and has_mlp and layer_idx < last:
                names[f"{layer_idx}_mlp_out"] = f"blocks.{layer_idx}.hook_mlp_out"
        stack = torch.stack([_at(self[name], pos_slice) for name in names.values()])
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
        stack = torch.stack([_at(self[name], pos_slice) for name in names.values()])
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
        z_at = [_at(self["z", layer_idx].movedim(-2, 0), pos_slice) for layer_idx in range(last)]
        results = [
            torch.einsum("n...h,nhd->n...d", z, self.model.blocks[layer_idx].attn.W_O)
            for layer_idx, z in enumerate(z_at)
        ]
        labels = [f"L{layer_idx}H{head_idx}" for layer_idx, z in enumerate(z_at) for head_idx in range(z.shape[0])]
        if incl_remainder or not results:
            resid = _at(self["resid_post", last - 1] if last else self["resid_pre", 0], pos_slice)
            remainder = resid - torch.stack([result.sum(dim=0) for result in results]).sum(dim=0) if results else resid
            results.append(remainder[None] if incl_remainder else remainder[None][:0])
            labels += ["remainder"] * incl_remainder
        stack = torch.cat(results)
        if apply_ln:
            stack = self.apply_ln_to_stack(stack, layer, pos_slice=pos_slice)
        return (stack, labels) if return_labels else stack

    def apply_ln_to_stack(
        self, stack: Stack, layer: int | None = None, *, mlp_input: bool = False, pos_slice: PosSlice = None
    ) -> Stack:
        """Each component as the norm before `layer` (None or -1: the final one) scales it.

        The scale is the one of the whole stream, so the components and the norm's bias add up to its output.
        """
        last = self._layer(layer)
        if last == self.model.cfg.n_layers:
            norm, scale = self.model.ln_final, self["ln_final.hook_scale"]
        else:
            part = "ln2" if mlp_input else "ln1"
            norm, scale = getattr(self.model.blocks[last], part), self["scale", last, part]
        self._require_unchanged(norm.w)
        return norm.centre(stack) / _at(scale, pos_slice) * norm.w

    def logit_attrs(
        self,
        residual_stack: Stack,
        tokens: str | int | Sequence[str] | Sequence[int] | Int[Tensor, "..."],
        incorrect_tokens: str | int | Sequence[str] | Sequence[int] | Int[Tensor, "..."] | None = None,
        *,
        pos_slice: PosSlice = None,
    ) -> Float[Tensor, "component ..."]:
        """How much each component adds to the logit of `tokens`, less that of `incorrect_tokens` if given.

        `tokens` is one token, or "batch" (one for each example), or "batch seq": ids, or text that is one
        token each. A stack that
        was taken at a position needs the same `pos_slice` here.
        """
        directions = self._directions(tokens, residual_stack)
        if incorrect_tokens is not None:
            directions = directions - self._directions(incorrect_tokens, residual_stack)
        scaled = self.apply_ln_to_stack(residual_stack, pos_slice=pos_slice)
        return (scaled * directions).sum(dim=-1)

    def _directions(
        self, tokens: str | int | Sequence[str] | Sequence[int] | Tensor, stack: Stack
    ) -> Float[Tensor, "... d_model"]:
        """Columns of W_U for `tokens`, with axes that broadcast over the stack's after "component"."""
        self._require_unchanged(_unembedding(self.model))
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


def _at(tensor: Tensor, pos_slice: PosSlice) -> Tensor:
    """The positions (second axis from the end) that `pos_slice` picks; an int drops the axis."""
    if pos_slice is None:
        return tensor
    if isinstance(pos_slice, int):
        return tensor.select(-2, pos_slice)
    return tensor[..., slice(*pos_slice) if isinstance(pos_slice, tuple) else pos_slice, :]


def _unembedding(model: Any) -> Tensor:
    """The weight that holds W_U: its own, or where the two are tied the embedding's."""
    W_U = model.unembed.W_U
    return W_U if isinstance(W_U, Parameter) else model.embed.W_E


def _weights_read_later(model: Any) -> list[Tensor]:
    """The weights that are read after a pass, to make something of its tensors."""
    weights: list[Tensor] = [model.ln_final.w, _unembedding(model)]
    for block in model.blocks:
        parts = block._modules  # as the pass itself may take less time than torch's look-up by attribute
        weights.append(parts["attn"]._parameters["W_O"])
        weights += [parts[name]._parameters["w"] for name in ("ln1", "ln2") if name in parts]
    return weights


def _version(weight: Tensor) -> int:
    """How often the weight was written to; torch doesn't count it for weights made in inference mode."""
    return 0 if weight.is_inference() else weight._version
