"""Where a latent is most active: the texts that show best what it stands for.

`fetch_max_activating_examples` is the plain form, for one latent. `find_top_examples` does the same for many at once
and holds no more than the examples it would return; a test holds the two equal.

Shapes:  tokens "n_texts seq" -> for each latent up to k examples; acts of one latent "batch seq"
Raises:  ConfigError for no texts, k below 1 or a negative buffer; UnknownNameError for a latent or hook that isn't there;
         ShapeError for activations of another width.
Source:  Bricken et al. 2023, "Towards monosemanticity", section "Manual human analysis".
Differs: among equal activations the earlier token comes first; a window is cut where its text begins or ends, in place
         of leaving such tokens out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.saes.analysis.activations.texts import LatentBatch, Texts, stream_latents
from arena_lib.saes.analysis.places import check_latents, find_place, token_texts
from arena_lib.saes.autoencoders.base import SAE

NO_TOKEN = -1
"""Fills up windows that are cut at the ends of a text."""


@dataclass(frozen=True)
class Example:
    """A token on which a latent is active, with the tokens around it."""

    activation: float
    """The latent at the token itself."""
    str_tokens: list[str]
    """The token and those around it, as text."""
    position: int
    """Which of them it is."""
    activations: list[float]
    """The latent at each of them; 0 at tokens that don't count."""


def find_top_positions(acts: Float[Tensor, "batch seq"], k: int, min_distance: int = 0) -> Int[Tensor, "n_found 2"]:
    """The rows and positions of the k largest activations, the largest first; only those above 0.

    Among equal ones the earlier comes first: the lower row, then the lower position. With a `min_distance` a
    position is left out if one before it in the result is in the same row and at most `min_distance` positions away.
    There may be fewer than k.

    >>> find_top_positions(torch.tensor([[0.0, 3.0, 2.0], [1.0, 0.0, 3.0]]), k=3)
    tensor([[0, 1],
            [1, 2],
            [0, 2]])
    >>> find_top_positions(torch.tensor([[0.0, 3.0, 2.0], [1.0, 0.0, 3.0]]), k=3, min_distance=1)
    tensor([[0, 1],
            [1, 2],
            [1, 0]])
    """
    check_window(k, min_distance)
    order = acts.flatten().argsort(descending=True, stable=True)
    found: list[tuple[int, int]] = []
    for flat in order.tolist():
        row, position = divmod(flat, acts.shape[1])
        if len(found) == k or acts[row, position] <= 0:
            break
        is_near = min_distance and any(row == a and abs(position - b) <= min_distance for a, b in found)
        if not is_near:
            found.append((row, position))
    return torch.tensor(found, dtype=torch.long).reshape(-1, 2)


def fetch_max_activating_examples(
    model: Any,
    sae: SAE,
    tokens: Texts,
    latent_idx: int,
    total_batches: int = 100,
    k: int = 10,
    buffer: int = 10,
    *,
    hook_name: str | None = None,
    may_overlap: bool = True,
    skip: Sequence[int] | None = None,
) -> list[tuple[float, list[str], int]]:
    """The k tokens on which a latent is most active, the most active first, with up to `buffer` tokens on each side.

    Each entry is (activation, the tokens around as text, which of them it is). `tokens` are "n_texts seq", or
    batches "batch seq", of which `total_batches` are read. Padding and tokens of `skip` (None: the one that begins a
    text) are never chosen, though they may stand around, padding not even that. Only activations above 0 are examples.
    Unless they `may_overlap`, the token of one isn't among those within `buffer` of another that is more active.
    """
    check_window(k, buffer)
    place = find_place(model, sae, hook_name)
    check_latents(sae, [latent_idx])
    best: list[Example] = []
    for batch in stream_latents(place, tokens, [latent_idx], total_batches=total_batches, skip=skip):
        acts = batch.counted[..., 0]
        for row, position in find_top_positions(acts, k, 0 if may_overlap else buffer).tolist():
            near = range(max(position - buffer, 0), min(position + buffer + 1, acts.shape[1]))
            window = [i for i in near if batch.is_real[row, i]]
            texts = token_texts(place.lm, batch.tokens[row, window].tolist())
            best.append(Example(acts[row, position].item(), texts, window.index(position), acts[row, window].tolist()))
        best = sorted(best, key=lambda example: example.activation, reverse=True)[:k]  # keeps the order of equal ones
    return [(example.activation, example.str_tokens, example.position) for example in best]


# -- many latents at once ---------------------------------------------------------------------------


