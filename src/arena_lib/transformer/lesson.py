"""GPT-2 in its plainest form: every part a small class, every head visible as an axis.

These classes are what learners write in section 1.1. `Transformer` in `gpt2.py` is
the fast form of the same model, and both read each other's state dicts.

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab"
Raises:  ConfigError if a size of the config cannot work.
Source:  Radford et al. 2019, "Language models are unsupervised multitask learners",
         section 2.3; Vaswani et al. 2017, arXiv:1706.03762, section 3;
         Ba et al. 2016, arXiv:1607.06450 (layer norm);
         Hendrycks and Gimpel 2016, arXiv:1606.08415 (GELU).
Differs: no dropout; W_U is a parameter of its own, not W_E transposed, and has a bias;
         every weight starts with the same standard deviation; token ids are not checked
         (the fast form checks them).
"""

from dataclasses import dataclass

import einops
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.core.configs import check_numbers, check_sizes


@dataclass(frozen=True, kw_only=True)
class Config:
    """The sizes of a GPT-2-style transformer; the defaults are GPT-2 small."""

    d_model: int = 768
    """Width of the residual stream."""
    d_vocab: int = 50257
    """How many different tokens there are."""
    n_ctx: int = 1024
    """The most tokens that the model can read at once."""
    n_layers: int = 12
    """How many blocks follow each other; 0 leaves a bigram model."""
    n_heads: int = 12
    """Attention heads in each block."""
    d_head: int = 64
    """Width of one head's queries, keys and values; n_heads * d_head need not be d_model."""
    d_mlp: int = 3072
    """Hidden width of the MLP; GPT-2 takes 4 * d_model."""
    layer_norm_eps: float = 1e-5
    """Added to the variance in LayerNorm, so that a constant vector does not divide by zero."""
    init_range: float = 0.02
    """Standard deviation of the weights at the start; GPT-2's value."""

    def __post_init__(self) -> None:
        check_sizes(self, "d_model", "d_vocab", "n_ctx", "n_heads", "d_head", "d_mlp")
        check_sizes(self, "n_layers", least=0)
        check_numbers(self, "layer_norm_eps")
        check_numbers(self, "init_range", zero_works=True)


def causal_mask(
    attn_scores: Float[Tensor, "batch n_heads seq_q seq_k"],
) -> Float[Tensor, "batch n_heads seq_q seq_k"]:
    """Hide the future: scores with every key that comes after its query set to -inf.

    Query position q may look at key positions k <= q, itself included. Where k > q the
    result is -inf, which softmax turns into exactly 0 (a number so low that softmax gives 0 will do);
    elsewhere the scores are unchanged. Here there are as many queries as keys.
    The result is on the same device and has the same dtype. You may write into `attn_scores` or make a new tensor.

    >>> causal_mask(torch.ones(1, 1, 3, 3))[0, 0].softmax(dim=-1)
    tensor([[1.0000, 0.0000, 0.0000],
            [0.5000, 0.5000, 0.0000],
            [0.3333, 0.3333, 0.3333]])
    """
    seq_q, seq_k = attn_scores.shape[-2:]
    is_future = torch.triu(torch.ones(seq_q, seq_k, dtype=torch.bool, device=attn_scores.device), diagonal=1)
    return attn_scores.masked_fill(is_future, -torch.inf)


