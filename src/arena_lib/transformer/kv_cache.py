"""Generation that reads each token once: keys and values of earlier tokens are kept.

Shapes:  tokens "batch seq" -> tokens "batch seq+max_new_tokens"
Raises:  TokenError if the text would outgrow the model's context.
Source:  Shazeer 2019, arXiv:1911.02150, section 2.4 (incremental inference); the causal
         mask makes it exact: no earlier position ever sees a later one.
Differs: every sequence of a batch has the same length; the cache grows by concatenation.
"""

from typing import Any

import einops
import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.transformer.context import check_room
from arena_lib.transformer.lesson import Attention, DemoTransformer
from arena_lib.transformer.sampling import GREEDY, SamplingConfig, sample_next_token


class KVCache:
    """The keys and values of every token read so far, layer by layer.

    `keys[layer_idx]` and `values[layer_idx]` are None at first, then tensors
    "batch seq n_heads d_head".
    """

    def __init__(self, n_layers: int) -> None:
        self.keys: list[Tensor | None] = [None] * n_layers
        self.values: list[Tensor | None] = [None] * n_layers

    @property
    def n_seen(self) -> int:
        """How many tokens the first layer holds; 0 at first."""
        return 0 if self.keys[0] is None else self.keys[0].shape[1]

    def extend(
        self,
        layer_idx: int,
        k: Float[Tensor, "batch seq_new n_heads d_head"],
        v: Float[Tensor, "batch seq_new n_heads d_head"],
    ) -> tuple[Float[Tensor, "batch seq_all n_heads d_head"], Float[Tensor, "batch seq_all n_heads d_head"]]:
        """Add the keys and values of new tokens after a layer's old ones; return all of that layer's.

        The result is (keys, values), old positions first, and it is what the layer now holds.
        """
        old_k, old_v = self.keys[layer_idx], self.values[layer_idx]
        if old_k is not None and old_v is not None:
            k = torch.cat([old_k, k], dim=1)
            v = torch.cat([old_v, v], dim=1)
        self.keys[layer_idx], self.values[layer_idx] = k, v
        return k, v


def cached_causal_mask(
    attn_scores: Float[Tensor, "batch n_heads seq_q seq_k"],
) -> Float[Tensor, "batch n_heads seq_q seq_k"]:
    """Hide the future when the queries are the last seq_q of seq_k positions.

    Query i stands at position seq_k - seq_q + i, and may look at keys up to that position.
    Scores of later keys are -inf (or so low that softmax gives 0), the others unchanged; you may write
    into `attn_scores`. With seq_q = seq_k this is `causal_mask`; with one query nothing is hidden.

    >>> cached_causal_mask(torch.ones(1, 1, 2, 4))[0, 0].softmax(dim=-1)
    tensor([[0.3333, 0.3333, 0.3333, 0.0000],
            [0.2500, 0.2500, 0.2500, 0.2500]])
    """
    seq_q, seq_k = attn_scores.shape[-2:]
    every_pair = torch.ones(seq_q, seq_k, dtype=torch.bool, device=attn_scores.device)
    is_future = torch.triu(every_pair, diagonal=seq_k - seq_q + 1)
    return attn_scores.masked_fill(is_future, -torch.inf)


def attend_with_cache(
    attn: Attention, normalized_resid_pre: Float[Tensor, "batch seq d_model"], cache: KVCache, layer_idx: int
) -> Float[Tensor, "batch seq d_model"]:
    """What attention adds at new positions, which follow the ones that the cache holds.

    As `Attention.forward`, but q, k and v are made for the new positions alone; k and v
    `extend` the cache, and the queries look at all that it then holds, under
    `cached_causal_mask`.
    """
    x = normalized_resid_pre
    project = "batch seq d_model, n_heads d_model d_head -> batch seq n_heads d_head"
    q = einops.einsum(x, attn.W_Q, project) + attn.b_Q
    new_k = einops.einsum(x, attn.W_K, project) + attn.b_K
    new_v = einops.einsum(x, attn.W_V, project) + attn.b_V
    k, v = cache.extend(layer_idx, new_k, new_v)

    dot = "batch seq_q n_heads d_head, batch seq_k n_heads d_head -> batch n_heads seq_q seq_k"
    scores = cached_causal_mask(einops.einsum(q, k, dot) / attn.cfg.d_head**0.5)
    mix = "batch n_heads seq_q seq_k, batch seq_k n_heads d_head -> batch seq_q n_heads d_head"
    z = einops.einsum(scores.softmax(dim=-1), v, mix)
    merge = "batch seq n_heads d_head, n_heads d_head d_model -> batch seq d_model"
    return einops.einsum(z, attn.W_O, merge) + attn.b_O


def forward_with_cache(
    model: DemoTransformer, tokens: Int[Tensor, "batch seq"], cache: KVCache
) -> Float[Tensor, "batch seq d_vocab"]:
    """Logits for new tokens only, which follow the ones that the cache holds.

    As `DemoTransformer.forward`, with two differences: the new tokens' positions start at
    `cache.n_seen`, and each block attends with `attend_with_cache`. The logits are those
    that the model gives at these positions of the whole text; the cache holds the new
    tokens afterwards.
    """
    start = cache.n_seen
    residual = model.embed(tokens) + model.pos_embed.W_pos[start : start + tokens.shape[1]]
    block: Any
    for layer_idx, block in enumerate(model.blocks):
        residual = residual + attend_with_cache(block.attn, block.ln1(residual), cache, layer_idx)
        residual = residual + block.mlp(block.ln2(residual))
    return model.unembed(model.ln_final(residual))


@torch.no_grad()
def generate_with_cache(
    model: DemoTransformer,
    tokens: Int[Tensor, "batch seq"],
    max_new_tokens: int,
    options: SamplingConfig = GREEDY,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "batch seq_all"]:
    """The tokens, with max_new_tokens more after each sequence.

    Begin with an empty `KVCache`. Then, max_new_tokens times:

    1. `forward_with_cache` reads what isn't read yet: at first the whole prompt, later the newest
       token of each sequence alone.
    2. From the logits at the last position `sample_next_token` chooses, for sequence 0, then 1, and
       so on, all with the one `generator`. It gets the sequence as it stands, prompt included.
    3. Each choice is appended to its sequence.

    The default `options` are greedy. With max_new_tokens = 0 the tokens come back as they are.
    """
    check_room(model, tokens.shape[1], max_new_tokens)
    cache = KVCache(model.cfg.n_layers)
    unread = tokens
    for _ in range(max_new_tokens):
        logits = forward_with_cache(model, unread, cache)[:, -1]
        chosen = [
            sample_next_token(text, row, options, generator=generator) for text, row in zip(tokens, logits, strict=True)
        ]
        unread = einops.rearrange(tokens.new_tensor(chosen), "batch -> batch 1")
        tokens = torch.cat([tokens, unread], dim=1)
    return tokens
