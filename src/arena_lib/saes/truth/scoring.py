"""How well one feature, or a union of a few, says whether a label holds: F1, with everything chosen on other tokens.

A detector is a feature and a threshold: it says yes where the feature is above it. Which detector stands for a label is
chosen on validation tokens; its F1 is measured on test tokens that chose nothing.

Shapes:  features "n_tokens n_features" (latents, neurons, directions), labels "n_tokens n_labels"
Source:  own derivation; F1 = 2 TP / (2 TP + FP + FN).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995)
"""Thresholds that are tried: these quantiles of a feature's positive values."""
CHUNK = 16_384
"""Tokens at once."""
FEATURES_AT_ONCE = 64
"""Features whose values are brought together at once."""
N_CANDIDATES = 20
"""Best features by themselves, of which unions are made."""
LARGEST_UNION = 5


@dataclass(frozen=True)
class Detector:
    """Says yes where the feature is above the threshold."""

    feature: int
    threshold: float

    def fires(self, features: Float[Tensor, "n_tokens n_features"]) -> Bool[Tensor, " n_tokens"]:
        """Where it says yes."""
        return features[:, self.feature] > self.threshold


def compute_f1(true_positives: Tensor, n_said: Tensor, n_true: Tensor) -> Tensor:
    """F1 of counts: said and true, said, true. Where nothing is said or true it is 0."""
    return 2 * true_positives / (n_said + n_true).clamp(min=1)


def score(says: Bool[Tensor, " n_tokens"], label: Bool[Tensor, " n_tokens"]) -> float:
    """F1 of one yes or no for each token.

    >>> score(torch.tensor([True, True, False]), torch.tensor([True, False, False]))
    0.6666666865348816
    """
    return float(compute_f1((says & label).sum(), says.sum(), label.sum()))


def find_thresholds(features: Float[Tensor, "n_tokens n_features"]) -> Float[Tensor, "n_thresholds n_features"]:
    """Thresholds to try for each feature: quantiles of its positive values; 0 first."""
    quantiles = torch.tensor(QUANTILES[1:])
    thresholds = torch.zeros(len(QUANTILES), features.shape[1])
    for idx, (values, _) in enumerate(_iterate_positive(features)):
        if len(values) > 0:
            thresholds[1:, idx] = values[(len(values) * quantiles).long().clamp(max=len(values) - 1)]
    return thresholds


def score_every_pair(
    features: Float[Tensor, "n_tokens n_features"],
    labels: Bool[Tensor, "n_tokens n_labels"],
    is_counted: Bool[Tensor, "n_tokens n_labels"],
    thresholds: Float[Tensor, "n_thresholds n_features"],
) -> Float[Tensor, "n_thresholds n_labels n_features"]:
    """F1 of every feature at every threshold for every label, over the tokens that count for that label.

    A feature's tokens are sorted by its value, so that each threshold cuts off the end of a list. What lies between two
    thresholds is counted once, and sums from the top give the counts above each.
    """
    counted, of_label = is_counted.unique(dim=1, return_inverse=True)  # many labels count the same tokens
    rows = torch.cat([labels & is_counted, counted], dim=1).float()
    counts = torch.zeros(len(thresholds), rows.shape[1], features.shape[1])
    for idx, (values, tokens) in enumerate(_iterate_positive(features)):
        starts = torch.searchsorted(values, thresholds[:, idx].contiguous(), right=True)
        between = F.embedding_bag(tokens[starts[0] :], rows, starts - starts[0], mode="sum")
        counts[:, :, idx] = between.flip(0).cumsum(0).flip(0)
    true_positives, n_said = counts.split([labels.shape[1], counted.shape[1]], dim=1)
    n_true = (labels & is_counted).sum(0)
    return compute_f1(true_positives, n_said[:, of_label], n_true[None, :, None])


def _iterate_positive(
    features: Float[Tensor, "n_tokens n_features"],
) -> Iterator[tuple[Float[Tensor, " n_positive"], Int[Tensor, " n_positive"]]]:
    """Each feature's positive values in rising order, and at which tokens they are."""
    for block in features.split(FEATURES_AT_ONCE, dim=1):
        for column in block.T.contiguous():
            tokens = (column > 0).nonzero().squeeze(1)
            values, order = column[tokens].sort()
            yield values, tokens[order]


def choose_detectors(
    scores: Float[Tensor, "n_thresholds n_labels n_features"], thresholds: Float[Tensor, "n_thresholds n_features"]
) -> list[list[Detector]]:
    """For each label the best detectors, one for each feature at its best threshold, best first."""
    best, threshold_idx = scores.max(dim=0)
    ranked = best.topk(min(N_CANDIDATES, best.shape[1]), dim=1).indices
    return [
        [Detector(int(idx), float(thresholds[threshold_idx[label, idx], idx])) for idx in features]
        for label, features in enumerate(ranked)
    ]


def grow_union(
    candidates: Sequence[Detector],
    features: Float[Tensor, "n_tokens n_features"],
    label: Bool[Tensor, " n_tokens"],
    largest: int = LARGEST_UNION,
) -> list[Detector]:
    """Start from the best candidate and add whichever raises F1 most, as long as one does, up to `largest`.

    The best is the one with the largest F1 by itself. Of equal ones the first is taken, then and later.
    """
    fires = [candidate.fires(features) for candidate in candidates]
    alone = [score(fired, label) for fired in fires]
    first = max(range(len(fires)), key=alone.__getitem__)
    chosen, says, reached = [first], fires[first], alone[first]
    while len(chosen) < largest:
        gains = [score(says | fired, label) for fired in fires]
        best = max(range(len(fires)), key=gains.__getitem__)
        if gains[best] <= reached:
            break
        chosen.append(best)
        says, reached = says | fires[best], gains[best]
    return [candidates[idx] for idx in chosen]


def says_any(
    detectors: Sequence[Detector], features: Float[Tensor, "n_tokens n_features"]
) -> Bool[Tensor, " n_tokens"]:
    """Where at least one detector says yes."""
    return torch.stack([detector.fires(features) for detector in detectors]).any(0)
