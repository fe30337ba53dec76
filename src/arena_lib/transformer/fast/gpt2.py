"""GPT-2 in its fast form: the model of `lesson.py`, with hook points.

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab"
Raises:  ConfigError for sizes that cannot work; what `model.Transformer` raises.
Source:  Radford et al. 2019, "Language models are unsupervised multitask learners", section 2.3;
         Hendrycks and Gimpel 2016, arXiv:1606.08415 (GELU, tanh form).
Differs: no dropout; n_heads * d_head need not be d_model; W_U may be a weight of its own.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.transformer.activations.hooks import HookPoint
from arena_lib.transformer.fast.attention import AttentionBlock, FusedAttention, KVCacheLike, Visible
from arena_lib.transformer.fast.embeddings import Embed, Places, PosEmbed, TiedUnembed, Unembed
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.norms import LayerNorm
from arena_lib.transformer.lesson import Config


@dataclass(frozen=True, kw_only=True)
class GPT2Config(Config):
    """The lesson form's sizes, and how the model ends."""

    tie_embeddings: bool = False
    """Whether W_U is W_E transposed, as in the published weights, or a weight of its own."""


class Attention(FusedAttention):
    """Causal multi-head attention."""

    def __init__(self, cfg: Config, layer_idx: int) -> None:
        super().__init__(
            d_model=cfg.d_model, n_heads=cfg.n_heads, n_kv_heads=cfg.n_heads, d_head=cfg.d_head, has_bias=True
        )
        self.layer_idx = layer_idx

    def forward(
        self,
        x: Float[Tensor, "batch seq d_model"],
        inputs: dict[str, Float[Tensor, "batch seq n d_model"]],
        kv_cache: KVCacheLike | None = None,
        visible: Visible | None = None,
    ) -> Float[Tensor, "batch seq d_model"]:
        """What attention adds to the residual stream, for its normalised input (`inputs`: by head, where hooked)."""
        q, k, v = self.split(F.linear(x, self.W_QKV.T, self.b_QKV))
        if inputs:
            q, k, v = self.replace_parts((q, k, v), inputs)
        q, k, v = self.hook_q(q), self.hook_k(k), self.hook_v(v)
        if kv_cache is not None:
            k, v = kv_cache.extend(self.layer_idx, k, v)
        return self.merge(self.hook_z(self.attend(q, k, v, visible)))


class MLP(nn.Module):
    """gelu(x W_in + b_in) W_out + b_out."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.W_in = nn.Parameter(torch.empty(cfg.d_model, cfg.d_mlp))
        self.b_in = nn.Parameter(torch.zeros(cfg.d_mlp))
        self.W_out = nn.Parameter(torch.empty(cfg.d_mlp, cfg.d_model))
        self.b_out = nn.Parameter(torch.zeros(cfg.d_model))
        self.hook_pre, self.hook_post = HookPoint(), HookPoint()

    def forward(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """What the MLP adds to the residual stream, for its normalised input."""
        pre = self.hook_pre(F.linear(x, self.W_in.T, self.b_in))
        return F.linear(self.hook_post(self.activate(pre)), self.W_out.T, self.b_out)

    def activate(self, pre: Float[Tensor, "batch seq d_mlp"]) -> Float[Tensor, "batch seq d_mlp"]:
        """The neurons' outputs."""
        return F.gelu(pre, approximate="tanh")


class Block(AttentionBlock):
    """resid_mid = resid_pre + attn(ln1(resid_pre)); resid_post = resid_mid + mlp(ln2(resid_mid))."""

    def __init__(self, cfg: Config, layer_idx: int) -> None:
        super().__init__()
        self.ln1 = LayerNorm(cfg.d_model, cfg.layer_norm_eps)
        self.attn = Attention(cfg, layer_idx)
        self.ln2 = LayerNorm(cfg.d_model, cfg.layer_norm_eps)
        self.mlp = MLP(cfg)
        self.hook_resid_mid, self.hook_mlp_in, self.hook_mlp_out = HookPoint(), HookPoint(), HookPoint()

    def forward(
        self,
        resid_pre: Float[Tensor, "batch seq d_model"],
        positions: None,
        kv_cache: KVCacheLike | None = None,
        visible: Visible | None = None,
    ) -> Float[Tensor, "batch seq_out d_model"]:
        """The residual stream after the block; a hook may have dropped positions from it."""
        resid_pre = self.hook_resid_pre(resid_pre)
        inputs = self.head_inputs(resid_pre)
        attn_out = self.hook_attn_out(self.attn(self.ln1(resid_pre), inputs, kv_cache, visible))
        resid_mid = self.hook_resid_mid(resid_pre + attn_out)
        mlp_in = resid_mid if self.hook_mlp_in.is_idle else self.hook_mlp_in(resid_mid.clone())
        mlp_out = self.hook_mlp_out(self.mlp(self.ln2(mlp_in)))
        return self.hook_resid_post(resid_mid + mlp_out)


class GPT2(Transformer):
    """The whole model.

    >>> model = GPT2(GPT2Config(d_model=8, d_vocab=11, n_ctx=6, n_layers=2, n_heads=2, d_head=3, d_mlp=16))
    >>> model(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 11])
    """

    embed_hooks = ("hook_embed", "hook_pos_embed")
    cfg: GPT2Config

    def __init__(self, cfg: GPT2Config, *, generator: torch.Generator | None = None) -> None:
        super().__init__(cfg)
        self.embed = Embed(cfg.d_vocab, cfg.d_model)
        self.pos_embed = PosEmbed(cfg.n_ctx, cfg.d_model)
        self.blocks = nn.ModuleList([Block(cfg, layer_idx) for layer_idx in range(cfg.n_layers)])
        self.ln_final = LayerNorm(cfg.d_model, cfg.layer_norm_eps)
        if cfg.tie_embeddings:
            self.unembed = TiedUnembed(self.embed, has_bias=True, is_saved=True)
        else:
            self.unembed = Unembed(cfg.d_model, cfg.d_vocab, has_bias=True)
        self.hook_pos_embed = HookPoint()
        self.finish(generator)

    def enter(self, tokens: Int[Tensor, "batch seq"], places: Places) -> Float[Tensor, "batch seq d_model"]:
        """Token embedding plus position embedding."""
        embed = self.hook_embed(self.embed(tokens))
        return embed + self.pos_embed.by_example(places, tokens.shape[0], self.hook_pos_embed)
