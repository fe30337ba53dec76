"""Log-probabilities of tokens without all logits at once: the unembedding in chunks.

With a vocabulary of 50,000 the logits are most of what a pass keeps in memory, and of each
row a single number is wanted: log p(token) = logit(token) - logsumexp(logits). So a chunk of
positions is unembedded, its numbers are kept, and its logits are forgotten; the backward
pass makes them again.

Shapes:  tokens "batch seq" -> "batch seq-1", in nats
Raises:  what the model raises for bad tokens or a bad attention_mask.
Source:  Chen et al. 2016, arXiv:1604.06174 (checkpointing); own derivation.
"""

from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from arena_lib.core.device import at_least_float32
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.padding import Mask, predicts_real

CHUNK = 1024
"""Positions whose logits exist at a time."""


def compute_token_logprobs(
    model: Transformer, tokens: Int[Tensor, "batch seq"], chunk: int = CHUNK, *, attention_mask: Mask | None = None
) -> Float[Tensor, "batch seq-1"]:
    """What `next_token_logprobs(model(tokens), tokens)` gives, for less memory; gradients flow.

    With `attention_mask` each text gets what it gets alone, and 0 where padding is read or predicted. The mean
    over what counts is the sum over `predicts_real(attention_mask).sum()`.
    """
    resid = model(tokens, stop_at_layer=model.cfg.n_layers, attention_mask=attention_mask)[:, :-1]
    targets = tokens[:, 1:]
    parts = [
        _logprobs_of_chunk(model, some_resid, some_targets)
        for some_resid, some_targets in zip(
            resid.flatten(0, 1).split(chunk), targets.flatten().split(chunk), strict=True
        )
    ]
    logprobs = torch.cat(parts).unflatten(0, targets.shape)
    if attention_mask is None:
        return logprobs
    return logprobs.where(predicts_real(attention_mask).to(logprobs.device), 0.0)


def _logprobs_of_chunk(
    model: Transformer, resid: Float[Tensor, "chunk d_model"], targets: Int[Tensor, " chunk"]
) -> Float[Tensor, " chunk"]:
    def compute(resid: Tensor, targets: Tensor) -> Tensor:
        logits = at_least_float32(model.unembed(model.ln_final(resid[None]))[0])
        return logits.gather(1, targets[:, None].long()).squeeze(1) - logits.logsumexp(dim=-1)

    if not torch.is_grad_enabled():
        return compute(resid, targets)
    return cast(Tensor, checkpoint(compute, resid, targets, use_reentrant=False))
