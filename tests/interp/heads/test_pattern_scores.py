"""Scores of patterns by hand, over examples, and of caches that hold none."""

import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.interp.heads.pattern_scores import (
    current_attn_scores,
    duplicate_attn_scores,
    first_attn_scores,
    induction_attn_scores,
    prev_attn_scores,
    scores_by_layer,
)

SEQ = 11


def test_scores_by_hand():
    pattern = torch.tensor([[[1.0, 0.0, 0.0], [0.3, 0.7, 0.0], [0.2, 0.5, 0.3]]])
    assert current_attn_scores(pattern).item() == pytest.approx((1.0 + 0.7 + 0.3) / 3)
    assert prev_attn_scores(pattern).item() == pytest.approx((0.3 + 0.5) / 2)
    assert first_attn_scores(pattern).item() == pytest.approx((0.3 + 0.2) / 2)


@pytest.mark.parametrize(
    "scores", [current_attn_scores, prev_attn_scores, first_attn_scores, duplicate_attn_scores, induction_attn_scores]
)
def test_scores_are_the_mean_over_examples(scores):
    patterns = torch.rand(3, 4, SEQ, SEQ, generator=torch.Generator().manual_seed(0))
    by_example = torch.stack([scores(pattern) for pattern in patterns])
    torch.testing.assert_close(scores(patterns), by_example.mean(dim=0))


def test_a_cache_without_patterns_is_refused():
    with pytest.raises(ConfigError, match="must hold attention patterns"):
        scores_by_layer({}, current_attn_scores)
