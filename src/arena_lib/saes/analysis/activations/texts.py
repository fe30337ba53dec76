"""An SAE's latents on texts, batch by batch: what examples, histograms and statistics are made of.

Texts come as one tensor of tokens, or as batches, of which each is a tensor or, for texts of uneven length, the pair
that `model.to_padded_tokens(texts)` gives. A batch is encoded, looked at and forgotten, so texts may be as many as
one likes.

Shapes:  tokens "n_texts seq", or batches "batch seq" -> latents "batch seq n_chosen"
Raises:  ConfigError for no texts; what `places` raises.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from arena_lib.core.progress import progress
from arena_lib.errors import ConfigError
from arena_lib.interp.models import HookedLM
from arena_lib.saes.analysis.places import Place
from arena_lib.saes.training.reading import attend, read_batch

Texts = Int[Tensor, "n_texts seq"] | Iterable[Any]
"""Tokens "n_texts seq", or an iterable of batches: tokens "batch seq", or (tokens, attention_mask)."""

BATCH_SIZE = 32
"""Texts that run at once where the texts come as one tensor."""


@dataclass(frozen=True, eq=False)
class LatentBatch:
    """A batch of texts with the latents that were asked for."""

    tokens: Int[Tensor, "batch seq"]
    latents: Float[Tensor, "batch seq n_chosen"]
    """What they really are, at every token."""
    is_real: Bool[Tensor, "batch seq"]
    """False at padding."""
    is_counted: Bool[Tensor, "batch seq"]
    """False at padding, and at the token that begins a text."""

    @property
    def counted(self) -> Float[Tensor, "batch seq n_chosen"]:
        """The latents, 0 at tokens that don't count."""
        return self.latents * self.is_counted[..., None]


def stream_latents(
    place: Place,
    texts: Texts,
    latent_idxs: Sequence[int] | None = None,
    *,
    total_batches: int | None = None,
    skip: Sequence[int] | None = None,
) -> Iterator[LatentBatch]:
    """Each batch with these latents (None: all), up to `total_batches` batches.

    Tokens of `skip` never count, wherever they stand. None means the tokenizer's `bos_token_id`: many latents are
    active on the first token of a text, whose activations are unlike all others, and not because of what it means.
    """
    skipped = torch.tensor(bos_ids(place.lm) if skip is None else list(skip), dtype=torch.long)
    n_batches = 0
    for tokens, attention_mask in progress(list_batches(texts, total_batches), "reading texts"):
        with torch.no_grad():  # around what is computed, so that the caller's own code is left alone
            latents = replace(place, lm=attend(place.lm, attention_mask)).encode(tokens)
        is_real = torch.ones_like(tokens, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        is_counted = is_real & ~torch.isin(tokens, skipped.to(tokens.device))
        chosen = latents if latent_idxs is None else latents[..., list(latent_idxs)]
        yield LatentBatch(tokens, chosen, is_real.to(chosen.device), is_counted.to(chosen.device))
        n_batches += 1
    if n_batches == 0:
        raise ConfigError(
            "there must be texts to read: got no batch. Pass tokens, or an iterable of batches of tokens."
        )


def list_batches(texts: Texts, total_batches: int | None = None) -> Iterable[tuple[Tensor, Tensor | None]]:
    """The batches as (tokens, attention_mask), the mask None where no token is padding."""
    if total_batches is not None and total_batches < 1:
        raise ConfigError(f"total_batches must be at least 1: got {total_batches}. Leave it out to read all texts.")
    batches = texts.split(BATCH_SIZE) if isinstance(texts, Tensor) else texts
    if isinstance(batches, Sequence):  # a bar can say how many there are
        return [read_batch(batch) for batch in batches[:total_batches]]
    return (read_batch(batch) for batch in islice(batches, total_batches))


def bos_ids(lm: HookedLM) -> list[int]:
    """The token that begins a text, if the model has a tokenizer with one."""
    token_id = getattr(getattr(lm.model, "tokenizer", None), "bos_token_id", None)
    return [] if token_id is None else [int(token_id)]
