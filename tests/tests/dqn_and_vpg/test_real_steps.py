"""What learners hand in for the filter of steps: wrong in one likely way each."""

import importlib

import pytest

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.dqn_and_vpg")


def kept(transition, *names):
    return tuple(getattr(transition, name)[transition.is_real] for name in names)


WRONG = {
    "swaps obs and next_obs": ("next_obs", "actions", "rewards", "terminated", "obs"),
    "swaps rewards and terminated": ("obs", "actions", "terminated", "rewards", "next_obs"),
    "swaps actions and rewards": ("obs", "rewards", "actions", "terminated", "next_obs"),
    "swaps terminated and next_obs": ("obs", "actions", "rewards", "next_obs", "terminated"),
    "returns is_real in place of terminated": ("obs", "actions", "rewards", "is_real", "next_obs"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_what_stands_in_the_wrong_place_is_named(mistake):
    result = run(judges.test_keep_real_steps, lambda transition: kept(transition, *WRONG[mistake]))
    assert result.diagnosis.mistake == mistake


def test_a_wrong_array_is_called_by_its_name():
    def takes_done(transition):
        obs, actions, rewards, _, next_obs = kept(transition, "obs", "actions", "rewards", "terminated", "next_obs")
        return obs, actions, rewards, transition.done[transition.is_real], next_obs

    result = run(judges.test_keep_real_steps, takes_done)
    assert result.mismatch.observation == "terminated"
    assert result.mismatch.pattern == "only at the last transition (transition 2)"


def test_nothing_returned_is_asked_for():
    message = " ".join(run(judges.test_keep_real_steps, lambda transition: None).message.split())
    assert "got NoneType. Is there a `return` on every path?" in message
