"""TransformerLens's bridge of any family: weights and parts as they are there, or a refusal.

A bridge gives every family the same names, and not always the same meaning. What can be made right is: Gemma's
norms, scaled embeddings, softcaps on logits. For all else each part asks for what it takes for granted
(`assumptions.py`), so that no function can forget to.

Raises:  ConfigError for a part that this family doesn't have in the form that it is used in.
Source:  own derivation. Families: docs/interp_by_family.md.
"""

from collections.abc import Iterable
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.interp.assumptions import Assumption, check, family, read_gain, tolerance
from arena_lib.interp.models import HookedLM
from arena_lib.transformer.activations.hooks import HookSpec


def find_window(model: Any) -> int | None:
    """How many positions back some layer looks at most, of families that leave this out where pairs are masked."""
    config = getattr(getattr(model, "original_model", None), "config", None)
    if not getattr(config, "use_sliding_window", True):
        return None
    windows = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    return min((window for window in windows if window is not None), default=None)


class _Bridge(HookedLM):
    """A bridge with what can be made right for its family, and nothing checked."""

    def gain(self, layer: int | None, part: str = "ln1") -> tuple[Float[Tensor, " d_model"], bool]:
        """What a norm multiplies by, and whether it takes the mean away first; layer None is the final norm's."""
        norm = self.model.ln_final if layer is None else self._norm_module(layer, part)
        return read_gain(norm, self.d_model, next(self.model.parameters()), tolerance(self))

    def unembed(self, resid: Float[Tensor, "*any seq d_model"]) -> Float[Tensor, "*any seq d_vocab"]:
        """Logits of a residual stream that leaves the last block, with the family's softcap or scale."""
        transform = getattr(getattr(self.model, "adapter", None), "apply_output_logits_transform", None)
        logits = super().unembed(resid)
        return logits if transform is None else transform(logits)


class BridgeLM(_Bridge):
    """A `TransformerBridge`, whose parts are checked the first time that they are asked for."""

    def pad(self, is_real: Bool[Tensor, "batch seq"]) -> None:
        """Take the mask of the prompts; refused where the family's attention wouldn't heed all of it."""
        window = find_window(self.model)
        if window is not None and is_real.shape[1] > window:
            raise ConfigError(
                f"prompts of uneven length must fit into the window that some layers of {family(self.model)} look back by, "
                f"{window} positions: got {is_real.shape[1]}. Run prompts of one length together, or one prompt at a time."
            )
        self.require(Assumption.PADDING)
        super().pad(is_real)

    def require(self, assumption: Assumption) -> None:
        """Raise ConfigError if the model breaks the assumption."""
        check(_Bridge(self.model), assumption)

    def run(
        self,
        tokens: Int[Tensor, "batch seq"] | Float[Tensor, "batch seq d_model"],
        fwd_hooks: Iterable[HookSpec] = (),
        bwd_hooks: Iterable[HookSpec] = (),
        *,
        start_at_layer: int | None = None,
        stop_at_layer: int | None = None,
    ) -> Float[Tensor, "batch seq_out d_out"]:
        """As `HookedLM.run`."""
        if start_at_layer is not None:
            self.require(Assumption.RESUME)
        return super().run(tokens, fwd_hooks, bwd_hooks, start_at_layer=start_at_layer, stop_at_layer=stop_at_layer)

    def W_Q(self, layer: int) -> Float[Tensor, "n_heads d_model d_head"]:
        """Queries' weights of one layer."""
        self.require(Assumption.READS)
        return super().W_Q(layer)

    def W_K(self, layer: int) -> Float[Tensor, "n_heads d_model d_head"]:
        """Keys' weights of one layer, for each query head those that it reads."""
        self.require(Assumption.READS)
        return super().W_K(layer)

    def W_V(self, layer: int) -> Float[Tensor, "n_heads d_model d_head"]:
        """Values' weights of one layer, for each query head those that it reads."""
        self.require(Assumption.READS)
        return super().W_V(layer)

    def W_O(self, layer: int) -> Float[Tensor, "n_heads d_head d_model"]:
        """Output weights of one layer."""
        self.require(Assumption.HEADS)
        return super().W_O(layer)

    @property
    def W_E(self) -> Float[Tensor, "d_vocab d_model"]:
        """What each token puts into the stream: the embedding, times the family's scale."""
        scale = check(_Bridge(self.model), Assumption.EMBED)
        return super().W_E if scale == 1 else scale * super().W_E

    @property
    def W_U(self) -> Float[Tensor, "d_model d_vocab"]:
        """The unembedding."""
        self.require(Assumption.LINEAR)
        return super().W_U

    def norm(
        self, layer: int, part: str, resid: Float[Tensor, "*any seq d_model"]
    ) -> Float[Tensor, "*any seq d_model"]:
        """The block's `ln1` or `ln2`, gain and bias included."""
        self.require(Assumption.READS if part == "ln1" else Assumption.MLP)
        return super().norm(layer, part, resid)

    def gain(self, layer: int | None, part: str = "ln1") -> tuple[Float[Tensor, " d_model"], bool]:
        """What a norm multiplies by, and whether it takes the mean away first; layer None is the final norm's."""
        if layer is not None:
            self.require(Assumption.READS if part == "ln1" else Assumption.MLP)
        return super().gain(layer, part)

    def mlp_out(self, layer: int, resid: Float[Tensor, "*any seq d_model"]) -> Float[Tensor, "*any seq d_model"]:
        """What the layer's MLP adds to a stream that it reads, its norm included."""
        self.require(Assumption.MLP)
        return super().mlp_out(layer, resid)

    def unembed(self, resid: Float[Tensor, "*any seq d_model"]) -> Float[Tensor, "*any seq d_vocab"]:
        """Logits of a residual stream that leaves the last block, with the family's softcap or scale."""
        self.require(Assumption.LOGITS)
        return super().unembed(resid)
