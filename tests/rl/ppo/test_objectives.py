"""The terms of the objective by hand, and continuous against discrete."""

import math

import pytest
import torch
from torch.distributions import Categorical, Independent, Normal

from arena_lib.rl.ppo.objectives import (
    calc_clipped_surrogate_objective,
    calc_clipped_surrogate_objective_cts,
    calc_clipped_value_function_loss,
    calc_entropy_bonus,
    calc_entropy_bonus_cts,
    calc_value_function_loss,
    compute_approx_kl,
)


def surrogate(logits: torch.Tensor, advantages: list[float], old: list[float]) -> torch.Tensor:
    dist = Categorical(logits=logits)
    actions = torch.zeros(len(advantages), dtype=torch.long)
    return calc_clipped_surrogate_objective(dist, actions, torch.tensor(advantages), torch.tensor(old).log(), 0.2)


def test_the_surrogate_by_hand():
    # Both actions had probability 1/2; now 0.8 and 0.5. Normalised advantages of (1, -1) are +-1/sqrt(2).
    logits = torch.tensor([[math.log(4.0), 0.0], [0.0, 0.0]])
    expected = (1.2 - 1.0) / math.sqrt(2) / 2
    assert surrogate(logits, [1.0, -1.0], [0.5, 0.5]).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("advantages", "is_clipped"), [([1.0, -1.0], True), ([-1.0, 1.0], False)])
def test_the_gradient_stops_only_where_the_policy_went_too_far_in_the_right_direction(advantages, is_clipped):
    logits = torch.tensor([[math.log(4.0), 0.0], [0.0, 0.0]], requires_grad=True)
    surrogate(logits, advantages, [0.5, 0.5]).backward()
    assert (logits.grad[0] == 0).all() == is_clipped
    assert (logits.grad[1] != 0).all()


def test_detaching_the_data_changes_no_gradient_of_the_policy():
    gradients = []
    for needs_gradient in (True, False):
        generator = torch.Generator().manual_seed(0)
        logits = torch.randn(6, 3, generator=generator).requires_grad_()
        advantages, old = (torch.randn(6, generator=generator).requires_grad_(needs_gradient) for _ in range(2))
        actions = torch.ones(6, dtype=torch.long)
        calc_clipped_surrogate_objective(Categorical(logits=logits), actions, advantages, old, 0.2).backward()
        gradients.append(logits.grad)
    assert torch.equal(*gradients)


def test_clipping_values_counts_the_larger_error():
    values, old, returns = torch.tensor([3.0, 0.9]), torch.tensor([1.0, 1.0]), torch.tensor([3.0, 0.0])
    # First: unclipped error 0, clipped to 1.2 an error of 1.8. Second: within the clip, 0.9.
    loss = calc_clipped_value_function_loss(values, old, returns, 0.2, 0.5)
    assert loss.item() == pytest.approx(0.25 * (1.8**2 + 0.9**2) / 2)
    assert calc_value_function_loss(values, returns, 0.5).item() == pytest.approx(0.25 * 0.81 / 2)


def test_entropy_is_largest_for_equal_chances():
    assert calc_entropy_bonus(Categorical(logits=torch.zeros(3, 4)), 0.1).item() == pytest.approx(0.1 * math.log(4))


def test_continuous_terms_are_those_of_whole_actions():
    torch.manual_seed(0)
    dist = Normal(torch.randn(7, 3), torch.rand(7, 3) + 0.5)
    actions, advantages = dist.sample(), torch.randn(7)
    whole = Independent(dist, 1)
    old = whole.log_prob(actions) + 0.3 * torch.randn(7)
    torch.testing.assert_close(
        calc_clipped_surrogate_objective_cts(dist, actions, advantages, old, 0.2),
        calc_clipped_surrogate_objective(whole, actions, advantages, old, 0.2),
    )
    torch.testing.assert_close(calc_entropy_bonus_cts(dist, 0.3), 0.3 * whole.entropy().mean())


def test_the_estimate_of_the_divergence_is_zero_for_the_same_policy_and_right_on_average():
    old, new = torch.tensor([0.3, 0.7]), torch.tensor([0.5, 0.5])
    assert compute_approx_kl(old.log(), old.log()) == 0
    actions = torch.multinomial(old, 200_000, replacement=True, generator=torch.Generator().manual_seed(0))
    estimate = compute_approx_kl(new.log()[actions], old.log()[actions])
    torch.testing.assert_close(estimate, (old * (old / new).log()).sum(), rtol=0.02, atol=0)
