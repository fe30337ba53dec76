"""Rays and a mesh of triangles: how far away is the first thing that each ray meets?

A distance is the u of the point O + u D, so it is measured in lengths of D. A miss is infinity: the smaller of two
distances is then right whether or not both are hits.

Shapes:  rays "n_rays 2 3" (origin, direction), triangles "n_triangles 3 3" (a corner in each row).
Raises:  ShapeError and DtypeError for other rays or triangles; ConfigError for chunks of no triangles;
         MissingDeviceError for a device that isn't there.
Source:  Shirley and Marschner 2021, Fundamentals of computer graphics, section 4.4; the chunks are our own.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.core.device import pick_device
from arena_lib.fundamentals.ray_tracing.cross_products import moller_trumbore
from arena_lib.fundamentals.ray_tracing.inputs import check_chunk_size, check_triangles
from arena_lib.fundamentals.ray_tracing.systems import solve_or_nan

CHUNK_SIZE = 64
"""Triangles at a time: with 10,000 rays a tensor of three numbers for each pair then takes 8 MB."""


def intersect_triangles(
    rays: Float[Tensor, "n_rays 2 3"], triangles: Float[Tensor, "n_triangles 3 3"]
) -> Float[Tensor, "n_rays n_triangles"]:
    """The distance of every ray to every triangle, and infinity where it misses.

    For the ray O + u D and the triangle A, B, C solve -u D + v (B - A) + w (C - A) = O - A with `solve_or_nan`. The
    distance is u if u >= 0, v >= 0, w >= 0 and v + w <= 1, else infinity.

    >>> rays = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.125, 0.125]], [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]])
    >>> intersect_triangles(rays, torch.tensor([[[2.0, 0.0, 0.0], [2.0, 1.0, 0.0], [2.0, 0.0, 1.0]]]))
    tensor([[2.],
            [inf]])
    """
    check_triangles(rays, triangles)
    O, D = rays[:, None].unbind(dim=2)
    A, B, C = triangles.unbind(dim=1)
    columns = torch.broadcast_tensors(-D, B - A, C - A)
    u, v, w = solve_or_nan(torch.stack(columns, dim=-1), O - A).unbind(dim=-1)
    is_hit = (u >= 0) & (v >= 0) & (w >= 0) & (v + w <= 1)
    return torch.where(is_hit, u, torch.inf)


def raytrace_mesh(
    rays: Float[Tensor, "n_rays 2 3"], triangles: Float[Tensor, "n_triangles 3 3"]
) -> Float[Tensor, " n_rays"]:
    """The distance of each ray to the nearest triangle that it meets, and infinity if it meets none.

    Distances are measured in lengths of D: u, where the ray is O + u D. A triangle behind the origin isn't met, and
    neither is one that is parallel to the ray or has no area.

    >>> near, far = torch.tensor([[[x, -1.0, -1.0], [x, 3.0, -1.0], [x, -1.0, 3.0]] for x in (2.0, 5.0)])
    >>> rays = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [1.0, -9.0, 0.0]]])
    >>> raytrace_mesh(rays, torch.stack([far, near]))
    tensor([2., inf])
    """
    check_triangles(rays, triangles)
    return intersect_triangles(rays, triangles).amin(dim=1)


def raytrace_in_chunks(
    rays: Float[Tensor, "n_rays 2 3"], triangles: Float[Tensor, "n_triangles 3 3"], chunk_size: int = CHUNK_SIZE
) -> tuple[Float[Tensor, " n_rays"], Int[Tensor, " n_rays"]]:
    """The distance of each ray to the nearest triangle that it meets, and which triangle that is.

    Take `chunk_size` triangles at a time (the last chunk may be smaller) and keep the best so far, so that no tensor ever
    has an entry for every ray and every triangle. A ray that meets nothing has the distance infinity and the triangle -1.
    Of triangles at just the same distance the first one counts.

    >>> near, far = torch.tensor([[[x, -1.0, -1.0], [x, 3.0, -1.0], [x, -1.0, 3.0]] for x in (2.0, 5.0)])
    >>> rays = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [1.0, -9.0, 0.0]]])
    >>> raytrace_in_chunks(rays, torch.stack([far, near]), chunk_size=1)
    (tensor([2., inf]), tensor([ 1, -1]))
    """
    check_triangles(rays, triangles)
    check_chunk_size(chunk_size)
    nearest = rays.new_full((len(rays),), torch.inf)
    triangle_idx = torch.full_like(nearest, -1, dtype=torch.int64)
    for start in range(0, len(triangles), chunk_size):
        distances, idx = moller_trumbore(rays, triangles[start : start + chunk_size]).min(dim=1)
        is_nearer = distances < nearest
        nearest = torch.where(is_nearer, distances, nearest)
        triangle_idx = torch.where(is_nearer, start + idx, triangle_idx)
    return nearest, triangle_idx


def raytrace_mesh_gpu(
    rays: Float[Tensor, "n_rays 2 3"],
    triangles: Float[Tensor, "n_triangles 3 3"],
    device: torch.device | str | None = None,
) -> Float[Tensor, " n_rays"]:
    """As `raytrace_mesh`, computed on another device, in chunks: the result comes back to where the rays are.

    `device` is where to compute: torch.device("cuda"), say. Without one it is `pick_device()`, a GPU if there is one
    and else the CPU. Move the rays and the triangles there, use `raytrace_in_chunks`, and move the distances back.

    >>> triangles = torch.tensor([[[2.0, -1.0, -1.0], [2.0, 3.0, -1.0], [2.0, -1.0, 3.0]]])
    >>> raytrace_mesh_gpu(torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]]), triangles)
    tensor([2.])
    """
    check_triangles(rays, triangles)
    device = pick_device() if device is None else device
    distances, _ = raytrace_in_chunks(rays.to(device), triangles.to(device))
    return distances.to(rays.device)
