"""What learners hand in for the loss: wrong in one likely way each."""

import importlib

import pytest

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.dqn_and_vpg")


def loss_of(pick):
    def compute_td_loss(q_values, actions, targets, weights=None):
        errors = targets.detach() - pick(q_values, actions)
        squares = errors.square() if weights is None else weights * errors.square()
        return squares.mean(), errors.detach()

    return compute_td_loss


def weighed_where_true(q_values, actions, targets, weights=None):
    errors = targets.detach() - q_values.gather(1, actions[:, None]).squeeze(1)
    squares = weights * errors.square() if weights else errors.square()
    return squares.mean(), errors.detach()


WRONG = {
    "picks every action for every row": loss_of(lambda q_values, actions: q_values[:, actions]),
    "gathers with an index that lacks an axis": loss_of(lambda q_values, actions: q_values.gather(1, actions)),
    "takes the number of the best action for its value": loss_of(lambda q_values, actions: q_values.argmax(1)),
    "asks `if weights` of a tensor": weighed_where_true,
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_loss_is_named(mistake):
    assert run(judges.test_compute_td_loss, WRONG[mistake]).diagnosis.mistake == mistake


def test_a_loss_without_a_return_is_asked_for_it():
    assert (
        "is there a `return` on every path?" in run(judges.test_compute_td_loss, lambda q, a, t, w=None: None).message
    )
