"""Rewards made comparable: less their mean, divided by their spread.

Shapes:  rewards "batch"; for each token "batch gen_len"
Raises:  ShapeError for a mask of another shape, or one that counts nothing.
Source:  own derivation; Engstrom et al. 2020, arXiv:2005.12729, section 3 (normalisation decides more than it seems);
         Stiennon et al. 2020, arXiv:2009.01325, appendix C (whitened advantages).
"""

from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.rlhf.masking import masked_mean


def normalize_reward(reward: Float[Tensor, " batch"], eps: float = 1e-5) -> Float[Tensor, " batch"]:
    """Rewards of a batch with mean 0 and standard deviation 1: (reward - mean) / (std + eps).

    std is torch's, with n - 1. Where all are equal the result is 0. Of a single reward nothing can be said, so its result
    is 0 too. No argument is changed.

    >>> import torch
    >>> normalize_reward(torch.tensor([1.0, 2.0, 3.0]))
    tensor([-1.0000,  0.0000,  1.0000])
    """
    centred = reward - reward.mean()
    return centred if len(reward) < 2 else centred / (reward.std() + eps)


def whiten(
    values: Float[Tensor, "batch gen_len"],
    mask: Bool[Tensor, "batch gen_len"] | None = None,
    *,
    keeps_mean: bool = False,
    eps: float = 1e-8,
) -> Float[Tensor, "batch gen_len"]:
    """Values of tokens with mean 0 and standard deviation 1 over all that the mask counts: (values - mean) / sqrt(var + eps).

    The variance is the mean of the squares (with n). With `keeps_mean` the mean is added again, so that only the spread
    changes. Where the mask is False the result is 0.
    """
    mean = masked_mean(values, mask)
    centred = values - mean
    whitened = centred * (masked_mean(centred.square(), mask) + eps).rsqrt()
    if keeps_mean:
        whitened = whitened + mean
    return whitened if mask is None else whitened.where(mask, 0.0)
