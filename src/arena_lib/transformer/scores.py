"""Causal attention from q, k and v as pure functions: with scores and pattern, or without building them.

Shapes:  q "batch seq_q n_heads d_head"; k, v "batch seq_k n_kv_heads d_head" -> z as q
Source:  Vaswani et al. 2017, arXiv:1706.03762, equation 1; Ainslie et al. 2023, arXiv:2305.13245
         (query head h reads key head h // (n_heads // n_kv_heads)).
Differs: queries may be the last seq_q of seq_k positions, for a KV cache. `visible`, where texts are
         padded, says which keys each query sees; without it a query sees all keys up to its own.
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


def by_query_head(
    kv: Float[Tensor, "batch seq n_kv_heads d_head"], n_heads: int
) -> Float[Tensor, "batch seq n_heads d_head"]:
    """The key or value that each query head reads; where every head has its own, the tensor itself."""
    n_shared = n_heads // kv.shape[2]
    return kv if n_shared == 1 else kv.repeat_interleave(n_shared, dim=2)


def future_mask(seq_q: int, seq_k: int, device: torch.device) -> Bool[Tensor, "seq_q seq_k"]:
    """True where a key comes after its query; the last query stands at the last key."""
    ones = torch.ones(seq_q, seq_k, dtype=torch.bool, device=device)
    return ones.triu(diagonal=1 + seq_k - seq_q)


def visible_pairs(attention_mask: Bool[Tensor, "batch seq_k"], seq_q: int) -> Bool[Tensor, "batch 1 seq_q seq_k"]:
    """True where a query, one of the last seq_q positions, sees a key: both are real tokens, and the key isn't later.

    A query at padding sees itself alone, so that its softmax has something to sum over.
    """
    seq_k = attention_mask.shape[1]
    key = torch.arange(seq_k, device=attention_mask.device)
    query = key[seq_k - seq_q :, None]
    both_real = attention_mask[:, seq_k - seq_q :, None] & attention_mask[:, None, :]
    return (both_real & (key <= query) | (key == query))[:, None]


def attention_scores(
    q: Float[Tensor, "batch seq_q n_heads d_head"],
    k: Float[Tensor, "batch seq_k n_kv_heads d_head"],
    visible: Bool[Tensor, "batch 1 seq_q seq_k"] | None = None,
) -> Float[Tensor, "batch n_heads seq_q seq_k"]:
    """Dot products q . k / sqrt(d_head), with -inf where the key is hidden: in the future, or not `visible`."""
    q = q / q.shape[-1] ** 0.5  # before the product, which may be beyond float16
    scores = heads_first(q) @ heads_first(by_query_head(k, q.shape[2])).mT
    is_hidden = future_mask(q.shape[1], k.shape[1], q.device) if visible is None else ~visible
    return scores.masked_fill(is_hidden, -torch.inf)


def mix_values(
    pattern: Float[Tensor, "batch n_heads seq_q seq_k"], v: Float[Tensor, "batch seq_k n_kv_heads d_head"]
) -> Float[Tensor, "batch seq_q n_heads d_head"]:
    """Each query's average of the values, weighted by its row of the pattern."""
    return heads_first(pattern @ heads_first(by_query_head(v, pattern.shape[1])))


def fused_attention(
    q: Float[Tensor, "batch seq_q n_heads d_head"],
    k: Float[Tensor, "batch seq_k n_kv_heads d_head"],
    v: Float[Tensor, "batch seq_k n_kv_heads d_head"],
    visible: Bool[Tensor, "batch 1 seq_q seq_k"] | None = None,
) -> Float[Tensor, "batch seq_q n_heads d_head"]:
    """`mix_values(softmax(attention_scores(q, k, visible)), v)` without building scores or pattern."""
    seq_q, seq_k = q.shape[1], k.shape[1]
    is_square = bool(seq_q == seq_k)  # torch.export and torch.jit.trace compare lengths to something that is no bool
    mask = visible
    if visible is None and not is_square and seq_q > 1:
        mask = ~future_mask(seq_q, seq_k, q.device)
    z = F.scaled_dot_product_attention(
        heads_first(q),
        heads_first(k),
        heads_first(v),
        attn_mask=mask,
        is_causal=visible is None and is_square and bool(seq_q > 1),
        enable_gqa=bool(q.shape[2] != k.shape[2]),
    )
    return heads_first(z)
