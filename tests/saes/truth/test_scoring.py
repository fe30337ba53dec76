import itertools

import pytest
import torch
from sklearn.metrics import f1_score

from arena_lib.saes.truth import scoring
from arena_lib.saes.truth.scoring import (
    Detector,
    choose_detectors,
    find_thresholds,
    grow_union,
    says_any,
    score,
    score_every_pair,
)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_score_is_scikit_learns(generator):
    says, label = (torch.rand(200, generator=generator) < share for share in (0.3, 0.2))
    assert score(says, label) == pytest.approx(f1_score(label, says))
    assert score(torch.zeros(3, dtype=torch.bool), torch.zeros(3, dtype=torch.bool)) == 0.0


def test_every_pair_is_scored_as_if_alone(generator, monkeypatch):
    monkeypatch.setattr(scoring, "FEATURES_AT_ONCE", 2)
    features = torch.randn(150, 5, generator=generator).mul(4).round()  # many equal values
    features[:, 3] = -1.0  # never active
    labels = torch.rand(150, 4, generator=generator) < 0.3
    counted = torch.rand(150, 2, generator=generator)[:, [0, 1, 1, 0]] < 0.7
    thresholds = find_thresholds(features)
    scores = score_every_pair(features, labels, counted, thresholds)
    assert scores.shape == (9, 4, 5)
    for t, label, feature in itertools.product(range(9), range(4), range(5)):
        counts = counted[:, label]
        says = features[counts, feature] > thresholds[t, feature]
        assert scores[t, label, feature] == pytest.approx(score(says, labels[counts, label]))


def test_thresholds_are_quantiles_of_positive_values():
    features = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [4.0, 0.0]])
    thresholds = find_thresholds(features)
    assert thresholds[:, 0].tolist() == [0.0, 2.0, 3.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]
    assert thresholds[:, 1].tolist() == [0.0] * 9  # a feature that is never active


def test_the_best_detector_is_found_with_its_threshold(generator):
    label = torch.rand(400, generator=generator) < 0.2
    noise = torch.rand(400, 6, generator=generator)
    noise[:, 2] = torch.where(label, 2.0 + noise[:, 2], noise[:, 2])
    thresholds = find_thresholds(noise)
    scores = score_every_pair(noise, label[:, None], torch.ones(400, 1, dtype=torch.bool), thresholds)
    best = choose_detectors(scores, thresholds)[0][0]
    assert best.feature == 2
    assert score(best.fires(noise), label) > 0.85


def test_a_union_joins_the_parts_of_a_label_and_nothing_else(generator):
    label = torch.rand(300, generator=generator) < 0.4
    part = torch.randint(3, (300,), generator=generator)
    features = torch.stack(
        [(label & (part == k)).float() for k in range(3)] + [torch.rand(300, generator=generator)], 1
    )
    candidates = [Detector(idx, 0.5) for idx in (0, 3, 1, 2)]
    union = grow_union(candidates, features, label)
    assert {detector.feature for detector in union} == {0, 1, 2}
    assert score(says_any(union, features), label) == 1.0
    assert len(grow_union(candidates, features, label, largest=2)) == 2
