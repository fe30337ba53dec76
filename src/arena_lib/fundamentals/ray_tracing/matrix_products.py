"""The nearest hit by matrix products: the fast form of `raytrace_in_chunks`.

Each determinant of Möller and Trumbore is a product of something of the ray and something of the triangle. With the ray's
moment M = O x D, and e1 = B - A, e2 = C - A, N = e1 x e2 of the triangle,

    determinant = -D . N            u * determinant = (O - A) . N
    v * determinant = M . e2 + D . (A x e2)
    w * determinant = -(M . e1 + D . (A x e1))

so that four matrix products, with six terms or fewer, give all pairs of many rays and many triangles, and what is left
are comparisons. Blocks are small enough for a processor's cache.

Shapes:  rays "n_rays 2 3" (origin, direction), triangles "n_triangles 3 3" (a corner in each row).
Raises:  as `raytrace_in_chunks`.
Source:  Plücker coordinates of a line are (D, O x D): Plücker 1865; the rest is our own derivation.
Differs: everything is moved first, so that the middle of the mesh is the origin: moments far from it would lose digits.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.fundamentals.ray_tracing.inputs import check_chunk_size, check_triangles
from arena_lib.fundamentals.ray_tracing.systems import PARALLEL

RAYS_AT_ONCE, TRIANGLES_AT_ONCE = 4096, 64
"""One number for each pair takes 1 MB in float32."""


def raytrace_by_products(
    rays: Float[Tensor, "n_rays 2 3"],
    triangles: Float[Tensor, "n_triangles 3 3"],
    chunk_size: int = TRIANGLES_AT_ONCE,
) -> tuple[Float[Tensor, " n_rays"], Int[Tensor, " n_rays"]]:
    """The distance of each ray to the nearest triangle that it meets, and which one: infinity and -1 if it meets none.

    What `raytrace_in_chunks` gives, up to rounding: a ray that passes an edge within rounding may fall on its other side.

    >>> triangles = torch.tensor([[[2.0, -1.0, -1.0], [2.0, 3.0, -1.0], [2.0, -1.0, 3.0]]])
    >>> raytrace_by_products(torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]]), triangles)
    (tensor([2.]), tensor([0]))
    """
    check_triangles(rays, triangles)
    check_chunk_size(chunk_size)
    middle = triangles.mean(dim=(0, 1))
    chunks = [_prepare(chunk) for chunk in (triangles - middle).split(chunk_size)]
    found = [
        _trace_block(O - middle, D, chunks, chunk_size)
        for O, D in (block.unbind(dim=1) for block in rays.split(RAYS_AT_ONCE))
    ]
    nearest, triangle_idx = zip(*found, strict=True)
    return torch.cat(nearest), torch.cat(triangle_idx)


def _prepare(triangles: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What the products need of triangles, as columns: N, its product with A, the parts of v and w, the largest |N|."""
    A, B, C = triangles.unbind(dim=1)
    e1, e2 = B - A, C - A
    N = torch.linalg.cross(e1, e2)
    of_v = torch.cat([torch.linalg.cross(A, e2), e2], dim=1)
    of_w = -torch.cat([torch.linalg.cross(A, e1), e1], dim=1)
    largest = PARALLEL * e1.norm(dim=-1) * e2.norm(dim=-1)
    return N.T, (A * N).sum(dim=-1), of_v.T, of_w.T, largest


def _trace_block(
    O: Tensor, D: Tensor, chunks: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]], chunk_size: int
) -> tuple[Tensor, Tensor]:
    """Some rays with every chunk of triangles."""
    D_and_moment = torch.cat([D, torch.linalg.cross(O, D)], dim=1)
    length = D.norm(dim=-1, keepdim=True)
    nearest = torch.full_like(O[:, 0], torch.inf)
    triangle_idx = torch.full_like(nearest, -1, dtype=torch.int64)
    for i, (N, A_on_N, of_v, of_w, largest) in enumerate(chunks):
        determinant = -D @ N
        is_parallel = determinant.abs() <= length * largest
        inverse = determinant.masked_fill_(is_parallel, torch.nan).reciprocal_()
        u = torch.addmm(A_on_N, O, N, beta=-1).mul_(inverse)
        v = (D_and_moment @ of_v).mul_(inverse)
        w = (D_and_moment @ of_w).mul_(inverse)
        is_hit = (u >= 0) & (v >= 0) & (w >= 0) & (v.add_(w) <= 1)
        distances, idx = u.masked_fill_(~is_hit, torch.inf).min(dim=1)
        is_nearer = distances < nearest
        nearest = torch.where(is_nearer, distances, nearest)
        triangle_idx = torch.where(is_nearer, i * chunk_size + idx, triangle_idx)
    return nearest, triangle_idx
