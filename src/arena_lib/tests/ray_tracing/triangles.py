"""Judges of rays and one triangle."""

from collections.abc import Sequence

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.fundamentals.ray_tracing import triangles as reference
from arena_lib.fundamentals.ray_tracing.systems import is_singular
from arena_lib.tests.ray_tracing.watching import (
    ALONG_IT,
    BEHIND,
    BESIDE,
    NEARLY_ALONG,
    NEARLY_ALONG_RAY,
    NEEDLE,
    ON_EDGES,
    POINT,
    STARTS_ON_IT,
    WALL,
    random_scene,
    truth,
)

__test__ = False

INSIDE, ASKEW = "a point of the triangle has v >= 0, w >= 0 and v + w <= 1", "the columns are -D, B - A and C - A"
BEGINS = "the ray begins in O: points with a negative u lie behind it"
NO_END = "a ray has no end: u may be as large as it likes"
ALONG_EDGES = (
    "u, v and w come in the order of the columns, and the triangle ends where v + w is 1: u counts along the ray"
)
IN_ORDER = "the unknowns come in the order of the columns: u belongs to -D, v to B - A and w to C - A"
EDGES = "edges and corners belong to the triangle: v and w may be 0, and v + w may be 1"
NEVER = "a ray parallel to the triangle never meets it: there is nothing to solve"


def one_ray_cases(generator: torch.Generator) -> list[Case]:
    """Through the inside, edges and corners; past each of them; behind; along it; triangles without area; scattered."""

    def cases(label: str, rays: Tensor, triangle: Tensor) -> list[Case]:
        names = [f"{label}, {i}" for i in range(1, len(rays) + 1)] if len(rays) > 1 else [label]
        return [Case(label=name, args=(*triangle, O, D)) for name, (O, D) in zip(names, rays, strict=True)]

    rays, triangles = random_scene(generator, 6, 1)
    return [
        *cases("through an edge, a corner or the inside", ON_EDGES, WALL),
        *cases("past an edge or a corner", BESIDE, WALL),
        *cases("the triangle lies behind the origin", BEHIND, WALL),
        *cases("begins on the triangle", STARTS_ON_IT, WALL),
        *cases("parallel to the triangle", ALONG_IT, WALL),
        *cases("a triangle whose corners lie in one line", ON_EDGES[-1:], NEEDLE),
        *cases("a triangle whose corners are one point", ON_EDGES[2:3], POINT),
        *cases("parallel up to rounding", NEARLY_ALONG_RAY, NEARLY_ALONG),
        *cases("scattered", rays, triangles[0]),
    ]


def one_ray_by_products(A: Tensor, B: Tensor, C: Tensor, O: Tensor, D: Tensor) -> Tensor:
    """Möller and Trumbore; the answer is a tensor."""
    e1, e2, T = B - A, C - A, O - A
    P, Q = torch.linalg.cross(D, e2), torch.linalg.cross(T, e1)
    u, v, w = torch.stack([e2 @ Q, T @ P, D @ Q]) / (e1 @ P)
    is_regular = (e1 @ P).abs() > 1e-6 * D.norm() * e1.norm() * e2.norm()
    return is_regular & (u >= 0) & (v >= 0) & (w >= 0) & (v + w <= 1)


def one_ray_in_another_order(A: Tensor, B: Tensor, C: Tensor, O: Tensor, D: Tensor) -> bool:
    """With the columns in another order, and numbers of Python."""
    matrix = torch.stack([B - A, C - A, -D], dim=-1)
    if is_singular(matrix):
        return False
    v, w, u = torch.linalg.solve(matrix, O - A).tolist()
    return u >= 0 and min(v, w) >= 0 and v + w <= 1


