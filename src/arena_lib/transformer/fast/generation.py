"""Write with a fast form: a batch of texts at once, each token read once.

The lesson form of the same is `kv_cache.generate_with_cache`.

Shapes:  tokens "batch seq" -> tokens "batch seq_all"
Raises:  TokenError if the text would outgrow the model's context.
Source:  Shazeer 2019, arXiv:1911.02150, section 2.4 (incremental inference).
Differs: every sequence of a batch starts with the same length; the cache grows by
         concatenation, and each choice is made on the host.
"""

import einops
import torch
from jaxtyping import Int
from torch import Tensor

from arena_lib.transformer.context import check_room
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.kv_cache import KVCache
from arena_lib.transformer.sampling import GREEDY, SamplingConfig, sample_next_token


@torch.inference_mode()
def generate(
    model: Transformer,
    tokens: Int[Tensor, "batch seq"],
    max_new_tokens: int,
    options: SamplingConfig = GREEDY,
    eos_token_id: int | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "batch seq_all"]:
    """The tokens, and up to max_new_tokens more behind each sequence; greedy unless `options` say otherwise.

    A sequence ends with its first new eos_token_id and is filled with more of them; when all
    have ended, generation stops.
    """
    check_room(model, tokens.shape[1], max_new_tokens)
    cache = KVCache(model.cfg.n_layers)
    has_ended = torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
    unread = tokens
    for _ in range(max_new_tokens):
        logits = model(unread, kv_cache=cache, last_only=True)[:, -1]
        chosen = tokens.new_tensor(
            [sample_next_token(text, row, options, generator) for text, row in zip(tokens, logits, strict=True)]
        )
        if eos_token_id is not None:
            chosen = chosen.masked_fill(has_ended, eos_token_id)
            has_ended |= chosen == eos_token_id
        unread = einops.rearrange(chosen, "batch -> batch 1")
        tokens = torch.cat([tokens, unread], dim=1)
        if has_ended.all():
            break
    return tokens
