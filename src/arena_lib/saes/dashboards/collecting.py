"""What a latent's page shows, collected for several latents in one pass over the texts.

Shapes:  tokens "n_texts seq" -> a `LatentDashboard` for each latent
Raises:  ConfigError for no latents, or numbers of examples that cannot work; what `analysis` raises.
Source:  Bricken et al. 2023, "Towards monosemanticity" (the feature dashboards).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from arena_lib.core.configs import check_sizes
from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.saes.analysis.activations.examples import Example, check_window
from arena_lib.saes.analysis.activations.histograms import LatentActivations, collect_activations, sample_quantiles
from arena_lib.saes.analysis.activations.texts import Texts
from arena_lib.saes.analysis.directions.logits import TokenEffects, find_top_deembeddings, find_top_logits
from arena_lib.saes.analysis.directions.splitting import compute_cosines
from arena_lib.saes.analysis.places import check_latents, find_place
from arena_lib.saes.autoencoders.base import SAE

N_BARS = 40
"""Of a page's histogram."""


@dataclass(frozen=True, kw_only=True)
class DashboardConfig:
    """How much a page shows."""

    k: int = 12
    """The most activating examples."""
    buffer: int = 12
    """Tokens on each side of an example's own."""
    n_quantiles: int = 5
    """Parts of equally many activations, of which samples are shown."""
    n_each: int = 3
    """Samples of each part."""
    n_tokens: int = 10
    """Tokens in each list."""
    n_neighbours: int = 6
    """Nearest latents, by decoder and by encoder."""
    seed: int = 0
    """Of the choice of samples."""

    def __post_init__(self) -> None:
        check_window(self.k, self.buffer)
        check_sizes(self, "n_quantiles", "n_each", "n_tokens", "n_neighbours")


@dataclass(frozen=True)
class Neighbour:
    """Another latent of the same SAE, and how near its direction is."""

    latent_idx: int
    cosine: float


@dataclass(frozen=True, kw_only=True)
class LatentDashboard:
    """What is known of one latent."""

    latent_idx: int
    origin: dict[str, str]
    """Where it is from, by the names of the facts: the model, the hook, the kind of SAE."""
    explanation: str = ""
    """What it stands for, by someone's word."""
    n_tokens: int
    """Tokens that counted."""
    n_active: int
    """On how many of them it is active."""
    counts: list[int]
    """Of the histogram of its activations above 0."""
    edges: list[float]
    """Of the histogram's bars: one more than the counts."""
    top: list[Example]
    """Its most activating examples."""
    quantiles: list[list[Example]]
    """Examples from all of its range, the weakest part first."""
    logits: TokenEffects | None
    """Tokens that it makes likelier and less likely; None where that has no meaning."""
    deembeddings: TokenEffects | None
    """Tokens that it reads; None where that has no meaning."""
    decoder_neighbours: list[Neighbour]
    encoder_neighbours: list[Neighbour]

    @property
    def active_share(self) -> float:
        """The share of tokens on which it is active."""
        return self.n_active / max(self.n_tokens, 1)

    @property
    def max(self) -> float:
        """Its largest activation; 0 if there is none."""
        return self.top[0].activation if self.top else 0.0


def collect_dashboards(
    model: Any,
    sae: SAE,
    tokens: Texts,
    latent_idxs: Sequence[int],
    cfg: DashboardConfig | None = None,
    *,
    explanations: Mapping[int, str] | None = None,
    total_batches: int | None = None,
    hook_name: str | None = None,
) -> list[LatentDashboard]:
    """What there is to say of each latent; `explanations` are shown as they are given."""
    cfg = cfg or DashboardConfig()
    chosen = check_latents(sae, latent_idxs)
    if not chosen:
        raise ConfigError("there must be a latent to show: got none. Pass some, such as [0, 1, 2].")
    place = find_place(model, sae, hook_name)
    collected = collect_activations(model, sae, tokens, chosen, total_batches=total_batches, hook_name=hook_name)
    writing = _find_neighbours(sae.W_dec.detach(), chosen, cfg.n_neighbours)
    reading = _find_neighbours(sae.W_enc.detach().T, chosen, cfg.n_neighbours)
    n_listed = min(cfg.n_tokens, place.lm.d_vocab)
    return [
        LatentDashboard(
            latent_idx=latent_idx,
            origin=_name_origin(sae, place.hook_name),
            explanation=(explanations or {}).get(latent_idx, ""),
            **_describe_activations(collected[latent_idx], cfg),
            logits=_unless_meaningless(find_top_logits, model, sae, latent_idx, n_listed, hook_name),
            deembeddings=_unless_meaningless(find_top_deembeddings, model, sae, latent_idx, n_listed, hook_name),
            decoder_neighbours=writing[latent_idx],
            encoder_neighbours=reading[latent_idx],
        )
        for latent_idx in chosen
    ]


def _name_origin(sae: SAE, hook_name: str) -> dict[str, str]:
    """The facts that all latents of an SAE share."""
    facts = {"model": sae.cfg.model_name, "hook": hook_name}
    facts["SAE"] = f"{type(sae).__name__} with {sae.cfg.d_sae:,} latents"
    return {name: fact for name, fact in facts.items() if fact}


def _describe_activations(acts: LatentActivations, cfg: DashboardConfig) -> dict[str, Any]:
    """What a page shows of a latent's activations, by the names of its fields."""
    counts, edges = np.histogram(acts.values.double().cpu().numpy(), bins=N_BARS, range=_range(acts))
    generator = make_generator(cfg.seed)
    return {
        "n_tokens": acts.reading.n_tokens,
        "n_active": len(acts.values),
        "counts": counts.tolist(),
        "edges": edges.tolist(),
        "top": acts.largest(cfg.k, cfg.buffer),
        "quantiles": sample_quantiles(acts, cfg.n_quantiles, cfg.n_each, generator=generator, buffer=cfg.buffer),
    }


def _range(acts: LatentActivations) -> tuple[float, float]:
    """From 0 to the largest activation."""
    return 0.0, float(acts.values.max()) if len(acts.values) else 1.0


def _unless_meaningless(
    find: Any, model: Any, sae: SAE, latent_idx: int, k: int, hook_name: str | None
) -> TokenEffects | None:
    """The tokens, or None for an SAE whose directions aren't those of the residual stream."""
    try:
        found: TokenEffects = find(model, sae, latent_idx, k, hook_name=hook_name)
    except ConfigError:
        return None
    return found


def _find_neighbours(directions: torch.Tensor, chosen: Sequence[int], n: int) -> dict[int, list[Neighbour]]:
    """For each chosen direction the n others with the largest cosine, the largest first."""
    cosines = compute_cosines(directions[list(chosen)], directions)
    cosines[torch.arange(len(chosen)), list(chosen)] = -2.0  # less than any cosine: not itself
    n = min(n, len(directions) - 1)
    order = cosines.argsort(dim=1, descending=True, stable=True)[:, :n]
    return {
        latent_idx: [Neighbour(j, cosines[i, j].item()) for j in order[i].tolist()]
        for i, latent_idx in enumerate(chosen)
    }
