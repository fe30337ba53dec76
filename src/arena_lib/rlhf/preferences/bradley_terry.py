"""The Bradley-Terry model of a choice: P(a is preferred to b) = sigmoid(reward(a) - reward(b)).

Only differences of rewards count, so rewards are known up to a constant for each prompt.

Shapes:  chosen, rejected "batch": the rewards of the preferred answers and of the others
Raises:  ConfigError for a number of bins below 1.
Source:  Bradley and Terry 1952, "Rank analysis of incomplete block designs"; Stiennon et al. 2020, arXiv:2009.01325,
         section 3.4 (the loss); Guo et al. 2017, arXiv:1706.04599, equations 2 to 5 (reliability, expected calibration error).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError


def bradley_terry_loss(chosen: Float[Tensor, " batch"], rejected: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
    """The mean of -log sigmoid(chosen - rejected): the surprise, in nats, at who won. Gradients flow through both.

    It's finite for differences of any size, such as -1000, whose sigmoid is 0 in floating point.

    >>> bradley_terry_loss(torch.tensor([1.0]), torch.tensor([1.0]))
    tensor(0.6931)
    """
    return -F.logsigmoid(chosen - rejected).mean()


def pairwise_accuracy(chosen: Float[Tensor, " batch"], rejected: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
    """The share of pairs in which the preferred answer has the larger reward; a tie counts half, as a guess would.

    >>> pairwise_accuracy(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 2.0]))
    tensor(0.7500)
    """
    return ((chosen > rejected).to(chosen.dtype) + 0.5 * (chosen == rejected)).mean()


@dataclass(frozen=True)
class Calibration:
    """A reliability curve: pairs by how sure the model was, and how often it was right. Empty bins have NaN."""

    confidence: Float[Tensor, " n_bins"]
    """The mean probability that the model gave to the answer it preferred, from 0.5 to 1."""
    accuracy: Float[Tensor, " n_bins"]
    """How often that answer was the preferred one. A calibrated model has its confidence here."""
    n_pairs: Int[Tensor, " n_bins"]
    """Pairs in each bin."""

    @property
    def expected_error(self) -> float:
        """The mean distance of accuracy from confidence, each bin weighted by its pairs (Guo et al. 2017, equation 5)."""
        gaps = (self.accuracy - self.confidence).abs().nan_to_num(0.0)
        return float((gaps * self.n_pairs).sum() / self.n_pairs.sum())


@torch.no_grad()
def compute_calibration(
    chosen: Float[Tensor, " batch"], rejected: Float[Tensor, " batch"], n_bins: int = 10
) -> Calibration:
    """Whether answers that the model prefers with 80 % are preferred in 80 % of the cases, and so on.

    Confidence is sigmoid(|chosen - rejected|). The bins part the range from 0.5 to 1 equally; a tie is right half the time.
    """
    if n_bins < 1:
        raise ConfigError(f"n_bins must be at least 1: got {n_bins}. Leave it out.")
    gaps = (chosen - rejected).double().cpu()
    confidence = gaps.abs().sigmoid()
    is_right = (gaps > 0).double() + 0.5 * (gaps == 0)
    bins = ((confidence - 0.5) * 2 * n_bins).long().clamp(max=n_bins - 1)
    n_pairs = torch.bincount(bins, minlength=n_bins)
    sums = [torch.zeros(n_bins, dtype=torch.float64).index_add(0, bins, values) for values in (confidence, is_right)]
    return Calibration(sums[0] / n_pairs, sums[1] / n_pairs, n_pairs)
