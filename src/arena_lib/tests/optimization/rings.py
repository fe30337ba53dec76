"""Judges of all-reduce in a ring."""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.distributed import collectives, ring
from arena_lib.fundamentals.distributed.point_to_point import send_right
from arena_lib.tests.optimization.worlds import draw, run_world, world_case

__test__ = False


def chunk_cases(generator: torch.Generator, world_sizes: tuple[int, ...] = (3, 2, 4, 1)) -> list[Case]:
    """Chunks of different sizes in worlds of one to four ranks."""
    cases = []
    for world_size in world_sizes:
        sizes = [2 + (3 * i) % 4 for i in range(world_size)]
        chunks = [[torch.randn(size, generator=generator) for size in sizes] for _ in range(world_size)]
        arguments = [(chunks[rank], rank, world_size) for rank in range(world_size)]
        cases.append(world_case(f"{world_size} rank{'s' * (world_size > 1)}", arguments, f"chunks, rank, {world_size}"))
    return cases


def scatter_cases(generator: torch.Generator) -> list[Case]:
    """The same."""
    return chunk_cases(generator)


def gather_cases(generator: torch.Generator) -> list[Case]:
    """The same."""
    return chunk_cases(generator)


def chunks_afterwards(function: Callable[..., Any], case: Case, *, own_alone: bool) -> Observations:
    """The chunks of each rank that are complete, who sent to whom, and how much."""
    arguments = [([chunk.clone() for chunk in chunks], *rest) for chunks, *rest in case.given["arguments"]]
    held = [list(chunks) for chunks, *_ in arguments]
    seen, run = run_world(function, arguments)
    if run is None:
        return seen
    world_size = len(arguments)
    for rank, (chunks, *_) in enumerate(arguments):
        own = (rank + 1) % world_size
        seen[f"chunks of rank {rank}"] = chunks[own] if own_alone else list(chunks)
        seen[f"chunks of rank {rank} were changed in place"] = (
            chunks[own] is held[rank][own]
            if own_alone
            else all(a is b for a, b in zip(chunks, held[rank], strict=True))
        )
        seen[f"who rank {rank} sent to"] = sorted({message.dst for message in run.messages if message.src == rank})
    return seen | {"bytes sent by each rank": run.bytes_sent()}


def own_chunks(function: Callable[..., Any], case: Case) -> Observations:
    """The chunk of which each rank should have the sum."""
    return chunks_afterwards(function, case, own_alone=True)


def all_chunks(function: Callable[..., Any], case: Case) -> Observations:
    """All chunks of each rank."""
    return chunks_afterwards(function, case, own_alone=False)


def scatter_by_turns(chunks: list[Tensor], rank: int, world_size: int) -> None:
    """With requests, and the chunk's number carried along."""
    number = rank
    for _ in range(world_size - 1):
        work = dist.isend(chunks[number].clone(), (rank + 1) % world_size)
        number = (number - 1) % world_size
        received = torch.zeros_like(chunks[number])
        dist.recv(received, (rank - 1) % world_size)
        chunks[number].add_(received)
        assert work is not None
        work.wait()


def gather_by_turns(chunks: list[Tensor], rank: int, world_size: int) -> None:
    """With the library's send_right, and the chunk's number carried along."""
    number = rank + 1
    for _ in range(world_size - 1):
        send_right(chunks[number % world_size], chunks[(number - 1) % world_size], rank, world_size)
        number -= 1


test_ring_reduce_scatter = exercise(
    reference=ring.ring_reduce_scatter,
    cases=scatter_cases,
    observe=own_chunks,
    accepts=[scatter_by_turns],
    mistakes=[
        *instead_of(
            "range(world_size - 1)",
            {
                "range(world_size)": (
                    "goes one step too far",
                    "after world_size - 1 steps each chunk has been everywhere",
                ),
                "range(world_size - 2)": (
                    "stops one step early",
                    "a chunk must come through all ranks: world_size - 1 steps",
                ),
            },
        ),
        *instead_of(
            "target += received",
            {
                "target.copy_(received)": ("copies in place of adding", "this round adds: each rank adds its own"),
                "chunks[(rank - step - 1) % world_size] = target + received": (
                    "puts new tensors into the list",
                    "the chunks are parts of a tensor: change them in place",
                ),
                "target = target + received": (
                    "adds into a new tensor",
                    "`target = ...` changes nothing outside: write `target += ...`",
                ),
            },
        ),
        *instead_of(
            "send_right(chunks[(rank - step) % world_size], received, rank, world_size)",
            {
                "send_right(chunks[rank], received, rank, world_size)": (
                    "sends the same chunk in every step",
                    "in step s rank r sends chunk (r - s) % world_size, the one that it has just added to",
                    "ShapeError",
                ),
            },
        ),
    ],
    equivalent={
        "target = chunks[(rank - step - 1) % world_size] -> target = chunks[rank - step - 1]": "Python counts from the end, too",
        "chunks[(rank - step) % world_size] -> chunks[rank - step]": "Python counts from the end, too",
    },
)

