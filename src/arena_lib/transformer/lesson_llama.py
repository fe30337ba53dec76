"""Llama in its plainest form: what changed since GPT-2, one small piece at a time.

RMSNorm in place of LayerNorm, rotary positions in place of learned ones, fewer key and
value heads than query heads, a gated MLP, and no biases. SmolLM2's weights load into
`DemoLlama` by name. `llama.py` holds the fast form of the same model.

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab"
Raises:  ConfigError if a size of the config cannot work.
Source:  Touvron et al. 2023, arXiv:2302.13971, section 2.2; Zhang and Sennrich 2019,
         arXiv:1910.07467, equation 4 (RMSNorm); Su et al. 2021, arXiv:2104.09864,
         equation 34 (rotary positions); Ainslie et al. 2023, arXiv:2305.13245 (grouped
         queries); Shazeer 2020, arXiv:2002.05202, equation 6 (SwiGLU).
Differs: rotary positions pair dimension i with i + d_head/2 (as released Llama weights
         do), not 2i with 2i + 1; no rescaling of the angles for long contexts; token ids
         are not checked (the fast form checks them).
"""

from dataclasses import dataclass

import einops
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.core.configs import check_numbers, check_sizes
from arena_lib.errors import ConfigError
from arena_lib.transformer.lesson import causal_mask


@dataclass(frozen=True, kw_only=True)
class LlamaConfig:
    """The sizes of a Llama-style transformer; the defaults are SmolLM2-135M."""

    d_model: int = 576
    """Width of the residual stream."""
    d_vocab: int = 49152
    """How many different tokens there are."""
    n_ctx: int = 8192
    """The most tokens that the model was made for; rotary positions have no table that ends there."""
    n_layers: int = 30
    """How many blocks follow each other."""
    n_heads: int = 9
    """Query heads in each block."""
    n_kv_heads: int = 3
    """Key and value heads in each block; divides n_heads, and equal to it gives plain attention."""
    d_head: int = 64
    """Width of one head's queries, keys and values; even, as rotation takes dimensions in pairs."""
    d_mlp: int = 1536
    """Hidden width of the gated MLP."""
    rms_norm_eps: float = 1e-5
    """Added to the mean square in RMSNorm, so that a zero vector does not divide by zero."""
    rope_theta: float = 1e5
    """Base of the rotary frequencies: the slowest pair turns about 1 / rope_theta radians per token."""
    init_range: float = 0.02
    """Standard deviation of the weights at the start."""
    tie_embeddings: bool = True
    """Whether the embedding also unembeds; if not, `unembed.W_U` is a weight of its own."""

    def __post_init__(self) -> None:
        check_sizes(self, "d_model", "d_vocab", "n_ctx", "n_heads", "n_kv_heads", "d_head", "d_mlp")
        check_sizes(self, "n_layers", least=0)
        check_numbers(self, "rms_norm_eps", "rope_theta")
        check_numbers(self, "init_range", zero_works=True)
        if self.n_heads % self.n_kv_heads:
            raise ConfigError(
                f"n_kv_heads must divide n_heads: got n_kv_heads={self.n_kv_heads} and n_heads={self.n_heads}. "
                f"Each key head serves the same number of query heads; n_kv_heads={self.n_heads} gives plain attention."
            )
        if self.d_head % 2:
            raise ConfigError(
                f"d_head must be even: got {self.d_head}. Rotary positions turn dimensions in pairs; "
                f"d_head={self.d_head + 1} works."
            )


def rotary_angles(positions: Int[Tensor, " seq"], d_head: int, rope_theta: float) -> Float[Tensor, "seq pair"]:
    """How far each pair of dimensions turns at each position, in radians.

    A head has d_head / 2 pairs. Pair i turns by rope_theta ** (-2i / d_head) for each
    position, so its angle at position p is p times that: the first pair turns one radian
    per token, later ones ever more slowly. Returned in float32 whatever the model's dtype.

    >>> rotary_angles(torch.tensor([0, 1, 5]), d_head=4, rope_theta=100.0)
    tensor([[0.0000, 0.0000],
            [1.0000, 0.1000],
            [5.0000, 0.5000]])
    """
    exponents = torch.arange(0, d_head, 2, device=positions.device).float() / d_head
    frequencies = 1.0 / rope_theta**exponents
    return einops.einsum(positions.float(), frequencies, "seq, pair -> seq pair")


