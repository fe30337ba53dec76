"""Absorption: a latent that should be active on every case of a feature is silent on some, where another stands in.

If "begins with S" is a feature and so is "snake", an SAE saves a latent by letting the latent of "snake" carry "begins with
S" along. The latent of "begins with S" then looks right until one meets its exceptions. Given tokens of which it is
known whether the feature holds, and the feature's direction (a probe's):

1. the main latents are those that together say best whether it holds (F1);
2. a token is missed if it holds there and no main latent is active;
3. a missed token is absorbed if another latent, one that points along the feature's direction, supplies there at least
   `min_share` of what the main latents supply elsewhere.

Shapes:  latents "n_tokens d_sae", labels "n_tokens", direction "d_out", W_dec "d_sae d_out"
Raises:  ConfigError if the feature never holds, or no latent is active where it does; ShapeError for labels or a direction
         that don't fit.
Source:  Chanin et al. 2024, arXiv:2409.14507, section 4 (feature splits by a rise in F1; absorption on what they miss).
Differs: what a latent supplies is its projection on the direction, not its effect on logits, so that it can be
         computed at every layer; main latents grow by their union's F1, not by sparse probes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.saes.analysis.directions.splitting import compute_cosines
from arena_lib.saes.truth.scoring import score


@dataclass(frozen=True, kw_only=True)
class AbsorptionConfig:
    """What counts as a main latent, and as absorption."""

    min_gain: float = 0.03
    """A further main latent must raise the union's F1 by this much (Chanin et al. 2024, section 4)."""
    most_latents: int = 5
    """No more main latents than this. One that stands in so often that it raises F1 by `min_gain` counts as a main latent
    too, a feature that was split; with 1 it counts as absorbing."""
    min_cosine: float = 0.025
    """An absorbing latent's direction has at least this cosine with the feature's (Chanin et al. 2024, section 4)."""
    min_share: float = 0.4
    """What it supplies is at least this share of what main latents supply, on average, where they are active."""

    def __post_init__(self) -> None:
        if self.most_latents < 1:
            raise ConfigError(f"most_latents must be at least 1: got {self.most_latents}. Allow one.")
        for name in ("min_gain", "min_cosine", "min_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be above 0 and at most 1: got {getattr(self, name)}. See its default.")


@dataclass(frozen=True)
class Absorption:
    """How often a feature's latents are silent where another stands in for them."""

    main_latents: list[int]
    """The latents that say together whether the feature holds, the best first."""
    n_tokens: int
    """Tokens where the feature holds."""
    n_missed: int
    """Those on which no main latent is active."""
    n_absorbed: int
    """Those of them on which another latent stands in."""
    absorbers: dict[int, int]
    """The latents that stand in, with the number of tokens, the most frequent first."""

    @property
    def rate(self) -> float:
        """The share of the feature's tokens that are absorbed."""
        return self.n_absorbed / self.n_tokens


def find_main_latents(
    latents: Float[Tensor, "n_tokens d_sae"],
    labels: Bool[Tensor, " n_tokens"],
    cfg: AbsorptionConfig | None = None,
) -> list[int]:
    """The latents that together say best where the label holds: "one of them is active", by F1.

    The first is the best by itself. Then, up to `most_latents`, the one is added that raises the union's F1 most, as long
    as it does so by `min_gain`. Of equal ones the lower number.
    """
    cfg = cfg or AbsorptionConfig()
    fires = latents > 0
    chosen: list[int] = []
    says, reached = torch.zeros_like(labels), 0.0
    while len(chosen) < cfg.most_latents:
        unions = fires | says[:, None]
        n_right = (unions & labels[:, None]).sum(dim=0)
        f1 = 2 * n_right / (unions.sum(dim=0) + labels.sum()).clamp(min=1)
        best = int(f1.argmax())
        if chosen and f1[best] < reached + cfg.min_gain:
            break
        chosen.append(best)
        says, reached = unions[:, best], float(f1[best])
    if score(says, labels) == 0:
        raise ConfigError(
            f"a latent must be active where the feature holds: got none on {int(labels.sum())} tokens. Take another SAE, or "
            "more tokens."
        )
    return chosen


