"""Log-probabilities of tokens without all logits at once: the unembedding in chunks of the vocabulary.

With a vocabulary of 50,000 the logits are most of what a pass keeps in memory, and of each
row a single number is wanted: log p(token) = logit(token) - logsumexp(logits). A sum can be taken
part by part, so some tokens' logits are made at every position, what they add is kept, and they are
forgotten; the backward pass makes them again. A chunk that fits into the processor's cache
is also faster than all logits, which go through memory several times.

Shapes:  tokens "batch seq" -> "batch seq-1", in nats
Raises:  ConfigError for a chunk below 1 and for a second derivative; what the model raises for bad tokens or a bad attention_mask.
Source:  Milakov and Gimelshein 2018, arXiv:1805.02867, section 3 (a softmax's sum, part by part); Chen et al.
         2016, arXiv:1604.06174 (making again what the backward pass needs); own derivation of the gradient.
"""

from collections.abc import Iterator
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.core.device import at_least_float32
from arena_lib.errors import ConfigError
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.padding import Mask, predicts_real

CHUNK = 2048
"""Tokens of the vocabulary whose logits exist at a time: at a thousand positions, eight megabytes of float32."""


def compute_token_logprobs(
    model: Transformer, tokens: Int[Tensor, "batch seq"], chunk: int = CHUNK, *, attention_mask: Mask | None = None
) -> Float[Tensor, "batch seq-1"]:
    """What `next_token_logprobs(model(tokens), tokens)` gives, for less memory; gradients flow.

    With `attention_mask` each text gets what it gets alone, and 0 where padding is read or predicted. The mean
    over what counts is the sum over `predicts_real(attention_mask).sum()`.
    """
    check_chunk(chunk)
    resid = model(tokens, stop_at_layer=model.cfg.n_layers, attention_mask=attention_mask)[:, :-1]
    logprobs = compute_target_logprobs(
        model.ln_final(resid), model.unembed.W_U, model.unembed.b_U, tokens[:, 1:], chunk
    )
    if attention_mask is None:
        return logprobs
    return logprobs.where(predicts_real(attention_mask).to(logprobs.device), 0.0)


def compute_target_logprobs(
    x: Float[Tensor, "batch seq d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
    b_U: Float[Tensor, " d_vocab"] | None,
    targets: Int[Tensor, "batch seq"],
    chunk: int = CHUNK,
) -> Float[Tensor, "batch seq"]:
    """The log-probability, in nats, that softmax(x W_U + b_U) gives one target for each vector x; gradients flow.

    For a softmax at another temperature divide x and b_U by it.
    """
    check_chunk(chunk)
    flat = _Logprobs.apply(x.flatten(0, 1), W_U, b_U, targets.flatten().long(), chunk)
    return cast(Tensor, flat).unflatten(0, targets.shape)


def check_chunk(chunk: int) -> None:
    """Raise ConfigError unless a chunk holds a token at least."""
    if chunk < 1:
        raise ConfigError(f"chunk must be at least 1 token of the vocabulary: got {chunk}. Leave it out.")


class _Logprobs(torch.autograd.Function):
    """log softmax(x W_U + b_U) at one target for each row of x.

    Its gradient with respect to the logits is, with p their softmax, 1 - p at the target and -p elsewhere.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "n d_model"],
        W_U: Float[Tensor, "d_model d_vocab"],
        b_U: Float[Tensor, " d_vocab"] | None,
        targets: Int[Tensor, " n"],
        chunk: int,
    ) -> Float[Tensor, " n"]:
        at_target = at_least_float32(x.new_zeros(len(x)))
        logsumexp = torch.full_like(at_target, -torch.inf)
        for part, logits in _logits_by_part(x, W_U, b_U, chunk):
            is_here, column = _find(targets, part, logits.shape[1])
            at_target = torch.where(is_here, logits.gather(1, column).squeeze(1), at_target)
            logsumexp = torch.logaddexp(logsumexp, logits.logsumexp(dim=1))
        ctx.save_for_backward(x, W_U, b_U, targets, logsumexp)
        ctx.chunk = chunk
        return at_target - logsumexp

    @staticmethod
    def backward(ctx: Any, grad: Float[Tensor, " n"]) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # as it is here only with create_graph
            raise ConfigError(
                "log-probabilities by chunks have a first derivative only: got a backward pass with create_graph=True. "
                "Use next_token_logprobs(model(tokens), tokens)."
            )
        x, W_U, b_U, targets, logsumexp = ctx.saved_tensors
        wants_x, wants_W_U, wants_b_U, *_ = ctx.needs_input_grad
        grad_x = at_least_float32(torch.zeros_like(x)) if wants_x else None
        grad_W_U = torch.empty_like(W_U) if wants_W_U else None
        grad_b_U = torch.empty_like(b_U) if wants_b_U else None
        for part, logits in _logits_by_part(x, W_U, b_U, ctx.chunk):
            is_here, column = _find(targets, part, logits.shape[1])
            grad_logits = (logits - logsumexp[:, None]).exp_().mul_(-grad[:, None])
            grad_logits.scatter_add_(1, column, torch.where(is_here, grad, 0)[:, None])
            grad_logits = grad_logits.to(x.dtype)
            if grad_x is not None:
                grad_x += grad_logits @ W_U[:, part].T
            if grad_W_U is not None:
                grad_W_U[:, part] = x.T @ grad_logits
            if grad_b_U is not None:
                grad_b_U[part] = grad_logits.sum(dim=0)
        return None if grad_x is None else grad_x.to(x.dtype), grad_W_U, grad_b_U, None, None


def _logits_by_part(
    x: Float[Tensor, "n d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
    b_U: Float[Tensor, " d_vocab"] | None,
    chunk: int,
) -> Iterator[tuple[slice, Float[Tensor, "n chunk"]]]:
    """The vocabulary chunk by chunk: which tokens, and their logits."""
    for start in range(0, W_U.shape[1], chunk):
        part = slice(start, start + chunk)
        yield part, at_least_float32(F.linear(x, W_U[:, part].T, None if b_U is None else b_U[part]))


def _find(targets: Int[Tensor, " n"], part: slice, width: int) -> tuple[Tensor, Int[Tensor, "n 1"]]:
    """Which targets are in this part, and each one's column of it; some column for those that aren't."""
    column = targets - part.start
    return (column >= 0) & (column < width), column.clamp(0, width - 1)[:, None]
