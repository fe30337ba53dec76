import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.distributed import run_simulated, send_right
from arena_lib.fundamentals.distributed.point_to_point import check_op, check_world


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 5])
def test_everyone_gets_what_the_left_neighbour_has(world_size):
    outgoing = [torch.full((2, 3), float(rank)) for rank in range(world_size)]
    incoming = [torch.empty(2, 3) for _ in range(world_size)]
    run = run_simulated(send_right, [(outgoing[r], incoming[r], r, world_size) for r in range(world_size)])
    assert [tensor[0, 0].item() for tensor in incoming] == [(rank - 1) % world_size for rank in range(world_size)]
    assert [tensor[0, 0].item() for tensor in outgoing] == [*range(world_size)]
    assert run.bytes_sent() == [24 if world_size > 1 else 0] * world_size


def test_ranks_outside_the_world_and_unknown_operations_are_refused():
    with pytest.raises(ConfigError, match="world_size must be at least 1: got 0"):
        check_world(0, 0)
    with pytest.raises(ConfigError, match="rank must be a rank from 0 to 1: got -1"):
        check_world(-1, 2)
    with pytest.raises(ConfigError, match="got 'max'"):
        check_op("max")
