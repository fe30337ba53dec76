import gymnasium as gym
import numpy as np
import pytest

from arena_lib.errors import ConfigError
from arena_lib.rl.environments import CONTINUOUS, DISCRETE, make_vector_env, require_actions, require_vectors
from arena_lib.rl.environments.spaces import kind_of_actions


def test_a_fitting_space_passes_and_gives_its_size():
    envs = make_vector_env("CartPole-v1", 2)
    require_actions(envs, DISCRETE, "DQN")
    assert require_vectors(envs, "DQN") == 4
    require_actions(make_vector_env("Pendulum-v1", 1), CONTINUOUS, "PPO")


def test_the_message_says_which_algorithm_takes_it():
    with pytest.raises(ConfigError, match=r"DQN must have discrete actions: Box\(.*\) is continuous. PPO for cont"):
        require_actions(make_vector_env("Pendulum-v1", 1), DISCRETE, "DQN")
    with pytest.raises(ConfigError, match=r"is discrete\. DQN, VPG and PPO take those"):
        require_actions(make_vector_env("CartPole-v1", 1), CONTINUOUS, "PPO for continuous actions")


@pytest.mark.parametrize(
    ("space", "kind"),
    [
        (gym.spaces.Discrete(3, start=1), "counted from 1"),
        (gym.spaces.Box(-1, 1, (2, 3)), "an array of 2 axes"),
        (gym.spaces.Box(-np.inf, 1, (2,)), "without bounds"),
        (gym.spaces.MultiBinary(3), "a MultiBinary space"),
    ],
)
def test_other_actions_are_described(space, kind):
    assert kind in kind_of_actions(space)


def test_a_network_for_vectors_takes_no_other_observations():
    with pytest.raises(ConfigError, match="must have observations of one axis: got Discrete"):
        require_vectors(make_vector_env("CliffWalking-v1", 1), "DQN")
