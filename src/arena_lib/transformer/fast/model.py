"""The fast forms' common base: the forward pass, running with hooks or a cache, weights by layer, text.

A form (`gpt2.py`, `llama.py`, `attention_only.py`) says how tokens enter the residual stream
and what a block is; all else is here. The hook interface and its names: `hooks.py`.

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab"; texts in place of tokens, and the loss: `text/calls.py`
Raises:  ShapeError, DtypeError, TokenError for bad tokens (more than n_ctx, outside d_vocab), a bad
         attention_mask (`padding.py`) or a KV cache that doesn't fit;
         UnknownNameError for an unknown hook or layer; ConfigError for a run that stops before it starts;
         CheckpointError for a state dict of another config.
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
from arena_lib.transformer.activations.recorder import Recorder
from arena_lib.transformer.activations.slices import PosSlice, take
from arena_lib.transformer.fast.attention import KVCacheLike, Visible, check_kv_cache, keep_mask
from arena_lib.transformer.fast.embeddings import Embed, Places, TiedUnembed, Unembed
from arena_lib.transformer.fast.norms import LayerNorm, RMSNorm
from arena_lib.transformer.fast.padding import Mask, count_places, last_real, read_mask
from arena_lib.transformer.fast.stacked import StackedWeights
from arena_lib.transformer.fast.text.calls import Output, ReturnType, Text, next_token_losses
from arena_lib.transformer.fast.text.writing import WritingModel
from arena_lib.transformer.scores import visible_pairs
from arena_lib.wording import counted

TOKEN_DTYPES = (torch.int64, torch.int32)


class Transformer(HookedModel, StackedWeights, WritingModel):
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
            # Without numbers there is nothing to draw, and torch would load its compiler to find that out.
            if name.rsplit(".", 1)[-1].startswith("W_") and not parameter.is_meta:
                std = self.cfg.init_range / (len(names) ** 0.5 if name in names else 1.0)
                parameter.normal_(0.0, std, generator=generator)

    # -- the forward pass ---------------------------------------------------------------------

    def enter(self, tokens: Int[Tensor, "batch seq"], places: Places) -> Float[Tensor, "batch seq d_model"]:
        """The residual stream before the first block, for tokens that stand at these positions."""
        raise NotImplementedError

    def positions(self, places: Places, batch: int) -> Tensor | None:
        """What the form's blocks need to know of the positions; None if nothing."""
        return None

    def forward(
        self,
        tokens: Int[Tensor, "batch seq"] | Float[Tensor, "batch seq d_model"] | Text,
        *,
        return_type: ReturnType = "logits",
        loss_per_token: bool = False,
        prepend_bos: bool | None = None,
        start_at_layer: int | None = None,
        stop_at_layer: int | None = None,
        kv_cache: KVCacheLike | None = None,
        last_only: bool = False,
        attention_mask: Mask | None = None,
    ) -> Float[Tensor, "batch seq_out d_out"] | Float[Tensor, "*batch_and_seq"] | Output | None:
        """Logits for the token after each position, or the residual stream that enters `stop_at_layer`.

        `tokens` may be a text or several; `prepend_bos` is `to_tokens`'s, and texts of uneven length are
        padded on the left, with their mask. `return_type` "loss" gives the mean surprise at each next token
        in nats (`loss_per_token`: each one's, "batch seq-1"), without those that padding precedes or is;
        "both" gives logits and loss; None gives nothing and leaves the unembedding out.

        With `start_at_layer`, `tokens` is the residual stream that enters that layer. `kv_cache`
        holds earlier positions and receives these. `last_only` unembeds the last position alone,
        the last real one of each text.

        `attention_mask` is True (or 1) at real tokens, False (or 0) at padding on either side. Each
        text then gets what it gets alone: its positions count from its first real token, and no
        token sees padding. What comes out at padding is finite and means nothing. With `kv_cache`,
        pass the whole mask each time: of what the cache holds, then of these tokens; one that forgets it is refused.
        """
        first, last = self._layer_range(start_at_layer, stop_at_layer)
        start = 0 if kv_cache is None else kv_cache.n_seen
        if prepend_bos or not isinstance(tokens, Tensor):
            tokens, attention_mask = self.read_input(tokens, attention_mask, prepend_bos)
        if return_type != "logits" or loss_per_token:
            self.check_return_type(return_type, loss_per_token, start_at_layer, stop_at_layer, last_only)
        self.check_input(tokens, is_residual=start_at_layer is not None)
        batch, seq = tokens.shape[:2]
        self._check_room(start + seq)
        if kv_cache is not None:
            check_kv_cache(kv_cache, range(first, last), batch)
        is_real: Tensor | None = None
        visible: Visible | None = None
        places: Places = slice(start, start + seq)
        if attention_mask is not None:
            is_whole = kv_cache is None
            is_real = read_mask(attention_mask, batch, start + seq, tokens.device, is_whole=is_whole)
        if kv_cache is not None:
            keep_mask(kv_cache, is_real, batch)
        if is_real is not None:
            visible, places = visible_pairs(is_real, seq), count_places(is_real)[:, start:]

        resid = self.enter(tokens, places) if start_at_layer is None else tokens
        positions = self.positions(places, batch)
        for block in list(self.blocks)[first:last]:
            resid = block(resid, positions, kv_cache, visible)
        if stop_at_layer is not None:
            return resid
        if last_only:
            resid = resid[:, -1:] if is_real is None else last_real(resid, is_real[:, start:])[:, None]
        normalized = self.ln_final(resid)
        if return_type is None:
            return None
        logits = self.unembed(normalized)
        if return_type == "logits":
            return logits
        is_counted = None if is_real is None else is_real[:, start:]
        loss = next_token_losses(logits, tokens, is_counted, per_token=loss_per_token)
        return loss if return_type == "loss" else Output(logits, loss)

    def _layer_range(self, start_at_layer: int | None, stop_at_layer: int | None) -> tuple[int, int]:
        n_layers = len(self.blocks)
        ends = []
        for layer, default in ((start_at_layer, 0), (stop_at_layer, n_layers)):
            if layer is None:
                layer = default
            elif not -n_layers <= layer <= n_layers:
                raise UnknownNameError("layer", str(layer), map(str, range(n_layers + 1)))
            ends.append(layer + n_layers if layer < 0 else layer)
        if ends[0] > ends[1]:
            raise ConfigError(
                f"a run must stop at the layer where it starts, or after it: got start_at_layer {start_at_layer} and "
                f"stop_at_layer {stop_at_layer}. Swap them, or leave one out."
            )
        return ends[0], ends[1]

    def check_input(self, tokens: Tensor, *, is_residual: bool = False) -> None:
        """Raise ShapeError or DtypeError for what isn't a batch of token ids (or a residual stream)."""
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

    def _check_room(self, seq_all: int) -> None:
        if seq_all > self.cfg.n_ctx:
            raise TokenError(
                f"a sequence may have at most {counted(self.cfg.n_ctx, 'position')} (n_ctx): got {seq_all}. "
                "Shorten it, for example tokens[:, -n_ctx:]."
            )

    # -- with hooks, with a cache -------------------------------------------------------------

    def run_with_hooks(
        self,
        tokens: Int[Tensor, "batch seq"] | Float[Tensor, "batch seq d_model"] | Text,
        fwd_hooks: Iterable[HookSpec] = (),
        bwd_hooks: Iterable[HookSpec] = (),
        *,
        return_type: ReturnType = "logits",
        loss_per_token: bool = False,
        prepend_bos: bool | None = None,
        start_at_layer: int | None = None,
        stop_at_layer: int | None = None,
        attention_mask: Mask | None = None,
    ) -> Any:
        """What `forward` gives with these hooks attached, each `(name or test of names, function)`.

        A backward hook gets the gradient when the caller runs `backward`, also after this returned.
        """
        with self.hooks(fwd_hooks, bwd_hooks):
            return self(
                tokens,
                return_type=return_type,
                loss_per_token=loss_per_token,
                prepend_bos=prepend_bos,
                start_at_layer=start_at_layer,
                stop_at_layer=stop_at_layer,
                attention_mask=attention_mask,
            )

    def run_with_cache(
        self,
        tokens: Int[Tensor, "batch seq"] | Text,
        names_filter: NamesFilter = None,
        *,
        return_type: ReturnType = "logits",
        loss_per_token: bool = False,
        prepend_bos: bool | None = None,
        stop_at_layer: int | None = None,
        remove_batch_dim: bool = False,
        pos_slice: PosSlice = None,
        device: str | torch.device | None = None,
        incl_bwd: bool = False,
        attention_mask: Mask | None = None,
    ) -> tuple[Any, ActivationCache]:
        """What `forward` gives, and the activations that `names_filter` picks (all, if None).

        Of each activation the cache keeps the positions that `pos_slice` picks (one drops the axis; of a
        pattern, the queries), on `device`. `incl_bwd` adds the loss's gradient with respect to each, as
        `cache["resid_post_grad", 0]`; it needs return_type "loss" or "both".

        The cache keeps `attention_mask`; what it holds at padding is finite and means nothing.

        Where gradients are recorded, each activation has one: `torch.autograd.grad(loss, cache["pattern", 0])`,
        or `retain_grad` before `backward`. Patterns, norms' scales and neurons' outputs are then made during
        the pass, which costs a tenth to a fifth of a training step and the memory they take; under
        `torch.no_grad()` they are made when someone looks. The heads' results have a gradient if
        `names_filter` names them.
        """
        tokens, attention_mask = self.read_input(tokens, attention_mask, prepend_bos)
        is_plain = pos_slice is None and device is None and not incl_bwd
        stored = {} if is_plain else Recorder(pos_slice, device, incl_bwd)
        with record(self, names_filter, stored, all_in_pass=incl_bwd or pos_slice is not None) as names:
            output = self(
                tokens,
                return_type=return_type,
                loss_per_token=loss_per_token,
                stop_at_layer=stop_at_layer,
                attention_mask=attention_mask,
            )
        if stop_at_layer is not None:
            names = [name for name in names if not name.startswith("ln_final.")]
        if isinstance(stored, Recorder) and incl_bwd:
            names = names + stored.add_gradients(output)
        padding = None if attention_mask is None else attention_mask.bool().to(device or tokens.device)
        if padding is not None and pos_slice is not None:
            padding = take(padding, pos_slice, axis=-1)
        cache = ActivationCache(self, names, stored, padding=padding, is_whole=pos_slice is None)
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
