"""Judges of messages between neighbours, and of the simple collectives."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.distributed import collectives, point_to_point
from arena_lib.tests.optimization.worlds import draw, tensors_afterwards, world_case

__test__ = False


def neighbour_cases(generator: torch.Generator) -> list[Case]:
    """Worlds of two to five ranks, one rank alone, matrices, slices of a matrix, double precision."""

    def case(label: str, world_size: int, *shape: int, dtype: torch.dtype = torch.float32) -> Case:
        outgoing = draw(generator, world_size, *shape, dtype=dtype)
        arguments = [(outgoing[r], torch.zeros(shape, dtype=dtype), r, world_size) for r in range(world_size)]
        return world_case(label, arguments, f"outgoing, incoming, rank, {world_size}")

    return [
        case("three ranks", 3, 2),
        case("two ranks", 2, 2, 3),
        case("four ranks", 4, 3),
        case("five ranks", 5, 1),
        case("one rank alone", 1, 2),
        case("double precision", 3, 2, dtype=torch.float64),
    ]


def send_right_by_turns(outgoing: Tensor, incoming: Tensor, rank: int, world_size: int) -> None:
    """Even ranks send first, odd ones receive first."""
    if world_size == 1:
        incoming.copy_(outgoing)
    elif rank % 2 == 0:
        dist.send(outgoing, (rank + 1) % world_size)
        dist.recv(incoming, (rank - 1) % world_size)
    else:
        dist.recv(incoming, (rank - 1) % world_size)
        dist.send(outgoing, (rank + 1) % world_size)


def send_right_by_requests(outgoing: Tensor, incoming: Tensor, rank: int, world_size: int) -> None:
    """Two requests, then two waits."""
    if world_size == 1:
        incoming[...] = outgoing
        return
    right, left = (rank + 1) % world_size, (rank + world_size - 1) % world_size
    for work in [dist.irecv(incoming, left), dist.isend(outgoing, right)]:
        assert work is not None
        work.wait()


SENDING = "sending = dist.isend(outgoing.contiguous(), dst=(rank + 1) % world_size)"

test_send_right = exercise(
    reference=point_to_point.send_right,
    cases=neighbour_cases,
    observe=tensors_afterwards,
    accepts=[send_right_by_turns, send_right_by_requests],
    mistakes=[
        *instead_of(
            "sending = dist.isend(outgoing.contiguous(), dst=(rank + 1) % world_size)\n"
            "    dist.recv(incoming, src=(rank - 1) % world_size)\n    sending.wait()",
            {
                "dist.send(outgoing, dst=(rank + 1) % world_size)\n    dist.recv(incoming, src=(rank - 1) % world_size)": (
                    "lets all ranks send first",
                    "a send waits until the other side receives: if all send, nobody receives",
                ),
                "dist.recv(incoming, src=(rank - 1) % world_size)\n    dist.send(outgoing, dst=(rank + 1) % world_size)": (
                    "lets all ranks receive first",
                    "a receive waits until the other side sends: if all receive, nobody sends",
                ),
                "sending = dist.isend(outgoing, dst=(rank - 1) % world_size)\n"
                "    dist.recv(incoming, src=(rank + 1) % world_size)\n    sending.wait()": (
                    "sends to the left",
                    "the right neighbour is (rank + 1) % world_size",
                ),
                "sending = dist.isend(outgoing, dst=(rank + 1) % world_size)\n"
                "    dist.recv(outgoing, src=(rank - 1) % world_size)\n    sending.wait()": (
                    "receives into the tensor that is sent",
                    "outgoing stays as it is, until it's sent and after that",
                    "ConfigError",
                ),
            },
        ),
        *instead_of(
            "incoming.copy_(outgoing)",
            {"pass": ("does nothing where there is one rank", "a ring of one: its neighbour is itself")},
        ),
    ],
    equivalent={
        "dist.recv(incoming, src=(rank - 1) % world_size) -> dist.recv(incoming)": "only the left neighbour sends",
        "sending.wait() -> None": "the neighbour has received when it has done its part; whoever waits here is only tidier",
    },
)


def broadcast_cases(generator: torch.Generator) -> list[Case]:
    """From rank 0 and from others, in worlds of one to four."""

    def case(label: str, world_size: int, shape: tuple[int, ...], *src: int) -> Case:
        tensors = draw(generator, world_size, *shape)
        rest = "".join(f", src={s}" for s in src)
        return world_case(
            label, [(tensors[r], r, world_size, *src) for r in range(world_size)], f"tensor, rank, {world_size}{rest}"
        )

    return [
        case("three ranks", 3, (2,)),
        case("from rank 2", 4, (2, 3), 2),
        case("from the last of two", 2, (3,), 1),
        case("one rank alone", 1, (2,)),
    ]


def broadcast_along_a_line(tensor: Tensor, rank: int, world_size: int, src: int = 0) -> None:
    """Each rank passes it on to the next."""
    place = (rank - src) % world_size
    if place > 0:
        dist.recv(tensor, (rank - 1) % world_size)
    if place < world_size - 1:
        dist.send(tensor, (rank + 1) % world_size)


def broadcast_by_requests(tensor: Tensor, rank: int, world_size: int, src: int = 0) -> None:
    """All sends at once, then all waits."""
    if rank == src:
        works = [dist.isend(tensor, other) for other in range(world_size) if other != src]
        for work in works:
            assert work is not None
            work.wait()
        return
    dist.recv(tensor)


test_broadcast = exercise(
    reference=collectives.broadcast,
    cases=broadcast_cases,
    observe=tensors_afterwards,
    accepts=[broadcast_along_a_line, broadcast_by_requests],
    mistakes=[
        *instead_of(
            "if rank == src:",
            {
                "if rank == 0:": ("always sends from rank 0", "src says who has what all shall have"),
            },
        ),
        *instead_of(
            "dist.recv(tensor, src=src)",
            {
                "dist.recv(torch.empty_like(tensor), src=src)": (
                    "receives into a new tensor",
                    "what is received must stand in tensor: receive into it",
                ),
                "pass": ("forgets to receive", "each send needs a receive on the other side"),
            },
        ),
        *instead_of(
            "range(world_size)",
            {
                "range(world_size - 1)": ("forgets the last rank", "ranks go from 0 to world_size - 1"),
            },
        ),
    ],
    equivalent={"dist.recv(tensor, src=src) -> dist.recv(tensor)": "only src sends"},
)


def reduce_cases(generator: torch.Generator) -> list[Case]:
    """Sums and means, to rank 0 and to others."""

    def case(label: str, world_size: int, shape: tuple[int, ...], *rest: Any) -> Case:
        tensors = draw(generator, world_size, *shape)
        call = f"tensor, rank, {world_size}{''.join(f', {value!r}' for value in rest)}"
        return world_case(label, [(tensors[r], r, world_size, *rest) for r in range(world_size)], call)

    return [
        case("a sum of three", 3, (2,)),
        case("a mean to rank 2", 4, (2, 3), 2, "mean"),
        case("a sum to rank 1", 2, (3,), 1, "sum"),
        case("a mean of three", 3, (1,), 0, "mean"),
        case("one rank alone", 1, (2,), 0, "mean"),
    ]


def reduce_by_list(tensor: Tensor, rank: int, world_size: int, dst: int = 0, op: str = "sum") -> None:
    """Receives all, then adds."""
    if rank == dst:
        received = {other: torch.zeros_like(tensor) for other in range(world_size) if other != dst}
        for other, into in received.items():
            dist.recv(into, other)
        total = torch.stack([tensor, *received.values()]).sum(dim=0)
        tensor.copy_(total / world_size if op == "mean" else total)
    else:
        dist.send(tensor, dst)


def shared_mistakes(divide: str = "tensor /= world_size") -> tuple[Mistake, ...]:
    """Of the mean."""
    return instead_of(
        divide,
        {
            "pass": ("ignores op", 'if op is "mean", the sum is divided by world_size'),
            "tensor /= world_size - 1": (
                "divides by the number of the others",
                "the mean is over all ranks, its own among them",
            ),
        },
        within="reduce",
    )


test_reduce = exercise(
    reference=collectives.reduce,
    cases=reduce_cases,
    observe=tensors_afterwards,
    accepts=[reduce_by_list],
    mistakes=[
        *shared_mistakes(),
        *instead_of(
            "dist.recv(received, src=other)\n            tensor += received",
            {
                "dist.recv(tensor, src=other)": ("overwrites the tensor", "receive into another tensor, and add that"),
                "dist.recv(tensor, src=other)\n            tensor += tensor": (
                    "receives into the tensor that it adds to",
                    "a receive overwrites: receive into another tensor, and add that",
                ),
                "dist.recv(received, src=other)\n            tensor += received\n"
                '            if op == "mean":\n                tensor /= 2': (
                    "takes the mean of two again and again",
                    "the sum of all is divided once, by world_size",
                ),
                "dist.recv(received, src=other)\n            tensor = tensor + received": (
                    "adds into a new tensor",
                    "the result must stand in tensor: add to it in place",
                ),
            },
        ),
        *instead_of(
            '    if op == "mean":\n        tensor /= world_size',
            {
                '            if op == "mean":\n                tensor /= world_size': (
                    "divides after each receive",
                    "the sum of all is divided once, after the loop",
                ),
            },
        ),
        *instead_of(
            "if rank != dst:",
            {
                "if rank != 0:": ("asks for rank 0 in place of dst", "dst says who gets the result"),
                "dst = 0\n    if rank != dst:": ("always sums up at rank 0", "dst says who gets the result"),
            },
        ),
        *instead_of(
            "range(world_size)",
            {
                "range(1, world_size)": ("never receives from rank 0", "all ranks but dst send, rank 0 among them"),
                "range(world_size - 1)": ("forgets the last rank", "ranks go from 0 to world_size - 1"),
            },
        ),
        *instead_of(
            "dist.send(tensor, dst=dst)",
            {
                'dist.send(tensor, dst=dst)\n        if op == "mean":\n            tensor /= world_size': (
                    "divides at the senders, too",
                    "the tensors of the others stay as they are: dst alone divides",
                ),
                "dist.send(tensor, dst=dst)\n        tensor.zero_()": (
                    "clears what was sent",
                    "the tensors of the others stay as they are",
                ),
            },
        ),
    ],
    equivalent={"dist.recv(received, src=other) -> dist.recv(received)": "sums have no order"},
)


def all_reduce_cases(generator: torch.Generator) -> list[Case]:
    """Sums and means in worlds of one to four."""

    def case(label: str, world_size: int, shape: tuple[int, ...], *rest: Any) -> Case:
        tensors = draw(generator, world_size, *shape)
        call = f"tensor, rank, {world_size}{''.join(f', {value!r}' for value in rest)}"
        return world_case(label, [(tensors[r], r, world_size, *rest) for r in range(world_size)], call)

    return [
        case("a sum of three", 3, (2,)),
        case("a mean of four", 4, (2, 3), "mean"),
        case("a sum of two", 2, (3,), "sum"),
        case("one rank alone", 1, (2,), "mean"),
    ]


def all_reduce_by_everyone(tensor: Tensor, rank: int, world_size: int, op: str = "sum") -> None:
    """Everybody sends to everybody, and adds up."""
    works = [dist.isend(tensor.clone(), other) for other in range(world_size) if other != rank]
    total = tensor.clone()
    for other in range(world_size):
        if other != rank:
            received = torch.empty_like(tensor)
            dist.recv(received, other)
            total += received
    for work in works:
        assert work is not None
        work.wait()
    tensor.copy_(total / world_size if op == "mean" else total)


test_all_reduce = exercise(
    reference=collectives.all_reduce,
    cases=all_reduce_cases,
    observe=tensors_afterwards,
    accepts=[all_reduce_by_everyone],
    mistakes=[
        *instead_of(
            "reduce(tensor, rank, world_size, dst=0, op=op)",
            {
                "reduce(tensor, rank, world_size, dst=0)": ("ignores op", 'if op is "mean", all get the mean'),
                "reduce(tensor, rank, world_size, dst=world_size - 1, op=op)": (
                    "sums up at one rank and sends from another",
                    "broadcast from the rank that has the sum",
                ),
            },
        ),
        *instead_of(
            "broadcast(tensor, rank, world_size, src=0)",
            {
                "pass": ("forgets the broadcast", "after reduce only one rank has the sum"),
                "reduce(tensor, rank, world_size, dst=0, op=op)": (
                    "reduces twice",
                    "what rank 0 has must go to all: that is a broadcast",
                ),
            },
        ),
    ],
    equivalent={
        "reduce(tensor, rank, world_size, dst=0, op=op) -> reduce(tensor, rank, world_size, op=op)": "0 is the default",
        "broadcast(tensor, rank, world_size, src=0) -> broadcast(tensor, rank, world_size)": "0 is the default",
    },
)
