"""What judges of this section look at, and rays and triangles that they share."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from arena_lib.checking import Case, outputs
from arena_lib.checking.cases import tensors_in
from arena_lib.checking.observing import Observations, n_positional

__test__ = False

ON_DEVICE = "it computes on the device that is given"
BACK = "the result is where the rays are"
SMALL = "no tensor is larger than a chunk needs"
NUMBERS_FOR_EACH_PAIR = 12
"""A matrix, a vector and more: what any way of intersecting a ray and a triangle may keep in one tensor."""


def truth(function: Callable[..., Any], case: Case) -> Observations:
    """What a call answers: a tensor with a single True or False is as good as Python's own."""
    seen = outputs(function, case)
    answer = seen["output"]
    if isinstance(answer, Tensor) and answer.dtype == torch.bool and answer.ndim == 0:
        seen["output"] = bool(answer)
    return seen


def on_a_device(function: Callable[..., Any], case: Case) -> Observations:
    """The result on the CPU; and what happens on a device whose tensors have no values, which stands for any other.

    An older form of the function takes no device, and is asked for the result alone.
    """
    takes_device = n_positional(function) > len(case.args)
    device = (torch.device("cpu"),) if takes_device else ()
    seen = outputs(lambda *args: function(*args, *device), case)
    return {**seen, **(_elsewhere(function, case) if takes_device else {ON_DEVICE: True, BACK: True})}


def _elsewhere(function: Callable[..., Any], case: Case) -> Observations:
    """Nothing can come back from the device "meta": that it is tried shows that the computing was done there."""
    try:
        output = function(*case.fresh().args, torch.device("meta"))
    except NotImplementedError:
        return {ON_DEVICE: True, BACK: True}
    is_there = isinstance(output, Tensor) and output.is_meta
    return {ON_DEVICE: is_there, BACK: not is_there}


class LargestTensor(TorchDispatchMode):
    """Remembers how many bytes the largest tensor takes that is made meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.n_bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        self.n_bytes = max([self.n_bytes, *(tensor.untyped_storage().nbytes() for tensor in tensors_in(output))])
        return output


def in_chunks(function: Callable[..., Any], case: Case) -> Observations:
    """Distances and triangles, and whether memory grows with the chunk and not with the mesh."""
    with LargestTensor() as largest:
        seen = outputs(function, case)
    rays, *_ = case.args
    allowed = case.given["chunk_size"] * len(rays) * NUMBERS_FOR_EACH_PAIR * rays.element_size()
    return {**seen, SMALL: largest.n_bytes <= max(allowed, case.given["mesh_bytes"])}


def rays_through(*points: tuple[int | float, ...]) -> Tensor:
    """Rays from (0, 0, 0), each with the direction to its point."""
    directions = torch.tensor(points, dtype=torch.float32)
    return torch.stack([torch.zeros_like(directions), directions], dim=1)


def random_scene(generator: torch.Generator, n_rays: int, n_triangles: int) -> tuple[Tensor, Tensor]:
    """Rays from scattered origins near (-4, 0, 0), and triangles of all directions around (0, 0, 0).

    Every fifth ray looks back, so that triangles lie behind it; directions have lengths other than 1.
    """
    origins = torch.tensor([-4.0, 0.0, 0.0]) + torch.randn(n_rays, 3, generator=generator) / 2
    directions = 0.7 * torch.randn(n_rays, 3, generator=generator) - origins
    directions *= 0.3 + torch.rand(n_rays, 1, generator=generator)
    directions[4::5] *= -1
    corners = 1.2 * torch.randn(n_triangles, 3, 3, generator=generator)
    return torch.stack([origins, directions], dim=1), corners


WALL = torch.tensor([[2.0, 0.0, 0.0], [2.0, 4.0, 0.0], [2.0, 0.0, 4.0]])
"""A triangle whose systems with the rays below are solved without rounding."""
ON_EDGES = rays_through((2, 1, 0), (2, 0, 3), (2, 2, 2), (2, 0, 0), (2, 4, 0), (2, 0, 4), (2, 1, 1))
"""Rays through the edges and the corners of WALL, and one through its inside."""
BESIDE = rays_through((2, -0.5, 1), (2, 1, -0.5), (2, 2.5, 2), (2, 3.5, 3.5), (2, 4.5, 0), (2, 0, 4.5), (2, -1, -1))
"""Rays that pass each of its edges and corners on the outside."""
BEHIND = torch.stack(
    [torch.tensor([[6.0, 1.0, 1.0], [1.0, 0.0, 0.0]]), torch.tensor([[1.0, 1.0, 1.0], [-2.0, 0.0, 0.0]])]
)
"""Rays with WALL behind their origin."""
STARTS_ON_IT = torch.tensor([[[2.0, 1.0, 1.0], [1.0, 0.5, 0.0]]])
ALONG_IT = torch.tensor(
    [[[0.0, 1.0, 1.0], [0.0, 1.0, 0.5]], [[2.0, 1.0, 1.0], [0.0, 0.5, 1.0]], [[2.0, -1.0, 1.0], [0.0, 2.0, 0.0]]]
)
"""Rays parallel to WALL; two of them lie in its plane."""
NEARLY_ALONG = torch.tensor([[-0.5, -0.9, 0.5], [-0.4, -0.5, 0.9], [-0.3, -1.1, 0.8]])
"""A triangle in whose plane the next ray lies, up to rounding."""
NEARLY_ALONG_RAY = torch.tensor([[[-0.282, -1.188, 0.792], [-0.11, 0.26, -0.09]]])
NEEDLE = torch.tensor([[2.0, 0.0, 0.0], [2.0, 1.0, 1.0], [2.0, 2.0, 2.0]])
"""A triangle whose corners lie in one line, and so without area."""
POINT = torch.full((3, 3), 2.0)
"""A triangle whose corners are all one point."""
