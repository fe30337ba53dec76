"""Weights of all layers at once, stacked along a first axis "n_layers", by TransformerLens's names.

Shapes:  W_Q "n_layers n_heads d_model d_head"; W_K, W_V the same with n_kv_heads; W_O "n_layers n_heads
         d_head d_model"; b_Q, b_K, b_V without d_model; b_O "n_layers d_model"; W_in "n_layers d_model
         d_mlp"; W_out "n_layers d_mlp d_model"; W_E "d_vocab d_model"; W_U "d_model d_vocab".
Raises:  MissingWeightError, which is an AttributeError too, for a weight that the form does not have;
         UnknownNameError for a layer that isn't there.
Source:  the interface of TransformerLens, github.com/TransformerLensOrg/TransformerLens.
Differs: keys and values of grouped queries are not repeated: there are n_kv_heads of them. Biases that
         the form does not have are zeros.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.errors import MissingWeightError, UnknownNameError


class StackedWeights(nn.Module):
    """Adds the stacked weights to a model with `blocks`, `embed` and `unembed`. Stacks are copies."""

    def __getattr__(self, name: str) -> Tensor | nn.Module:
        """A parameter or submodule; Python asks here, too, after a property's AttributeError, which is raised again."""
        own = getattr(type(self), name, None)
        return own.__get__(self) if isinstance(own, property) else super().__getattr__(name)

    def stack(self, name: str) -> Float[Tensor, "n_layers ..."]:
        """The weight called `name` inside each block, such as "attn.W_Q", stacked."""
        known = list(self.get_submodule("blocks.0").state_dict())
        if name not in known:
            raise MissingWeightError("weight of a block", name, known)
        module, weight = name.rsplit(".", 1)
        blocks = [getattr(block.get_submodule(module), weight) for block in self.get_submodule("blocks").children()]
        return torch.stack(blocks)

    def _stack_or_zeros(self, name: str, weight: Tensor) -> Tensor:
        if name in self.get_submodule("blocks.0").state_dict():
            return self.stack(name)
        return torch.zeros_like(weight)

    def accumulated_bias(
        self, layer: int, mlp_input: bool = False, include_mlp_biases: bool = True
    ) -> Float[Tensor, " d_model"]:
        """The sum of the output biases of the layers before `layer`, and with `mlp_input` of its attention: b_O and b_out.

        What the values' biases add through W_O is part of the heads' results.
        """
        blocks = list(self.get_submodule("blocks").children())
        if not 0 <= layer <= len(blocks) - mlp_input:
            raise UnknownNameError("layer", str(layer), map(str, range(len(blocks) + 1 - mlp_input)))
        names = [(block, "attn.b_O") for block in blocks[: layer + mlp_input]]
        names += [(block, "mlp.b_out") for block in blocks[:layer] if include_mlp_biases]
        total = torch.zeros_like(self.W_U[:, 0])
        for block, name in names:
            module, _, bias = name.partition(".")
            value = getattr(getattr(block, module, None), bias, None)
            total = total if value is None else total + value
        return total

    @property
    def W_E(self) -> Float[Tensor, "d_vocab d_model"]:
        """The embedding."""
        return self.get_parameter("embed.W_E")

    @property
    def W_pos(self) -> Float[Tensor, "n_ctx d_model"]:
        """The position embedding."""
        return self.get_parameter("pos_embed.W_pos")

    @property
    def W_U(self) -> Float[Tensor, "d_model d_vocab"]:
        """The unembedding."""
        return self.get_submodule("unembed").W_U  # type: ignore[return-value]

    @property
    def b_U(self) -> Float[Tensor, " d_vocab"]:
        """The unembedding's bias; zeros if the form has none."""
        bias = self.get_submodule("unembed").b_U
        return self.W_U.new_zeros(self.W_U.shape[1]) if bias is None else bias  # type: ignore[return-value]

    @property
    def W_Q(self) -> Float[Tensor, "n_layers n_heads d_model d_head"]:
        """Queries' weights."""
        return self.stack("attn.W_Q")

    @property
    def W_K(self) -> Float[Tensor, "n_layers n_kv_heads d_model d_head"]:
        """Keys' weights."""
        return self.stack("attn.W_K")

    @property
    def W_V(self) -> Float[Tensor, "n_layers n_kv_heads d_model d_head"]:
        """Values' weights."""
        return self.stack("attn.W_V")

    @property
    def W_O(self) -> Float[Tensor, "n_layers n_heads d_head d_model"]:
        """Output weights."""
        return self.stack("attn.W_O")

    @property
    def b_Q(self) -> Float[Tensor, "n_layers n_heads d_head"]:
        """Queries' biases."""
        return self._stack_or_zeros("attn.b_Q", self.W_Q[:, :, 0])

    @property
    def b_K(self) -> Float[Tensor, "n_layers n_kv_heads d_head"]:
        """Keys' biases."""
        return self._stack_or_zeros("attn.b_K", self.W_K[:, :, 0])

    @property
    def b_V(self) -> Float[Tensor, "n_layers n_kv_heads d_head"]:
        """Values' biases."""
        return self._stack_or_zeros("attn.b_V", self.W_V[:, :, 0])

    @property
    def b_O(self) -> Float[Tensor, "n_layers d_model"]:
        """Output biases."""
        return self._stack_or_zeros("attn.b_O", self.W_O[:, 0, 0])

    @property
    def W_in(self) -> Float[Tensor, "n_layers d_model d_mlp"]:
        """The MLPs' first weights."""
        return self.stack("mlp.W_in")

    @property
    def W_gate(self) -> Float[Tensor, "n_layers d_model d_mlp"]:
        """The gated MLPs' gates."""
        return self.stack("mlp.W_gate")

    @property
    def W_out(self) -> Float[Tensor, "n_layers d_mlp d_model"]:
        """The MLPs' second weights."""
        return self.stack("mlp.W_out")

    @property
    def b_in(self) -> Float[Tensor, "n_layers d_mlp"]:
        """The MLPs' first biases."""
        return self._stack_or_zeros("mlp.b_in", self.W_in[:, 0])

    @property
    def b_out(self) -> Float[Tensor, "n_layers d_model"]:
        """The MLPs' second biases."""
        return self._stack_or_zeros("mlp.b_out", self.W_out[:, 0])
