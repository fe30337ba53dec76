"""From one rank to another: what all collectives are made of.

A world has `world_size` processes, each with a number, its rank, from 0. All run the same program. `dist.send(tensor, dst)` and
`dist.recv(tensor, src)` are torch.distributed's; both wait until the other side has come.

Shapes:  tensors of any shape.
Raises:  ConfigError for a rank outside the world, ShapeError for tensors that don't fit.
Source:  own design.
"""

import torch.distributed as dist
from torch import Tensor

from arena_lib.errors import ConfigError


def check_world(rank: int, world_size: int, **others: int) -> None:
    """Raise unless there is a world, and every rank is in it.

    >>> check_world(0, 2, src=2)
    Traceback (most recent call last):
    ...
    arena_lib.errors.ConfigError: src must be a rank from 0 to 1: got 2. There are 2 processes.
    """
    if world_size < 1:
        raise ConfigError(f"world_size must be at least 1: got {world_size}.")
    for name, value in {"rank": rank, **others}.items():
        if not 0 <= value < world_size:
            raise ConfigError(
                f"{name} must be a rank from 0 to {world_size - 1}: got {value}. There are {world_size} processes."
            )


def check_op(op: str) -> None:
    """Raise unless the operation is one of the two that there are."""
    if op not in ("sum", "mean"):
        raise ConfigError(f"op must be 'sum' or 'mean': got {op!r}.")


def send_right(outgoing: Tensor, incoming: Tensor, rank: int, world_size: int) -> None:
    """All ranks stand in a ring: each sends a tensor to its right neighbour, and receives one from its left.

    The right neighbour of `rank` is (rank + 1) % world_size, its left one (rank - 1) % world_size. Sending waits until the
    neighbour receives. If all send first, all wait for ever. With one rank in the world, `incoming` becomes `outgoing`.

    Args:
        outgoing: what is sent. It stays as it is.
        incoming: what is received is written into it, in place. Its shape is that of the left neighbour's `outgoing`.
        rank: of this process.
        world_size: how many processes there are.
    """
    check_world(rank, world_size)
    if world_size == 1:
        incoming.copy_(outgoing)
        return
    sending = dist.isend(outgoing.contiguous(), dst=(rank + 1) % world_size)
    dist.recv(incoming, src=(rank - 1) % world_size)
    sending.wait()  # type: ignore[union-attr]
