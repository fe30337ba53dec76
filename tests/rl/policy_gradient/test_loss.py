import pytest
import torch
from torch import nn

from arena_lib.rl.policy_gradient import (
    Rollout,
    compute_gradient_variance,
    compute_importance_weights,
    compute_logprobs_and_entropy,
    compute_reinforce_loss,
)


def make_rollout():
    rollout = Rollout(2, 3, (4,))
    generator = torch.Generator().manual_seed(0)
    rollout.obs = torch.randn(2, 3, 4, generator=generator)
    rollout.actions = torch.randint(0, 5, (2, 3), generator=generator)
    rollout.logprobs = torch.randn(2, 3, generator=generator)
    return rollout


def test_logprobs_and_entropy_agree_with_torchs_distribution():
    rollout, policy = make_rollout(), nn.Linear(4, 5)
    logprobs, entropy = compute_logprobs_and_entropy(rollout, policy)
    reference = torch.distributions.Categorical(logits=policy(rollout.obs))
    torch.testing.assert_close(logprobs, reference.log_prob(rollout.actions))
    torch.testing.assert_close(entropy, reference.entropy())
    assert logprobs.requires_grad
    assert entropy.requires_grad


def test_importance_weights_are_now_over_then_and_bounded():
    rollout = make_rollout()
    rollout.logprobs = torch.tensor([[0.5, 0.1, 0.25]] * 2).log()
    now = torch.tensor([[0.5, 0.3, 0.05]] * 2).log().requires_grad_()
    weights = compute_importance_weights(now, rollout)
    torch.testing.assert_close(weights, torch.tensor([[1.0, 3.0, 0.2]] * 2))
    assert not weights.requires_grad
    bounded = compute_importance_weights(now, rollout, 0.3)
    torch.testing.assert_close(bounded, torch.tensor([[1.0, 1.3, 0.7]] * 2))


def test_the_loss_is_minus_the_weighted_mean_and_moves_the_policy_alone():
    returns, iw = torch.tensor([2.0, -1.0], requires_grad=True), torch.tensor([1.0, 3.0], requires_grad=True)
    logprobs = torch.tensor([-0.5, -1.0], requires_grad=True)
    loss = compute_reinforce_loss(returns, logprobs, iw)
    loss.backward()
    assert loss.item() == pytest.approx(-(2 * -0.5 + -3 * -1.0) / 2)
    torch.testing.assert_close(logprobs.grad, torch.tensor([-1.0, 1.5]))
    assert returns.grad is None
    assert iw.grad is None


def test_the_variance_of_gradients_is_the_mean_squared_distance_from_their_mean():
    parameter = nn.Parameter(torch.tensor([1.0, 2.0]))
    losses = [(parameter * torch.tensor(scale)).sum() for scale in ([1.0, 0.0], [3.0, 0.0], [2.0, 6.0])]
    variance = compute_gradient_variance(losses, iter([parameter]))
    assert variance == pytest.approx(1.0 + 12.0)
    assert parameter.grad is None
