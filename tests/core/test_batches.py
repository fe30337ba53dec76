import numpy as np
import pytest
import torch

from arena_lib.core.batches import Batch, ShuffledBatches, random_windows
from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError


def test_windows_are_consecutive_tokens_that_start_anywhere():
    next_batch = random_windows(torch.arange(10, 20), 400, 7)
    tokens = next_batch(make_generator(0))
    assert tokens.shape == (400, 7)
    assert torch.equal(tokens, tokens[:, :1] + torch.arange(7))
    assert set(tokens[:, 0].tolist()) == {10, 11, 12, 13}


def test_a_window_may_be_the_whole_text():
    assert torch.equal(random_windows(torch.arange(4), 2, 4)(make_generator(0)), torch.arange(4).expand(2, 4))
    with pytest.raises(ConfigError, match="at least seq = 5 tokens: got 4"):
        random_windows(torch.arange(4), 2, 5)


def rows_of(batches, generator, n):
    return [batches(generator).tokens[:, 0].tolist() for _ in range(n)]


def test_each_epoch_has_every_example_at_most_once_in_a_new_order():
    batches = ShuffledBatches(torch.arange(7)[:, None].expand(7, 3), 3)
    generator = make_generator(1)
    epochs = [[*first, *second] for first, second in (rows_of(batches, generator, 2) for _ in range(6))]
    assert all(len(set(epoch)) == 6 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6
    assert set().union(*epochs) == set(range(7))


def test_an_epoch_of_whole_batches_has_every_example_once():
    batches, generator = ShuffledBatches(torch.arange(6)[:, None], 2), make_generator(1)
    for _ in range(4):
        epoch = [row for rows in rows_of(batches, generator, 3) for row in rows]
        assert sorted(epoch) == list(range(6))


def test_masks_go_with_their_examples():
    tokens = torch.arange(10).reshape(5, 2)
    batch = ShuffledBatches(tokens, 5, tokens % 3 == 0)(make_generator(0))
    assert torch.equal(batch.mask, batch.tokens % 3 == 0)
    assert ShuffledBatches(tokens, 5)(make_generator(0)).mask is None


@pytest.mark.parametrize("n_before", [0, 1, 2, 3])
def test_state_continues_in_the_middle_of_an_epoch(n_before):
    tokens = torch.arange(8)[:, None]
    batches, generator = ShuffledBatches(tokens, 3), make_generator(2)
    rows_of(batches, generator, n_before)
    again, state = ShuffledBatches(tokens, 3), generator.get_state()
    again.load_state_dict(batches.state_dict())
    expected = rows_of(batches, generator, 5)
    generator.set_state(state)
    assert rows_of(again, generator, 5) == expected


def test_another_seed_gives_another_order():
    batches = [ShuffledBatches(torch.arange(20)[:, None], 20) for _ in range(2)]
    assert rows_of(batches[0], make_generator(0), 1) != rows_of(batches[1], make_generator(1), 1)


@pytest.mark.parametrize("batch_size", [0, 6])
def test_a_batch_size_that_cannot_work_is_named(batch_size):
    with pytest.raises(ConfigError, match=f"from 1 to the number of examples, 5: got {batch_size}"):
        ShuffledBatches(torch.zeros(5, 2, dtype=torch.long), batch_size)


def test_a_batch_moves_with_its_mask():
    batch = Batch(torch.zeros(2, 3, dtype=torch.long), torch.ones(2, 3, dtype=torch.bool)).to(torch.device("meta"))
    assert batch.tokens.is_meta
    assert batch.mask is not None
    assert batch.mask.is_meta
    assert Batch(torch.zeros(2, 3, dtype=torch.long)).to(torch.device("meta")).mask is None


@pytest.mark.usefixtures("without_types")
def test_arrays_are_refused_with_the_way_to_a_tensor(tmp_path):
    stream = np.memmap(tmp_path / "tokens.bin", dtype=np.uint16, mode="w+", shape=(20,))
    with pytest.raises(ConfigError, match=r"must be a tensor: got memmap\. .*torch\.from_numpy"):
        random_windows(stream, 2, 5)
    with pytest.raises(ConfigError, match="must be a tensor: got memmap"):
        ShuffledBatches(stream.reshape(4, 5), 2)
    assert random_windows(torch.from_numpy(stream.astype("int64")), 2, 5)(make_generator(0)).shape == (2, 5)


def test_a_mask_that_counts_nothing_is_refused():
    mask = torch.zeros(2, 5, dtype=torch.bool)
    mask[:, 0] = True
    with pytest.raises(ConfigError, match=r"at least once: got one of shape \(2, 5\) that counts nothing"):
        Batch(torch.ones(2, 5, dtype=torch.long), mask)
    mask[1, 3] = True
    assert Batch(torch.ones(2, 5, dtype=torch.long), mask).mask is mask
