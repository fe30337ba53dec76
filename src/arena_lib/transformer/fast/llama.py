"""Llama in its fast form: the model of `lesson_llama.py`, with hook points. SmolLM2 loads into it.

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab"
Raises:  ConfigError for sizes that cannot work; what `model.Transformer` raises.
Source:  Touvron et al. 2023, arXiv:2302.13971, section 2.2; Su et al. 2021, arXiv:2104.09864,
         equation 34 (rotary positions); Ainslie et al. 2023, arXiv:2305.13245 (grouped queries);
         Shazeer 2020, arXiv:2002.05202, equation 6 (SwiGLU); Chen et al. 2023, arXiv:2306.15595
         (linear scaling); Llama 3.1's released code, github.com/meta-llama/llama-models (its scaling).
Differs: rotary positions pair dimension i with i + d_head/2, as released weights do; angles are
         computed in float32 whatever the model's dtype, as transformers does.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.core.configs import check_numbers, check_sizes
from arena_lib.errors import ConfigError
from arena_lib.transformer.activations.hooks import HookPoint
from arena_lib.transformer.fast.attention import AttentionBlock, FusedAttention, KVCacheLike, Visible
from arena_lib.transformer.fast.embeddings import Embed, Places, TiedUnembed, Unembed
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.norms import RMSNorm
from arena_lib.transformer.lesson_llama import LlamaConfig as LessonConfig
from arena_lib.transformer.lesson_llama import rotary_angles


@dataclass(frozen=True, kw_only=True)
class LinearScaling:
    """Positions are squeezed: every pair turns `factor` times more slowly (Chen et al. 2023, section 2.3)."""

    factor: float
    """How many times longer texts may be than in pretraining."""

    def __post_init__(self) -> None:
        check_numbers(self, "factor")

    def scale(self, frequencies: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """The frequencies to use in place of these, in radians per token."""
        return frequencies / self.factor


@dataclass(frozen=True, kw_only=True)
class Llama3Scaling:
    """Slow pairs turn more slowly still, fast ones as before, and those between by a mixture of the two.

    A pair is the slower, the fewer times it turns round within a text of pretraining. The defaults are Llama 3.1's.
    """

    factor: float = 8.0
    """How many times more slowly the slow pairs turn."""
    low_freq_factor: float = 1.0
    """Pairs that turn round fewer times than this are slow."""
    high_freq_factor: float = 4.0
    """Pairs that turn round more times than this stay as they are."""
    pretrained_n_ctx: int = 8192
    """How many tokens a text of pretraining had at most."""

    def __post_init__(self) -> None:
        check_numbers(self, "factor", "low_freq_factor", "high_freq_factor")
        check_sizes(self, "pretrained_n_ctx")
        if self.low_freq_factor >= self.high_freq_factor:
            raise ConfigError(
                f"low_freq_factor must be below high_freq_factor: got {self.low_freq_factor} and "
                f"{self.high_freq_factor}. Llama 3.1 has 1 and 4."
            )

    def scale(self, frequencies: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """The frequencies to use in place of these, in radians per token."""
        n_turns = self.pretrained_n_ctx * frequencies / (2 * math.pi)
        kept = (n_turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)
        return torch.lerp(frequencies / self.factor, frequencies, kept.clamp(0, 1))


@dataclass(frozen=True, kw_only=True)
class LlamaConfig(LessonConfig):
    """The lesson form's sizes, and how the rotary frequencies are scaled for long texts."""

    rope_scaling: LinearScaling | Llama3Scaling | None = None
    """None leaves the frequencies as they are. The lesson form never scales, whatever stands here."""


