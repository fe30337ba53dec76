"""Who is compared, who wins without noise, and how often with it."""

import math

import pytest
import torch
from tests.rlhf.preferences.small_answers import four

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.rlhf.preferences.answers import make_answers
from arena_lib.rlhf.preferences.labels import draw_preferences, make_pairs


def test_without_noise_the_better_answer_of_the_same_prompt_wins():
    rewards = torch.tensor([[1.0, 3.0, 2.0], [5.0, 5.0, 0.0]])
    winners, losers = draw_preferences(rewards)
    assert set(zip(winners.tolist(), losers.tolist(), strict=True)) == {(1, 0), (2, 0), (1, 2), (3, 5), (4, 5)}


def test_with_noise_the_share_of_wins_is_bradley_and_terrys():
    rewards = torch.tensor([[0.0, 1.5]], dtype=torch.float64).expand(40_000, 2)
    winners, losers = draw_preferences(rewards, noise=0.5, generator=torch.Generator().manual_seed(0))
    assert len(winners) == 40_000
    assert torch.equal(winners // 2, losers // 2)
    share = float((winners % 2 == 1).double().mean())
    assert share == pytest.approx(1 / (1 + math.exp(-3.0)), abs=0.005)


def test_ties_are_decided_by_a_coin_with_noise_and_left_out_without():
    rewards = torch.ones(10_000, 2)
    winners, _ = draw_preferences(rewards, noise=0.1, generator=torch.Generator().manual_seed(0))
    assert float((winners % 2).double().mean()) == pytest.approx(0.5, abs=0.02)
    assert len(draw_preferences(rewards)[0]) == 0


def test_some_pairs_of_each_prompt_may_be_drawn():
    rewards = torch.arange(12.0).reshape(3, 4)
    winners, losers = draw_preferences(rewards, n_per_prompt=2, generator=torch.Generator().manual_seed(1))
    assert winners.shape == losers.shape == (6,)
    assert (winners // 4).tolist() == [0, 0, 1, 1, 2, 2]
    pairs = {tuple(sorted(pair)) for pair in zip(winners.tolist(), losers.tolist(), strict=True)}
    assert len(pairs) == 6
    again = draw_preferences(rewards, n_per_prompt=2, generator=torch.Generator().manual_seed(1))
    assert torch.equal(again[0], winners)


def test_pairs_hold_the_answers_of_their_rows():
    answers = make_answers([[1], [1], [2, 3], [2, 3]], [[6, 7, 0], [8], [9, 0], [10, 11, 12]])
    pairs = make_pairs(answers, torch.tensor([0.0, 1.0, 7.0, 3.0]), n_answers=2)
    assert torch.equal(pairs.chosen.tokens, answers.tokens[[1, 2]])
    assert torch.equal(pairs.rejected.tokens, answers.tokens[[0, 3]])
    with pytest.raises(ShapeError, match="must belong to the same prompt"):
        make_pairs(answers, torch.tensor([0.0, 1.0, 7.0, 3.0]), n_answers=4)


def test_what_cannot_work_is_refused():
    rewards = torch.randn(2, 3)
    for noise in (-0.1, float("inf")):
        with pytest.raises(ConfigError, match=f"noise must be finite and at least 0: got {noise}"):
            draw_preferences(rewards, noise)
    with pytest.raises(ConfigError, match="n_per_prompt must be from 1 to the pairs that 3 answers make, 3: got 4"):
        draw_preferences(rewards, n_per_prompt=4)
    with pytest.raises(ShapeError, match="got 3 rewards and 4 answers in groups of 2"):
        make_pairs(four(), torch.randn(3), 2)
    with pytest.raises(ShapeError, match="in groups of 1"):
        make_pairs(four(), torch.randn(4), 1)
    with pytest.raises(ConfigError, match="got only ties"):
        make_pairs(four(), torch.ones(4), 2)
