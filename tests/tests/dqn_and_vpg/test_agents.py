"""What learners hand in for the two agents, with slips in two methods at once, and how the call is shown."""

import importlib

from arena_lib.checking import run
from arena_lib.rl.dqn.agent import DQNAgent
from arena_lib.rl.dqn.exploration import epsilon_greedy_policy, linear_schedule
from arena_lib.rl.policy_gradient.agent import VPGAgent

judges = importlib.import_module("arena_lib.tests.dqn_and_vpg")


class ForgetfulAgent(DQNAgent):
    """Keeps epsilon to itself, and asks for episodes too soon."""

    def get_actions(self, obs):
        schedule = self.start_e, self.end_e, self.exploration_fraction, self.total_timesteps
        epsilon = linear_schedule(self.stepper.n_steps, *schedule)
        return epsilon_greedy_policy(self.stepper.envs, self.q_network, self.rng, obs, epsilon)

    def play_step(self):
        ended = self.stepper.finished()
        self.buffer.add(self.stepper.step(self.get_actions(self.stepper.obs)))
        return ended


class AgentOfTheLastEpisode(VPGAgent):
    """Goes on from where the step led, also where an episode ended there."""

    def gen_rollout(self, rollout):
        obs = self.stepper.obs
        for _ in range(rollout.max_steps):
            actions, logprobs = self.get_actions(obs)
            transition = self.stepper.step(actions)
            obs = transition.next_obs
            rollout.add_step(transition, logprobs)
        return rollout, self.stepper.finished()


def test_two_slips_in_two_methods_are_both_named():
    diagnosis = run(judges.test_dqn_agent, ForgetfulAgent).diagnosis
    assert "doesn't keep epsilon in self.epsilon" in diagnosis.mistake
    assert "asks for the ended episodes before the step" in diagnosis.mistake


def test_the_observations_of_another_episode_are_named_and_the_call_is_that_of_the_class():
    result = run(judges.test_vpg_agent, AgentOfTheLastEpisode)
    assert result.diagnosis.mistake == "chooses actions for transition.next_obs"
    assert result.call == "VPGAgent(stepper, policy, generator).gen_rollout(rollout)"


def test_the_shared_name_is_the_same_judge(capsys):
    judges.test_agent(DQNAgent)
    assert "dqn_agent" in capsys.readouterr().out
