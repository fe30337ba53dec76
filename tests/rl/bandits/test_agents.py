import numpy as np
import pytest

from arena_lib.rl.bandits.agents import (
    BanditAgent,
    CheatyMcCheater,
    ConstantStepAveraging,
    GradientBandit,
    RandomAgent,
    RewardAveraging,
    ThompsonSampling,
    UCBActionSelection,
)

AGENTS = [
    RandomAgent,
    RewardAveraging,
    ConstantStepAveraging,
    UCBActionSelection,
    GradientBandit,
    ThompsonSampling,
    CheatyMcCheater,
]


def play(agent: BanditAgent, n_steps=30):
    actions = []
    for step in range(n_steps):
        actions.append(agent.get_action())
        agent.observe(actions[-1], float((step * 7 + 3 * actions[-1]) % 5 > 2), {"best_arm": 2})
    return actions


@pytest.mark.parametrize("cls", AGENTS)
def test_reset_makes_an_agent_as_new(cls):
    agent = cls(4, seed=3)
    first = play(agent)
    agent.reset(3)
    assert play(agent) == first
    assert play(cls(4, seed=3)) == first
    assert set(first) <= {0, 1, 2, 3}


def test_optimism_makes_a_greedy_agent_try_every_arm_first():
    agent = RewardAveraging(4, epsilon=0.0, optimism=5.0)
    assert sorted(play(agent, 4)) == [0, 1, 2, 3]


def test_constant_steps_let_optimism_fade_slowly():
    agent = ConstantStepAveraging(2, epsilon=0.0, optimism=5.0, lr=0.1)
    agent.observe(0, 1.0, {})
    assert agent.averages == pytest.approx([4.6, 5.0])


def test_ucb_by_hand():
    agent = UCBActionSelection(3, c=2.0)
    assert play(agent, 3) == [0, 1, 2]
    agent.averages, agent.counts = np.array([1.0, 0.5, 0.9]), np.array([50, 2, 8])
    bounds = agent.averages + 2 * np.sqrt(np.log(60) / agent.counts)
    assert agent.get_action() == bounds.argmax() == 1


def test_gradient_bandit_s_baseline_is_the_average_of_what_came_before():
    agent = GradientBandit(2, lr=0.5)
    agent.observe(0, 4.0, {})
    assert agent.preferences == pytest.approx([1.0, -1.0])
    assert agent.average[0] == 4.0
    before = agent.preferences.copy()
    agent.observe(1, 4.0, {})
    assert agent.preferences == pytest.approx(before), "a reward equal to the baseline changes nothing"


def test_gradient_bandit_draws_from_the_softmax():
    agent = GradientBandit(3)
    agent.preferences = np.log(np.array([0.6, 0.3, 0.1]))
    shares = np.bincount([agent.get_action() for _ in range(4000)], minlength=3) / 4000
    assert (abs(shares - [0.6, 0.3, 0.1]) < 5 * np.sqrt(0.24 / 4000)).all()


def test_thompson_counts_wins_and_losses():
    agent = ThompsonSampling(2)
    for action, reward in [(0, 1.0), (1, 0.0), (0, 0.0), (0, 1.0)]:
        agent.observe(action, reward, {})
    assert (agent.n_wins.tolist(), agent.n_losses.tolist()) == ([2, 0], [1, 1])


def test_cheater_takes_what_it_is_told():
    agent = CheatyMcCheater(4)
    assert agent.get_action() == 0
    agent.observe(0, 0.0, {"best_arm": 3})
    assert agent.get_action() == 3
