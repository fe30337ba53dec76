"""All-reduce in a ring, in which every rank sends equally much, and hardly more the more ranks there are.

Shapes:  tensors of any shape, the same for all ranks; chunks are a list of `world_size` tensors.
Raises:  ConfigError for a rank outside the world, another number of chunks, and an operation that isn't known.
Source:  Patarasuk and Yuan 2009, doi:10.1016/j.jpdc.2008.09.002.
"""

from typing import Literal

import torch
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.distributed.point_to_point import check_op, check_world, send_right


def check_chunks(chunks: list[Tensor], world_size: int) -> None:
    """Raise unless there is a chunk for each rank."""
    if len(chunks) != world_size:
        raise ConfigError(f"there must be a chunk for each of the {world_size} ranks: got {len(chunks)}.")


def ring_reduce_scatter(chunks: list[Tensor], rank: int, world_size: int) -> None:
    """Once around the ring, adding: in the end rank r has the sum over all ranks of chunk number (r + 1) % world_size.

    In step s = 0, 1, ..., world_size - 2, rank r sends chunk (r - s) % world_size to its right neighbour, and adds what it
    receives from its left one to chunk (r - s - 1) % world_size. So each chunk travels once around the ring, and each rank that it
    comes through adds its own.

    Args:
        chunks: of this rank, `world_size` tensors, changed in place. Chunk i has the same shape on every rank. In the end
            the chunks but (r + 1) % world_size hold sums that aren't complete.
        rank: of this process, r.
        world_size: how many processes there are.
    """
    check_world(rank, world_size)
    check_chunks(chunks, world_size)
    for step in range(world_size - 1):
        target = chunks[(rank - step - 1) % world_size]
        received = torch.empty_like(target)
        send_right(chunks[(rank - step) % world_size], received, rank, world_size)
        target += received


def ring_all_gather(chunks: list[Tensor], rank: int, world_size: int) -> None:
    """Once around the ring, copying: at first rank r has the right chunk (r + 1) % world_size, in the end every rank has all.

    In step s = 0, 1, ..., world_size - 2, rank r sends chunk (r + 1 - s) % world_size to its right neighbour, and receives chunk
    (r - s) % world_size from its left one, in place of its own.

    Args:
        chunks: of this rank, `world_size` tensors, changed in place. Chunk i has the same shape on every rank.
        rank: of this process, r.
        world_size: how many processes there are.
    """
    check_world(rank, world_size)
    check_chunks(chunks, world_size)
    for step in range(world_size - 1):
        incoming = chunks[(rank - step) % world_size]
        send_right(chunks[(rank + 1 - step) % world_size], incoming, rank, world_size)


def ring_all_reduce(tensor: Tensor, rank: int, world_size: int, op: Literal["sum", "mean"] = "sum") -> None:
    """Give every rank the sum of what all ranks have, or the mean, by two rounds in a ring.

    The tensor's entries are cut into `world_size` chunks, as `tensor_split` does it, which need not divide evenly. Then
    `ring_reduce_scatter`, then `ring_all_gather`. So each rank sends 2 (world_size - 1) chunks, to its right neighbour alone.

    Args:
        tensor: of this rank, changed in place. It need not be contiguous.
        rank: of this process.
        world_size: how many processes there are.
        op: "sum", or "mean", which is the sum divided by `world_size`.
    """
    check_op(op)
    flat = tensor.detach().flatten().clone()
    chunks = list(flat.tensor_split(world_size))
    ring_reduce_scatter(chunks, rank, world_size)
    ring_all_gather(chunks, rank, world_size)
    if op == "mean":
        flat /= world_size
    tensor.copy_(flat.reshape(tensor.shape))