test_triangle_ray_intersects = exercise(
    reference=reference.triangle_ray_intersects,
    cases=one_ray_cases,
    observe=truth,
    accepts=[one_ray_by_products, one_ray_in_another_order],
    mistakes=[
        *instead_of(
            "u >= 0 and v >= 0 and w >= 0 and v + w <= 1",
            {
                "v >= 0 and w >= 0 and v + w <= 1": ("takes the ray for a whole line", BEGINS),
                "u >= 0 and v >= 0 and w >= 0": ("takes the triangle for a whole corner of the plane", INSIDE),
                "u >= 0 and v >= 0 and w >= 0 and v <= 1 and w <= 1": (
                    "takes the triangle for a parallelogram",
                    "v + w is at most 1: beyond that lies the other half of the parallelogram",
                ),
                "u >= 0 and v + w <= 1": ("forgets that v and w aren't negative", INSIDE),
                "u >= 0 and v >= 0 and v + w <= 1": ("forgets that w isn't negative", INSIDE),
                "u >= 0 and w >= 0 and v + w <= 1": ("forgets that v isn't negative", INSIDE),
                "u > 0 and v >= 0 and w >= 0 and v + w <= 1": (
                    "leaves the ray's origin out",
                    "u may be 0: the origin belongs to the ray",
                ),
                "u >= 0 and v > 0 and w > 0 and v + w < 1": ("leaves edges and corners out", EDGES),
                "u >= 0 and v >= 0 and w >= 0 and v + w < 1": ("leaves the edge from B to C out", EDGES),
                "u >= 0 and u <= 1 and v >= 0 and w >= 0 and v + w <= 1": ("ends the ray at the screen", NO_END),
                "u >= 0 and v >= 0 and w >= 0 and u + v <= 1": ("adds u and v", ALONG_EDGES),
                "u >= 0 and v >= 0 and w >= 0 and u + v + w <= 1": ("adds u to v + w", ALONG_EDGES),
            },
        ),
        Mistake(
            "looks for a determinant of exactly 0",
            "is_singular(matrix)",
            "torch.linalg.det(matrix) == 0",
            why="rounding makes it some number near 0: is_singular takes care of that",
        ),
        *instead_of(
            "torch.stack([-D, B - A, C - A], dim=1)",
            {
                "torch.stack([D, B - A, C - A], dim=1)": (
                    "has the sign of D wrong",
                    "u D stands on the other side of the equation: its column is -D",
                ),
                "torch.stack([-D, B - A, C - A], dim=0)": ("puts the columns into rows", ASKEW),
                "torch.stack([-D, B, C], dim=1)": ("forgets to subtract A from B and C", ASKEW),
                "torch.stack([-D, B - A, C - B], dim=1)": ("takes the edge from B to C", ASKEW),
                "torch.stack([O - D, B - A, C - A], dim=1)": (
                    "takes the direction for a point",
                    "D is a direction already, not a second point",
                ),
            },
        ),
        *instead_of(
            "O - A)",
            {
                "A - O)": ("has the sign of the right side wrong", "the right side is O - A"),
                "-A)": ("forgets the origin", "the right side is O - A"),
            },
        ),
        *instead_of(
            "return False",
            {
                "return True": ("counts parallel rays as hits", NEVER),
                "pass": ("solves for parallel rays too", NEVER),
            },
        ),
    ],
)


def many_rays_cases(generator: torch.Generator) -> list[Case]:
    """The same in batches: rays of all kinds together, scattered ones, one ray, nothing but parallels, no area."""

    def case(label: str, rays: Tensor, triangle: Tensor) -> Case:
        return Case(label=label, args=(rays, triangle), axes={"output": "n_rays"})

    rays, triangles = random_scene(generator, 17, 1)
    few, others = random_scene(generator, 3, 1)
    return [
        case("scattered rays", rays, triangles[0]),
        case("through edges, corners and the inside", ON_EDGES, WALL),
        case("past edges and corners", BESIDE, WALL),
        case("of all kinds, parallel ones among them", torch.cat([BEHIND, STARTS_ON_IT, ALONG_IT, ON_EDGES]), WALL),
        case("nothing but parallels", ALONG_IT, WALL),
        case("one ray", ON_EDGES[-1:], WALL),
        case("as many rays as corners", few, others[0]),
        case("a triangle whose corners lie in one line", ON_EDGES, NEEDLE),
        case("parallel up to rounding", NEARLY_ALONG_RAY, NEARLY_ALONG),
    ]


def many_by_loop(rays: Tensor, triangle: Tensor) -> Tensor:
    """Ray by ray."""
    A, B, C = triangle
    return torch.tensor([reference.triangle_ray_intersects(A, B, C, O, D) for O, D in rays])


