"""Advantages by hand, by brute force, and by the scan; values of successors."""

import pytest
import torch

from arena_lib.rl.ppo.advantages import compute_advantages, compute_advantages_by_scan, compute_next_values


def random_rollout(n_steps: int, n_envs: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    next_values, rewards, values = (torch.randn(n_steps, n_envs, generator=generator) for _ in range(3))
    terminated, truncated = (torch.rand(n_steps, n_envs, generator=generator) < 0.15 for _ in range(2))
    return next_values, rewards, values, terminated, truncated


def by_the_definition(next_values, rewards, values, terminated, truncated, gamma, gae_lambda):
    """Equation 16: a sum over all later steps of the episode, for each step anew."""
    advantages = torch.zeros_like(rewards)
    for env in range(rewards.shape[1]):
        for start in range(len(rewards)):
            weight = 1.0
            for t in range(start, len(rewards)):
                future = 0.0 if terminated[t, env] else gamma * next_values[t, env]
                advantages[start, env] += weight * (rewards[t, env] + future - values[t, env])
                if terminated[t, env] or truncated[t, env]:
                    break
                weight *= gamma * gae_lambda
    return advantages


@pytest.mark.parametrize("compute", [compute_advantages, compute_advantages_by_scan])
@pytest.mark.parametrize("n_steps", [1, 2, 3, 8, 13])
def test_advantages_follow_their_definition(compute, n_steps):
    arguments = random_rollout(n_steps, 5)
    for gamma, gae_lambda in [(0.9, 0.7), (1.0, 1.0), (0.9, 0.0), (0.0, 0.9)]:
        expected = by_the_definition(*arguments, gamma, gae_lambda)
        torch.testing.assert_close(compute(*arguments, gamma, gae_lambda), expected, rtol=1e-4, atol=1e-5)


def test_the_scan_equals_the_loop_on_a_long_rollout():
    arguments = random_rollout(1037, 3)
    loop, scan = (f(*arguments, 0.99, 0.95) for f in (compute_advantages, compute_advantages_by_scan))
    torch.testing.assert_close(scan, loop, rtol=1e-4, atol=1e-4)


def test_advantages_change_no_argument():
    arguments = random_rollout(7, 2)
    before = [argument.clone() for argument in arguments]
    for compute in (compute_advantages, compute_advantages_by_scan):
        compute(*arguments, 0.9, 0.8)
    assert all(torch.equal(a, b) for a, b in zip(arguments, before, strict=True))


def test_a_truncated_step_is_bootstrapped_from_what_it_led_to_and_not_from_the_next_episode():
    values = torch.tensor([[1.0], [2.0], [3.0]])
    next_obs = torch.tensor([[[20.0]], [[70.0]], [[90.0]]])
    no, yes = torch.tensor([[False], [False], [False]]), torch.tensor([[False], [True], [False]])
    critic = lambda obs: obs / 10  # noqa: E731
    assert compute_next_values(critic, values, next_obs, no, yes).flatten().tolist() == [2.0, 7.0, 9.0]
    assert compute_next_values(critic, values, next_obs, yes, no).flatten().tolist() == [2.0, 0.0, 9.0]
    assert compute_next_values(critic, values, next_obs, yes, yes).flatten().tolist() == [2.0, 0.0, 9.0]
    assert values.flatten().tolist() == [1.0, 2.0, 3.0]