def apply_rotary(
    x: Float[Tensor, "batch seq n_heads d_head"], angles: Float[Tensor, "seq pair"]
) -> Float[Tensor, "batch seq n_heads d_head"]:
    """Turn each pair of dimensions of x by its angle, every head alike.

    Pair i consists of dimensions i and i + d_head / 2 (first half with second half).
    With angle a, the pair (x1, x2) becomes (x1 cos a - x2 sin a, x2 cos a + x1 sin a).
    The dot product of a query and a key that are both turned like this depends only on their distance.
    Take cos and sin in the dtype of `angles`, then cast them to x's dtype and multiply in it: the result has
    x's dtype. x stays as it is.
    """
    x1, x2 = einops.rearrange(x, "batch seq n_heads (half pair) -> half batch seq n_heads pair", half=2)
    every_head = "seq pair -> seq 1 pair"
    cos = einops.rearrange(angles.cos().to(x.dtype), every_head)
    sin = einops.rearrange(angles.sin().to(x.dtype), every_head)
    return torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], dim=-1)


def repeat_kv(
    x: Float[Tensor, "batch seq n_kv_heads d_head"], n_heads: int
) -> Float[Tensor, "batch seq n_heads d_head"]:
    """Copy each key (or value) head for the query heads that share it.

    Every key head serves group = n_heads / n_kv_heads query heads in a row: query heads
    0 to group - 1 share key head 0, the next group shares key head 1, and so on.

    Gradients flow through it.

    >>> repeat_kv(torch.tensor([7.0, 8.0]).reshape(1, 1, 2, 1), n_heads=6).flatten()
    tensor([7., 7., 7., 8., 8., 8.])
    """
    group = n_heads // x.shape[2]
    return einops.repeat(x, "batch seq n_kv_heads d_head -> batch seq (n_kv_heads group) d_head", group=group)


