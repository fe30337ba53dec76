"""Causal attention from q, k and v as pure functions: with scores and pattern, or without building them.

Shapes:  q "batch seq_q n_heads d_head"; k, v "batch seq_k n_kv_heads d_head" -> z as q
Source:  Vaswani et al. 2017, arXiv:1706.03762, equation 1; Ainslie et al. 2023, arXiv:2305.13245
         (query head h reads key head h // (n_heads // n_kv_heads)).
Differs: queries may be the last seq_q of seq_k positions, for a KV cache.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def heads_first(
    tensor: Float[Tensor, "batch seq n_heads d_head"],
) -> Float[Tensor, "batch n_heads seq d_head"]:
    """The same tensor with heads before positions; its own inverse. A view: einops costs more than a small matmul."""
    return tensor.transpose(1, 2)


def future_mask(seq_q: int, seq_k: int, device: torch.device) -> Bool[Tensor, "seq_q seq_k"]:
    """True where a key comes after its query; the last query stands at the last key."""
    ones = torch.ones(seq_q, seq_k, dtype=torch.bool, device=device)
    return ones.triu(diagonal=1 + seq_k - seq_q)


def attention_scores(
    q: Float[Tensor, "batch seq_q n_heads d_head"], k: Float[Tensor, "batch seq_k n_kv_heads d_head"]
) -> Float[Tensor, "batch n_heads seq_q seq_k"]:
    """Dot products q . k / sqrt(d_head), with -inf where the key is in the future."""
    k = k.repeat_interleave(q.shape[2] // k.shape[2], dim=2)
    scores = heads_first(q) @ heads_first(k).mT / q.shape[-1] ** 0.5
    return scores.masked_fill(future_mask(q.shape[1], k.shape[1], q.device), -torch.inf)


def mix_values(
    pattern: Float[Tensor, "batch n_heads seq_q seq_k"], v: Float[Tensor, "batch seq_k n_kv_heads d_head"]
) -> Float[Tensor, "batch seq_q n_heads d_head"]:
    """Each query's average of the values, weighted by its row of the pattern."""
    v = v.repeat_interleave(pattern.shape[1] // v.shape[2], dim=2)
    return heads_first(pattern @ heads_first(v))


def fused_attention(
    q: Float[Tensor, "batch seq_q n_heads d_head"],
    k: Float[Tensor, "batch seq_k n_kv_heads d_head"],
    v: Float[Tensor, "batch seq_k n_kv_heads d_head"],
) -> Float[Tensor, "batch seq_q n_heads d_head"]:
    """`mix_values(softmax(attention_scores(q, k)), v)` without building scores or pattern."""
    seq_q, seq_k = q.shape[1], k.shape[1]
    is_square = seq_q == seq_k
    mask = None if is_square or seq_q == 1 else ~future_mask(seq_q, seq_k, q.device)
    z = F.scaled_dot_product_attention(
        heads_first(q),
        heads_first(k),
        heads_first(v),
        attn_mask=mask,
        is_causal=is_square and seq_q > 1,
        enable_gqa=q.shape[2] != k.shape[2],
    )
    return heads_first(z)
