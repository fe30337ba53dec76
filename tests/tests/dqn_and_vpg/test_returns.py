"""What learners hand in for the returns: wrong in one likely way each."""

import importlib

import pytest
import torch

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.dqn_and_vpg")


def wrong_returns(steps, carry):
    """Goes over `steps` of the rewards, and carries what came after (or before) as `carry` says."""

    def compute_returns(rewards, done, gamma=0.9):
        result, after = torch.zeros_like(rewards), torch.zeros(len(rewards))
        for t in steps(rewards):
            after = carry(rewards, done, gamma, after, t)
            result[:, t] = after
        return result

    return compute_returns


def right_steps(rewards):
    return reversed(range(rewards.shape[1]))


def right_carry(rewards, done, gamma, after, t):
    return rewards[:, t] + gamma * after * ~done[:, t]


def carry_if_not_done(rewards, done, gamma, after, t):
    return rewards[:, t] if done[:, t] else rewards[:, t] + gamma * after


WRONG = {
    "goes forward in time, so that it sums what came before": wrong_returns(lambda r: range(r.shape[1]), right_carry),
    "takes the number of environments for that of steps": wrong_returns(
        lambda rewards: reversed(range(rewards.shape[0])), right_carry
    ),
    "looks at the end of the step before": wrong_returns(
        right_steps, lambda rewards, done, gamma, after, t: rewards[:, t] + gamma * after * ~done[:, t - 1]
    ),
    "returns the rewards": lambda rewards, done, gamma=0.9: rewards,
    "subtracts booleans from 1": wrong_returns(
        right_steps, lambda rewards, done, gamma, after, t: rewards[:, t] + gamma * after * (1 - done[:, t])
    ),
    "asks whether all environments are done with one `if` or `not`": wrong_returns(right_steps, carry_if_not_done),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_returns_are_named(mistake):
    assert run(judges.test_compute_returns, WRONG[mistake]).diagnosis.mistake == mistake


def test_returns_by_a_carried_column_pass():
    assert run(judges.test_compute_returns, wrong_returns(right_steps, right_carry)).passed