def many_by_products(rays: Tensor, triangle: Tensor) -> Tensor:
    """Which side of each edge the ray passes, by the signs of volumes."""
    O, D = rays.unbind(dim=1)
    A, B, C = (corner - O for corner in triangle)

    def volume(a: Tensor, b: Tensor) -> Tensor:
        return (D * torch.linalg.cross(a, b)).sum(dim=-1)

    of_C, of_A, of_B = volume(A, B), volume(B, C), volume(C, A)
    whole = of_A + of_B + of_C
    sides: Sequence[Tensor] = [part * whole.sign() >= 0 for part in (of_A, of_B, of_C)]
    reached = (A * torch.linalg.cross(B - A, C - A)).sum(dim=-1) / whole
    limit = 1e-6 * D.norm(dim=-1) * (triangle[1] - triangle[0]).norm() * (triangle[2] - triangle[0]).norm()
    return (whole.abs() > limit) & sides[0] & sides[1] & sides[2] & (reached >= 0)


test_raytrace_triangle = exercise(
    reference=reference.raytrace_triangle,
    cases=many_rays_cases,
    observe=outputs,
    accepts=[many_by_loop, many_by_products],
    mistakes=[
        *instead_of(
            "(u >= 0) & (v >= 0) & (w >= 0) & (v + w <= 1)",
            {
                "(v >= 0) & (w >= 0) & (v + w <= 1)": ("takes the rays for whole lines", BEGINS),
                "(u >= 0) & (v >= 0) & (w >= 0) & (v <= 1) & (w <= 1)": (
                    "takes the triangle for a parallelogram",
                    "v + w is at most 1: beyond that lies the other half of the parallelogram",
                ),
                "(u >= 0) & (v >= 0) & (w >= 0)": ("takes the triangle for a whole corner of the plane", INSIDE),
                "(u >= 0) & (v + w <= 1)": ("forgets that v and w aren't negative", INSIDE),
                "(u >= 0) & (v >= 0) & (v + w <= 1)": ("forgets that w isn't negative", INSIDE),
                "(u >= 0) & (w >= 0) & (v + w <= 1)": ("forgets that v isn't negative", INSIDE),
                "(u >= 0) & (v >= 0) & (w >= 0) & (v + w < 1)": ("leaves the edge from B to C out", EDGES),
                "(u >= 0) & (u <= 1) & (v >= 0) & (w >= 0) & (v + w <= 1)": ("ends the rays at the screen", NO_END),
                "(u >= 0) & (v >= 0) & (w >= 0) & (u + v <= 1)": ("adds u and v", ALONG_EDGES),
                "(u >= 0) & (v > 0) & (w > 0) & (v + w < 1)": ("leaves edges and corners out", EDGES),
                "(u > 0) & (v >= 0) & (w >= 0) & (v + w <= 1)": (
                    "leaves the rays' origins out",
                    "u may be 0: the origin belongs to the ray",
                ),
                "~((u < 0) | (v < 0) | (w < 0) | (v + w > 1))": (
                    "counts NaN as a hit",
                    "NaN compares False with everything: ask what must hold, not what must not",
                ),
            },
        ),
        *instead_of(
            "torch.broadcast_tensors(-D, B - A, C - A)",
            {
                "torch.broadcast_tensors(D, B - A, C - A)": (
                    "has the sign of D wrong",
                    "u D stands on the other side of the equation: its column is -D",
                ),
                "torch.broadcast_tensors(-D, B, C)": ("forgets to subtract A from B and C", ASKEW),
                "torch.broadcast_tensors(-D, B - A, C - B)": ("takes the edge from B to C", ASKEW),
                "torch.broadcast_tensors(O - D, B - A, C - A)": (
                    "takes the direction for a point",
                    "D is a direction already, not a second point",
                ),
            },
        ),
        Mistake(
            "puts the columns into rows",
            "dim=-1), O",
            "dim=-2), O",
            why="-D, B - A and C - A are columns: their entries lie along the axis before the last",
        ),
        *instead_of(
            "O - A)",
            {
                "A - O)": ("has the sign of the right side wrong", "the right side is O - A"),
                "0 * O - A)": ("forgets the origin", "the right side is O - A"),
            },
        ),
        Mistake(
            "solves for parallel rays too",
            "solve_or_nan(",
            "torch.linalg.solve(",
            why="one singular matrix stops torch.linalg.solve for the whole batch: solve_or_nan gives NaN there",
        ),
    ],
)
