"""Feature splitting: what one latent of a narrow SAE becomes in a wide one.

A wide SAE often has several latents where a narrow one has a single: the same meaning in finer parts. Their decoder
directions show it, since the parts point nearly where the whole did.

Shapes:  W_dec "n_narrow d_out" and "n_wide d_out" -> cosines "n_narrow n_wide"
Raises:  ShapeError for SAEs of different widths of activations; ConfigError for a threshold that no cosine can reach.
Source:  Bricken et al. 2023, "Towards monosemanticity", section "Feature splitting".
Differs: a wide latent belongs to the one narrow latent that it is nearest to.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.autoencoders.functions import normalize_decoder

NEAR = 0.5
"""Cosines from here on count as near: of 512 random directions in 128 dimensions the nearest to another has about 0.3."""


@dataclass(frozen=True, eq=False)
class FeatureSplits:
    """How the latents of a narrow and a wide SAE belong together."""

    cosines: Float[Tensor, "n_narrow n_wide"]
    children: list[list[int]]
    """For each narrow latent the wide latents that belong to it, the nearest first."""

    @property
    def split(self) -> dict[int, list[int]]:
        """The narrow latents with two wide ones or more."""
        return {parent: children for parent, children in enumerate(self.children) if len(children) > 1}

    @property
    def new(self) -> list[int]:
        """Wide latents that belong to no narrow one."""
        known = {child for children in self.children for child in children}
        return [latent for latent in range(self.cosines.shape[1]) if latent not in known]

    @property
    def lost(self) -> list[int]:
        """Narrow latents to which no wide one belongs."""
        return [parent for parent, children in enumerate(self.children) if not children]


def compute_cosines(
    directions: Float[Tensor, "n_a d_out"], others: Float[Tensor, "n_b d_out"]
) -> Float[Tensor, "n_a n_b"]:
    """The cosine of the angle between each direction and each of the others; 0 for one of length 0."""
    return normalize_decoder(directions) @ normalize_decoder(others).T


def find_children(cosines: Float[Tensor, "n_narrow n_wide"], threshold: float = NEAR) -> list[list[int]]:
    """For each narrow latent the wide latents that belong to it, the largest cosine first.

    A wide latent belongs to the narrow latent with which it has its largest cosine (of equal ones the first), if that is
    at least `threshold`. So each belongs to one at most.

    >>> find_children(torch.tensor([[0.9, 0.1, 0.95], [0.8, 0.3, 0.2]]), threshold=0.7)
    [[2, 0], []]
    """
    best, parents = cosines.max(dim=0)
    children: list[list[int]] = [[] for _ in range(len(cosines))]
    for latent in best.argsort(descending=True, stable=True).tolist():
        if best[latent] >= threshold:
            children[int(parents[latent])].append(latent)
    return children


def match_one_to_one(cosines: Float[Tensor, "n_a n_b"], threshold: float = NEAR) -> Int[Tensor, "n_pairs 2"]:
    """The pairs of latents that are each other's nearest, if their cosine is at least `threshold`; by the first's number.

    Two SAEs of one width, trained from different seeds, agree on the latents that this finds.
    """
    nearest, nearest_back = cosines.argmax(dim=1), cosines.argmax(dim=0)
    own = torch.arange(len(cosines), device=cosines.device)
    is_pair = (nearest_back[nearest] == own) & (cosines[own, nearest] >= threshold)
    return torch.stack([own, nearest], dim=1)[is_pair]


@torch.no_grad()
def find_feature_splits(narrow: SAE, wide: SAE, threshold: float = NEAR) -> FeatureSplits:
    """Which latents of `wide` belong to which of `narrow`, by their decoder directions."""
    widths = narrow.cfg.d_target, wide.cfg.d_target
    if widths[0] != widths[1]:
        raise ShapeError(
            f"both SAEs must explain the same activations: got directions with {widths[0]} and {widths[1]} entries. Take "
            "two that were trained at one place of one model."
        )
    if not 0 < threshold <= 1:
        raise ConfigError(f"threshold must be a cosine above 0 and at most 1: got {threshold}. Try {NEAR}.")
    cosines = compute_cosines(narrow.W_dec, wide.W_dec)
    return FeatureSplits(cosines, find_children(cosines, threshold))
