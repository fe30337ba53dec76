"""Several processes that train one autoencoder, each on activations of its own, with averaged gradients.

    torchrun --nproc-per-node 2 -m arena_lib saes train ...

Without `torch.distributed` everything here does nothing, so the loop is the same for one process and for several.

Source:  Li et al. 2020, arXiv:2006.15704 (data parallel training).
Differs: gradients are averaged after the backward pass, not during it: an autoencoder has a handful of tensors.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor, nn


def is_distributed() -> bool:
    """Whether this process trains together with others."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def get_rank() -> int:
    """The number of this process, 0 if it is alone."""
    return dist.get_rank() if is_distributed() else 0


def find_own_device(name: str) -> str:
    """The device of this process: under torchrun each has a GPU of its own."""
    rank = os.environ.get("LOCAL_RANK")
    return f"cuda:{rank}" if name == "cuda" and rank is not None else name


@contextmanager
def torchrun_group(device: torch.device) -> Iterator[None]:
    """Join the processes that torchrun started for the length of a `with` block; without torchrun do nothing."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def average(tensor: Shaped[Tensor, "*any"]) -> Shaped[Tensor, "*any"]:
    """The mean over processes, in place."""
    if is_distributed():
        dist.all_reduce(tensor)
        tensor.div_(dist.get_world_size())
    return tensor


def add_up(tensor: Shaped[Tensor, "*any"]) -> Shaped[Tensor, "*any"]:
    """The sum over processes, in place."""
    if is_distributed():
        dist.all_reduce(tensor)
    return tensor


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the mean gradient; a parameter without one has none anywhere."""
    if is_distributed():
        for parameter in parameters:
            if parameter.grad is not None:
                average(parameter.grad)


def share(module: nn.Module) -> None:
    """Give every process the weights and buffers of the first."""
    if is_distributed():
        for tensor in (*module.parameters(), *module.buffers()):
            dist.broadcast(tensor.data, src=0)


def gather(number: int, device: torch.device) -> list[int]:
    """The number of each process, in their order."""
    if not is_distributed():
        return [number]
    numbers = torch.zeros(dist.get_world_size(), dtype=torch.int64, device=device)
    numbers[dist.get_rank()] = number
    dist.all_reduce(numbers)
    return numbers.tolist()


def any_asks(is_asked: bool, device: torch.device) -> bool:
    """Whether at least one process says so."""
    if not is_distributed():
        return is_asked
    asked = torch.tensor(float(is_asked), device=device)
    dist.all_reduce(asked, op=dist.ReduceOp.MAX)
    return bool(asked)
