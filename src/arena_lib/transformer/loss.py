"""How well logits predict the tokens that really came next.

Shapes:  logits "batch seq d_vocab", tokens "batch seq" -> a scalar, or "batch seq-1"
Raises:  nothing of its own; sequences of fewer than two tokens have nothing to predict and give NaN.
Source:  Bengio et al. 2003, "A neural probabilistic language model", section 2, with the sign turned.
Differs: no regulariser; half-precision logits give float32, since a mean of many in their dtype loses digits.
"""

from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.core.device import at_least_float32


def next_token_logprobs(
    logits: Float[Tensor, "batch seq d_vocab"], tokens: Int[Tensor, "batch seq"]
) -> Float[Tensor, "batch seq-1"]:
    """The log-probability, in nats, that each position gives to the token that follows it.

    Entry [batch, i] is log softmax(logits[batch, i])[tokens[batch, i + 1]]. The last position
    predicts a token that nobody has seen, so its logits are left out.
    """
    logits = at_least_float32(logits)
    logprobs = logits[:, :-1].log_softmax(dim=-1)
    return logprobs.gather(dim=-1, index=tokens[:, 1:, None]).squeeze(-1)


def cross_entropy_next_token(
    logits: Float[Tensor, "batch seq d_vocab"], tokens: Int[Tensor, "batch seq"]
) -> Float[Tensor, ""]:
    """The mean surprise, in nats, at each next token: the loss of a language model.

    The logits at position i are a guess at the token at position i + 1. The loss is

        - mean over batch and i of  log softmax(logits[batch, i])[tokens[batch, i + 1]]

    for i = 0 ... seq - 2: the last position has no next token, and nothing predicts the
    first token. Guessing all d_vocab tokens alike costs log(d_vocab).

    Gradients flow through it.
    """
    logits = at_least_float32(logits)
    logprobs = logits[:, :-1].log_softmax(dim=-1)
    logprobs_of_next = logprobs.gather(dim=-1, index=tokens[:, 1:, None])
    return -logprobs_of_next.mean()
