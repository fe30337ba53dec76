"""Log-probabilities of the tokens after the prompt: those a policy drew, scored again.

The logits at a position are a guess at the token that follows it. So the tokens from place `prefix_len` on are predicted
by the logits from place `prefix_len - 1` on, and the last logits predict nothing that is there.

What is scored must be what was drawn from. If tokens were drawn at a temperature, they are scored at that temperature:
logits are divided by it first. Else the ratio of new to old probabilities isn't 1 before the first update.

Shapes:  tokens "batch seq" -> "batch gen_len" with gen_len = seq - prefix_len, in nats
Raises:  ShapeError for a prefix that leaves nothing to score; ConfigError for a temperature that isn't above 0; what
         `transformer.logprobs` raises.
Source:  own derivation; chunks of the vocabulary as in `arena_lib.transformer.logprobs`.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.padding import Mask
from arena_lib.transformer.logprobs import CHUNK, compute_target_logprobs
from arena_lib.transformer.loss import next_token_logprobs


def get_logprobs(
    logits: Float[Tensor, "batch seq_len vocab"], tokens: Int[Tensor, "batch seq_len"], prefix_len: int | None = None
) -> Float[Tensor, "batch gen_len"]:
    """The log-probability, in nats, of each token after the prefix, given all tokens before it.

    Entry [batch, i] is log softmax(logits[batch, prefix_len + i - 1])[tokens[batch, prefix_len + i]], so that there are
    gen_len = seq_len - prefix_len of them. With `prefix_len` None all tokens count but the first, which nothing predicts: as
    with prefix_len = 1. A prefix_len below 1, or that leaves no token to score, raises ShapeError, as `check_prefix` does.

    Results are finite for logits as far apart as 1000, where the probability itself would be 0 as a float. Gradients flow
    through `logits`. For a policy that draws at a temperature pass logits / temperature.

    >>> logits = torch.tensor([[[0.0, 0.0], [100.0, 0.0], [0.0, 0.0]]])
    >>> get_logprobs(logits, torch.tensor([[1, 0, 0]]))
    tensor([[-0.6931,  0.0000]])
    """
    first = check_prefix(1 if prefix_len is None else prefix_len, tokens)
    return next_token_logprobs(logits[:, first - 1 :], tokens[:, first - 1 :])


def compute_response_logprobs(
    model: Transformer,
    tokens: Int[Tensor, "batch seq"],
    prefix_len: int,
    *,
    temperature: float = 1.0,
    attention_mask: Mask | None = None,
    chunk: int = CHUNK,
) -> Float[Tensor, "batch gen_len"]:
    """What `get_logprobs(model(tokens) / temperature, tokens, prefix_len)` gives, for less memory and time; gradients flow.

    Only the positions that predict a token after the prefix are unembedded, `chunk` tokens of the vocabulary at a time.
    `attention_mask` is True (or 1) at real tokens: prompts may be padded on the left, and responses filled on the right.
    Entries of filling mean nothing: leave them out by `find_responses`.
    """
    check_prefix(prefix_len, tokens)
    check_temperature(temperature)
    resid = model(tokens, stop_at_layer=model.cfg.n_layers, attention_mask=attention_mask)[:, prefix_len - 1 : -1]
    x, b_U = model.ln_final(resid) / temperature, model.unembed.b_U
    bias = None if b_U is None else b_U / temperature
    return compute_target_logprobs(x, model.unembed.W_U, bias, tokens[:, prefix_len:], chunk)


def check_prefix(prefix_len: int, tokens: Tensor) -> int:
    """Return the length of the prefix if it holds a token and leaves one to score; raise ShapeError if not."""
    if not 1 <= prefix_len < tokens.shape[1]:
        raise ShapeError(
            f"a prefix must hold one token at least and leave one to score, of {tokens.shape[1]}: got prefix_len = "
            f"{prefix_len}. Pass the number of tokens before the first that was drawn."
        )
    return prefix_len


def check_temperature(temperature: float) -> None:
    """Raise ConfigError unless a policy can draw at this temperature and be scored."""
    if not 0 < temperature < torch.inf:
        raise ConfigError(
            f"temperature must be finite and above 0, so that what is drawn has a probability: got {temperature}. Pass 1 "
            "for the model's own distribution."
        )
