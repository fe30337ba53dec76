"""How features lie in the hidden space: their lengths, what they share, and the losses that theory gives.

Shapes:  W "n_inst d_hidden n_feats" -> one number for each feature "n_inst n_feats" or instance "n_inst"
Source:  Elhage et al. 2022, arXiv:2209.10652, sections "Demonstrating Superposition" (interference),
         "Superposition as a Phase Change" (theory for two features in one dimension) and "The Geometry of
         Superposition" (feature dimensionality, geometries).
Differs: the loss of a feature that is not represented allows for the best constant in its place.
"""

import einops
import torch
from jaxtyping import Float
from torch import Tensor

DIMENSIONALITIES = {
    "one feature in one dimension": 1.0,
    "tetrahedron": 3 / 4,
    "triangle": 2 / 3,
    "antipodal pair": 1 / 2,
    "pentagon": 2 / 5,
    "square antiprism": 3 / 8,
}
"""What one vertex has of the dimensions: d dimensions for n equal vertices around the origin give d / n."""

TINY = 1e-12
"""Keeps lengths of exactly zero from dividing; far below any length that training leaves."""


def compute_feature_norms(W: Float[Tensor, "n_inst d_hidden n_feats"]) -> Float[Tensor, "n_inst n_feats"]:
    """The length of each feature's direction ||W_i||: about 1 where it is represented, 0 where it isn't.

    Gradients flow through it.
    """
    return W.norm(dim=1)


def compute_interference(W: Float[Tensor, "n_inst d_hidden n_feats"]) -> Float[Tensor, "n_inst n_feats"]:
    """How much the others disturb each feature: the sum over j != i of (W_i_hat . W_j)^2.

    W_i is column i of an instance's W, and W_i_hat = W_i / ||W_i||. Where ||W_i|| is 0, the result is 0. The paper calls
    this the superposition of feature i.
    """
    overlaps = squared_overlaps(W)
    return overlaps.sum(dim=-1) - overlaps.diagonal(dim1=-2, dim2=-1)


def compute_dimensionality(W: Float[Tensor, "n_inst d_hidden n_feats"]) -> Float[Tensor, "n_inst n_feats"]:
    """What share of a dimension each feature has: D_i = ||W_i||^2 / sum over all j of (W_i_hat . W_j)^2.

    W_i is column i of an instance's W, and W_i_hat = W_i / ||W_i||. The sum counts j = i too. A feature with a direction
    of its own has 1, one of an antipodal pair 1/2. Where ||W_i|| is 0, the result is 0.

    >>> compute_dimensionality(torch.tensor([[[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]]]))
    tensor([[0.5000, 0.5000, 1.0000, 0.0000]])
    """
    return compute_feature_norms(W).pow(2) / squared_overlaps(W).sum(dim=-1).clamp(min=TINY**2)


def compute_dimensions_per_feature(W: Float[Tensor, "n_inst d_hidden n_feats"]) -> Float[Tensor, " n_inst"]:
    """Hidden dimensions for each represented feature: d_hidden / ||W||_F^2, for ||W||_F^2 counts those features."""
    return W.shape[1] / W.pow(2).sum(dim=(1, 2))


def squared_overlaps(W: Float[Tensor, "n_inst d_hidden n_feats"]) -> Float[Tensor, "n_inst n_feats n_feats"]:
    """(W_i_hat . W_j)^2 for each pair of features."""
    directions = W / compute_feature_norms(W).clamp(min=TINY)[:, None]
    products = einops.einsum(
        directions, W, "n_inst d_hidden n_feats_i, n_inst d_hidden n_feats_j -> n_inst n_feats_i n_feats_j"
    )
    return products.pow(2)


def two_feature_losses(
    feature_probability: Float[Tensor, "..."], importance: Float[Tensor, "..."]
) -> Float[Tensor, "... 3"]:
    """The losses, by theory, of the three things that one dimension can do with two features.

    The first feature has importance 1, the second `importance`; both are present with probability p, and then uniform in
    [0, 1]. In the order of the last axis:

        W = [1, 0]   only the first:   importance * v        the second is given by its mean p / 2
        W = [0, 1]   only the second:  v
        W = [1, -1]  superposition:    (1 + importance) * p^2 / 6

    with v = p / 3 - p^2 / 4, the variance of a feature. In superposition an error is made only where both are present:
    the smaller is lost from both, and the expectation of the smaller one's square is 1/6. Sums over both features.
    """
    variance = feature_probability / 3 - feature_probability.pow(2) / 4
    shared = (1 + importance) * feature_probability.pow(2) / 6
    return torch.stack(torch.broadcast_tensors(importance * variance, variance, shared), dim=-1)
