"""Collectives from sends and receives: what one rank has for all, what all have for one, what all have for all.

Shapes:  tensors of any shape, the same for all ranks.
Raises:  ConfigError for a rank outside the world, and for an operation that isn't known.
Source:  own design; the names and their meaning are torch.distributed's.
Differs: `mean` is offered beside `sum`; other operations aren't.
"""

from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor

from arena_lib.fundamentals.distributed.point_to_point import check_op, check_world


def broadcast(tensor: Tensor, rank: int, world_size: int, src: int = 0) -> None:
    """Give every rank what rank `src` has: its tensor is sent to each of the others, which receive into theirs, in place.

    Args:
        tensor: of this rank. That of `src` stays as it is.
        rank: of this process.
        world_size: how many processes there are.
        src: the rank whose tensor all will have.
    """
    check_world(rank, world_size, src=src)
    if rank == src:
        for other in range(world_size):
            if other != src:
                dist.send(tensor, dst=other)
    else:
        dist.recv(tensor, src=src)


def reduce(tensor: Tensor, rank: int, world_size: int, dst: int = 0, op: Literal["sum", "mean"] = "sum") -> None:
    """Give rank `dst` the sum of what all ranks have, or the mean: each of the others sends its tensor to `dst`.

    Args:
        tensor: of this rank. That of `dst` is changed in place; those of the others stay as they are.
        rank: of this process.
        world_size: how many processes there are.
        dst: the rank that gets the result.
        op: "sum", or "mean", which is the sum divided by `world_size`.
    """
    check_world(rank, world_size, dst=dst)
    check_op(op)
    if rank != dst:
        dist.send(tensor, dst=dst)
        return
    received = torch.empty_like(tensor)
    for other in range(world_size):
        if other != dst:
            dist.recv(received, src=other)
            tensor += received
    if op == "mean":
        tensor /= world_size


def all_reduce(tensor: Tensor, rank: int, world_size: int, op: Literal["sum", "mean"] = "sum") -> None:
    """Give every rank the sum of what all ranks have, or the mean: `reduce` to rank 0, then `broadcast` from it.

    Args:
        tensor: of this rank, changed in place.
        rank: of this process.
        world_size: how many processes there are.
        op: "sum", or "mean", which is the sum divided by `world_size`.
    """
    reduce(tensor, rank, world_size, dst=0, op=op)
    broadcast(tensor, rank, world_size, src=0)