@torch.no_grad()
def compute_absorption(
    latents: Float[Tensor, "n_tokens d_sae"],
    labels: Bool[Tensor, " n_tokens"],
    W_dec: Float[Tensor, "d_sae d_out"],
    direction: Float[Tensor, " d_out"],
    cfg: AbsorptionConfig | None = None,
) -> Absorption:
    """How many of a feature's tokens other latents than its main ones have absorbed.

    `labels` say where the feature holds, and `direction` how activations change where it does: a probe's direction, or on a
    toy the true one.
    """
    cfg = cfg or AbsorptionConfig()
    _check(latents, labels, W_dec, direction)
    main = find_main_latents(latents, labels, cfg)
    along = W_dec @ (direction / direction.norm())
    supplied = latents[labels] * along
    is_missed = ~(latents[labels][:, main] > 0).any(dim=1)
    typical = supplied[~is_missed][:, main].sum(dim=1).mean()
    is_near = compute_cosines(W_dec, direction[None])[:, 0] >= cfg.min_cosine
    is_near[main] = False
    stands_in = supplied[is_missed].masked_fill(~is_near, 0.0)
    best, absorber = stands_in.max(dim=1)
    is_absorbed = (best > 0) & (best >= cfg.min_share * typical)
    absorbing, counts = absorber[is_absorbed].unique(return_counts=True)
    order = counts.argsort(descending=True, stable=True)
    return Absorption(
        main_latents=main,
        n_tokens=int(labels.sum()),
        n_missed=int(is_missed.sum()),
        n_absorbed=int(is_absorbed.sum()),
        absorbers={int(absorbing[i]): int(counts[i]) for i in order},
    )


def make_hierarchy(
    n_tokens: int, p_parent: float, p_children: Float[Tensor, " n_children"], generator: torch.Generator
) -> Bool[Tensor, "n_tokens n_feats"]:
    """Features of which the first holds whenever one of the others does, as "begins with S" does for "snake".

    The parent, feature 0, holds with probability `p_parent`. Where it holds, child i (feature i + 1) holds with
    probability `p_children[i]`, at most one of them; elsewhere none.
    """
    if not 0 < p_parent <= 1 or (p_children < 0).any() or p_children.sum() > 1:
        raise ConfigError(
            "probabilities must lie between 0 and 1, and those of the children sum to 1 at most: got "
            f"{p_parent} and {p_children.tolist()}. Lower them."
        )
    parent = torch.rand(n_tokens, generator=generator) < p_parent
    bounds = torch.cat([torch.zeros(1), p_children.cumsum(dim=0)])
    drawn = torch.rand(n_tokens, 1, generator=generator)
    children = (drawn >= bounds[:-1]) & (drawn < bounds[1:]) & parent[:, None]
    return torch.cat([parent[:, None], children], dim=1)


def _check(latents: Tensor, labels: Tensor, W_dec: Tensor, direction: Tensor) -> None:
    if labels.shape != latents.shape[:1]:
        raise ShapeError(
            f"there must be one label for each of {len(latents)} tokens: got shape {tuple(labels.shape)}. Take both from the "
            "same tokens."
        )
    if direction.shape != W_dec.shape[1:] or len(W_dec) != latents.shape[1]:
        raise ShapeError(
            f"W_dec must have a row for each of {latents.shape[1]} latents, as long as the direction: got "
            f"{tuple(W_dec.shape)} and {tuple(direction.shape)}. Fit the direction where the SAE reads."
        )
    if not labels.any() or labels.all():
        raise ConfigError(
            f"the feature must hold on some tokens and not on others: got {int(labels.sum())} of {len(labels)}. Add texts."
        )
