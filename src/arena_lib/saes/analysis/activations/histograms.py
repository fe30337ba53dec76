"""How often and how strongly latents are active.

Shapes:  tokens "n_texts seq" -> values of one latent "n_active", statistics "d_sae"
Raises:  ConfigError for no texts; UnknownNameError for a latent or hook that isn't there; ShapeError for activations of
         another width.
Source:  Bricken et al. 2023, "Towards monosemanticity", section "Feature activation distributions"; examples from all of
         the range, section "Manual human analysis".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.plots.latents.histogram import histogram
from arena_lib.saes.analysis.activations.examples import Example
from arena_lib.saes.analysis.activations.texts import Texts, stream_latents
from arena_lib.saes.analysis.places import check_latents, find_place, token_texts
from arena_lib.saes.autoencoders.base import SAE


@dataclass(frozen=True, eq=False)
class Reading:
    """Texts that were read: what several latents' activations refer to."""

    lm: Any
    texts: list[Int[Tensor, " _"]]
    """One entry for each text, without padding."""
    is_counted: list[Bool[Tensor, " _"]]

    @property
    def n_tokens(self) -> int:
        """Tokens that count."""
        return sum(int(counted.sum()) for counted in self.is_counted)


@dataclass(frozen=True, eq=False)
class LatentActivations:
    """Every token on which a latent is active."""

    reading: Reading
    values: Float[Tensor, " n_active"]
    rows: Int[Tensor, " n_active"]
    """Which text."""
    positions: Int[Tensor, " n_active"]
    """Which of its tokens."""

    @property
    def active_share(self) -> float:
        """The share of tokens on which the latent is active."""
        return len(self.values) / max(self.reading.n_tokens, 1)

    def example(self, i: int, buffer: int = 10) -> Example:
        """One of the tokens, with up to `buffer` on each side."""
        row, position = int(self.rows[i]), int(self.positions[i])
        text = self.reading.texts[row]
        start, stop = max(position - buffer, 0), min(position + buffer + 1, len(text))
        acts = self.values.new_zeros(len(text))
        in_row = self.rows == row
        acts[self.positions[in_row]] = self.values[in_row]
        texts = token_texts(self.reading.lm, text[start:stop].tolist())
        return Example(self.values[i].item(), texts, position - start, acts[start:stop].tolist())

    def largest(self, k: int, buffer: int = 10) -> list[Example]:
        """The k examples of the largest activation; of equal ones the earliest."""
        order = self.values.argsort(descending=True, stable=True)[:k]
        return [self.example(int(i), buffer) for i in order]


@torch.no_grad()
def collect_activations(
    model: Any,
    sae: SAE,
    tokens: Texts,
    latent_idxs: Sequence[int],
    *,
    total_batches: int | None = None,
    hook_name: str | None = None,
    skip: Sequence[int] | None = None,
) -> dict[int, LatentActivations]:
    """Every activation above 0 of these latents; padding and tokens of `skip` (None: the first of a text) left out.

    The texts are kept, and for each latent as many numbers as it is active; `find_top_examples` holds less.
    """
    place, chosen = find_place(model, sae, hook_name), check_latents(sae, latent_idxs)
    texts, is_counted, parts, n_rows = [], [], [], 0
    for batch in stream_latents(place, tokens, chosen, total_batches=total_batches, skip=skip):
        acts = batch.counted
        before = batch.is_real.long().cumsum(dim=1) - 1  # positions count from a text's own first token
        where = (acts > 0).nonzero()
        rows, columns, latents = where.unbind(dim=1)
        parts.append((acts[rows, columns, latents], rows + n_rows, before[rows, columns], latents))
        for row, real, counted in zip(batch.tokens.to(acts.device), batch.is_real, batch.is_counted, strict=True):
            texts.append(row[real])
            is_counted.append(counted[real])
        n_rows += len(batch.tokens)
    values, rows, positions, latents = (torch.cat(part) for part in zip(*parts, strict=True))
    reading = Reading(place.lm, texts, is_counted)
    masks = {latent_idx: latents == i for i, latent_idx in enumerate(chosen)}
    return {
        latent_idx: LatentActivations(reading, values[mask], rows[mask], positions[mask])
        for latent_idx, mask in masks.items()
    }


