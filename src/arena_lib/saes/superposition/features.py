"""Sparse features: which of them are present in an example, and how strong they are.

Which features are present is a pure function of uniform draws, so it can be checked entry by entry. In each of the three
kinds a feature is present with exactly its own probability; only how features go together differs.

Shapes:  feature_probability "n_inst n_feats"; draws "batch n_inst n_feats", for pairs "batch n_inst n_pairs"
Raises:  ConfigError for probabilities that no such features can have.
Source:  Elhage et al. 2022, arXiv:2209.10652, sections "Demonstrating Superposition" (sparse
         features) and "The Geometry of Superposition" (correlated and anticorrelated sets).
Differs: every feature keeps its probability in the pairs too, so that sets of each kind can be compared; the paper
         describes them in words.
"""

import einops
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.errors import ConfigError


def independent_presence(
    draws: Float[Tensor, "batch n_inst n_feats"], feature_probability: Float[Tensor, "n_inst n_feats"]
) -> Bool[Tensor, "batch n_inst n_feats"]:
    """Say which features are present if each is present or absent on its own.

    `draws` are uniform in [0, 1), one for each feature of each example. A feature is present where its draw is below
    its probability. So a probability of 0 is never present, and one of 1 always.

    >>> independent_presence(torch.tensor([[[0.2, 0.7]]]), torch.tensor([[0.5, 0.5]]))
    tensor([[[ True, False]]])
    """
    return draws < feature_probability


def correlated_presence(
    draws: Float[Tensor, "batch n_inst n_pairs"], feature_probability: Float[Tensor, "n_inst n_feats"]
) -> Bool[Tensor, "batch n_inst n_feats"]:
    """Say which features are present if both of a pair are always present together.

    Features 2k and 2k + 1 are pair k, so there are twice as many features as pairs. There is one uniform draw in [0, 1)
    for each pair: both its features are present where the draw is below the probability of feature 2k, and neither is
    present elsewhere. (Both features of a pair have the same probability.)

    >>> correlated_presence(torch.tensor([[[0.2, 0.7]]]), torch.tensor([[0.5, 0.5, 0.6, 0.6]]))
    tensor([[[ True,  True, False, False]]])
    """
    is_pair_present = draws < feature_probability[:, ::2]
    return einops.repeat(is_pair_present, "batch n_inst n_pairs -> batch n_inst (n_pairs 2)")


def anticorrelated_presence(
    draws: Float[Tensor, "batch n_inst n_pairs"], feature_probability: Float[Tensor, "n_inst n_feats"]
) -> Bool[Tensor, "batch n_inst n_feats"]:
    """Say which features are present if the two of a pair are never present together.

    Features 2k and 2k + 1 are pair k, so there are twice as many features as pairs; call their probabilities p and q.
    There is one uniform draw in [0, 1) for each pair:

        feature 2k      is present where          draw < p
        feature 2k + 1  is present where     p <= draw < p + q

    So each is present with its own probability, and never both. This needs p + q <= 1; two equal probabilities may be
    1/2 at most. You may take this for granted.

    >>> anticorrelated_presence(torch.tensor([[[0.1, 0.7, 0.9]]]), torch.tensor([[0.4, 0.4, 0.4, 0.4, 0.4, 0.4]]))
    tensor([[[ True, False, False,  True, False, False]]])
    """
    first, second = feature_probability[:, ::2], feature_probability[:, 1::2]
    is_first = draws < first
    is_second = (draws >= first) & (draws < first + second)
    return einops.rearrange([is_first, is_second], "two batch n_inst n_pairs -> batch n_inst (n_pairs two)")


def sparse_features(
    is_present: Bool[Tensor, "batch n_inst n_feats"], magnitudes: Float[Tensor, "batch n_inst n_feats"]
) -> Float[Tensor, "batch n_inst n_feats"]:
    """Give each present feature its magnitude, and each absent one exactly 0.

    The result is a new tensor; both arguments stay as they are.
    """
    return torch.where(is_present, magnitudes, 0.0)


def draw_uniform(
    shape: tuple[int, int, int], generator: torch.Generator, low: float = 0.0, high: float = 1.0
) -> Float[Tensor, "batch n_inst n_feats"]:
    """Draw numbers that are uniform in [low, high), on the generator's device."""
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def check_probabilities(feature_probability: Float[Tensor, "n_inst n_feats"]) -> None:
    """Raise ConfigError unless every probability lies in [0, 1]."""
    outside = ~((feature_probability >= 0) & (feature_probability <= 1))
    if outside.any():
        raise ConfigError(
            f"feature_probability must lie in [0, 1]: got {feature_probability[outside][0].item():g}. "
            "Give the share of examples in which a feature is present."
        )


def check_correlated(feature_probability: Float[Tensor, "n_inst n_feats"]) -> None:
    """Raise ConfigError unless both features of each pair (2k and 2k + 1) have the same probability."""
    first, second = feature_probability[:, ::2], feature_probability[:, 1::2]
    if first.shape != second.shape or not torch.equal(first, second):
        raise ConfigError(
            "both features of a correlated pair must have the same feature_probability, for they are present together: "
            f"got {feature_probability.tolist()}. Give features 2k and 2k + 1 one probability."
        )


def check_anticorrelated(feature_probability: Float[Tensor, "n_inst n_feats"]) -> None:
    """Raise ConfigError unless the probabilities of each pair (2k and 2k + 1) sum to 1 at most."""
    first, second = feature_probability[:, ::2], feature_probability[:, 1::2]
    if first.shape != second.shape or (first + second > 1).any():
        raise ConfigError(
            "two features that are never present together must have probabilities that sum to at most 1 (equal ones "
            f"at most 1/2): got {feature_probability.tolist()}. Lower feature_probability."
        )
