"""The activations of one forward pass by name; `stacks.py` and `neurons.py` take them apart.

Tensors in the cache are references to what flowed through the model (see `hooks.py` for what
writing in place does); scores, patterns, norms' scales, neurons' and heads' outputs are made on first
access (`derived.py`).

Shapes:  cache["pattern", layer] and the like as in the table of `hooks.py`
Raises:  UnknownNameError for a name that is not in the cache; ShapeError for a batch axis that isn't there or can't go;
         ConfigError for what needs weights that changed since the pass.
Source:  the interface of TransformerLens, github.com/TransformerLensOrg/TransformerLens.
Differs: moving or slicing a cache makes another one.
"""

from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.transformer.activations.derived import refuse_gradient
from arena_lib.transformer.activations.hooks import get_act_name
from arena_lib.transformer.activations.neurons import NeuronStacks
from arena_lib.transformer.activations.slices import BatchSlice
from arena_lib.transformer.activations.stacks import unembedding
from arena_lib.transformer.scores import visible_pairs
from arena_lib.wording import counted


class ActivationCache(NeuronStacks):
    """A mapping from hook names, full or short (`cache["pattern", 0]`, `cache["scale", 0, "ln1"]`), to tensors."""

    def __init__(
        self,
        model: Any,
        names: Sequence[str],
        stored: dict[str, Tensor],
        has_batch_dim: bool = True,
        padding: Bool[Tensor, "..."] | None = None,
        is_whole: bool = True,
    ) -> None:
        """`padding` is the pass's attention_mask, by which scores and patterns are made; None if there was none.

        Without `is_whole`, `stored` has some positions only, from which nothing else can be made.
        """
        self.model = model
        self.has_batch_dim = has_batch_dim
        self._stored = stored
        self._padding = padding
        self._derivations = model.derivations if is_whole else {}
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
            rule = self._derivations[name]
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
        rule = self._derivations.get(name)
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

    def apply_slice_to_batch_dim(self, batch_slice: BatchSlice) -> "ActivationCache":
        """A cache of some examples: a slice or a list of them, or one, without the batch axis."""
        if batch_slice is None:
            return self
        if not self.has_batch_dim:
            raise ShapeError(
                "examples are picked along the batch axis: got a cache without it. Pick them before remove_batch_dim."
            )
        is_one = isinstance(batch_slice, int)
        picked = slice(*batch_slice) if isinstance(batch_slice, tuple) else [batch_slice] if is_one else batch_slice
        batch = next((len(tensor) for tensor in self._stored.values()), 0)
        if isinstance(batch_slice, int) and not -batch <= batch_slice < batch:
            raise ShapeError(
                f"an example must be between {-batch} and {batch - 1}: got {batch_slice}. The cache holds {batch} of them."
            )
        advice = "Take it of the whole cache's tensor, and slice the gradient."
        stored = {name: refuse_gradient(tensor[picked], advice) for name, tensor in self._stored.items()}
        other = self._sharing(stored, has_batch_dim=not is_one)
        other._padding = None if self._padding is None else self._padding[picked]
        return other

    def stack_activation(
        self, name: str, layer: int | None = None, module: str | None = None
    ) -> Float[Tensor, "layer ..."]:
        """One activation by its short name from each layer before `layer` (None or -1: all), stacked."""
        return torch.stack([self[name, layer_idx, module] for layer_idx in range(self._layer(layer))])

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


READ_LATER = {"attn": ("W_O", "b_O"), "mlp": ("W_out", "b_out"), "ln1": ("w",), "ln2": ("w",)}
"""Weights of a block that are read after a pass, by module."""


def _weights_read_later(model: Any) -> list[Tensor]:
    """The weights that are read after a pass, to make something of its tensors."""
    weights: list[Tensor] = [model.ln_final.w, unembedding(model)]
    for block in model.blocks:
        parts = block._modules  # as the pass itself may take less time than torch's look-up by attribute
        for part, names in READ_LATER.items():
            if part in parts:
                own = parts[part]._parameters
                weights += [weight for name in names if (weight := own.get(name)) is not None]
    return weights


def _version(weight: Tensor) -> int:
    """How often the weight was written to; torch doesn't count it for weights made in inference mode."""
    return 0 if weight.is_inference() else weight._version
