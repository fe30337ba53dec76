import numpy as np
import pytest

from arena_lib.rl.environments.gridworlds import CliffWalking, DiscreteEnviroGym, Norvig
from arena_lib.rl.tabular.agents import AgentConfig, Experience
from arena_lib.rl.tabular.experiments import train_agents
from arena_lib.rl.tabular.multi_step import NStepSARSA, SARSA_lambda, n_step_returns
from arena_lib.rl.tabular.td import SARSA

REWARDS, VALUES = np.array([1.0, -2.0, 4.0, 8.0]), np.array([10.0, 20.0, 30.0, 40.0, 50.0])


def test_returns_by_hand():
    assert n_step_returns(REWARDS, VALUES, 0.5, 2) == pytest.approx(
        [1 - 1 + 0.25 * 30, -2 + 2 + 0.25 * 40, 4 + 4 + 0.25 * 50, 8 + 0.5 * 50]
    )


def test_one_step_is_the_td_target_and_many_are_the_whole_episode():
    assert n_step_returns(REWARDS, VALUES, 0.5, 1) == pytest.approx(REWARDS + 0.5 * VALUES[1:])
    whole = n_step_returns(REWARDS, VALUES, 0.5, 99)
    expected = 50.0
    for t in reversed(range(4)):
        expected = REWARDS[t] + 0.5 * expected
        assert whole[t] == pytest.approx(expected)


def test_one_step_sarsa_is_sarsa():
    config = AgentConfig(epsilon=0.1, lr=0.5, n=1)
    both = [
        train_agents(cls, CliffWalking, config=config, gamma=1.0, n_episodes=30, n_seeds=1)
        for cls in (SARSA, NStepSARSA)
    ]
    assert both[0][1] == pytest.approx(both[1][1])
    assert pytest.approx(both[1][0][0].Q) == both[0][0][0].Q


def test_sarsa_lambda_without_lambda_is_sarsa():
    config = AgentConfig(epsilon=0.1, lr=0.5, lambda_=0.0)
    both = [
        train_agents(cls, CliffWalking, config=config, gamma=1.0, n_episodes=30, n_seeds=1)
        for cls in (SARSA, SARSA_lambda)
    ]
    assert pytest.approx(both[1][0][0].Q) == both[0][0][0].Q


def experiences():
    return [
        Experience(8, 0, -1.0, 4, False, 1),
        Experience(4, 1, -1.0, 8, False, 0),
        Experience(8, 0, 2.0, 3, True, 0),
    ]


def test_n_step_sarsa_waits_for_n_steps_and_learns_the_rest_at_the_end():
    agent = NStepSARSA(DiscreteEnviroGym(Norvig()), AgentConfig(lr=1.0, n=2), gamma=0.5)
    agent.Q[:] = 0.0
    agent.Q[8, 0] = 4.0
    agent.start_episode()
    first, second, third = experiences()
    agent.observe(first)
    assert agent.Q[8, 0] == 4.0
    agent.observe(second)
    assert agent.Q[8, 0] == -1.0 - 0.5 + 0.25 * 4.0
    assert agent.Q[4, 1] == 0.0
    agent.observe(third)
    assert agent.Q[4, 1] == -1.0 + 0.5 * 2.0
    assert agent.Q[8, 0] == 2.0


def test_sarsa_lambda_by_hand():
    agent = SARSA_lambda(DiscreteEnviroGym(Norvig()), AgentConfig(lr=0.5, lambda_=0.5), gamma=0.8)
    agent.start_episode()
    first, second, _ = experiences()
    agent.observe(first)
    assert agent.Q[8, 0] == pytest.approx(-0.5)
    assert agent.traces[8, 0] == pytest.approx(0.4)
    agent.observe(second)
    error = -1.0 + 0.8 * -0.5
    assert agent.Q[4, 1] == pytest.approx(0.5 * error)
    assert agent.Q[8, 0] == pytest.approx(-0.5 + 0.5 * error * 0.4)
    assert agent.traces[8, 0] == pytest.approx(0.16)
    agent.start_episode()
    assert not agent.traces.any()
    assert agent.Q.any()


def test_sarsa_lambda_is_the_forward_view_when_learning_is_slow():
    """Sutton and Barto 2018, section 12.2: as the learning rate goes to 0, traces sum to the errors of lambda returns."""
    lr, gamma, lambda_ = 1e-6, 0.8, 0.7
    agent = SARSA_lambda(DiscreteEnviroGym(Norvig()), AgentConfig(lr=lr, lambda_=lambda_), gamma=gamma)
    Q = agent.Q = np.random.default_rng(0).normal(size=(12, 4))
    before = Q.copy()
    steps = experiences()
    agent.start_episode()
    for step in steps:
        agent.observe(step)
    values = np.array([*(before[step.obs, step.act] for step in steps), 0.0])
    rewards = np.array([step.reward for step in steps])
    n_steps = len(steps)
    lambda_returns = np.zeros(n_steps)
    for t in range(n_steps):
        for n in range(1, n_steps - t):
            lambda_returns[t] += (1 - lambda_) * lambda_ ** (n - 1) * n_step_returns(rewards, values, gamma, n)[t]
        lambda_returns[t] += lambda_ ** (n_steps - t - 1) * n_step_returns(rewards, values, gamma, n_steps)[t]
    expected = np.zeros_like(before)
    for t, step in enumerate(steps):
        expected[step.obs, step.act] += lambda_returns[t] - values[t]
    assert (Q - before) / lr == pytest.approx(expected, abs=1e-4)