class RMSNorm(nn.Module):
    """Divide each position's vector by its root mean square, then scale it.

    For each vector x of the residual stream, with the mean over d_model alone:

        y = x / sqrt(mean(x^2) + rms_norm_eps) * w

    Unlike LayerNorm it subtracts no mean and adds no bias.
    Parameter: `w` "d_model", all ones at the start.
    """

    def __init__(self, cfg: LlamaConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.w = nn.Parameter(torch.ones(cfg.d_model))

    def forward(self, residual: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """Normalise each vector over d_model; see the class for the formula."""
        mean_square = residual.pow(2).mean(dim=-1, keepdim=True)
        return residual / (mean_square + self.cfg.rms_norm_eps).sqrt() * self.w


class GroupedQueryAttention(nn.Module):
    """Causal attention in which several query heads share one key and value head.

    As `Attention` of the GPT-2 form, without biases, and with two changes: after the
    projections q and k are turned by `apply_rotary` (v is not), at positions 0, 1, 2 ...;
    then k and v are copied by `repeat_kv`, so that each query head has its own to read.

        scores  = q · k / sqrt(d_head), for every query and key position
        pattern = softmax of the masked scores over the keys
        z       = sum over the keys of pattern * v

    The output is the sum over query heads of z W_O.
    Parameters: `W_Q` "n_heads d_model d_head"; `W_K`, `W_V` "n_kv_heads d_model d_head";
    `W_O` "n_heads d_head d_model"; normal with standard deviation init_range.
    """

    def __init__(self, cfg: LlamaConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.W_Q = nn.Parameter(cfg.init_range * torch.randn(cfg.n_heads, cfg.d_model, cfg.d_head))
        self.W_K = nn.Parameter(cfg.init_range * torch.randn(cfg.n_kv_heads, cfg.d_model, cfg.d_head))
        self.W_V = nn.Parameter(cfg.init_range * torch.randn(cfg.n_kv_heads, cfg.d_model, cfg.d_head))
        self.W_O = nn.Parameter(cfg.init_range * torch.randn(cfg.n_heads, cfg.d_head, cfg.d_model))

    def forward(self, normalized_resid_pre: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """What attention adds to the residual stream; see the class for the formula."""
        x, cfg = normalized_resid_pre, self.cfg
        project = "batch seq d_model, n_heads d_model d_head -> batch seq n_heads d_head"
        angles = rotary_angles(torch.arange(x.shape[1], device=x.device), cfg.d_head, cfg.rope_theta)
        q = apply_rotary(einops.einsum(x, self.W_Q, project), angles)
        k = repeat_kv(apply_rotary(einops.einsum(x, self.W_K, project), angles), cfg.n_heads)
        v = repeat_kv(einops.einsum(x, self.W_V, project), cfg.n_heads)

        dot = "batch seq_q n_heads d_head, batch seq_k n_heads d_head -> batch n_heads seq_q seq_k"
        scores = causal_mask(einops.einsum(q, k, dot) / cfg.d_head**0.5)
        mix = "batch n_heads seq_q seq_k, batch seq_k n_heads d_head -> batch seq_q n_heads d_head"
        z = einops.einsum(scores.softmax(dim=-1), v, mix)
        return einops.einsum(z, self.W_O, "batch seq n_heads d_head, n_heads d_head d_model -> batch seq d_model")


class GatedMLP(nn.Module):
    """An MLP whose hidden values are multiplied by a gate (SwiGLU), at each position by itself.

        y = (silu(x W_gate) * (x W_in)) W_out        with silu(a) = a * sigmoid(a)

    Parameters: `W_gate`, `W_in` "d_model d_mlp"; `W_out` "d_mlp d_model"; normal with
    standard deviation init_range. There are no biases.
    """

    def __init__(self, cfg: LlamaConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.W_gate = nn.Parameter(cfg.init_range * torch.randn(cfg.d_model, cfg.d_mlp))
        self.W_in = nn.Parameter(cfg.init_range * torch.randn(cfg.d_model, cfg.d_mlp))
        self.W_out = nn.Parameter(cfg.init_range * torch.randn(cfg.d_mlp, cfg.d_model))

    def forward(self, normalized_resid_mid: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """What the MLP adds to the residual stream; see the class for the formula."""
        widen = "batch seq d_model, d_model d_mlp -> batch seq d_mlp"
        gate = F.silu(einops.einsum(normalized_resid_mid, self.W_gate, widen))
        post = gate * einops.einsum(normalized_resid_mid, self.W_in, widen)
        return einops.einsum(post, self.W_out, "batch seq d_mlp, d_mlp d_model -> batch seq d_model")


class LlamaBlock(nn.Module):
    """Attention, then the MLP; each reads a normalised copy of the residual stream and adds to it.

        resid_mid  = resid_pre + attn(ln1(resid_pre))
        resid_post = resid_mid + mlp(ln2(resid_mid))

    Submodules: `ln1`, `attn`, `ln2`, `mlp`.
    """

    def __init__(self, cfg: LlamaConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.ln1 = RMSNorm(cfg)
        self.attn = GroupedQueryAttention(cfg)
        self.ln2 = RMSNorm(cfg)
        self.mlp = GatedMLP(cfg)

    def forward(self, resid_pre: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """The residual stream after the block; see the class for the formula."""
        resid_mid = resid_pre + self.attn(self.ln1(resid_pre))
        return resid_mid + self.mlp(self.ln2(resid_mid))


class LlamaEmbed(nn.Module):
    """Look up a vector for each token: its row of `W_E` "d_vocab d_model"."""

    def __init__(self, cfg: LlamaConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.W_E = nn.Parameter(cfg.init_range * torch.randn(cfg.d_vocab, cfg.d_model))

    def forward(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_model"]:
        """Row tokens[batch, seq] of W_E for each entry."""
        return self.W_E[tokens]


class LlamaUnembed(nn.Module):
    """Score every token of the vocabulary at each position: x W_U, with `W_U` "d_model d_vocab" and no bias."""

    def __init__(self, cfg: LlamaConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.W_U = nn.Parameter(cfg.init_range * torch.randn(cfg.d_model, cfg.d_vocab))

    def forward(self, normalized_resid_final: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_vocab"]:
        """The logits: one score for each token that could come next."""
        return einops.einsum(
            normalized_resid_final, self.W_U, "batch seq d_model, d_model d_vocab -> batch seq d_vocab"
        )


class DemoLlama(nn.Module):
    """The whole model: tokens in, a score for every possible next token out.

    The residual stream starts as the token embedding alone (positions enter by rotation,
    inside attention), goes through the n_layers blocks in order and is normalised once
    more. With tie_embeddings the logits are its dot products with the rows of `embed.W_E`,
    and there is no `unembed`; otherwise `unembed` gives them.
    Submodules: `embed`, `blocks` (an nn.ModuleList), `ln_final`, and `unembed` if not tied.
    """

    def __init__(self, cfg: LlamaConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.embed = LlamaEmbed(cfg)
        self.blocks = nn.ModuleList([LlamaBlock(cfg) for _ in range(cfg.n_layers)])
        self.ln_final = RMSNorm(cfg)
        if not cfg.tie_embeddings:
            self.unembed = LlamaUnembed(cfg)

    def forward(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_vocab"]:
        """The logits at each position for the token that follows it."""
        residual = self.embed(tokens)
        for block in self.blocks:
            residual = block(residual)
        x = self.ln_final(residual)
        if self.cfg.tie_embeddings:
            return einops.einsum(x, self.embed.W_E, "batch seq d_model, d_vocab d_model -> batch seq d_vocab")
        return self.unembed(x)
