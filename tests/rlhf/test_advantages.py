"""Advantages against plain loops in float64, by hand, with masks."""

import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.rlhf.advantages import (
    compute_advantages,
    compute_group_advantages,
    compute_sequence_advantages,
    compute_token_advantages,
    compute_token_rewards,
    find_last,
)

LENGTHS = (4, 1, 3)
IS_RESPONSE = torch.arange(4) < torch.tensor(LENGTHS)[:, None]


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain_gae(values, rewards, gamma, gae_lambda):
    """One sample, of its own length, as the paper has it: a sum of discounted differences."""
    n = len(values)
    following = [*values[1:], 0.0]
    deltas = [rewards[t] + gamma * following[t] - values[t] for t in range(n)]
    return [sum((gamma * gae_lambda) ** (s - t) * deltas[s] for s in range(t, n)) for t in range(n)]


@pytest.mark.parametrize("prefix_len", [1, 2, 4])
def test_one_step_advantages_by_a_loop(prefix_len):
    values, rewards = draw(3, 5), draw(3, seed=1)
    ours = compute_advantages(values, rewards, prefix_len)
    for row in range(3):
        for t in range(prefix_len, 5):
            after = rewards[row] if t == 4 else values[row, t]
            assert ours[row, t - prefix_len].item() == pytest.approx((after - values[row, t - 1]).item())
    assert ours.shape == (3, 5 - prefix_len)


def test_one_step_advantages_add_up_to_reward_less_the_prompts_value():
    values, rewards = draw(3, 7), draw(3, seed=1)
    total = compute_advantages(values, rewards, 3).sum(dim=1)
    torch.testing.assert_close(total, rewards - values[:, 2])
    torch.testing.assert_close(compute_sequence_advantages(values, rewards, 3), total[:, None].expand(3, 4))


@pytest.mark.parametrize(("gamma", "gae_lambda"), [(1.0, 0.95), (0.9, 0.5), (1.0, 1.0), (0.8, 0.0)])
def test_gae_of_samples_of_uneven_length_by_a_loop(gamma, gae_lambda):
    values, rewards = draw(3, 4), draw(3, 4, seed=1)
    values[~IS_RESPONSE] = rewards[~IS_RESPONSE] = torch.nan
    ours = compute_token_advantages(values, rewards, IS_RESPONSE, gamma, gae_lambda)
    for row, length in enumerate(LENGTHS):
        expected = plain_gae(values[row, :length].tolist(), rewards[row, :length].tolist(), gamma, gae_lambda)
        assert ours[row, :length].tolist() == pytest.approx(expected)
        assert (ours[row, length:] == 0).all()


def test_gae_without_discount_that_looks_one_step_ahead_is_the_one_step_form():
    values, rewards = draw(3, 7), draw(3, seed=1)
    is_response = torch.ones(3, 5, dtype=torch.bool)
    token_rewards = compute_token_rewards(rewards, is_response)
    ours = compute_token_advantages(values[:, 1:-1], token_rewards, is_response, 1.0, 0.0)
    torch.testing.assert_close(ours, compute_advantages(values, rewards, 2))


def test_the_reward_stands_at_the_last_drawn_token_and_each_token_pays_its_own_penalty():
    log_ratios = draw(3, 4)
    log_ratios[~IS_RESPONSE] = torch.nan
    token_rewards = compute_token_rewards(torch.tensor([2.0, 3.0, 4.0]).double(), IS_RESPONSE, log_ratios, 0.5)
    expected = torch.tensor([[0, 0, 0, 2], [3, 0, 0, 0], [0, 0, 4, 0]]) - 0.5 * log_ratios
    torch.testing.assert_close(token_rewards, expected.where(IS_RESPONSE, 0.0))


def test_a_penalty_of_other_tokens_is_refused(without_types):
    with pytest.raises(ShapeError, match=r"\(3, 5\)"):
        compute_token_rewards(torch.ones(3), IS_RESPONSE, torch.ones(3, 5), 0.1)


def test_the_last_drawn_token_is_found():
    assert torch.equal(find_last(IS_RESPONSE), torch.tensor([[0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0]]).bool())


def test_group_advantages_are_against_the_own_group():
    rewards = torch.tensor([1.0, 2.0, 6.0, 0.0, 0.0, 3.0], dtype=torch.float64)
    plain = compute_group_advantages(rewards, 3, is_scaled=False)
    assert plain.tolist() == [-2, -1, 3, -1, -1, 2]
    scaled = compute_group_advantages(rewards, 3, eps=0.5)
    # Variances with n - 1: (4 + 1 + 9) / 2 = 7 and (1 + 1 + 4) / 2 = 3.
    expected = [a / (7**0.5 + 0.5) for a in (-2, -1, 3)] + [a / (3**0.5 + 0.5) for a in (-1, -1, 2)]
    assert scaled.tolist() == pytest.approx(expected)


def test_a_group_of_equal_rewards_teaches_nothing():
    for is_scaled in (True, False):
        assert (compute_group_advantages(torch.full((4,), 0.3), 2, is_scaled=is_scaled).abs() < 1e-3).all()


def test_groups_of_one_and_broken_groups_are_refused():
    with pytest.raises(ConfigError, match=r"two samples at least, .* got group_size = 1\."):
        compute_group_advantages(torch.ones(4), 1)
    with pytest.raises(ShapeError, match="whole groups of 3 samples: got 4"):
        compute_group_advantages(torch.ones(4), 3)


@pytest.mark.parametrize("compute", [compute_advantages, compute_sequence_advantages])
@pytest.mark.parametrize("prefix_len", [0, 4, 5])
def test_a_prefix_that_leaves_no_token_or_has_none_is_refused(compute, prefix_len):
    with pytest.raises(ShapeError, match=f"got prefix_len = {prefix_len}"):
        compute(draw(2, 4), draw(2), prefix_len)
