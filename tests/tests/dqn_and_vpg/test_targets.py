"""What learners hand in for the target: the maximum taken in another way than is meant."""

import importlib

import pytest
import torch

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.dqn_and_vpg")

FORMS = {
    "factor last": lambda next_values, rewards, terminated, gamma: rewards + gamma * next_values * ~terminated,
    "factor first": lambda next_values, rewards, terminated, gamma: (
        rewards + (1 - terminated.float()) * gamma * next_values
    ),
    "where": lambda next_values, rewards, terminated, gamma: torch.where(
        terminated, rewards, rewards + gamma * next_values
    ),
}
WRONG = {
    "takes max without .values": lambda next_q: next_q.max(dim=-1),
    "takes the maximum over the transitions": lambda next_q: next_q.amax(dim=0),
}


@pytest.mark.parametrize("is_detached", [True, False])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_maximum_is_named_however_the_rest_is_written(mistake, form, is_detached):
    def compute_td_target(next_q, rewards, terminated, gamma):
        return FORMS[form](WRONG[mistake](next_q.detach() if is_detached else next_q), rewards, terminated, gamma)

    assert run(judges.test_compute_td_target, compute_td_target).diagnosis.mistake == mistake
