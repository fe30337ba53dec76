"""Attention and nothing else, with positions added to the inputs of q and k alone.

No MLPs, and values never see a position: so what a head moves and where it looks factor, which
section 1.2 takes apart, and two layers learn induction quickly.

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab"
Raises:  ConfigError for sizes that cannot work; what `model.Transformer` raises.
Source:  Elhage et al. 2021, "A mathematical framework for transformer circuits"; Press et al.
         2021, arXiv:2012.15832, section 5 (positions on queries and keys).
Differs: learned positions where Press et al. have sinusoids, added after LayerNorm.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.core.configs import check_numbers, check_sizes
from arena_lib.transformer.activations.hooks import HookPoint
from arena_lib.transformer.fast.attention import AttentionBlock, FusedAttention, KVCacheLike, Visible
from arena_lib.transformer.fast.embeddings import Embed, Places, PosEmbed, Unembed
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.norms import LayerNorm


@dataclass(frozen=True, kw_only=True)
class AttentionOnlyConfig:
    """The sizes of an attention-only transformer; the defaults are those of `attn-only-2l`'s family."""

    d_model: int = 256
    """Width of the residual stream."""
    d_vocab: int = 1024
    """How many different tokens there are."""
    n_ctx: int = 256
    """The most tokens that the model can read at once."""
    n_layers: int = 2
    """How many blocks follow each other."""
    n_heads: int = 8
    """Attention heads in each block."""
    d_head: int = 32
    """Width of one head's queries, keys and values."""
    layer_norm_eps: float = 1e-5
    """Added to the variance in LayerNorm."""
    init_range: float = 0.02
    """Standard deviation of the weights at the start."""

    def __post_init__(self) -> None:
        check_sizes(self, "d_model", "d_vocab", "n_ctx", "n_heads", "d_head")
        check_sizes(self, "n_layers", least=0)
        check_numbers(self, "layer_norm_eps")
        check_numbers(self, "init_range", zero_works=True)


class Attention(FusedAttention):
    """Causal attention whose queries and keys, but not values, see positions."""

    def __init__(self, cfg: AttentionOnlyConfig, layer_idx: int) -> None:
        super().__init__(
            d_model=cfg.d_model, n_heads=cfg.n_heads, n_kv_heads=cfg.n_heads, d_head=cfg.d_head, has_bias=True
        )
        self.layer_idx = layer_idx

    def forward(
        self,
        x: Float[Tensor, "batch seq d_model"],
        inputs: dict[str, Float[Tensor, "batch seq n d_model"]],
        pos_embed: Float[Tensor, "*batch seq d_model"],
        kv_cache: KVCacheLike | None = None,
        visible: Visible | None = None,
    ) -> Float[Tensor, "batch seq d_model"]:
        """What attention adds to the residual stream, for its normalised input (`inputs`: by head, where hooked)."""
        d_qk = 2 * self.n_heads * self.d_head
        pos_qk = pos_embed @ self.W_QKV.narrow(1, 0, d_qk)
        q, k, v = self.split(F.linear(x, self.W_QKV.T, self.b_QKV) + F.pad(pos_qk, (0, d_qk // 2)))
        if inputs:
            by_head = pos_embed.unsqueeze(-2)
            inputs = {name: x if name == "v" else x + by_head for name, x in inputs.items()}
            q, k, v = self.replace_parts((q, k, v), inputs)
        q, k, v = self.hook_q(q), self.hook_k(k), self.hook_v(v)
        if kv_cache is not None:
            k, v = kv_cache.extend(self.layer_idx, k, v)
        return self.merge(self.hook_z(self.attend(q, k, v, visible)))


class Block(AttentionBlock):
    """resid_post = resid_pre + attn(ln1(resid_pre))."""

    def __init__(self, cfg: AttentionOnlyConfig, layer_idx: int) -> None:
        super().__init__()
        self.ln1 = LayerNorm(cfg.d_model, cfg.layer_norm_eps)
        self.attn = Attention(cfg, layer_idx)

    def forward(
        self,
        resid_pre: Float[Tensor, "batch seq d_model"],
        positions: Float[Tensor, "*batch seq d_model"],
        kv_cache: KVCacheLike | None = None,
        visible: Visible | None = None,
    ) -> Float[Tensor, "batch seq_out d_model"]:
        """The residual stream after the block; a hook may have dropped positions from it."""
        resid_pre = self.hook_resid_pre(resid_pre)
        inputs = self.head_inputs(resid_pre)
        attn_out = self.hook_attn_out(self.attn(self.ln1(resid_pre), inputs, positions, kv_cache, visible))
        return self.hook_resid_post(resid_pre + attn_out)


class AttentionOnly(Transformer):
    """The whole model."""

    cfg: AttentionOnlyConfig

    def __init__(self, cfg: AttentionOnlyConfig, *, generator: torch.Generator | None = None) -> None:
        super().__init__(cfg)
        self.embed = Embed(cfg.d_vocab, cfg.d_model)
        self.pos_embed = PosEmbed(cfg.n_ctx, cfg.d_model)
        self.blocks = nn.ModuleList([Block(cfg, layer_idx) for layer_idx in range(cfg.n_layers)])
        self.ln_final = LayerNorm(cfg.d_model, cfg.layer_norm_eps)
        self.unembed = Unembed(cfg.d_model, cfg.d_vocab, has_bias=True)
        self.hook_pos_embed = HookPoint()
        self.finish(generator)

    def enter(self, tokens: Int[Tensor, "batch seq"], places: Places) -> Float[Tensor, "batch seq d_model"]:
        """The token embedding alone."""
        return self.hook_embed(self.embed(tokens))

    def positions(self, places: Places, batch: int) -> Float[Tensor, "*batch seq d_model"]:
        """The position embedding, which each block adds to the inputs of its queries and keys."""
        return self.pos_embed.by_example(places, batch, self.hook_pos_embed)
