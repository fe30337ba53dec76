"""The judges of networks for pictures: a wrong convolution is named whatever its numbers; other notebooks' name for the test."""

import importlib

import pytest
import torch
from torch import nn

from arena_lib.checking import run
from arena_lib.errors import CheckFailed, ConfigError
from arena_lib.rl.ppo.networks import get_actor_and_critic_atari, get_actor_and_critic_classic, init_layer
from arena_lib.tests import ppo as tests

judges = importlib.import_module("arena_lib.tests.ppo")


def with_convolution(**settings):
    """MinAtar's pair of networks with this convolution in place of the right one."""

    def make_pair(obs_shape, n_actions):
        def make(n_outputs, gain):
            eyes = nn.Conv2d(obs_shape[0], **{"out_channels": 16, "kernel_size": 3, **settings})
            width = eyes(torch.zeros(1, *obs_shape)).numel()
            hidden = init_layer(nn.Linear(width, 128)), nn.ReLU()
            last = init_layer(nn.Linear(128, n_outputs), gain)
            return nn.Sequential(init_layer(eyes), nn.ReLU(), nn.Flatten(), *hidden, last)

        return make(n_actions, 0.01), make(1, 1.0)

    return make_pair


@pytest.mark.parametrize(
    ("settings", "mistake"),
    [
        ({"padding": 2}, "pads the pictures"),
        ({"kernel_size": 5}, "takes kernels of another size"),
        ({"stride": 3}, "moves the kernels by another stride"),
        ({"out_channels": 8}, "makes another number of kernels"),
    ],
)
def test_a_wrong_convolution_is_named_whatever_its_numbers(settings, mistake):
    diagnosis = run(judges.test_get_actor_and_critic_minatar, with_convolution(**settings)).diagnosis
    assert diagnosis.mistake == mistake


def test_the_shared_name_judges_by_mode():
    tests.test_get_actor_and_critic(get_actor_and_critic_classic, mode="classic-control")
    tests.test_get_actor_and_critic(get_actor_and_critic_atari, mode="atari")
    with pytest.raises((CheckFailed, TypeError)):
        tests.test_get_actor_and_critic(get_actor_and_critic_classic, mode="atari")


def test_another_mode_is_refused_with_the_judges_that_serve():
    with pytest.raises(ConfigError, match=r"got 'mujoco'\. For continuous actions call test_actor\(Actor\)"):
        tests.test_get_actor_and_critic(get_actor_and_critic_classic, mode="mujoco")
