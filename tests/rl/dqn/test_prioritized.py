import numpy as np
import pytest
import torch

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.rl.dqn import (
    PrioritizedReplayBuffer,
    SumTree,
    compute_priorities,
    compute_replay_weights,
    sample_by_priority,
)


def filled(n, **options):
    buffer = PrioritizedReplayBuffer(8, (1,), **options)
    numbers = np.arange(n, dtype=np.float32)
    buffer.store(numbers[:, None], np.zeros(n), numbers, np.zeros(n), numbers[:, None], 1)
    return buffer


def test_priorities_grow_with_the_size_of_the_error():
    errors = torch.tensor([-4.0, 1.0, 0.0])
    torch.testing.assert_close(compute_priorities(errors, 0.5, 0.0), torch.tensor([2.0, 1.0, 0.0]))
    torch.testing.assert_close(compute_priorities(errors, 0.0, 0.1), torch.ones(3))


def test_rows_are_drawn_in_proportion_and_never_with_priority_zero():
    priorities = torch.tensor([1.0, 0.0, 3.0, 4.0, 0.0])
    rows = sample_by_priority(priorities, 8000, make_generator(0))
    counts = torch.bincount(rows, minlength=5)
    assert counts[[1, 4]].tolist() == [0, 0]
    torch.testing.assert_close(counts / 8000, priorities / 8, atol=1e-3, rtol=0.0)


def test_weights_make_up_for_the_draw_and_are_at_most_one():
    probabilities = torch.tensor([0.1, 0.4])
    torch.testing.assert_close(compute_replay_weights(probabilities, 1.0), torch.tensor([1.0, 0.25]))
    torch.testing.assert_close(compute_replay_weights(probabilities, 0.5), torch.tensor([1.0, 0.5]))
    torch.testing.assert_close(compute_replay_weights(probabilities, 0.0), torch.ones(2))


@pytest.mark.parametrize("size", [1, 2, 5, 8, 13])
def test_the_tree_finds_what_cumulative_sums_find(size):
    generator = np.random.default_rng(size)
    tree = SumTree(size)
    for _ in range(5):
        rows = generator.integers(size, size=4)
        tree.set(rows, generator.random(4) * (generator.random(4) < 0.7))
    tree.set(np.array([size // 2]), 0.5)
    values = tree[np.arange(size)]
    assert tree.total == pytest.approx(values.sum())
    points = generator.random(200) * tree.total
    np.testing.assert_array_equal(tree.find(points), np.searchsorted(values.cumsum(), points, side="right"))


def test_new_transitions_get_the_largest_priority_so_far():
    buffer = filled(3, alpha=1.0, eps=0.0)
    buffer.update(torch.tensor([1]), torch.tensor([-5.0]))
    buffer.store(np.zeros((1, 1)), np.zeros(1), np.zeros(1), np.zeros(1), np.zeros((1, 1)), 1)
    np.testing.assert_allclose(buffer.sums[np.arange(4)], [1, 5, 1, 5])


def test_a_batch_carries_the_weights_of_its_draw():
    buffer = filled(4, alpha=1.0, beta=1.0, eps=0.0)
    buffer.update(torch.arange(4), torch.tensor([1.0, 1.0, 2.0, 4.0]))
    batch = buffer.sample(64, make_generator(0))
    expected = torch.tensor([1.0, 1.0, 0.5, 0.25])[batch.rows]
    torch.testing.assert_close(batch.weights, expected)
    torch.testing.assert_close(batch.obs[:, 0], batch.rows.float())


def test_bad_exponents_and_empty_buffers_are_refused():
    with pytest.raises(ConfigError, match="alpha must be from 0 to 1: got 2"):
        PrioritizedReplayBuffer(2, (1,), alpha=2.0)
    with pytest.raises(ConfigError, match="empty replay buffer"):
        PrioritizedReplayBuffer(2, (1,)).sample(1, make_generator(0))
