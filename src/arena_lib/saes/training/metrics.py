"""What says how good a sparse autoencoder is, a small function for each number.

Rows are activations at positions that count: padding is left out before (`evaluation.py` does so).

Shapes:  acts and recon "n d_out" (of a transcoder, `acts` is its target), latents "n d_sae", frequencies "d_sae"
Source:  Bricken et al. 2023, "Towards monosemanticity" (loss recovered); Gao et al. 2024, arXiv:2406.04093, sections 2.1
         and 4.1 (unexplained variance, added loss); Rajamanoharan et al. 2024, arXiv:2404.16014, section 4.2 and appendix
         on shrinkage (relative reconstruction bias).
"""

import torch
from jaxtyping import Float
from torch import Tensor

DENSE = 0.1
"""A latent that is active more often than this is dense."""


def compute_l0(latents: Float[Tensor, "n d_sae"]) -> Float[Tensor, ""]:
    """How many latents are active (above 0) in a row; the mean over rows."""
    return (latents > 0).sum(dim=-1).float().mean()


def compute_frequencies(latents: Float[Tensor, "n d_sae"]) -> Float[Tensor, " d_sae"]:
    """In which share of the rows each latent is active."""
    return (latents > 0).float().mean(dim=0)


def compute_dead_share(frequencies: Float[Tensor, " d_sae"]) -> Float[Tensor, ""]:
    """The share of latents that are never active.

    >>> compute_dead_share(torch.tensor([0.0, 0.3, 0.001, 0.0]))
    tensor(0.5000)
    """
    return (frequencies == 0).float().mean()


def compute_dense_share(frequencies: Float[Tensor, " d_sae"], threshold: float = DENSE) -> Float[Tensor, ""]:
    """The share of latents that are active in more than `threshold` of the rows: more a direction than a feature.

    >>> compute_dense_share(torch.tensor([0.0, 0.3, 0.001, 0.1]))
    tensor(0.2500)
    """
    return (frequencies > threshold).float().mean()


def compute_fvu(acts: Float[Tensor, "n d_out"], recon: Float[Tensor, "n d_out"]) -> Float[Tensor, ""]:
    """The fraction of variance unexplained: the squared error over that of always answering the mean.

    0 is perfect, 1 no better than the mean, and it can be above 1.

    Gradients flow through it.
    """
    return (recon - acts).square().sum() / (acts - acts.mean(dim=0)).square().sum()


def compute_cosine(acts: Float[Tensor, "n d_out"], recon: Float[Tensor, "n d_out"]) -> Float[Tensor, ""]:
    """The cosine between each row and its reconstruction; the mean over rows."""
    return torch.cosine_similarity(acts, recon, dim=-1).mean()


def compute_norm_ratio(acts: Float[Tensor, "n d_out"], recon: Float[Tensor, "n d_out"]) -> Float[Tensor, ""]:
    """The reconstruction's norm over the row's, as a ratio of means: below 1, reconstructions are too short.

    Some of that isn't shrinkage: a reconstruction without errors of its own that misses half of the variance is shorter
    too. `compute_relative_bias` tells the two apart.
    """
    return recon.norm(dim=-1).mean() / acts.norm(dim=-1).mean()


def compute_relative_bias(acts: Float[Tensor, "n d_out"], recon: Float[Tensor, "n d_out"]) -> Float[Tensor, ""]:
    """Shrinkage: gamma, the number by which dividing all reconstructions makes the squared error least.

    gamma = argmin over g of  sum |recon / g - acts|^2  =  sum |recon|^2 / sum recon . acts

    At 1, no scaling would help; below 1, reconstructions are too short for what they are.
    """
    return recon.square().sum() / (recon * acts).sum()


def compute_loss_recovered(clean: float, spliced: float, ablated: float) -> float:
    """Which share of the loss that an ablation costs the reconstruction wins back: 1 is all of it, 0 none.

    >>> compute_loss_recovered(clean=1.0, spliced=1.5, ablated=6.0)
    0.9
    """
    return (ablated - spliced) / (ablated - clean)