class LayerNorm(nn.Module):
    """Give each position's vector mean 0 and variance 1, then scale and shift it.

    For each vector x of the residual stream, with statistics over d_model alone:

        y = (x - mean(x)) / sqrt(variance(x) + layer_norm_eps) * w + b

    The variance is the mean squared deviation: it divides by d_model, not d_model - 1.
    Parameters: `w` "d_model", all ones at the start; `b` "d_model", all zeros.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        self.w = nn.Parameter(torch.ones(cfg.d_model))
        self.b = nn.Parameter(torch.zeros(cfg.d_model))

    def forward(self, residual: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """Normalise each vector over d_model; see the class for the formula."""
        centred = residual - residual.mean(dim=-1, keepdim=True)
        variance = centred.pow(2).mean(dim=-1, keepdim=True)
        return centred / (variance + self.cfg.layer_norm_eps).sqrt() * self.w + self.b


class Embed(nn.Module):
    """Look up a vector for each token: its row of `W_E`.

    Parameter: `W_E` "d_vocab d_model", normal with standard deviation init_range.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        self.W_E = nn.Parameter(cfg.init_range * torch.randn(cfg.d_vocab, cfg.d_model))

    def forward(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_model"]:
        """Row tokens[batch, seq] of W_E for each entry."""
        return self.W_E[tokens]


class PosEmbed(nn.Module):
    """Give each position a vector of its own: position i gets row i of `W_pos`, whatever its token.

    Parameter: `W_pos` "n_ctx d_model", normal with standard deviation init_range.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        self.W_pos = nn.Parameter(cfg.init_range * torch.randn(cfg.n_ctx, cfg.d_model))

    def forward(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_model"]:
        """The first seq rows of W_pos, the same for every sequence of the batch (not just one to broadcast)."""
        batch, seq = tokens.shape
        return einops.repeat(self.W_pos[:seq], "seq d_model -> batch seq d_model", batch=batch)


class Attention(nn.Module):
    """Causal multi-head attention: each position gathers information from itself and earlier ones.

    For each head, with x the normalised residual stream:

        q = x W_Q + b_Q        k = x W_K + b_K        v = x W_V + b_V
        scores  = q · k / sqrt(d_head), for every query and key position
        pattern = softmax of the masked scores over the keys
        z       = sum over the keys of pattern * v

    The output is the sum over heads of z W_O, plus b_O once.
    Parameters: `W_Q`, `W_K`, `W_V` "n_heads d_model d_head"; `W_O` "n_heads d_head d_model";
    `b_Q`, `b_K`, `b_V` "n_heads d_head"; `b_O` "d_model". Weights start normal with standard
    deviation init_range, biases at zero.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        self.W_Q = nn.Parameter(cfg.init_range * torch.randn(cfg.n_heads, cfg.d_model, cfg.d_head))
        self.W_K = nn.Parameter(cfg.init_range * torch.randn(cfg.n_heads, cfg.d_model, cfg.d_head))
        self.W_V = nn.Parameter(cfg.init_range * torch.randn(cfg.n_heads, cfg.d_model, cfg.d_head))
        self.W_O = nn.Parameter(cfg.init_range * torch.randn(cfg.n_heads, cfg.d_head, cfg.d_model))
        self.b_Q = nn.Parameter(torch.zeros(cfg.n_heads, cfg.d_head))
        self.b_K = nn.Parameter(torch.zeros(cfg.n_heads, cfg.d_head))
        self.b_V = nn.Parameter(torch.zeros(cfg.n_heads, cfg.d_head))
        self.b_O = nn.Parameter(torch.zeros(cfg.d_model))

    def forward(self, normalized_resid_pre: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """What attention adds to the residual stream; see the class for the formula."""
        x = normalized_resid_pre
        project = "batch seq d_model, n_heads d_model d_head -> batch seq n_heads d_head"
        q = einops.einsum(x, self.W_Q, project) + self.b_Q
        k = einops.einsum(x, self.W_K, project) + self.b_K
        v = einops.einsum(x, self.W_V, project) + self.b_V

        dot = "batch seq_q n_heads d_head, batch seq_k n_heads d_head -> batch n_heads seq_q seq_k"
        scores = self.apply_causal_mask(einops.einsum(q, k, dot) / self.cfg.d_head**0.5)
        pattern = scores.softmax(dim=-1)

        mix = "batch n_heads seq_q seq_k, batch seq_k n_heads d_head -> batch seq_q n_heads d_head"
        z = einops.einsum(pattern, v, mix)
        merge = "batch seq n_heads d_head, n_heads d_head d_model -> batch seq d_model"
        return einops.einsum(z, self.W_O, merge) + self.b_O

    def apply_causal_mask(
        self, attn_scores: Float[Tensor, "batch n_heads seq_q seq_k"]
    ) -> Float[Tensor, "batch n_heads seq_q seq_k"]:
        """Scores with every key that comes after its query set to -inf: `causal_mask`."""
        return causal_mask(attn_scores)


class MLP(nn.Module):
    """Two linear layers with a GELU between, at each position by itself.

        y = gelu(x W_in + b_in) W_out + b_out

    GELU in its tanh form: gelu(a) = a/2 * (1 + tanh(sqrt(2/pi) * (a + 0.044715 a^3))),
    which is `F.gelu(a, approximate="tanh")`.
    Parameters: `W_in` "d_model d_mlp" and `W_out` "d_mlp d_model", normal with standard
    deviation init_range; `b_in` "d_mlp" and `b_out` "d_model", zeros.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        self.W_in = nn.Parameter(cfg.init_range * torch.randn(cfg.d_model, cfg.d_mlp))
        self.b_in = nn.Parameter(torch.zeros(cfg.d_mlp))
        self.W_out = nn.Parameter(cfg.init_range * torch.randn(cfg.d_mlp, cfg.d_model))
        self.b_out = nn.Parameter(torch.zeros(cfg.d_model))

    def forward(self, normalized_resid_mid: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """What the MLP adds to the residual stream; see the class for the formula."""
        pre = (
            einops.einsum(normalized_resid_mid, self.W_in, "batch seq d_model, d_model d_mlp -> batch seq d_mlp")
            + self.b_in
        )
        post = F.gelu(pre, approximate="tanh")
        return einops.einsum(post, self.W_out, "batch seq d_mlp, d_mlp d_model -> batch seq d_model") + self.b_out


class TransformerBlock(nn.Module):
    """Attention, then the MLP; each reads a normalised copy of the residual stream and adds to it.

        resid_mid  = resid_pre + attn(ln1(resid_pre))
        resid_post = resid_mid + mlp(ln2(resid_mid))

    Submodules: `ln1`, `attn`, `ln2`, `mlp`.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        self.ln1 = LayerNorm(cfg)
        self.attn = Attention(cfg)
        self.ln2 = LayerNorm(cfg)
        self.mlp = MLP(cfg)

    def forward(self, resid_pre: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """The residual stream after the block; see the class for the formula."""
        resid_mid = resid_pre + self.attn(self.ln1(resid_pre))
        return resid_mid + self.mlp(self.ln2(resid_mid))


class Unembed(nn.Module):
    """Score every token of the vocabulary at each position: x W_U + b_U.

    Parameters: `W_U` "d_model d_vocab", normal with standard deviation init_range;
    `b_U` "d_vocab", zeros.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        self.W_U = nn.Parameter(cfg.init_range * torch.randn(cfg.d_model, cfg.d_vocab))
        self.b_U = nn.Parameter(torch.zeros(cfg.d_vocab))

    def forward(self, normalized_resid_final: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_vocab"]:
        """The logits: one score for each token that could come next."""
        project = "batch seq d_model, d_model d_vocab -> batch seq d_vocab"
        return einops.einsum(normalized_resid_final, self.W_U, project) + self.b_U


class DemoTransformer(nn.Module):
    """The whole model: tokens in, a score for every possible next token out.

    The residual stream starts as the token embedding plus the position embedding, goes
    through the n_layers blocks in order, is normalised once more and unembedded.
    Submodules: `embed`, `pos_embed`, `blocks` (an nn.ModuleList), `ln_final`, `unembed`.

    >>> model = DemoTransformer(Config(d_model=8, d_vocab=11, n_ctx=6, n_layers=2, n_heads=2, d_head=3, d_mlp=16))
    >>> model(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 11])
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        self.embed = Embed(cfg)
        self.pos_embed = PosEmbed(cfg)
        self.blocks = nn.ModuleList([TransformerBlock(cfg) for _ in range(cfg.n_layers)])
        self.ln_final = LayerNorm(cfg)
        self.unembed = Unembed(cfg)

    def forward(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_vocab"]:
        """The logits at each position for the token that follows it."""
        residual = self.embed(tokens) + self.pos_embed(tokens)
        for block in self.blocks:
            residual = block(residual)
        return self.unembed(self.ln_final(residual))
