"""What learners hand in for the policy: wrong in one likely way each."""

import importlib

import numpy as np
import pytest
import torch

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.dqn_and_vpg")


def policy_of(greedy):
    def epsilon_greedy_policy(envs, q_network, rng, obs, epsilon):
        explores = rng.random(envs.num_envs) < epsilon
        random_actions = rng.integers(envs.single_action_space.n, size=envs.num_envs)
        with torch.no_grad():
            return np.where(explores, random_actions, greedy(q_network, obs))

    return epsilon_greedy_policy


def as_tensor(obs):
    return torch.as_tensor(obs, dtype=torch.float32)


WRONG = {
    "hands the network a numpy array": lambda q_network, obs: q_network(obs).argmax(-1).numpy(),
    "takes the largest value, not the action that has it": lambda q_network, obs: q_network(as_tensor(obs)).max(-1)[0],
    "takes both things that max returns": lambda q_network, obs: q_network(as_tensor(obs)).max(-1),
    "takes the largest value of the whole table": lambda q_network, obs: q_network(as_tensor(obs)).max().item(),
}


def test_the_wrong_axis_is_named_where_the_random_actions_are_written_over_the_best():
    def epsilon_greedy_policy(envs, q_network, rng, obs, epsilon):
        explores = rng.random(envs.num_envs) < epsilon
        random_actions = rng.integers(envs.single_action_space.n, size=envs.num_envs)
        with torch.no_grad():
            actions = q_network(as_tensor(obs)).argmax(0).numpy()
        actions[explores] = random_actions[explores]
        return actions

    result = run(judges.test_epsilon_greedy_policy, epsilon_greedy_policy)
    assert result.diagnosis.mistake == "searches over the environments"


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_policy_is_named(mistake):
    assert run(judges.test_epsilon_greedy_policy, policy_of(WRONG[mistake])).diagnosis.mistake == mistake
