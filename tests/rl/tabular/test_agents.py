import numpy as np
import pytest

from arena_lib.errors import ConfigError
from arena_lib.rl.environments.gridworlds import CliffWalking, DiscreteEnviroGym, Norvig, TwoLoops
from arena_lib.rl.tabular.agents import Agent, AgentConfig, Cheater, EpsilonGreedy, RandomWalker
from arena_lib.rl.tabular.planning import find_optimal_policy


class Recorder(Agent):
    """Takes actions from a list, and keeps what it observes."""

    def __init__(self, env, actions, chooses_ahead):
        super().__init__(env)
        self.actions, self.seen, self.n_starts = iter(actions), [], 0
        self.chooses_ahead = chooses_ahead

    def get_action(self, obs):
        return next(self.actions)

    def observe(self, exp):
        self.seen.append(exp)

    def start_episode(self):
        self.n_starts += 1


WAY = [1, 0, *[1] * 11, 2]
"""Into the cliff once, then along its edge."""


def test_episode_gives_each_step_as_it_was():
    agent = Recorder(DiscreteEnviroGym(CliffWalking()), WAY, False)
    rewards = agent.run_episode(seed=0)
    assert rewards == [-100.0] + [-1.0] * 13
    assert [exp.reward for exp in agent.seen] == rewards
    assert [exp.act for exp in agent.seen] == WAY
    assert [exp.terminated for exp in agent.seen] == [False] * 13 + [True]
    assert all(after.obs == before.new_obs for before, after in zip(agent.seen, agent.seen[1:], strict=False))
    assert agent.seen[0].new_obs == 36
    assert all(exp.new_act is None for exp in agent.seen)
    assert agent.n_starts == 1


def test_agent_that_chooses_ahead_is_told_and_keeps_to_it():
    agent = Recorder(DiscreteEnviroGym(CliffWalking()), [*WAY, 3], True)
    agent.run_episode(seed=0)
    assert [exp.new_act for exp in agent.seen] == [*WAY[1:], 3]
    assert [exp.act for exp in agent.seen] == WAY


def test_episode_without_an_end_is_cut_off_and_not_terminated():
    agent = Recorder(DiscreteEnviroGym(TwoLoops()), [1] * 10, False)
    assert agent.run_episode(max_steps=5) == [0.0, 2.0, 0.0, 2.0, 0.0]
    assert not any(exp.terminated for exp in agent.seen)


def test_cheater_follows_the_best_policy():
    world = DiscreteEnviroGym(CliffWalking())
    assert sum(Cheater(world).run_episode(seed=0)) == -13.0
    pi = find_optimal_policy(Norvig(), 0.5)
    agent = Cheater(DiscreteEnviroGym(Norvig()), gamma=0.5)
    assert [agent.get_action(state) for state in range(12)] == pi.tolist()


def test_random_walker_takes_every_action():
    agent = RandomWalker(DiscreteEnviroGym(Norvig()), seed=1)
    assert {agent.get_action(0) for _ in range(200)} == {0, 1, 2, 3}


def test_epsilon_greedy_begins_with_its_optimism():
    agent = EpsilonGreedy(DiscreteEnviroGym(Norvig()), AgentConfig(epsilon=0.0, optimism=2.5))
    assert (agent.Q == 2.5).all()
    assert agent.Q.shape == (12, 4)
    agent.Q[3, 2] = 9.0
    assert agent.get_action(3) == 2


@pytest.mark.parametrize("wrong", [{"epsilon": 1.5}, {"lr": -0.1}, {"lambda_": 2.0}, {"n": 0}])
def test_settings_that_can_t_work_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} must be"):
        AgentConfig(**wrong)


def test_same_seed_same_episode():
    def play(seed):
        return RandomWalker(DiscreteEnviroGym(Norvig()), seed=seed).run_episode(seed=4)

    assert play(1) == play(1)
    assert any(play(1) != play(other) for other in range(2, 9))
    assert np.isfinite(play(1)).all()
