import numpy as np
import pytest

from arena_lib.errors import ConfigError
from arena_lib.rl.environments.gridworlds.mdp import Environment, MaximizationBias, RandomWalk, TwoLoops


class Forked(Environment):
    """Two outcomes that lead to one state with different rewards, and a third."""

    def __init__(self, outcomes):
        self.outcomes = outcomes
        super().__init__(n_states=3, n_actions=1, terminal=[2])

    def dynamics(self, state, action):
        return self.outcomes


FINE = (np.array([1, 1, 2]), np.array([4.0, 1.0, -2.0]), np.array([0.25, 0.5, 0.25]))


def test_outcomes_that_share_a_successor_become_their_mean_reward():
    env = Forked(FINE)
    assert env.T[0, 0].tolist() == [0.0, 0.75, 0.25]
    assert env.R[0, 0] == pytest.approx([0.0, 2.0, -2.0])


def test_nothing_follows_a_terminal_state():
    env = Forked(FINE)
    assert not env.T[2].any()
    assert not env.R[2].any()
    assert [env.is_terminal(state) for state in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    ("part", "value", "says"),
    [
        (0, np.array([1, 3, 2]), "states from 0 to 2"),
        (0, np.array([1.0, 1.0, 2.0]), "states from 0 to 2"),
        (1, np.array([1.0, 2.0]), "as many states as rewards"),
        (2, np.array([0.5, 0.5, 0.5]), "sum to 1"),
        (2, np.array([1.5, -0.75, 0.25]), "at least 0"),
    ],
)
def test_dynamics_that_are_none_are_refused_with_state_and_action(part, value, says):
    outcomes = list(FINE)
    outcomes[part] = value
    with pytest.raises(ConfigError, match=f"(?s){says}.*state 0 and action 0"):
        Forked(tuple(outcomes))


def test_two_loops_pay_now_or_later():
    env = TwoLoops()
    assert env.R[0, 0, 1] == 1.0
    assert env.R[0, 1, 2] == 0.0
    assert (env.R[1, :, 0] == 0.0).all()
    assert (env.R[2, :, 0] == 2.0).all()
    assert (env.T.sum(axis=2) == 1.0).all()
    assert env.rows == ["S.."]


def test_random_walk_goes_both_ways_and_pays_at_its_ends():
    env = RandomWalk(5)
    assert env.start == 3
    assert env.T[3, 0].tolist() == [0, 0, 0.5, 0, 0.5, 0, 0]
    assert env.R[1, 0, 0] == -1.0
    assert env.R[5, 0, 6] == 1.0
    assert np.count_nonzero(env.R) == 2
    assert env.rows == ["G..S..G"]


def test_maximization_bias_loses_a_tenth_on_the_left():
    env = MaximizationBias()
    assert env.R[1, :, 2] == pytest.approx(-0.1)
    _, rewards, _ = env.dynamics(1, 0)
    assert rewards.std() == pytest.approx(1.0)
    assert (env.T[0, ::2, 1] == 1.0).all()
    assert (env.T[0, 1::2, 2] == 1.0).all()
