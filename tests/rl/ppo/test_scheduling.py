"""The learning rate falls in a straight line."""

import pytest
import torch

from arena_lib.rl.ppo.scheduling import PPOScheduler


def test_the_rate_falls_in_a_straight_line_and_stays_at_its_end():
    groups = [{"params": [torch.zeros(1, requires_grad=True)]}, {"params": [torch.zeros(2, requires_grad=True)]}]
    optimizer = torch.optim.Adam(groups, lr=8.0)
    scheduler = PPOScheduler(optimizer, 8.0, 2.0, 3)
    seen = []
    for _ in range(4):
        scheduler.step()
        seen.append([group["lr"] for group in optimizer.param_groups])
    assert seen == [pytest.approx([lr, lr]) for lr in (6.0, 4.0, 2.0, 2.0)]
