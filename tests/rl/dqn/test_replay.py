import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.rl.dqn import ReplayBuffer, keep_real_steps, ring_rows, sample_rows
from arena_lib.rl.environments.counting import CountingEnv
from arena_lib.rl.environments.stepping import Stepper, Transition


def steps(numbers, is_real=True):
    numbers = np.asarray(numbers, dtype=np.float32)
    column = numbers[:, None]
    ones = np.ones(len(numbers), dtype=bool)
    return Transition(column, numbers.astype(int) % 2, numbers * 2, column + 1, numbers > 3, ones, ones & is_real)


def test_rows_go_round():
    np.testing.assert_array_equal(ring_rows(7, 3, 4), [3, 0, 1])


def test_the_oldest_transitions_make_room():
    buffer = ReplayBuffer(3, (1,))
    buffer.add(steps([0, 1]))
    buffer.add(steps([2, 3]))
    assert len(buffer) == 3
    batch = buffer.read(torch.arange(3))
    torch.testing.assert_close(batch.obs, torch.tensor([[3.0], [1.0], [2.0]]))
    torch.testing.assert_close(batch.next_obs, batch.obs + 1)
    torch.testing.assert_close(batch.rewards, 2 * batch.obs[:, 0])
    torch.testing.assert_close(batch.actions, batch.obs[:, 0].long() % 2)
    torch.testing.assert_close(batch.n_ahead, torch.ones(3, dtype=torch.int64))


def test_termination_is_stored_and_truncation_is_not():
    buffer = ReplayBuffer(5, (1,))
    buffer.add(steps([3, 4]))
    assert buffer.read(torch.arange(2)).terminated.tolist() == [False, True]


def test_phantom_steps_are_left_out():
    kept = keep_real_steps(steps([5, 6, 7], is_real=np.array([True, False, True])))
    assert [column.tolist() for column in kept[1:3]] == [[1, 1], [10.0, 14.0]]
    assert kept[0].tolist() == [[5.0], [7.0]]


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_of_a_counting_environment_every_transition_counts_on(mode):
    envs = gym.vector.SyncVectorEnv([CountingEnv, lambda: CountingEnv((2, 5))], autoreset_mode=mode)
    stepper, buffer = Stepper(envs, seed=0), ReplayBuffer(1000, (1,))
    for _ in range(40):
        buffer.add(stepper.step(np.array([0, 1])))
    assert len(buffer) == stepper.n_steps
    batch = buffer.read(torch.arange(len(buffer)))
    torch.testing.assert_close(batch.next_obs, batch.obs + 1)
    assert (batch.rewards == 1).all()


def test_pictures_keep_their_shape():
    buffer = ReplayBuffer(4, (2, 3))
    picture = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    no, yes = np.array([False]), np.array([True])
    buffer.add(Transition(picture, np.array([1]), np.array([0.0]), picture + 1, no, no, yes))
    assert buffer.read(torch.tensor([0])).next_obs.shape == (1, 2, 3)


def test_every_stored_row_is_drawn_and_no_other():
    rows = sample_rows(5, 2000, 9, make_generator(0))
    assert sorted(set(rows.tolist())) == [0, 1, 2, 3, 4]
    assert sample_rows(50, 2000, 9, make_generator(0)).max() == 8


def test_equal_seeds_draw_equal_batches():
    buffer = ReplayBuffer(10, (1,))
    buffer.add(steps(range(8)))
    first, second = (buffer.sample(4, make_generator(3)) for _ in range(2))
    torch.testing.assert_close(first.obs, second.obs)
    torch.testing.assert_close(first.obs, buffer.read(first.rows).obs)


def test_bad_sizes_and_empty_buffers_are_refused():
    with pytest.raises(ConfigError, match="at least 1 transition: got 0"):
        ReplayBuffer(0, (1,))
    with pytest.raises(ConfigError, match="empty replay buffer"):
        ReplayBuffer(2, (1,)).sample(1, make_generator(0))
