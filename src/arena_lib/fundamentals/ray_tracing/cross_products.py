"""The test of Möller and Trumbore: rays and triangles by cross products, without solving anything.

Cramer's rule gives the three unknowns of -u D + v (B - A) + w (C - A) = O - A as quotients of determinants, and a
determinant of three columns is a . (b x c). With e1 = B - A, e2 = C - A and T = O - A two cross products serve all four:

    P = D x e2,  Q = T x e1,  determinant = e1 . P
    u = e2 . Q / determinant,  v = T . P / determinant,  w = D . Q / determinant

Shapes:  rays "n_rays 2 3" (origin, direction), triangles "n_triangles 3 3" (a corner in each row).
Raises:  ShapeError and DtypeError for other rays or triangles.
Source:  Möller and Trumbore 1997, Fast, minimum storage ray/triangle intersection, equation 6 (theirs are t, u and v).
Differs: a determinant is 0 relative to the lengths of its columns, not below a fixed number.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.fundamentals.ray_tracing.inputs import check_triangles
from arena_lib.fundamentals.ray_tracing.systems import PARALLEL


def moller_trumbore(
    rays: Float[Tensor, "n_rays 2 3"], triangles: Float[Tensor, "n_triangles 3 3"]
) -> Float[Tensor, "n_rays n_triangles"]:
    """The distance of every ray to every triangle, and infinity where it misses: `intersect_triangles` without solving.

    For the ray O + u D and the triangle A, B, C let e1 = B - A, e2 = C - A, T = O - A, P = D x e2 and Q = T x e1. Then

        determinant = e1 . P,  u = e2 . Q / determinant,  v = T . P / determinant,  w = D . Q / determinant

    The distance is u if u >= 0, v >= 0, w >= 0 and v + w <= 1, else infinity. It's also infinity where the ray is parallel
    to the triangle: |determinant| <= PARALLEL * |D| |e1| |e2|.

    >>> rays = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.125, 0.125]], [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]])
    >>> moller_trumbore(rays, torch.tensor([[[2.0, 0.0, 0.0], [2.0, 1.0, 0.0], [2.0, 0.0, 1.0]]]))
    tensor([[2.],
            [inf]])
    """
    check_triangles(rays, triangles)
    O, D = rays[:, None].unbind(dim=2)
    A, B, C = triangles[None].unbind(dim=2)
    e1, e2, T = B - A, C - A, O - A
    P, Q = torch.linalg.cross(D, e2), torch.linalg.cross(T, e1)
    determinant = (e1 * P).sum(dim=-1)
    u = (e2 * Q).sum(dim=-1) / determinant
    v = (T * P).sum(dim=-1) / determinant
    w = (D * Q).sum(dim=-1) / determinant
    is_parallel = determinant.abs() <= PARALLEL * D.norm(dim=-1) * e1.norm(dim=-1) * e2.norm(dim=-1)
    is_hit = (u >= 0) & (v >= 0) & (w >= 0) & (v + w <= 1) & ~is_parallel
    return torch.where(is_hit, u, torch.inf)
