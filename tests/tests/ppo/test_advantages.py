"""What learners hand in for advantages: the usual form of other courses, and the usual slips."""

import importlib

import torch

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.ppo")


def shifted(next_values, rewards, values, terminated, truncated, gamma, gae_lambda):
    """Bootstraps from the next row, as is often seen."""
    following = torch.cat([values[1:], next_values[-1:]])
    advantages, last = torch.zeros_like(rewards), torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        is_open = ~(terminated[t] | truncated[t])
        last = rewards[t] + gamma * following[t] * is_open - values[t] + gamma * gae_lambda * is_open * last
        advantages[t] = last
    return advantages


def test_bootstrapping_from_the_next_row_fails():
    assert run(judges.test_compute_advantages, shifted).status == "failed"


def test_advantages_in_the_arguments_place_are_said_to_have_changed_them():
    def in_place(next_values, rewards, values, terminated, truncated, gamma, gae_lambda):
        following = torch.zeros_like(rewards[0])
        rewards += gamma * next_values * ~terminated - values
        for t in reversed(range(len(rewards))):
            following = rewards[t] + gamma * gae_lambda * ~(terminated | truncated)[t] * following
            rewards[t] = following
        return rewards

    assert run(judges.test_compute_advantages, in_place).diagnosis.mistake == "writes into the rewards"
