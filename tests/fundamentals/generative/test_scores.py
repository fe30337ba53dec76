import math

import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.generative import scores


def test_scores_at_their_ends():
    sure = torch.eye(10).repeat(3, 1)
    assert scores.class_entropy(sure).item() == pytest.approx(math.log(10))
    assert scores.classifier_score(sure).item() == pytest.approx(10)
    alike = torch.rand(1, 10).softmax(1).expand(7, 10)
    assert scores.classifier_score(alike).item() == pytest.approx(1, abs=1e-5)
    assert scores.class_entropy(sure[:1]).item() == 0


def test_a_judge_learns_and_repeats_itself():
    labels = torch.arange(120) % 10
    images = torch.zeros(120, 1, 28, 28)
    images[torch.arange(120), 0, labels * 2] = 1.0
    judges = [scores.train_judge(images, labels, n_epochs=12, lr=5e-3) for _ in "ab"]
    probs, again = (scores.class_probabilities(judge, images) for judge in judges)
    assert torch.equal(probs, again)
    assert (probs.argmax(dim=1) == labels).float().mean() > 0.9
    assert scores.classifier_score(probs) > 6


@pytest.mark.usefixtures("without_types")
def test_what_cannot_work_is_refused_in_words():
    with pytest.raises(ShapeError, match='axes "n n_classes"'):
        scores.class_entropy(torch.ones(3))
    with pytest.raises(ConfigError, match=r"must add up to 1: got sums from 2.000 to 2.000"):
        scores.classifier_score(torch.ones(3, 2))
