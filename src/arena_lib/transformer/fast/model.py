"""The fast forms' common base: the forward pass, running with hooks or a cache, weights by layer, text.

A form (`gpt2.py`, `llama.py`, `attention_only.py`) says how tokens enter the residual stream
and what a block is; all else is here. The hook interface and its names: `hooks.py`.

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab"
Raises:  ShapeError, DtypeError, TokenError for bad tokens (more than n_ctx, outside d_vocab);
         UnknownNameError for an unknown hook or layer; CheckpointError for a state dict of another config.
Source:  the interface of TransformerLens, github.com/TransformerLensOrg/TransformerLens.
Differs: scores, patterns and the norms' hook points exist only if asked for; cached tensors
         are references, neither copied nor detached.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.errors import CheckpointError, ConfigError, DtypeError, ShapeError, TokenError, UnknownNameError
from arena_lib.transformer.activations.cache import ActivationCache
from arena_lib.transformer.activations.derived import Derivation, find_derivations, record
from arena_lib.transformer.activations.hooks import HookedModel, HookPoint, HookSpec, NamesFilter
from arena_lib.transformer.fast.attention import KVCacheLike
from arena_lib.transformer.fast.embeddings import Embed, TiedUnembed, Unembed
from arena_lib.transformer.fast.norms import LayerNorm, RMSNorm
from arena_lib.transformer.fast.stacked import StackedWeights
from arena_lib.transformer.fast.text import TextModel
from arena_lib.wording import counted

TOKEN_DTYPES = (torch.int64, torch.int32)


class Transformer(HookedModel, StackedWeights, TextModel):
    """A fast transformer; make one of its forms: `GPT2`, `Llama` or `AttentionOnly`."""

    residual_writers: ClassVar[tuple[str, ...]] = ("W_O", "W_out")
    """Weights that write to the residual stream; they start smaller, by the root of their number."""

    embed_hooks: ClassVar[tuple[str, ...]] = ("hook_embed",)
    """What the residual stream starts as the sum of."""

    embed: Embed
    blocks: nn.ModuleList
    ln_final: LayerNorm | RMSNorm
    unembed: Unembed | TiedUnembed
    derivations: dict[str, Derivation]

    def __init__(self, cfg: Any) -> None:
        super().__init__()
        self.cfg = cfg
        self.hook_embed = HookPoint()

    def finish(self, generator: torch.Generator | None) -> None:
        """Name the hook points and draw the weights; a form's `__init__` ends with this."""
        self.name_hooks()
        self.derivations = find_derivations(self)
        self.initialise(generator)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Draw every matrix from a normal of standard deviation `init_range`; biases and gains stay as they are.

        Matrices that write to the residual stream get 1/sqrt(their number) of it, so that the
        stream's variance does not grow with depth (Radford et al. 2019, section 2.3).
        """
        names = [name for name, _ in self.named_parameters() if name.rsplit(".", 1)[-1] in self.residual_writers]
        for name, parameter in self.named_parameters():
            if name.rsplit(".", 1)[-1].startswith("W_"):
                std = self.cfg.init_range / (len(names) ** 0.5 if name in names else 1.0)
                parameter.normal_(0.0, std, generator=generator)

    # -- the forward pass ---------------------------------------------------------------------

    def enter(self, tokens: Int[Tensor, "batch seq"], start: int) -> Float[Tensor, "batch seq d_model"]:
        """The residual stream before the first block, for tokens that stand at position `start` and after."""
        raise NotImplementedError

    def positions(self, start: int, batch: int, seq: int) -> Tensor | None:
        """What the form's blocks need to know of the positions; None if nothing."""
        return None

    def forward(
        self,
        tokens: Int[Tensor, "batch seq"] | Float[Tensor, "batch seq d_model"],
        *,
        start_at_layer: int | None = None,
        stop_at_layer: int | None = None,
        kv_cache: KVCacheLike | None = None,
        last_only: bool = False,
    ) -> Float[Tensor, "batch seq_out d_out"]:
        """Logits for the token after each position, or the residual stream that enters `stop_at_layer`.

        With `start_at_layer`, `tokens` is the residual stream that enters that layer. `kv_cache`
        holds earlier positions and receives these. `last_only` unembeds the last position alone.
        """
        first, last = self._layer_range(start_at_layer, stop_at_layer)
        start = 0 if kv_cache is None else kv_cache.n_seen
        self._check_input(tokens, start, is_residual=start_at_layer is not None)
        batch, seq = tokens.shape[:2]

        resid = self.enter(tokens, start) if start_at_layer is None else tokens
        positions = self.positions(start, batch, seq)
        for layer_idx in range(first, last):
            resid = self.blocks[layer_idx](resid, positions, kv_cache)
        if stop_at_layer is not None:
            return resid
        return self.unembed(self.ln_final(resid[:, -1:] if last_only else resid))

    def _layer_range(self, start_at_layer: int | None, stop_at_layer: int | None) -> tuple[int, int]:
        n_layers = len(self.blocks)
        ends = []
        for layer, default in ((start_at_layer, 0), (stop_at_layer, n_layers)):
            if layer is None:
                layer = default
            elif not -n_layers <= layer <= n_layers:
                raise UnknownNameError("layer", str(layer), map(str, range(-n_layers, n_layers + 1)))
            ends.append(layer + n_layers if layer < 0 else layer)
        return ends[0], ends[1]

    def _check_input(self, tokens: Tensor, start: int, *, is_residual: bool) -> None:
        n_axes, axes = (3, "batch seq d_model") if is_residual else (2, "batch seq")
        if tokens.ndim != n_axes:
            raise ShapeError(
                f"the model's input must have the axes {axes!r}: got a tensor of shape {tuple(tokens.shape)}. "
                "A single sequence needs a batch axis of length 1: tokens[None]."
            )
        if not is_residual and tokens.dtype not in TOKEN_DTYPES:
            raise DtypeError(
                f"token ids must be int64 or int32: got {tokens.dtype}. Use tokens.long(), or pass "
                "start_at_layer if this is a residual stream."
            )
        if start + tokens.shape[1] > self.cfg.n_ctx:
            raise TokenError(
                f"a sequence may have at most {counted(self.cfg.n_ctx, 'position')} (n_ctx): got {start + tokens.shape[1]}. "
                "Shorten it, for example tokens[:, -n_ctx:]."
            )

    # -- with hooks, with a cache -------------------------------------------------------------

    def run_with_hooks(
        self,
        tokens: Int[Tensor, "batch seq"] | Float[Tensor, "batch seq d_model"],
        fwd_hooks: Iterable[HookSpec] = (),
        bwd_hooks: Iterable[HookSpec] = (),
        *,
        start_at_layer: int | None = None,
        stop_at_layer: int | None = None,
    ) -> Float[Tensor, "batch seq_out d_out"]:
        """What `forward` gives with these hooks attached, each `(name or test of names, function)`.

        A backward hook gets the gradient when the caller runs `backward`, also after this returned.
        """
        with self.hooks(fwd_hooks, bwd_hooks):
            return self(tokens, start_at_layer=start_at_layer, stop_at_layer=stop_at_layer)

    def run_with_cache(
        self,
        tokens: Int[Tensor, "batch seq"],
        names_filter: NamesFilter = None,
        *,
        stop_at_layer: int | None = None,
        remove_batch_dim: bool = False,
    ) -> tuple[Float[Tensor, "batch seq d_out"], ActivationCache]:
        """What `forward` gives, and the activations that `names_filter` picks (all, if None)."""
        stored: dict[str, Tensor] = {}
        with record(self, names_filter, stored) as names:
            output = self(tokens, stop_at_layer=stop_at_layer)
        if stop_at_layer is not None:
            names = [name for name in names if not name.startswith("ln_final.")]
        cache = ActivationCache(self, names, stored)
        return output, cache.remove_batch_dim() if remove_batch_dim else cache

    # -- weights ------------------------------------------------------------------------------

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Copy weights in by the lesson form's names; `assign` would break the fused weight and is refused."""
        if assign:
            raise ConfigError(f"assign must be False: got {assign}. Weights are copied into the fused ones.")
        try:
            return super().load_state_dict(state_dict, strict=strict)
        except RuntimeError as error:
            raise CheckpointError(
                f"a state dict must fit the model: got one that does not fit {self.cfg}. "
                f"Build the model from the config that the weights were saved with. {error}"
            ) from error
