"""The name under which other notebooks call the test of networks for vectors and for pictures."""

import pytest

from arena_lib.errors import CheckFailed, ConfigError
from arena_lib.rl.ppo.networks import get_actor_and_critic_atari, get_actor_and_critic_classic
from arena_lib.tests import ppo as tests


def test_the_shared_name_judges_by_mode():
    tests.test_get_actor_and_critic(get_actor_and_critic_classic, mode="classic-control")
    tests.test_get_actor_and_critic(get_actor_and_critic_atari, mode="atari")
    with pytest.raises((CheckFailed, TypeError)):
        tests.test_get_actor_and_critic(get_actor_and_critic_classic, mode="atari")


def test_another_mode_is_refused_with_the_judges_that_serve():
    with pytest.raises(ConfigError, match=r"got 'mujoco'\. For continuous actions call test_actor\(Actor\)"):
        tests.test_get_actor_and_critic(get_actor_and_critic_classic, mode="mujoco")
