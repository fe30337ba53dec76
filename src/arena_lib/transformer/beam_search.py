"""Beam search: keep the few most likely texts, extend each, and keep the best again.

Shapes:  tokens "n_beams seq" with their log-probabilities "n_beams"
Raises:  ConfigError if a width or length cannot work; TokenError if the texts would outgrow the model's context.
Source:  Sutskever et al. 2014, arXiv:1409.3215, section 3.2; Paulus et al. 2017,
         arXiv:1705.04304, section 2.5 (no repeated n-grams).
Differs: the score is the plain sum of log-probabilities, without a length penalty, so
         finished texts can be proved best and the search stops when they are; what
         n-gram blocking takes away isn't shared out among the other tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import einops
import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.core.device import at_least_float32
from arena_lib.errors import ConfigError
from arena_lib.transformer.context import check_room


def ban_repeated_ngrams(
    logprobs: Float[Tensor, "n_beams d_vocab"], tokens: Int[Tensor, "n_beams seq"], ngram_size: int
) -> Float[Tensor, "n_beams d_vocab"]:
    """Set to -inf each next token that would repeat ngram_size tokens in a row.

    An n-gram is n = ngram_size tokens in a row. The last n - 1 tokens of a beam and a next
    token make one; if the same n-gram occurs in that beam already, that next token gets
    -inf. The others keep their value. With n = 1 no token may occur twice. A beam of fewer
    than n tokens bans nothing. The arguments stay as they were.

    >>> ban_repeated_ngrams(torch.zeros(1, 4), torch.tensor([[1, 3, 2, 1]]), ngram_size=2)
    tensor([[0., 0., 0., -inf]])
    """
    seq = tokens.shape[1]
    logprobs = logprobs.clone()
    if seq < ngram_size:
        return logprobs
    ngrams = tokens.unfold(dimension=1, size=ngram_size, step=1)
    last = einops.rearrange(tokens[:, seq - ngram_size + 1 :], "n_beams tail -> n_beams 1 tail")
    begins_alike = (ngrams[:, :, :-1] == last).all(dim=-1)
    beam_idx, start = begins_alike.nonzero(as_tuple=True)
    logprobs[beam_idx, ngrams[beam_idx, start, -1]] = -torch.inf
    return logprobs


@dataclass(frozen=True, kw_only=True)
class Beams:
    """Texts of equal length, each with the log-probability of all that was added to the prompt."""

    model: Callable[[Tensor], Tensor]
    """Maps tokens "batch seq" to logits "batch seq d_vocab"."""
    tokens: Int[Tensor, "n_beams seq"]
    """The texts, prompt included."""
    logprob_sums: Float[Tensor, " n_beams"]
    """For each text the sum of its tokens' log-probabilities, in nats, the prompt's left out."""
    eos_token_id: int | None = None
    """The token at which a text is finished; None if none is."""

    def generate(self, k: int, no_repeat_ngram_size: int | None = None) -> "Beams":
        """Each beam extended by each of its k most likely next tokens: `extend_beams`."""
        return extend_beams(self, k, no_repeat_ngram_size)

    def filter(self, k: int) -> tuple["Beams", "Beams"]:
        """The k most likely beams, split into (unfinished, finished): `filter_beams`."""
        return filter_beams(self, k)

    def select(self, beam_idx: Int[Tensor, " n_selected"]) -> "Beams":
        """The beams at these indices, in this order."""
        return replace(self, tokens=self.tokens[beam_idx], logprob_sums=self.logprob_sums[beam_idx])


def extend_beams(beams: Beams, k: int, no_repeat_ngram_size: int | None = None) -> Beams:
    """Extend each beam by each of its k most likely next tokens.

    For each beam, in this order: the log-softmax over all tokens of the model's logits at the
    last position; `ban_repeated_ngrams` on the result, if no_repeat_ngram_size is given, so
    that the tokens that stay keep their log-probabilities; then the k best next tokens. Each
    makes a new beam, one token longer, whose logprob_sum grows by the token's
    log-probability. Beams that come from the first beam stand first, and among them the
    likeliest. Beams of log-probability -inf are left out, so a beam may have fewer than k. A
    k of more than d_vocab is taken as d_vocab.
    """
    logprobs = at_least_float32(beams.model(beams.tokens)[:, -1]).log_softmax(dim=-1)
    if no_repeat_ngram_size is not None:
        logprobs = ban_repeated_ngrams(logprobs, beams.tokens, no_repeat_ngram_size)
    best = logprobs.topk(min(k, logprobs.shape[-1]), dim=-1)

    sums = einops.rearrange(beams.logprob_sums, "n_beams -> n_beams 1") + best.values
    parents = einops.repeat(beams.tokens, "n_beams seq -> n_beams k seq", k=sums.shape[1])
    longer = torch.cat([parents, einops.rearrange(best.indices, "n_beams k -> n_beams k 1")], dim=-1)
    is_possible = sums > -torch.inf
    return replace(beams, tokens=longer[is_possible], logprob_sums=sums[is_possible])


def filter_beams(beams: Beams, k: int) -> tuple[Beams, Beams]:
    """The k most likely beams, split into (unfinished, finished), each with the likeliest first.

    A beam is finished if its last token is eos_token_id; if that is None, none is. Both parts
    together hold k beams, or all if there are fewer; either may hold none, as Beams of shape
    (0, seq).
    """
    best = beams.logprob_sums.topk(min(k, len(beams.logprob_sums))).indices
    last = beams.tokens[best, -1]
    is_finished = torch.zeros_like(last, dtype=torch.bool) if beams.eos_token_id is None else last == beams.eos_token_id
    return beams.select(best[~is_finished]), beams.select(best[is_finished])


def beam_search(
    beams: Beams, n_beams: int, max_new_tokens: int, n_return: int = 1, no_repeat_ngram_size: int | None = None
) -> list[tuple[float, list[int]]]:
    """The n_return likeliest texts that beam search finds: (log-probability, token ids), best first.

    The token ids include the prompt, and the end token of a finished text. Where fewer than
    n_return texts are found, all of them are returned.

    Up to max_new_tokens times: `generate` n_beams continuations of each beam, then `filter`
    the best n_beams. Set aside those that are finished and continue with the others. Stop
    early when no beam is left, or when n_return finished texts are each at least as likely
    as the likeliest unfinished one: a text's log-probability only falls as it grows, so the
    early stop saves time and changes no result. At the end finished and unfinished texts are
    ranked together; with max_new_tokens = 0 these are the beams that came in. Texts that are
    equally likely may come in either order.
    """
    check_search(beams, n_beams, max_new_tokens, n_return, no_repeat_ngram_size)
    found: list[tuple[float, list[int]]] = []
    for _ in range(max_new_tokens):
        beams, finished = beams.generate(n_beams, no_repeat_ngram_size).filter(n_beams)
        found += zip(finished.logprob_sums.tolist(), finished.tokens.tolist(), strict=True)
        found = sorted(found, reverse=True)[:n_return]
        is_settled = len(found) == n_return and all(beams.logprob_sums <= found[-1][0])
        if len(beams.tokens) == 0 or is_settled:
            break
    found += zip(beams.logprob_sums.tolist(), beams.tokens.tolist(), strict=True)
    return sorted(found, reverse=True)[:n_return]


def check_search(
    beams: Beams, n_beams: int, max_new_tokens: int, n_return: int, no_repeat_ngram_size: int | None = None
) -> None:
    """Raise ConfigError or TokenError if a beam search of these sizes cannot work."""
    if n_beams < 1:
        raise ConfigError(f"n_beams must be at least 1: got {n_beams}. Pass n_beams=1 for a greedy search.")
    if not 1 <= n_return <= n_beams:
        raise ConfigError(
            f"n_return must be between 1 and n_beams: got n_return={n_return} and n_beams={n_beams}. "
            f"Pass n_beams={max(n_return, 1)} or more."
        )
    if no_repeat_ngram_size is not None and no_repeat_ngram_size < 1:
        raise ConfigError(
            f"no_repeat_ngram_size must be at least 1: got {no_repeat_ngram_size}. Pass None to allow every repetition."
        )
    check_room(beams.model, beams.tokens.shape[1], max_new_tokens)
