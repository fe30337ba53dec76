import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.distributed import ring_all_gather, ring_all_reduce, ring_reduce_scatter, run_simulated


def chunks_of(world_size, generator):
    return [[torch.randn(1 + i, generator=generator) for i in range(world_size)] for _ in range(world_size)]


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 7])
def test_each_rank_ends_with_its_sum_and_then_all_have_all(world_size):
    chunks = chunks_of(world_size, torch.Generator().manual_seed(0))
    sums = [sum(of_rank[i] for of_rank in chunks) for i in range(world_size)]
    run_simulated(ring_reduce_scatter, [(chunks[rank], rank, world_size) for rank in range(world_size)])
    for rank in range(world_size):
        own = (rank + 1) % world_size
        torch.testing.assert_close(chunks[rank][own], sums[own])
    run_simulated(ring_all_gather, [(chunks[rank], rank, world_size) for rank in range(world_size)])
    for of_rank in chunks:
        for chunk, expected in zip(of_rank, sums, strict=True):
            torch.testing.assert_close(chunk, expected)


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("shape", [(12,), (5, 7), (2,), ()])
@pytest.mark.parametrize("op", ["sum", "mean"])
def test_all_reduce_is_the_sum_or_the_mean_for_any_shape(world_size, shape, op):
    generator = torch.Generator().manual_seed(1)
    tensors = [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(world_size)]
    expected = getattr(torch.stack(tensors), op)(dim=0)
    run_simulated(ring_all_reduce, [(tensors[rank], rank, world_size, op) for rank in range(world_size)])
    for tensor in tensors:
        torch.testing.assert_close(tensor, expected)


def test_a_tensor_that_is_not_contiguous_is_changed_in_place():
    tables = [torch.arange(6.0).reshape(2, 3) * (rank + 1) for rank in range(2)]
    expected = tables[0] + tables[1]
    run_simulated(ring_all_reduce, [(tables[rank].T, rank, 2) for rank in range(2)])
    assert all(torch.equal(table, expected) for table in tables)


@pytest.mark.parametrize("world_size", [2, 3, 4, 6])
def test_every_rank_sends_2_n_minus_1_over_n_of_the_tensor(world_size):
    n_bytes = 4 * 120
    run = run_simulated(ring_all_reduce, [(torch.ones(120), rank, world_size) for rank in range(world_size)])
    assert run.bytes_sent() == run.bytes_received() == [2 * (world_size - 1) * n_bytes // world_size] * world_size
    assert all(message.dst == (message.src + 1) % world_size for message in run.messages)


def test_bad_calls_are_refused(without_types):
    for function in (ring_reduce_scatter, ring_all_gather):
        with pytest.raises(ConfigError, match="a chunk for each of the 3 ranks: got 2"):
            function([torch.zeros(1)] * 2, 0, 3)
    with pytest.raises(ConfigError, match="got 'max'"):
        ring_all_reduce(torch.zeros(2), 0, 1, "max")
