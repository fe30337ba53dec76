import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.distributed import all_reduce, broadcast, reduce, run_simulated


def tensors_of(world_size, *shape):
    generator = torch.Generator().manual_seed(world_size)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(world_size)]


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("src", [0, -1])
def test_all_get_what_one_has(world_size, src):
    src %= world_size
    tensors = tensors_of(world_size, 2, 3)
    expected = tensors[src].clone()
    run = run_simulated(broadcast, [(tensors[rank], rank, world_size, src) for rank in range(world_size)])
    assert all(torch.equal(tensor, expected) for tensor in tensors)
    assert sum(run.bytes_sent()) == 48 * (world_size - 1)


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("op", ["sum", "mean"])
def test_one_gets_what_all_have(world_size, op):
    tensors = tensors_of(world_size, 4)
    before = [tensor.clone() for tensor in tensors]
    dst = world_size - 1
    run_simulated(reduce, [(tensors[rank], rank, world_size, dst, op) for rank in range(world_size)])
    torch.testing.assert_close(tensors[dst], getattr(torch.stack(before), op)(dim=0))
    assert all(torch.equal(tensors[rank], before[rank]) for rank in range(dst))


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("op", ["sum", "mean"])
def test_all_get_what_all_have(world_size, op):
    tensors = tensors_of(world_size, 3, 1)
    expected = getattr(torch.stack(tensors), op)(dim=0)
    run = run_simulated(all_reduce, [(tensors[rank], rank, world_size, op) for rank in range(world_size)])
    for tensor in tensors:
        torch.testing.assert_close(tensor, expected)
    assert run.bytes_sent()[0] == 24 * (world_size - 1)


def test_bad_calls_are_refused(without_types):
    with pytest.raises(ConfigError, match="src must be"):
        broadcast(torch.zeros(1), 0, 2, 2)
    with pytest.raises(ConfigError, match="dst must be"):
        reduce(torch.zeros(1), 0, 2, -1)
    with pytest.raises(ConfigError, match="op must be 'sum' or 'mean': got 'max'"):
        all_reduce(torch.zeros(1), 0, 1, "max")
