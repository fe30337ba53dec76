"""How well one feature, or a union of a few, says whether a label holds: F1, with everything chosen on other tokens.

A detector is a feature and a threshold: it says yes where the feature is above it. Which detector stands for a label is
chosen on validation tokens; its F1 is measured on test tokens that chose nothing.

Shapes:  features "n_tokens n_features" (latents, neurons, directions), labels "n_tokens n_labels"
Source:  own derivation; F1 = 2 TP / (2 TP + FP + FN).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995)
"""Thresholds that are tried: these quantiles of a feature's positive values."""
CHUNK = 16_384
"""Tokens at once."""
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
    values = features.clamp(min=0).sort(dim=0).values
    n_positive = (values > 0).sum(0)
    first = len(values) - n_positive
    rows = [(first + (n_positive * quantile).long()).clamp(max=len(values) - 1) for quantile in QUANTILES[1:]]
    return torch.stack([torch.zeros_like(values[0]), *(values.gather(0, row[None])[0] for row in rows)])


def score_every_pair(
    features: Float[Tensor, "n_tokens n_features"],
    labels: Bool[Tensor, "n_tokens n_labels"],
    is_counted: Bool[Tensor, " n_tokens"],
    thresholds: Float[Tensor, "n_thresholds n_features"],
) -> Float[Tensor, "n_thresholds n_labels n_features"]:
    """F1 of every feature at every threshold for every label, over the tokens that count."""
    true_positives = torch.zeros(len(thresholds), labels.shape[1], features.shape[1])
    n_said = torch.zeros(len(thresholds), features.shape[1])
    for part in torch.arange(len(features)).split(CHUNK):
        counted = part[is_counted[part]]
        values, truth = features[counted], labels[counted].float()
        for idx, threshold in enumerate(thresholds):
            says = (values > threshold).float()
            true_positives[idx] += truth.T @ says
            n_said[idx] += says.sum(0)
    n_true = labels[is_counted].sum(0)
    return compute_f1(true_positives, n_said[:, None], n_true[None, :, None])


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