def rotation_table(
    positions: Int[Tensor, " seq"],
    d_head: int,
    rope_theta: float,
    scaling: LinearScaling | Llama3Scaling | None = None,
) -> Float[Tensor, "2 seq 1 d_head"]:
    """Cosines, and sines with the sign that `rotate` needs, of each position's angles (Su et al., equation 34)."""
    frequencies = rotary_angles(positions.new_ones(1), d_head, rope_theta)
    angles = positions.float()[:, None] * (frequencies if scaling is None else scaling.scale(frequencies))
    cosines = torch.cat([angles.cos(), angles.cos()], dim=-1)
    signed_sines = torch.cat([-angles.sin(), angles.sin()], dim=-1)
    return torch.stack([cosines, signed_sines])[:, :, None]


def rotate(
    x: Float[Tensor, "batch seq n_heads d_head"], table: Float[Tensor, "2 *batch seq 1 d_head"]
) -> Float[Tensor, "batch seq n_heads d_head"]:
    """Turn each pair (i, i + d_head/2) by its angle: (x1 cos - x2 sin, x2 cos + x1 sin)."""
    swapped = x.roll(x.shape[-1] // 2, dims=-1)
    cosines, signed_sines = table.to(x.dtype)
    return torch.addcmul(x * cosines, swapped, signed_sines)


class Attention(FusedAttention):
    """Causal attention with rotary positions; query heads in a group share one key and value head."""

    def __init__(self, cfg: LlamaConfig, layer_idx: int) -> None:
        super().__init__(
            d_model=cfg.d_model, n_heads=cfg.n_heads, n_kv_heads=cfg.n_kv_heads, d_head=cfg.d_head, has_bias=False
        )
        self.layer_idx = layer_idx
        self.hook_rot_q, self.hook_rot_k = HookPoint(), HookPoint()

    def forward(
        self,
        x: Float[Tensor, "batch seq d_model"],
        inputs: dict[str, Float[Tensor, "batch seq n d_model"]],
        table: Float[Tensor, "2 *batch seq 1 d_head"],
        kv_cache: KVCacheLike | None = None,
        visible: Visible | None = None,
    ) -> Float[Tensor, "batch seq d_model"]:
        """What attention adds to the residual stream, for its normalised input (`inputs`: by head, where hooked)."""
        q, k, v = self.split(x @ self.W_QKV)
        if inputs:
            q, k, v = self.replace_parts((q, k, v), inputs)
        q, k, v = self.hook_q(q), self.hook_k(k), self.hook_v(v)
        q, k = self.hook_rot_q(rotate(q, table)), self.hook_rot_k(rotate(k, table))
        if kv_cache is not None:
            k, v = kv_cache.extend(self.layer_idx, k, v)
        return self.merge(self.hook_z(self.attend(q, k, v, visible)))


class MLP(nn.Module):
    """(silu(x W_gate) * (x W_in)) W_out."""

    def __init__(self, cfg: LlamaConfig) -> None:
        super().__init__()
        self.W_gate = nn.Parameter(torch.empty(cfg.d_model, cfg.d_mlp))
        self.W_in = nn.Parameter(torch.empty(cfg.d_model, cfg.d_mlp))
        self.W_out = nn.Parameter(torch.empty(cfg.d_mlp, cfg.d_model))
        self.hook_pre, self.hook_pre_linear, self.hook_post = HookPoint(), HookPoint(), HookPoint()

    def forward(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """What the MLP adds to the residual stream, for its normalised input."""
        pre, pre_linear = self.hook_pre(x @ self.W_gate), self.hook_pre_linear(x @ self.W_in)
        return self.hook_post(self.activate(pre, pre_linear)) @ self.W_out

    def activate(
        self, pre: Float[Tensor, "batch seq d_mlp"], pre_linear: Float[Tensor, "batch seq d_mlp"]
    ) -> Float[Tensor, "batch seq d_mlp"]:
        """The neurons' outputs."""
        return F.silu(pre) * pre_linear


class Block(AttentionBlock):
    """resid_mid = resid_pre + attn(ln1(resid_pre)); resid_post = resid_mid + mlp(ln2(resid_mid))."""

    def __init__(self, cfg: LlamaConfig, layer_idx: int) -> None:
        super().__init__()
        self.ln1 = RMSNorm(cfg.d_model, cfg.rms_norm_eps)
        self.attn = Attention(cfg, layer_idx)
        self.ln2 = RMSNorm(cfg.d_model, cfg.rms_norm_eps)
        self.mlp = MLP(cfg)
        self.hook_resid_mid, self.hook_mlp_in, self.hook_mlp_out = HookPoint(), HookPoint(), HookPoint()

    def forward(
        self,
        resid_pre: Float[Tensor, "batch seq d_model"],
        positions: Float[Tensor, "2 *batch seq 1 d_head"],
        kv_cache: KVCacheLike | None = None,
        visible: Visible | None = None,
    ) -> Float[Tensor, "batch seq_out d_model"]:
        """The residual stream after the block; a hook may have dropped positions from it."""
        resid_pre = self.hook_resid_pre(resid_pre)
        inputs = self.head_inputs(resid_pre)
        attn_out = self.hook_attn_out(self.attn(self.ln1(resid_pre), inputs, positions, kv_cache, visible))
        resid_mid = self.hook_resid_mid(resid_pre + attn_out)
        mlp_in = resid_mid if self.hook_mlp_in.is_idle else self.hook_mlp_in(resid_mid.clone())
        mlp_out = self.hook_mlp_out(self.mlp(self.ln2(mlp_in)))
        return self.hook_resid_post(resid_mid + mlp_out)


class Llama(Transformer):
    """The whole model; the lesson form's config also makes one, without scaling.

    >>> cfg = LlamaConfig(d_model=8, d_vocab=11, n_ctx=6, n_layers=2, n_heads=4, n_kv_heads=2, d_head=6, d_mlp=16)
    >>> Llama(cfg)(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 11])
    """

    cfg: LlamaConfig
    rotation: Tensor

    def __init__(self, cfg: LessonConfig, *, generator: torch.Generator | None = None) -> None:
        cfg = cfg if isinstance(cfg, LlamaConfig) else LlamaConfig(**vars(cfg))
        super().__init__(cfg)
        self.embed = Embed(cfg.d_vocab, cfg.d_model)
        self.blocks = nn.ModuleList([Block(cfg, layer_idx) for layer_idx in range(cfg.n_layers)])
        self.ln_final = RMSNorm(cfg.d_model, cfg.rms_norm_eps)
        if cfg.tie_embeddings:
            self.unembed = TiedUnembed(self.embed, has_bias=False, is_saved=False)
        else:
            self.unembed = Unembed(cfg.d_model, cfg.d_vocab, has_bias=False)
        self.register_buffer("rotation", self._make_rotation(), persistent=False)
        self.finish(generator)

    def _make_rotation(self) -> Float[Tensor, "2 n_ctx 1 d_head"]:
        device = self.embed.W_E.device
        if device.type == "meta":  # a shape alone: torch would load its compiler to compute it
            return torch.empty(2, self.cfg.n_ctx, 1, self.cfg.d_head, device=device)
        places = torch.arange(self.cfg.n_ctx, device=device)
        return rotation_table(places, self.cfg.d_head, self.cfg.rope_theta, self.cfg.rope_scaling)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Llama":
        """Move or cast as torch does, but make the rotation table anew: it stays float32, never rounded and back."""
        super()._apply(fn, recurse)
        self.rotation = self._make_rotation()
        return self

    def enter(self, tokens: Int[Tensor, "batch seq"], places: Places) -> Float[Tensor, "batch seq d_model"]:
        """The token embedding alone: positions enter by rotation."""
        return self.hook_embed(self.embed(tokens))

    def positions(self, places: Places, batch: int) -> Float[Tensor, "2 *batch seq 1 d_head"]:
        """The rows of the rotation table for these positions."""
        return self.rotation[:, places].to(self.embed.W_E.dtype)