test_ring_all_gather = exercise(
    reference=ring.ring_all_gather,
    cases=gather_cases,
    observe=all_chunks,
    accepts=[gather_by_turns],
    mistakes=[
        *instead_of(
            "range(world_size - 1)",
            {
                "range(world_size)": ("goes one step too far", "after world_size - 1 steps everybody has everything"),
                "range(world_size - 2)": ("stops one step early", "each rank misses world_size - 1 chunks at first"),
            },
        ),
        *instead_of(
            "        send_right(chunks[(rank + 1 - step) % world_size], incoming, rank, world_size)",
            {
                "        received = torch.empty_like(incoming)\n"
                "        send_right(chunks[(rank + 1 - step) % world_size], received, rank, world_size)\n"
                "        incoming += received": (
                    "adds in place of copying",
                    "these chunks are complete: take them as they are",
                ),
                "        received = torch.empty_like(incoming)\n"
                "        send_right(chunks[(rank + 1 - step) % world_size], received, rank, world_size)\n"
                "        chunks[(rank - step) % world_size] = received": (
                    "puts new tensors into the list",
                    "the chunks are parts of a tensor: change them in place",
                ),
                "        pass": ("sends nothing", "in each step a chunk goes to the right neighbour"),
            },
        ),
    ],
    equivalent={
        "incoming = chunks[(rank - step) % world_size] -> incoming = chunks[rank - step]": "Python counts from the end, too",
    },
)


def ring_cases(generator: torch.Generator) -> list[Case]:
    """Shapes that divide evenly and not, fewer entries than ranks, a transposed table, sums and means."""

    def case(label: str, world_size: int, shape: tuple[int, ...], *op: str, dtype: torch.dtype = torch.float32) -> Case:
        tensors = draw(generator, world_size, *shape, dtype=dtype)
        call = f"tensor, rank, {world_size}{''.join(f', {value!r}' for value in op)}"
        return world_case(label, [(tensors[r], r, world_size, *op) for r in range(world_size)], call)

    transposed = [(table, rank, 3, "mean") for rank, table in enumerate(draw(generator, 3, 4, 6))]
    tables = world_case("a transposed table", transposed, "table.T, rank, 3, 'mean'")
    tables.given["arguments"][:] = transposed
    return [
        case("three ranks, six entries", 3, (6,)),
        case("a mean of four", 4, (8, 2), "mean"),
        case("entries that can't be cut evenly", 4, (7,), "sum"),
        case("fewer entries than ranks", 3, (2,), "mean"),
        case("a chunk of two entries and three of one", 4, (5,)),
        case("two ranks, double precision", 2, (3, 2), dtype=torch.float64),
        case("one rank alone", 1, (3,), "mean"),
        Case(label=tables.label, given={**tables.given, "is_transposed": True}, call=tables.call),
    ]