def show_activation_histogram(
    model: Any,
    sae: SAE,
    tokens: Texts,
    latent_idx: int,
    total_batches: int = 200,
    *,
    hook_name: str | None = None,
    skip: Sequence[int] | None = None,
) -> go.Figure:
    """A histogram of a latent's activations above 0, on an axis from 0, with the share of tokens on which it is active in the title."""
    collected = collect_activations(
        model, sae, tokens, [latent_idx], total_batches=total_batches, hook_name=hook_name, skip=skip
    )
    acts = collected[latent_idx]
    title = f"Latent {latent_idx}: active on {100 * acts.active_share:.3g}% of {acts.reading.n_tokens:,} tokens"
    return histogram(acts.values, x_title="activation", title=title).update_xaxes(rangemode="tozero")


def sample_quantiles(
    acts: LatentActivations, n_quantiles: int = 5, n_each: int = 3, *, generator: torch.Generator, buffer: int = 10
) -> list[list[Example]]:
    """Examples from all of a latent's range: `n_each` drawn from each of `n_quantiles` parts, the weakest part first.

    The parts have equally many activations (up to one). The largest examples alone show what a latent does at its
    strongest, which may be another thing than what it does most of the time.
    """
    if n_quantiles < 1 or n_each < 1:
        raise ConfigError(
            f"there must be at least one part and one example of each: got {n_quantiles} and {n_each}. Ask for more."
        )
    order = acts.values.argsort(stable=True)
    samples = []
    for part in order.tensor_split(n_quantiles):
        drawn = part[torch.randperm(len(part), generator=generator)[:n_each]]
        drawn = drawn[acts.values[drawn].argsort(descending=True, stable=True)]
        samples.append([acts.example(int(i), buffer) for i in drawn])
    return samples


# -- all latents ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ActivationStats:
    """How active each latent is."""

    n_tokens: int
    """Tokens that counted."""
    n_active: Int[Tensor, " d_sae"]
    """On how many of them it is above 0."""
    mean: Float[Tensor, " d_sae"]
    """Its mean over the tokens on which it is active; 0 if there are none."""
    max: Float[Tensor, " d_sae"]

    @property
    def active_share(self) -> Float[Tensor, " d_sae"]:
        """The share of tokens on which each is active."""
        return self.n_active / max(self.n_tokens, 1)

    def show(self) -> go.Figure:
        """How many latents are active how often, on a logarithmic axis; those that never are stand in the title."""
        share = self.active_share
        n_dead = int((self.n_active == 0).sum())
        return histogram(
            share[share > 0].log10(),
            x_title="log10 of the share of tokens",
            y_title="latents",
            title=f"{len(share):,} latents over {self.n_tokens:,} tokens; {n_dead:,} never active",
        )


@torch.no_grad()
def compute_activation_stats(
    model: Any,
    sae: SAE,
    tokens: Texts,
    *,
    total_batches: int | None = None,
    hook_name: str | None = None,
    skip: Sequence[int] | None = None,
) -> ActivationStats:
    """How often and how strongly every latent is active, in one pass over the texts."""
    place = find_place(model, sae, hook_name)
    d_sae, device = sae.cfg.d_sae, sae.W_dec.device
    n_active, n_tokens = torch.zeros(d_sae, dtype=torch.long, device=device), 0
    total, largest = torch.zeros(d_sae, dtype=torch.float64, device=device), torch.zeros(d_sae, device=device)
    for batch in stream_latents(place, tokens, total_batches=total_batches, skip=skip):
        acts = batch.latents[batch.is_counted]
        if len(acts) == 0:
            continue
        n_tokens += len(acts)
        n_active += (acts > 0).sum(dim=0)
        total += acts.clamp_min(0).sum(dim=0)
        largest = torch.maximum(largest, acts.amax(dim=0).to(largest))
    mean = (total / n_active.clamp_min(1)).to(largest)
    return ActivationStats(n_tokens, n_active, mean, largest)
