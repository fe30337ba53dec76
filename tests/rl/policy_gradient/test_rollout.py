import numpy as np
import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.rl.environments.stepping import Transition
from arena_lib.rl.policy_gradient import Rollout


def step(number, is_real=(True, True)):
    obs = np.array([[number, 0], [number, 1]], dtype=np.float64)
    return Transition(
        obs,
        np.array([number % 2, 1]),
        np.array([number, 2.0 * number]),
        obs + 10,
        np.array([number == 1, False]),
        np.array([False, number == 2]),
        np.array(is_real),
    )


def test_a_step_is_a_column():
    rollout = Rollout(2, 3, (2,))
    for number in range(3):
        rollout.add_step(step(number), torch.tensor([-1.0, -2.0], requires_grad=True))
    assert rollout.obs.tolist() == [[[0, 0], [1, 0], [2, 0]], [[0, 1], [1, 1], [2, 1]]]
    torch.testing.assert_close(rollout.next_obs, rollout.obs + 10)
    assert rollout.rewards.tolist() == [[0, 1, 2], [0, 2, 4]]
    assert rollout.actions.tolist() == [[0, 1, 0], [1, 1, 1]]
    assert rollout.terminated.tolist() == [[False, True, False], [False, False, False]]
    assert rollout.done.tolist() == [[False, True, False], [False, False, True]]
    assert rollout.logprobs.tolist() == [[-1, -1, -1], [-2, -2, -2]]
    assert not rollout.logprobs.requires_grad


def test_phantom_steps_say_so():
    rollout = Rollout(2, 1, (2,))
    rollout.add_step(step(0, is_real=(True, False)), torch.zeros(2))
    assert rollout.is_real.tolist() == [[True], [False]]


def test_a_full_rollout_takes_no_more():
    rollout = Rollout(2, 1, (2,))
    rollout.add_step(step(0), torch.zeros(2))
    with pytest.raises(ConfigError, match="1 steps is full"):
        rollout.add_step(step(1), torch.zeros(2))