def ring_world(function: Callable[..., Any], case: Case) -> Observations:
    """The tensors, whom each rank sent to, and the most that one rank sent."""
    arguments = [(tensor.clone(), *rest) for tensor, *rest in case.given["arguments"]]
    passed = [(tensor.T, *rest) for tensor, *rest in arguments] if case.given.get("is_transposed") else arguments
    seen, run = run_world(function, passed)
    if run is None:
        return seen
    for rank, (tensor, *_) in enumerate(arguments):
        seen[f"tensor of rank {rank} afterwards"] = tensor
        seen[f"who rank {rank} sent to"] = sorted(
            {message.dst for message in run.messages if message.src == rank and message.n_bytes}
        )
    tensor = arguments[0][0]
    n_entries, world_size = tensor.numel(), len(arguments)
    most = 2 * (world_size - 1) * -(-n_entries // world_size) * tensor.element_size()
    seen["no rank sends more than 2 (world_size - 1) chunks"] = max(run.bytes_sent()) <= most
    sizes = sorted(message.n_bytes // tensor.element_size() for message in run.messages if message.n_bytes)
    seen["entries in each message of the world, from few to many"] = sizes
    return seen | {"what it returns": run.results}


def ring_by_hand(tensor: Tensor, rank: int, world_size: int, op: str = "sum") -> None:
    """Both rounds in one loop, with the mean taken before."""
    flat = tensor.reshape(-1).clone()
    if op == "mean":
        flat /= world_size
    chunks = list(torch.tensor_split(flat, world_size))
    for step in range(2 * (world_size - 1)):
        sent, number = (rank - step) % world_size, (rank - step - 1) % world_size
        received = torch.empty_like(chunks[number])
        send_right(chunks[sent], received, rank, world_size)
        chunks[number].copy_(chunks[number] + received if step < world_size - 1 else received)
    tensor.copy_(flat.reshape(tensor.shape))


def ring_of_a_copy(tensor: Tensor, rank: int, world_size: int, op: str = "sum") -> None:
    """Works on what flatten gives, which is a copy where the tensor isn't contiguous."""
    ring_by_hand(tensor.flatten(), rank, world_size, op)


def through_rank_0(tensor: Tensor, rank: int, world_size: int, op: Any = "sum") -> None:
    """All send to one, and one to all."""
    whole = tensor.contiguous()
    collectives.all_reduce(whole, rank, world_size, op)
    tensor.copy_(whole)


test_ring_all_reduce = exercise(
    reference=ring.ring_all_reduce,
    cases=ring_cases,
    observe=ring_world,
    accepts=[ring_by_hand],
    mistakes=[
        *instead_of(
            "    ring_all_gather(chunks, rank, world_size)\n",
            {"": ("forgets the second round", "after the first each rank has one complete chunk")},
        ),
        *instead_of(
            "    ring_reduce_scatter(chunks, rank, world_size)\n",
            {"": ("forgets the first round", "nothing has been added up yet")},
        ),
        *instead_of(
            "    ring_reduce_scatter(chunks, rank, world_size)\n    ring_all_gather(chunks, rank, world_size)\n",
            {
                "    ring_all_gather(chunks, rank, world_size)\n    ring_reduce_scatter(chunks, rank, world_size)\n": (
                    "takes the second round first",
                    "first the chunks are added up, then the sums are copied",
                ),
            },
        ),
        Mistake(
            "adds up a copy of what isn't contiguous",
            function=ring_of_a_copy,
            why="flatten copies where the entries don't lie in order: copy the result back into the tensor",
        ),
        Mistake(
            "goes through rank 0",
            function=through_rank_0,
            why="in a ring each rank sends to its right neighbour alone, and nobody carries everything",
        ),
        *instead_of(
            "flat /= world_size",
            {
                "pass": ("ignores op", 'if op is "mean", the sum is divided by world_size'),
                "chunks[(rank + 1) % world_size].div_(world_size)": (
                    "divides its own chunk alone",
                    "after both rounds every rank has the sums of all chunks: divide all, or divide before the second round",
                ),
                "flat /= world_size - 1": (
                    "divides by the number of the others",
                    "the mean is over all ranks, its own among them",
                ),
            },
        ),
        *instead_of(
            "tensor.copy_(flat.reshape(tensor.shape))",
            {
                "tensor = flat.reshape(tensor.shape)": (
                    "gives the name to a new tensor",
                    "`tensor = ...` changes nothing outside of the function: copy into it",
                ),
                "tensor.copy_(flat.reshape(tensor.T.shape).T)": (
                    "puts entries back in another order",
                    "the entries go back in the order in which flatten took them",
                ),
            },
        ),
        *instead_of(
            "list(flat.tensor_split(world_size))",
            {
                "list(flat.chunk(world_size))": (
                    "cuts with chunk",
                    "chunk may give fewer than world_size chunks; tensor_split always gives as many",
                ),
                "[*flat.chunk(world_size), *[flat[:0]] * world_size][:world_size]": (
                    "cuts into chunks that differ by more than one entry",
                    "tensor_split gives chunks of equal sizes, or such as differ by one entry",
                ),
            },
        ),
        *instead_of(
            "flat.tensor_split(world_size)",
            {
                "flat.split(max(1, flat.numel() // world_size))": (
                    "cuts off what doesn't divide evenly as one more chunk",
                    "tensor_split always gives world_size chunks",
                ),
            },
        ),
    ],
    equivalent={
        "flat = tensor.detach().flatten().clone() -> flat = tensor.detach().flatten()": (
            "a view is changed in place, and copied onto itself in the end"
        ),
        "flat = tensor.detach().flatten().clone() -> flat = tensor.flatten().clone()": "the tensors here need no gradient",
    },
)
