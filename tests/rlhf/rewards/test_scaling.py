"""Rewards have mean 0 and spread 1 afterwards, and the edges are numbers."""

import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.rlhf.rewards.scaling import normalize_reward, whiten


def test_normalised_rewards_by_hand():
    # Mean 4, variance with n - 1: (9 + 1 + 16) / 2 = 13.
    ours = normalize_reward(torch.tensor([1.0, 3.0, 8.0]), eps=0.5)
    assert ours.tolist() == pytest.approx([x / (13**0.5 + 0.5) for x in (-3, -1, 4)])


def test_equal_rewards_and_a_single_one_give_zero():
    assert (normalize_reward(torch.full((3,), 7.0)) == 0).all()
    assert normalize_reward(torch.tensor([7.0])).tolist() == [0]


def test_whitening_counts_what_the_mask_counts():
    values = torch.tensor([[1.0, 5.0, torch.nan], [6.0, torch.nan, torch.nan]], dtype=torch.float64)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    # Mean 4, variance with n: (9 + 1 + 4) / 3.
    std = (14 / 3) ** 0.5
    expected = torch.tensor([[-3 / std, 1 / std, 0], [2 / std, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(whiten(values, mask), expected)
    kept = torch.tensor([[4 - 3 / std, 4 + 1 / std, 0], [4 + 2 / std, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(whiten(values, mask, keeps_mean=True), kept)


def test_whitening_without_a_mask_counts_all():
    values = torch.tensor([[1.0, 5.0], [6.0, 0.0]])
    torch.testing.assert_close(whiten(values), (values - 3) / values.std(correction=0))


def test_equal_values_whiten_to_zero_and_an_empty_mask_is_refused():
    assert (whiten(torch.full((2, 3), 4.0)) == 0).all()
    with pytest.raises(ShapeError, match="counts nothing"):
        whiten(torch.ones(2, 3), torch.zeros(2, 3, dtype=torch.bool))
