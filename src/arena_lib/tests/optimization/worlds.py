"""What judges of distributed code look at: a world of threads, every rank's tensors afterwards, and who sent what to whom."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case
from arena_lib.checking.cases import map_tensors
from arena_lib.checking.observing import Observations
from arena_lib.errors import DeadlockError
from arena_lib.fundamentals.distributed.simulated import SimulatedRun, run_simulated

__test__ = False

WELL = "every rank came to its end"
HAPPENED = "what happened"


def world_case(label: str, arguments: Sequence[tuple[Any, ...]], call: str) -> Case:
    """One call on every rank at once, each with arguments of its own."""
    return Case(label=label, given={"arguments": list(arguments)}, call=call)


def draw(generator: torch.Generator, world_size: int, *shape: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """A tensor for each rank."""
    return [torch.randn(shape, generator=generator).to(dtype) for _ in range(world_size)]


def run_world(
    function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]
) -> tuple[Observations, SimulatedRun | None]:
    """What happened; a deadlock is an observation, not an exception."""
    try:
        run = run_simulated(function, arguments)
    except DeadlockError as error:
        return {HAPPENED: f"deadlock: {error}"}, None
    return {HAPPENED: WELL, "messages that nobody received": run.n_lost}, run


def tensors_afterwards(function: Callable[..., Any], case: Case) -> Observations:
    """Every tensor among the arguments, of every rank, and what the function returned."""
    arguments = [map_tensors(torch.clone, args) for args in case.given["arguments"]]
    seen, run = run_world(function, arguments)
    if run is None:
        return seen
    for rank, args in enumerate(arguments):
        values = [value for value in args if isinstance(value, Tensor | list)]
        seen[f"tensors of rank {rank} afterwards"] = values if len(values) > 1 else values[0]
    return seen | {"what it returns": run.results}
