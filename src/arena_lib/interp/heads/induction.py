"""Random tokens written twice, and how much each head looks one past the earlier copy of its token.

The second copy of a random string can be known from the first alone, so whatever is predicted there
was copied. An induction head at a token looks at the token that followed the same token before. The
strings here are one token, then n random ones, then the same n again: from position n + 1 + i the place
to look at is i + 2, so an induction head shows as a stripe n - 1 below the pattern's diagonal.

Shapes:  tokens "batch seq" with seq = 1 + 2n; pattern "batch n_heads seq seq" -> scores "n_heads".
Raises:  ShapeError for a length that is not 1 + 2n with n at least 2; ConfigError for tokens that are not
         repeated; what `interp.models` raises.
Source:  Olsson et al. 2022, arXiv:2209.11895, section "Argument 4" (prefix matching score).
Differs: the hook leaves its scores in `hook.ctx`, TransformerLens's place for what a hook has to keep, so it
         needs no global and no argument beyond the two that every hook gets.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.hooking import hooked


def generate_repeated_tokens(
    model: Any,
    seq_len: int,
    batch_size: int = 1,
    token_ids: Int[Tensor, " n_ids"] | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "batch seq"]:
    """The token that begins a text, then `seq_len` random tokens, then the same ones again, in each row.

    The result has the shape (batch_size, 1 + 2 * seq_len), and `model.tokenizer.bos_token_id` first. Each
    row is drawn by itself from `generator`: every place independently, all of `token_ids` (None: of
    the whole vocabulary, 0 to `model.cfg.d_vocab` - 1) with the same probability.
    """
    lm = hooked(model)
    ids = torch.arange(lm.d_vocab) if token_ids is None else token_ids
    drawn = ids[torch.randint(0, len(ids), (batch_size, seq_len), generator=generator)]
    start = torch.full((batch_size, 1), lm.bos_token_id)
    return torch.cat([start, drawn, drawn], dim=1).to(lm.device)


def run_and_cache_model_repeated_tokens(
    model: Any,
    seq_len: int,
    batch_size: int = 1,
    token_ids: Int[Tensor, " n_ids"] | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Int[Tensor, "batch seq"], Float[Tensor, "batch seq d_vocab"], Any]:
    """Runs the model on repeated tokens; returns (tokens, logits, cache), the cache of all activations.

    The tokens are those of `generate_repeated_tokens`, which gets the same arguments.
    """
    tokens = generate_repeated_tokens(model, seq_len, batch_size, token_ids, generator)
    logits, cache = hooked(model).run_with_cache(tokens)
    return tokens, logits, cache


def copy_length(seq: int) -> int:
    """The n of a sequence of 1 + 2n positions.

    >>> copy_length(101)
    50
    """
    n = (seq - 1) // 2
    if seq != 1 + 2 * n or n < 2:
        raise ShapeError(
            f"repeated tokens must be 1 + 2n positions long, with n at least 2: got {seq}. "
            "Make them with generate_repeated_tokens: one token, then twice the same n."
        )
    return n


def check_repeated(tokens: Int[Tensor, "batch seq"]) -> int:
    """The n of tokens that are one token and then twice the same n."""
    n = copy_length(tokens.shape[1])
    differs = (tokens[:, 1 : n + 1] != tokens[:, n + 1 :]).nonzero()
    if len(differs):
        row, place = (int(i) for i in differs[0])
        first, second = int(tokens[row, 1 + place]), int(tokens[row, n + 1 + place])
        raise ConfigError(
            f"the second half of the tokens must repeat the first: got token {first} at position {1 + place} of row "
            f"{row} and {second} at {n + 1 + place}. Make them with generate_repeated_tokens."
        )
    return n


def induction_score(pattern: Float[Tensor, "batch n_heads seq seq"]) -> Float[Tensor, " n_heads"]:
    """How much each head, in the second copy, looks one past the earlier copy of its token; from 0 to 1.

    The pattern belongs to repeated tokens, of length seq = 1 + 2n. Query n + 1 + i holds the same token
    as position 1 + i, so the key to look at is i + 2, for i = 0 ... n - 1. The score is the mean of
    these n entries of the pattern, over the batch too. They are on the diagonal n - 1 below the main one, which
    has n + 2 entries: its first two, with keys 0 and 1, don't belong to the second copy and don't count.
    """
    n = copy_length(pattern.shape[-1])
    stripe = pattern.diagonal(offset=1 - n, dim1=-2, dim2=-1)[..., 2:]
    return stripe.mean(dim=(0, -1))


def induction_score_hook(pattern: Float[Tensor, "batch n_heads seq seq"], hook: Any) -> None:
    """A hook for a layer's `attn.hook_pattern`: leaves `induction_score` of it in `hook.ctx["induction_score"]`.

    `hook.ctx` is a dictionary that belongs to the hook's place in the model; it can be read after the
    run as `model.hook_dict[name].ctx`. What it leaves there is a tensor with one entry for each head. The next
    run finds the same dictionary, and replaces the score. The pattern goes on unchanged: return nothing, or the
    pattern itself, which comes to the same.
    """
    hook.ctx["induction_score"] = induction_score(pattern)


@torch.no_grad()
def compute_induction_scores(model: Any, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "n_layers n_heads"]:
    """The induction scores of all heads of a model on repeated tokens; no pattern is kept."""
    lm = hooked(model)
    lm.refuse_padding("compute_induction_scores")
    check_repeated(tokens)
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(lm.n_layers)]
    scores: dict[str, Tensor] = {}

    def keep(pattern: Tensor, hook: Any) -> None:
        scores[hook.name] = induction_score(pattern)

    lm.run(tokens, [(name, keep) for name in names])
    return torch.stack([scores[name] for name in names])
