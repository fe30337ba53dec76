"""What learners hand in for minibatches: other draws, and other cuts."""

import importlib

import numpy as np
import pytest

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.ppo")


def anew_for_each(rng, batch_size, minibatch_size):
    cuts = range(0, batch_size - minibatch_size + 1, minibatch_size)
    return [rng.permutation(batch_size)[cut : cut + minibatch_size] for cut in cuts]


def by_choice(rng, batch_size, minibatch_size):
    n = batch_size // minibatch_size
    return list(rng.choice(batch_size, (n, minibatch_size), replace=False))


def global_and_unequal(rng, batch_size, minibatch_size):
    order = np.random.permutation(batch_size)
    return [order[i : i + minibatch_size] for i in range(0, batch_size, minibatch_size)]


@pytest.mark.parametrize(
    ("deal", "name"),
    [
        (anew_for_each, "shuffles anew for each minibatch"),
        (by_choice, "shuffles in another way than rng.permutation(batch_size)"),
        (global_and_unequal, "shuffles by numpy's global generator; and it keeps a smaller last minibatch"),
    ],
)
def test_wrong_deals_are_named(deal, name):
    diagnosis = run(judges.test_get_minibatch_indices, deal).diagnosis
    assert sorted(diagnosis.mistake.split("; and it ")) == sorted(name.split("; and it "))
