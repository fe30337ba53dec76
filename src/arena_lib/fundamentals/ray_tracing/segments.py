"""Rays and segments in the plane z = 0: which rays meet which segments.

With the ray's points O + u D and the segment's points L_1 + v (L_2 - L_1), they meet where

    u D + v (L_1 - L_2) = L_1 - O

that is two equations, one for x and one for y, for the two unknowns u and v. The ray meets the segment if u >= 0 and
0 <= v <= 1.

Shapes:  rays "n_rays 2 3" (origin, direction), segments "n_segments 2 3" (two ends). z is not looked at.
Raises:  ShapeError and DtypeError for other rays or segments.
Source:  own derivation.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.fundamentals.ray_tracing.inputs import check_segments
from arena_lib.fundamentals.ray_tracing.systems import is_singular, solve_or_nan


def intersect_ray_1d(ray: Float[Tensor, "2 3"], segment: Float[Tensor, "2 3"]) -> bool:
    """Whether a ray meets a segment; z is not looked at.

    The ray is O + u D and the segment L_1 + v (L_2 - L_1). Solve u D + v (L_1 - L_2) = L_1 - O, and return True if u >= 0
    and 0 <= v <= 1: an end of the segment counts, and so does the ray's origin. A ray that is parallel to the segment
    never meets it, not even where it runs along it (`is_singular` tells). The result is True or False; a tensor with one
    of them will do.

    >>> ray = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.5, 0.0]])
    >>> intersect_ray_1d(ray, torch.tensor([[2.0, 0.0, 0.0], [2.0, 4.0, 0.0]]))
    True
    """
    check_segments(ray[None], segment[None])
    O, D = ray[:, :2]
    L_1, L_2 = segment[:, :2]
    matrix = torch.stack([D, L_1 - L_2], dim=1)
    if is_singular(matrix):
        return False
    u, v = torch.linalg.solve(matrix, L_1 - O)
    return bool(u >= 0 and v >= 0 and v <= 1)


def make_systems_1d(
    rays: Float[Tensor, "n_rays 2 3"], segments: Float[Tensor, "n_segments 2 3"]
) -> tuple[Float[Tensor, "n_rays n_segments 2 2"], Float[Tensor, "n_rays n_segments 2"]]:
    """The equations of every ray with every segment: matrices and vectors, matrix @ (u, v) = vector; z is left out.

    For a ray O + u D and a segment with the ends L_1 and L_2 the first column of the matrix is D, the second one
    L_1 - L_2, and the vector is L_1 - O.

    >>> rays = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.5, 0.0]]])
    >>> make_systems_1d(rays, torch.tensor([[[2.0, 0.0, 0.0], [2.0, 4.0, 0.0]]]))
    (tensor([[[[ 1.0000,  0.0000],
              [ 0.5000, -4.0000]]]]), tensor([[[2., 0.]]]))
    """
    check_segments(rays, segments)
    O, D = rays[:, None, 0, :2], rays[:, None, 1, :2]
    L_1, L_2 = segments[None, :, 0, :2], segments[None, :, 1, :2]
    columns = torch.broadcast_tensors(D, L_1 - L_2)
    return torch.stack(columns, dim=-1), L_1 - O


def intersect_rays_1d(
    rays: Float[Tensor, "n_rays 2 3"], segments: Float[Tensor, "n_segments 2 3"]
) -> Bool[Tensor, " n_rays"]:
    """For each ray whether it meets any of the segments; z is not looked at.

    It is what `intersect_ray_1d` says of any segment, without a loop: solve all systems at once, and compare. Rays that
    are parallel to a segment don't meet that one.

    >>> rays = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.5, 0.0]], [[0.0, 0.0, 0.0], [1.0, -0.5, 0.0]]])
    >>> intersect_rays_1d(rays, torch.tensor([[[2.0, 0.0, 0.0], [2.0, 4.0, 0.0]]]))
    tensor([ True, False])
    """
    check_segments(rays, segments)
    u, v = solve_or_nan(*make_systems_1d(rays, segments)).unbind(dim=-1)
    return ((u >= 0) & (v >= 0) & (v <= 1)).any(dim=1)
