import numpy as np
import pytest

from arena_lib.rl.environments.gridworlds import CliffWalking, Windy
from arena_lib.rl.tabular.agents import AgentConfig, Cheater
from arena_lib.rl.tabular.experiments import greedy_path, train_agents
from arena_lib.rl.tabular.planning import find_optimal_policy
from arena_lib.rl.tabular.td import SARSA, ExpectedSARSA, QLearning


def test_same_seeds_same_returns_and_seeds_differ():
    runs = [train_agents(QLearning, Windy, n_episodes=5, n_seeds=2)[1] for _ in range(2)]
    assert (runs[0] == runs[1]).all()
    assert runs[0].shape == (2, 5)
    assert (runs[0][0] != runs[0][1]).any()


def test_cheater_s_returns_are_the_best():
    _, returns = train_agents(Cheater, CliffWalking, n_episodes=2, n_seeds=2)
    assert (returns == -13.0).all()


def test_windy_gridworld_s_best_way_has_15_steps():
    """Sutton and Barto 2018, example 6.5."""
    env = Windy()
    path = greedy_path(env, find_optimal_policy(env))
    assert len(path) - 1 == 15
    assert (path[0], path[-1]) == (30, 37)


def test_path_that_never_ends_is_cut_off():
    assert len(greedy_path(Windy(), np.zeros(70, dtype=int), max_steps=8)) == 9


@pytest.fixture(scope="module")
def on_the_cliff():
    config = AgentConfig(epsilon=0.1, lr=0.5)
    return {
        cls: train_agents(cls, CliffWalking, config=config, gamma=1.0, n_episodes=250, n_seeds=4)
        for cls in (SARSA, QLearning, ExpectedSARSA)
    }


def test_q_learning_walks_along_the_edge_and_sarsa_keeps_away(on_the_cliff):
    """Sutton and Barto 2018, example 6.6."""
    env = CliffWalking()
    lengths = {
        cls: [len(greedy_path(env, agent.Q.argmax(axis=1))) - 1 for agent in agents]
        for cls, (agents, _) in on_the_cliff.items()
    }
    assert lengths[QLearning] == [13] * 4
    assert lengths[ExpectedSARSA] == [15] * 4
    assert np.median(lengths[SARSA]) >= 15


def test_sarsa_earns_more_while_it_learns(on_the_cliff):
    """Figure 6.6's curves (the example's, epsilon 0.1): about -25 for SARSA and -50 for Q-learning."""
    means = {cls: returns[:, 100:].mean() for cls, (_, returns) in on_the_cliff.items()}
    assert means[SARSA] == pytest.approx(-25, abs=12)
    assert means[QLearning] == pytest.approx(-50, abs=12)
    assert means[ExpectedSARSA] == pytest.approx(-21, abs=2)
