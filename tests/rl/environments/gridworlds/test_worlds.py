import gymnasium as gym
import numpy as np
import pytest

from arena_lib.errors import ConfigError
from arena_lib.rl.environments.gridworlds.worlds import (
    DOWN,
    LEFT,
    RIGHT,
    UP,
    CliffWalking,
    FrozenLake,
    Gridworld,
    Norvig,
    Windy,
)


def test_moves_stop_at_edges_and_walls():
    world = Norvig()
    assert world.move(0, UP) == world.move(0, LEFT) == 0
    assert world.move(3, RIGHT) == 3
    assert world.move(1, DOWN) == 1, "a wall is below"
    assert world.move(8, UP) == 4
    assert (world.move(8, RIGHT), world.move(11, UP), world.move(9, LEFT)) == (9, 7, 8)


def test_norvig_slips_to_both_sides():
    states, rewards, probabilities = Norvig().dynamics(2, RIGHT)
    assert states.tolist() == [3, 6, 2]
    assert rewards.tolist() == [1.0, -0.04, -0.04]
    assert probabilities.tolist() == [0.8, 0.1, 0.1]
    assert Norvig(penalty=-2.0).dynamics(11, UP)[1].tolist() == [-1.0, -2.0, -2.0]


def test_norvig_s_wall_is_never_entered_or_left():
    env = Norvig()
    assert not env.T[5].any()
    assert not env.T[:, :, 5].any()


def test_cliff_leads_back_to_the_start_and_isn_t_an_end():
    world = CliffWalking()
    assert [part.tolist() for part in world.dynamics(36, RIGHT)] == [[36], [-100.0], [1.0]]
    assert [part.tolist() for part in world.dynamics(30, DOWN)] == [[36], [-100.0], [1.0]]
    assert [part.tolist() for part in world.dynamics(35, DOWN)] == [[47], [-1.0], [1.0]]
    assert world.terminal.tolist() == [47]


def test_cliff_walking_is_gymnasium_s():
    theirs = gym.make("CliffWalking-v1").unwrapped
    world = CliffWalking()
    for state in set(range(48)) - set(range(37, 48)):
        for action in range(4):
            ((_, successor, reward, terminated),) = theirs.P[state][action]
            (ours,), (our_reward,), _ = world.dynamics(state, action)
            assert (ours, our_reward, world.is_terminal(int(ours))) == (successor, reward, terminated)


def test_wind_blows_up_by_the_column_that_is_left():
    world = Windy()
    at = lambda row, column: row * 10 + column  # noqa: E731
    assert world.dynamics(at(3, 2), RIGHT)[0] == [at(3, 3)]
    assert world.dynamics(at(3, 3), RIGHT)[0] == [at(2, 4)]
    assert world.dynamics(at(4, 6), DOWN)[0] == [at(3, 6)]
    assert world.dynamics(at(0, 6), RIGHT)[0] == [at(0, 7)]
    assert world.dynamics(at(4, 8), LEFT)[0] == [at(3, 7)]


@pytest.mark.parametrize("is_slippery", [True, False])
def test_frozen_lake_is_gymnasium_s(is_slippery):
    theirs = gym.make("FrozenLake-v1", is_slippery=is_slippery).unwrapped
    world = FrozenLake(is_slippery)
    their_actions = {UP: 3, RIGHT: 2, DOWN: 1, LEFT: 0}
    for state in set(range(16)) - set(world.terminal.tolist()):
        for action in range(4):
            expected_T, expected_R = np.zeros(16), np.zeros(16)
            for probability, successor, reward, _ in theirs.P[state][their_actions[action]]:
                expected_T[successor] += probability
                expected_R[successor] = reward
            assert world.T[state, action] == pytest.approx(expected_T)
            assert world.R[state, action] == pytest.approx(expected_R)
    assert world.terminal.tolist() == [5, 7, 11, 12, 15]


@pytest.mark.parametrize("rows", [["S.", "."], ["S?"], ["..", "S.", "S."], ["..."]])
def test_a_map_that_is_none_is_refused(rows):
    with pytest.raises(ConfigError, match="a map must have rows of one length"):
        Gridworld(rows)


def test_every_row_holds_probabilities_or_nothing():
    for make in (Norvig, CliffWalking, Windy, FrozenLake):
        sums = make().T.sum(axis=2)
        assert np.isclose(sums, 1.0).sum() + (sums == 0.0).sum() == sums.size
