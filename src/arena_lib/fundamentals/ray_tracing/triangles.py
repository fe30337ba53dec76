"""Rays and one triangle in space.

The points of a triangle with the corners A, B and C are A + v (B - A) + w (C - A) with v >= 0, w >= 0 and v + w <= 1. The
ray O + u D meets its plane where

    -u D + v (B - A) + w (C - A) = O - A

Shapes:  points "3"; rays "n_rays 2 3" (origin, direction); a triangle "3 3", a corner in each row.
Raises:  ShapeError and DtypeError for other rays or another triangle.
Source:  Shirley and Marschner 2021, Fundamentals of computer graphics, section 4.4.2 (barycentric coordinates).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.fundamentals.ray_tracing.inputs import check_numbers, check_triangles
from arena_lib.fundamentals.ray_tracing.systems import is_singular, solve_or_nan


def triangle_ray_intersects(
    A: Float[Tensor, "3"],
    B: Float[Tensor, "3"],
    C: Float[Tensor, "3"],
    O: Float[Tensor, "3"],
    D: Float[Tensor, "3"],
) -> bool:
    """Whether the ray O + u D meets the triangle with the corners A, B and C.

    Solve -u D + v (B - A) + w (C - A) = O - A, and return True if u >= 0, v >= 0, w >= 0 and v + w <= 1: edges and
    corners count, and a triangle behind the origin doesn't. A ray parallel to the triangle never meets it, and nothing
    meets a triangle whose corners lie in one line (`is_singular` tells both). The result is True or False; a tensor with
    one of them will do.

    >>> A, B, C = torch.tensor([[2.0, 0.0, 0.0], [2.0, 1.0, 0.0], [2.0, 0.0, 1.0]])
    >>> triangle_ray_intersects(A, B, C, O=torch.zeros(3), D=torch.tensor([1.0, 0.125, 0.125]))
    True
    """
    check_numbers(A=A, B=B, C=C, O=O, D=D)
    matrix = torch.stack([-D, B - A, C - A], dim=1)
    if is_singular(matrix):
        return False
    u, v, w = torch.linalg.solve(matrix, O - A)
    return bool(u >= 0 and v >= 0 and w >= 0 and v + w <= 1)


def raytrace_triangle(rays: Float[Tensor, "n_rays 2 3"], triangle: Float[Tensor, "3 3"]) -> Bool[Tensor, " n_rays"]:
    """For each ray whether it meets the triangle, whose corners are its rows: A, B and C.

    It is what `triangle_ray_intersects` says of each ray, without a loop; `solve_or_nan` solves all systems at once.

    >>> rays = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.125, 0.125]], [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]])
    >>> raytrace_triangle(rays, torch.tensor([[2.0, 0.0, 0.0], [2.0, 1.0, 0.0], [2.0, 0.0, 1.0]]))
    tensor([ True, False])
    """
    check_triangles(rays, triangle[None])
    O, D = rays.unbind(dim=1)
    A, B, C = triangle
    columns = torch.broadcast_tensors(-D, B - A, C - A)
    u, v, w = solve_or_nan(torch.stack(columns, dim=-1), O - A).unbind(dim=-1)
    return (u >= 0) & (v >= 0) & (w >= 0) & (v + w <= 1)
