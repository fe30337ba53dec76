import pytest
import torch

from arena_lib.rl.policy_gradient import compute_returns, normalize_returns, subtract_baseline


def test_returns_agree_with_a_sum_over_the_rest_of_the_episode():
    generator = torch.Generator().manual_seed(0)
    rewards, done = torch.randn(3, 11, generator=generator), torch.rand(3, 11, generator=generator) < 0.25
    returns = compute_returns(rewards, done, 0.7)
    for i in range(3):
        for t in range(11):
            end = next((k for k in range(t, 11) if done[i, k]), 10)
            expected = sum(0.7 ** (k - t) * rewards[i, k] for k in range(t, end + 1))
            assert returns[i, t].item() == pytest.approx(float(expected), abs=1e-5)


def test_rewards_stay_as_they_were():
    rewards = torch.ones(2, 4)
    compute_returns(rewards, torch.zeros(2, 4, dtype=torch.bool), 0.9)
    assert (rewards == 1).all()


def test_normalized_returns_have_mean_0_and_standard_deviation_1():
    normal = normalize_returns(torch.randn(3, 8) * 5 + 100)
    assert normal.mean().item() == pytest.approx(0, abs=1e-5)
    assert normal.std().item() == pytest.approx(1, abs=1e-4)
    assert (normalize_returns(torch.full((2, 3), 7.0)) == 0).all()


def test_a_baseline_gives_detached_advantages_and_a_loss_for_the_values_alone():
    returns = torch.tensor([[1.0, 4.0]], requires_grad=True)
    values = torch.tensor([[2.0, 2.0]], requires_grad=True)
    advantages, loss = subtract_baseline(returns, values)
    loss.backward()
    torch.testing.assert_close(advantages, torch.tensor([[-1.0, 2.0]]))
    assert loss.item() == pytest.approx(2.5)
    assert not advantages.requires_grad
    assert returns.grad is None
    torch.testing.assert_close(values.grad, torch.tensor([[1.0, -2.0]]))