def find_top_examples(
    model: Any,
    sae: SAE,
    tokens: Texts,
    latent_idxs: Sequence[int],
    *,
    total_batches: int | None = None,
    k: int = 10,
    buffer: int = 10,
    hook_name: str | None = None,
    may_overlap: bool = True,
    skip: Sequence[int] | None = None,
) -> dict[int, list[Example]]:
    """For each latent what `fetch_max_activating_examples` finds, in one pass over the texts."""
    check_window(k, buffer)
    place = find_place(model, sae, hook_name)
    chosen = check_latents(sae, latent_idxs)
    held: _Windows | None = None
    for batch in stream_latents(place, tokens, chosen, total_batches=total_batches, skip=skip):
        new = _cut_windows(batch, k, buffer, 0 if may_overlap else buffer)
        held = new if held is None else held.merge(new, k)
    assert held is not None  # there was a batch, or stream_latents would have raised
    return {latent_idx: held.examples(place.lm, i) for i, latent_idx in enumerate(chosen)}


@dataclass(frozen=True, eq=False)
class _Windows:
    """The best tokens of several latents, with what stands around them; the middle of a window is the token."""

    values: Float[Tensor, "n_held n_chosen"]
    tokens: Int[Tensor, "n_held n_chosen width"]
    acts: Float[Tensor, "n_held n_chosen width"]

    def merge(self, new: "_Windows", k: int) -> "_Windows":
        """The k best of both; a stable sort keeps what came first first."""
        values = torch.cat([self.values, new.values])
        order = values.argsort(dim=0, descending=True, stable=True)[:k]
        latent = torch.arange(values.shape[1], device=values.device)
        tokens, acts = torch.cat([self.tokens, new.tokens]), torch.cat([self.acts, new.acts])
        return _Windows(values.gather(0, order), tokens[order, latent], acts[order, latent])

    def examples(self, lm: Any, i: int) -> list[Example]:
        """One latent's examples."""
        examples = []
        middle = self.tokens.shape[-1] // 2
        for value, tokens, acts in zip(self.values[:, i], self.tokens[:, i], self.acts[:, i], strict=True):
            if value > 0:
                is_there = tokens != NO_TOKEN
                texts = token_texts(lm, tokens[is_there].tolist())
                examples.append(Example(value.item(), texts, int(is_there[:middle].sum()), acts[is_there].tolist()))
        return examples


def find_peaks(
    acts: Float[Tensor, "batch seq n_chosen"], k: int, min_distance: int = 0
) -> tuple[Float[Tensor, "k n_chosen"], Int[Tensor, "k n_chosen"]]:
    """`find_top_positions` for several latents: values, and places counted over rows and positions.

    Where a latent has fewer than k, values at the end are 0 or -inf.
    """
    remaining = acts.flatten(0, 1).clone()
    seq, n_chosen = acts.shape[1:]
    offsets = torch.arange(-min_distance, min_distance + 1, device=acts.device)[:, None]
    latent = torch.arange(n_chosen, device=acts.device)
    values, places = [], []
    for _ in range(min(k, len(remaining))):
        value, place = remaining.max(dim=0)  # of equal ones the first
        values.append(value)
        places.append(place)
        if not (value > 0).any():
            break
        row, position = place // seq, place % seq
        near = row * seq + (position + offsets).clamp(0, seq - 1)
        remaining[near, latent] = -torch.inf
    return torch.stack(values), torch.stack(places)


def _cut_windows(batch: LatentBatch, k: int, buffer: int, min_distance: int) -> _Windows:
    """A batch's best tokens for each latent."""
    acts = batch.counted
    values, places = find_peaks(acts, k, min_distance)
    seq = acts.shape[1]
    offsets = torch.arange(-buffer, buffer + 1, device=acts.device)
    rows = (places // seq)[..., None]
    positions = (places % seq)[..., None] + offsets
    is_inside = (positions >= 0) & (positions < seq)
    positions = positions.clamp(0, seq - 1)
    is_inside &= batch.is_real[rows, positions]
    latent = torch.arange(acts.shape[2], device=acts.device)[:, None]
    tokens = batch.tokens.to(acts.device)[rows, positions].masked_fill(~is_inside, NO_TOKEN)
    return _Windows(values, tokens, acts[rows, positions, latent])


def check_window(k: int, buffer: int) -> None:
    """Numbers of examples and of tokens around them that can work."""
    if k < 1:
        raise ConfigError(f"k must be at least 1, the number of examples: got {k}. Ask for some.")
    if buffer < 0:
        raise ConfigError(f"the tokens on each side can't be fewer than 0: got {buffer}. Pass 0 for the token alone.")
