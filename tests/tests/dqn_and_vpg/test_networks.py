"""What learners hand in for the Q-network: wrong in one likely way each."""

import importlib

import pytest
from torch import nn

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.dqn_and_vpg")


def network_of(first):
    class QNetwork(nn.Module):
        def __init__(self, obs_shape, n_actions, hidden_sizes=(120, 84)):
            super().__init__()
            widths = [first(obs_shape), *hidden_sizes, n_actions]
            layers = []
            for i in range(len(widths) - 1):
                layers += [nn.Linear(widths[i], widths[i + 1]), nn.ReLU()]
            self.layers = nn.Sequential(*layers[:-1])

        def forward(self, x):
            return self.layers(x)

    return QNetwork


WRONG = {
    "takes obs_shape for a number": network_of(lambda obs_shape: obs_shape),
    "takes the number of axes for the length of an observation": network_of(len),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_network_is_named(mistake):
    assert run(judges.test_q_network, WRONG[mistake]).diagnosis.mistake == mistake
