import copy

import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.rl.dqn import (
    QNetwork,
    compute_double_td_target,
    compute_td_loss,
    compute_td_target,
    update_target_network,
    update_target_network_at_once,
)

NEXT_Q = torch.tensor([[1.0, 3.0], [5.0, 2.0], [7.0, 8.0]], requires_grad=True)
REWARDS = torch.tensor([0.5, 1.0, 2.0])
TERMINATED = torch.tensor([False, False, True])


def test_a_target_is_the_reward_and_the_discounted_best_value_unless_it_ends():
    target = compute_td_target(NEXT_Q, REWARDS, TERMINATED, 0.5)
    torch.testing.assert_close(target, torch.tensor([2.0, 3.5, 2.0]))
    assert not target.requires_grad


def test_each_transition_may_have_a_discount_of_its_own():
    target = compute_td_target(NEXT_Q, REWARDS, TERMINATED, torch.tensor([0.5, 0.1, 0.9]))
    torch.testing.assert_close(target, torch.tensor([2.0, 1.5, 2.0]))


def test_the_double_target_chooses_by_one_network_and_values_by_the_other():
    online = torch.tensor([[9.0, 0.0], [0.0, 9.0], [0.0, 9.0]], requires_grad=True)
    target = compute_double_td_target(online, NEXT_Q, REWARDS, TERMINATED, 0.5)
    torch.testing.assert_close(target, torch.tensor([1.0, 2.0, 2.0]))
    assert not target.requires_grad


def test_the_double_target_is_at_most_the_plain_one():
    online, other = torch.randn(50, 4), torch.randn(50, 4)
    none = torch.zeros(50, dtype=torch.bool)
    double = compute_double_td_target(online, other, torch.zeros(50), none, 1.0)
    assert (double <= compute_td_target(other, torch.zeros(50), none, 1.0)).all()


def test_only_the_taken_actions_are_moved_and_targets_have_no_gradient():
    q_values = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    targets = torch.tensor([2.0, 1.0], requires_grad=True)
    loss, errors = compute_td_loss(q_values, torch.tensor([1, 0]), targets)
    loss.backward()
    assert loss.item() == pytest.approx((0 + 4) / 2)
    torch.testing.assert_close(errors, torch.tensor([0.0, -2.0]))
    torch.testing.assert_close(q_values.grad, torch.tensor([[0.0, 0.0], [2.0, 0.0]]))
    assert targets.grad is None
    assert not errors.requires_grad


def test_weights_weigh_the_squares():
    loss, _ = compute_td_loss(
        torch.zeros(2, 3), torch.tensor([0, 1]), torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.25])
    )
    assert loss.item() == pytest.approx((1 + 0.25 * 4) / 2)


@pytest.mark.usefixtures("without_types")
def test_targets_that_would_broadcast_are_refused():
    with pytest.raises(ShapeError, match=r"shape \(3,\): got \(3, 1\)"):
        compute_td_loss(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64), torch.zeros(3, 1))


def test_the_target_network_moves_by_tau_and_keeps_its_own_tensors():
    online, target = QNetwork((2,), 2, [3]), QNetwork((2,), 2, [3])
    before, unchanged = copy.deepcopy(target), copy.deepcopy(online)
    update_target_network(target, online, 0.25)
    for new, old, aim, kept in zip(
        target.parameters(), before.parameters(), online.parameters(), unchanged.parameters(), strict=True
    ):
        torch.testing.assert_close(new, 0.75 * old + 0.25 * aim)
        torch.testing.assert_close(aim, kept)
    update_target_network(target, online, 1.0)
    with torch.no_grad():
        next(online.parameters()).add_(1.0)
    assert not torch.equal(next(target.parameters()), next(online.parameters()))


@pytest.mark.parametrize("tau", [0.0, 0.3, 1.0])
def test_all_parameters_at_once_move_as_they_do_one_by_one(tau):
    online, first = QNetwork((2,), 2, [3]), QNetwork((2,), 2, [3])
    second = copy.deepcopy(first)
    update_target_network(first, online, tau)
    update_target_network_at_once(second, online, tau)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
