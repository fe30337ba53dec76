"""Ablating latents: what a model does without one, when all else in its activations stays.

An SAE explains activations x as decode(f) and leaves an error x - decode(f). Setting latent i to 0 takes f_i W_dec[i]
away from x; the error stays in, so that what changes is the latent and not the SAE's mistakes. A transcoder's x is what
it reconstructs.

Shapes:  latents "batch seq d_sae" -> the same; effects "n_chosen"
Raises:  UnknownNameError for a latent or a hook that isn't there; ShapeError for a position outside; ConfigError for
         hooks outside of blocks, and prompts without an active latent.
Source:  Marks et al. 2024, arXiv:2403.19647, section 2 (the error term stays); Bricken et al. 2023, "Towards
         monosemanticity", section "Feature ablations".
Differs: all latents are ablated from one run as batches, each resumed from the layer in which the SAE writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.core.progress import progress
from arena_lib.errors import ConfigError
from arena_lib.interp.models import check_metric, check_position
from arena_lib.interp.patching.metrics import Metric
from arena_lib.interp.patching.readout import ReadAt, Readout, chunks, keep_positions, make_readout
from arena_lib.saes.analysis.places import Place, check_latents, find_place
from arena_lib.saes.autoencoders.base import SAE


@dataclass(frozen=True, eq=False)
class LatentEffects:
    """What each of several latents does to a metric."""

    latent_idxs: list[int]
    values: Float[Tensor, " n_chosen"]
    """The metric without the latent, less the metric with it."""

    def strongest(self, k: int = 10) -> list[tuple[int, float]]:
        """The k latents of the largest effect, whatever its sign, with it."""
        order = self.values.abs().argsort(descending=True, stable=True)[:k].tolist()
        return [(self.latent_idxs[i], self.values[i].item()) for i in order]


def ablate_sae_latent(
    sae_acts: Float[Tensor, "batch seq d_sae"],
    hook: Any = None,
    latent_idx: int | None = None,
    seq_pos: int | None = None,
) -> Float[Tensor, "batch seq d_sae"]:
    """The latents with one set to 0 at one position of every text; None means every latent, or every position.

    A new tensor: `sae_acts` stays as it is. Positions count from the end where they are negative.
    `hook` isn't used; it lets the function be a hook: `place.edit(partial(ablate_sae_latent, latent_idx=7))`.

    Gradients flow through it.

    >>> ablate_sae_latent(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), latent_idx=1, seq_pos=-1)
    tensor([[[1., 2.],
             [3., 0.]]])
    """
    at = slice(None) if seq_pos is None else check_position(seq_pos, sae_acts.shape[1])
    which = slice(None) if latent_idx is None else latent_idx
    ablated = sae_acts.clone()
    ablated[:, at, which] = 0
    return ablated


def apply_latent_change(
    acts: Float[Tensor, "*batch d_out"],
    latents: Float[Tensor, "*batch d_sae"],
    changed: Float[Tensor, "*batch d_sae"],
    W_dec: Float[Tensor, "d_sae d_out"],
) -> Float[Tensor, "*batch d_out"]:
    """The activations after latents were changed, with what the autoencoder doesn't explain left in.

    decode(changed) plus the error, acts - decode(latents). The bias of the decoder is in both, so it isn't needed.

    Gradients flow through it.
    """
    return acts + (changed - latents) @ W_dec


@torch.no_grad()
def run_without_latent(
    model: Any,
    sae: SAE,
    tokens: Int[Tensor, "batch seq"],
    latent_idx: int | None = None,
    seq_pos: int | None = None,
    *,
    hook_name: str | None = None,
) -> Float[Tensor, "batch seq d_vocab"]:
    """Logits with `ablate_sae_latent` applied to the SAE's latents, its error kept."""
    place = find_place(model, sae, hook_name)
    check_latents(sae, [] if latent_idx is None else [latent_idx])
    edit = partial(ablate_sae_latent, latent_idx=latent_idx, seq_pos=seq_pos)
    return place.lm.run(tokens, place.edit(edit))


@torch.no_grad()
def compute_ablation_effects(
    model: Any,
    sae: SAE,
    tokens: Int[Tensor, "batch seq"],
    metric: Metric,
    latent_idxs: Sequence[int] | None = None,
    *,
    seq_pos: int | None = None,
    read_at: ReadAt = None,
    hook_name: str | None = None,
    max_tokens: int | None = None,
) -> LatentEffects:
    """How much ablating each latent changes the metric: by itself, at `seq_pos` or (None) at all positions.

    None for `latent_idxs` means every latent that is active there, so that no run is spent on the others. `metric` takes
    logits to one number; where it reads one position of each prompt, say which (`read_at`): it then gets the logits
    of that position alone, and the last layer does less.
    """
    place = find_place(model, sae, hook_name)
    latents = latents_at(place, tokens, seq_pos)
    chosen = active_latents(latents) if latent_idxs is None else check_latents(sae, latent_idxs)
    resumed = f"blocks.{place.block}.hook_resid_pre"
    logits, cache = place.lm.run_with_cache(tokens, [resumed])
    read = latent_readout(place, tokens, metric, read_at)
    before = check_metric(read.of_logits(read.keep(logits))[0])
    effects = []
    with progress(len(chosen), "ablating latents") as bar:
        for part in chunks(chosen, tokens, max_tokens):
            removed = (latents[..., part].movedim(-1, 0)[..., None] * sae.W_dec[part][:, None, None]).flatten(0, 1)

            def remove(acts: Tensor, hook: Any, removed: Tensor = removed) -> Tensor:
                return acts - removed.view(acts.shape).to(acts)

            rows = cache[resumed].repeat(len(part), 1, 1)
            effects.append(read.of_pre(rows, place.block, [(place.written_name, remove)]) - before)
            bar.update(len(part))
    return LatentEffects(chosen, torch.cat(effects))


def latent_readout(place: Place, tokens: Int[Tensor, "batch seq"], metric: Metric, read_at: ReadAt) -> Readout:
    """The metric of runs that are changed where the SAE writes.

    In the last layer, positions that aren't read are dropped after its attention, which may be before the SAE's hook. So
    there all logits are made, and the metric gets those that it reads.
    """
    read = make_readout(place.lm, tokens, metric, read_at)
    if read.positions is None or place.block < place.lm.n_layers - 1:
        return read
    return Readout(place.lm, lambda logits: metric(keep_positions(logits, read.positions)), read.batch, None)


def latents_at(place: Place, tokens: Int[Tensor, "batch seq"], seq_pos: int | None) -> Float[Tensor, "batch seq d_sae"]:
    """The latents, 0 at positions other than `seq_pos` unless that is None."""
    latents = place.encode(tokens)
    if seq_pos is None:
        return latents
    kept = torch.zeros_like(latents)
    at = check_position(seq_pos, latents.shape[1])
    kept[:, at] = latents[:, at]
    return kept


def active_latents(latents: Float[Tensor, "batch seq d_sae"]) -> list[int]:
    """The latents that are active anywhere; there must be one."""
    active = latents.flatten(0, -2).ne(0).any(dim=0).nonzero()[:, 0].tolist()
    if not active:
        raise ConfigError("a latent must be active on the prompts: got none. Take other prompts, or another position.")
    return active
