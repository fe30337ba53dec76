import numpy as np
import pytest

from arena_lib.rl.environments.gridworlds import (
    DiscreteEnviroGym,
    FrozenLake,
    MaximizationBias,
    Norvig,
)
from arena_lib.rl.tabular.agents import AgentConfig, Experience
from arena_lib.rl.tabular.experiments import train_agents
from arena_lib.rl.tabular.planning import compute_action_values, policy_eval_exact, value_iteration
from arena_lib.rl.tabular.td import SARSA, DoubleQLearning, ExpectedSARSA, QLearning

CONFIG = AgentConfig(epsilon=0.2, lr=0.5)


def agent_with_values(cls):
    agent = cls(DiscreteEnviroGym(Norvig()), CONFIG, gamma=0.5, seed=0)
    agent.Q = np.random.default_rng(0).normal(size=(12, 4)).round(2)
    return agent


TARGETS = {
    QLearning: lambda values: values.max(),
    SARSA: lambda values: values[2],
    ExpectedSARSA: lambda values: 0.8 * values.max() + 0.2 * values.mean(),
}


@pytest.mark.parametrize("cls", TARGETS)
@pytest.mark.parametrize("terminated", [False, True])
def test_one_entry_moves_towards_its_target(cls, terminated):
    agent = agent_with_values(cls)
    before = agent.Q.copy()
    agent.observe(Experience(obs=4, act=1, reward=3.0, new_obs=7, terminated=terminated, new_act=2))
    expected = before.copy()
    following = 0.0 if terminated else TARGETS[cls](before[7])
    expected[4, 1] = 0.5 * before[4, 1] + 0.5 * (3.0 + 0.5 * following)
    assert pytest.approx(expected) == agent.Q


def test_double_q_learning_chooses_with_one_table_and_values_with_the_other():
    for seed in range(6):
        agent = DoubleQLearning(DiscreteEnviroGym(Norvig()), CONFIG, gamma=0.5, seed=seed)
        learner = int(np.random.default_rng(seed).integers(2))
        agent.tables = np.random.default_rng(7).normal(size=(2, 12, 4))
        before = agent.tables.copy()
        agent.observe(Experience(obs=4, act=1, reward=3.0, new_obs=7, terminated=False))
        target = 3.0 + 0.5 * before[1 - learner, 7, before[learner, 7].argmax()]
        assert agent.tables[learner, 4, 1] == pytest.approx(0.5 * before[learner, 4, 1] + 0.5 * target)
        assert (agent.tables != before).sum() == 1
        assert agent.Q[4, 1] == pytest.approx(agent.tables[:, 4, 1].mean())


@pytest.mark.parametrize("cls", [QLearning, DoubleQLearning, SARSA, ExpectedSARSA])
def test_learning_agrees_with_the_exact_solution(cls):
    """On deterministic ground with full exploration all learn values: of the best policy, or of their own."""
    env, gamma = FrozenLake(is_slippery=False), 0.8
    config = AgentConfig(epsilon=1.0, lr=0.5)
    (agent,), _ = train_agents(cls, lambda: env, config=config, gamma=gamma, n_episodes=2500, n_seeds=1)
    Q_best = compute_action_values(env, value_iteration(env, gamma), gamma)
    free = [state for state in range(16) if not env.is_terminal(state)]
    if cls in (QLearning, DoubleQLearning):
        assert agent.Q[free] == pytest.approx(Q_best[free], abs=0.02)
        return
    V = np.zeros(16)
    for _ in range(500):
        V = compute_action_values(env, V, gamma).mean(axis=1)
    Q_random = compute_action_values(env, V, gamma)
    tolerance = 0.03 if cls is ExpectedSARSA else 0.5
    assert agent.Q[free] == pytest.approx(Q_random[free], abs=tolerance)
    if cls is SARSA:
        assert abs(agent.Q[free] - Q_random[free]).mean() < 0.05, "noisy at a learning rate of a half, but about right"


def test_q_learning_finds_the_best_policy_of_norvig_s_grid():
    env, gamma = Norvig(), 0.9
    config = AgentConfig(epsilon=0.3, lr=0.03, optimism=0.5)
    (agent,), _ = train_agents(QLearning, Norvig, config=config, gamma=gamma, n_episodes=2000, n_seeds=1)
    reached = policy_eval_exact(env, agent.Q.argmax(axis=1), gamma)[env.start]
    assert reached == pytest.approx(value_iteration(env, gamma)[env.start], abs=0.02)


def test_double_q_learning_is_misled_less_by_noise():
    """Sutton and Barto 2018, figure 6.5: at first Q-learning goes left far more often than the 5 % that chance makes."""
    config = AgentConfig(epsilon=0.1, lr=0.1)
    left = {}
    for cls in (QLearning, DoubleQLearning):
        agents, returns = train_agents(cls, MaximizationBias, config=config, gamma=1.0, n_episodes=100, n_seeds=40)
        left[cls] = (returns != 0.0).mean()  # the right always gives 0
        assert len(agents) == 40
    assert left[QLearning] > left[DoubleQLearning] + 0.15
