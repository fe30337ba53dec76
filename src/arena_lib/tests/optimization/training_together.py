"""Judges of what a training on several processes is made of: parts of a batch, and mean gradients."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.distributed import data_parallel
from arena_lib.fundamentals.distributed.collectives import all_reduce
from arena_lib.tests.optimization.worlds import run_world

__test__ = False


def shard_cases(generator: torch.Generator) -> list[Case]:
    """First, middle and last parts, labels and pictures, and a batch that can't be cut."""

    def case(label: str, batch: Tensor, rank: int, world_size: int, raises: str = "") -> Case:
        return Case(label=label, args=(batch, rank, world_size), axes={"output": ""}, raises=raises)

    return [
        case("the first of two", torch.randn(4, 3, generator=generator), 0, 2),
        case("labels, the last of three", torch.arange(6), 2, 3),
        case("pictures, the second of four", torch.randn(8, 1, 2, 3, generator=generator), 1, 4),
        case("one process", torch.arange(5), 0, 1),
        case("five examples for two", torch.arange(5), 0, 2, raises="ConfigError"),
    ]


def shard_by_chunk(batch: Tensor, rank: int, world_size: int) -> Tensor:
    """With chunk."""
    from arena_lib.errors import ConfigError

    if batch.shape[0] % world_size != 0:
        raise ConfigError("unequal")
    return batch.chunk(world_size)[rank]


test_shard = exercise(
    reference=data_parallel.shard,
    cases=shard_cases,
    observe=outputs,
    accepts=[shard_by_chunk],
    mistakes=[
        *instead_of(
            "batch[rank * size : (rank + 1) * size]",
            {
                "batch[rank::world_size]": (
                    "deals examples out like cards",
                    "the pieces are in order: the first examples to rank 0",
                ),
                "batch[:size]": ("gives all ranks the first piece", "rank r gets piece number r"),
                "batch[rank * world_size : (rank + 1) * world_size]": (
                    "takes the number of processes for the size of a piece",
                    "a piece has len(batch) // world_size examples",
                ),
                "batch[rank * size :]": (
                    "takes everything from its piece on",
                    "a piece ends where the next one begins",
                ),
            },
        ),
    ],
)


def gradient_cases(generator: torch.Generator) -> list[Case]:
    """Worlds of one to three, with gradients of several shapes, some of which are None."""
    shapes = ((2, 3), (4,), (), (3, 1))

    def case(label: str, world_size: int, missing: tuple[int, ...] = (), as_generator: bool = False) -> Case:
        grads = [
            [None if i in missing else torch.randn(shape, generator=generator) for i, shape in enumerate(shapes)]
            for _ in range(world_size)
        ]
        given = {"grads": grads, "shapes": shapes, "as_generator": as_generator}
        return Case(label=label, given=given, call=f"params, rank, {world_size}")

    return [
        case("three processes", 3),
        case("two processes, a parameter without a gradient", 2, (1,)),
        case("a generator of parameters", 2, as_generator=True),
        case("one process", 1),
    ]


def gradients_afterwards(function: Callable[..., Any], case: Case) -> Observations:
    """Every gradient of every rank, whether it is the same tensor as before, and whether parameters stayed."""
    worlds = []
    for grads in case.given["grads"]:
        params = [torch.ones(shape, requires_grad=True) for shape in case.given["shapes"]]
        for param, grad in zip(params, grads, strict=True):
            param.grad = None if grad is None else grad.clone()
        worlds.append(params)
    held = [[param.grad for param in params] for params in worlds]
    n = len(worlds)
    is_once = case.given["as_generator"]
    arguments = [((p for p in params) if is_once else params, rank, n) for rank, params in enumerate(worlds)]
    seen, run = run_world(function, arguments)
    if run is None:
        return seen
    for rank, params in enumerate(worlds):
        seen[f"gradients of rank {rank}"] = [None if param.grad is None else param.grad.clone() for param in params]
        same = [param.grad is grad for param, grad in zip(params, held[rank], strict=True)]
        seen[f"gradients of rank {rank} were changed in place"] = all(same)
        seen[f"parameters of rank {rank} are as before"] = all(bool((param == 1).all()) for param in params)
    return seen


def average_one_by_one(params: Any, rank: int, world_size: int) -> None:
    """A message chain for each gradient."""
    for param in params:
        if param.grad is not None:
            all_reduce(param.grad, rank, world_size, "mean")


test_average_gradients = exercise(
    reference=data_parallel.average_gradients,
    cases=gradient_cases,
    observe=gradients_afterwards,
    accepts=[average_one_by_one],
    mistakes=[
        *instead_of(
            'ring_all_reduce(flat, rank, world_size, "mean")',
            {
                "ring_all_reduce(flat, rank, world_size)": (
                    "takes the sum",
                    "each rank's loss is a mean already: the mean of the ranks' gradients is that of the batch",
                ),
                "pass": ("sends nothing", "gradients are averaged over the ranks"),
            },
        ),
        *instead_of(
            "grad.copy_(piece.reshape(grad.shape))",
            {
                "grad.add_(piece.reshape(grad.shape))": ("adds the mean", "the mean takes the gradient's place"),
            },
        ),
        *instead_of(
            "[param.grad for param in params if param.grad is not None]",
            {
                "[param.grad if param.grad is not None else torch.zeros_like(param) for param in params][1:]": (
                    "leaves out the first",
                    "every gradient is averaged",
                ),
            },
        ),
    ],
)
