"""Judges of rays and many triangles: by solving, the nearest of them, and by cross products."""

from collections.abc import Callable

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.fundamentals.ray_tracing import cross_products, meshes
from arena_lib.tests.ray_tracing.triangles import ALONG_EDGES, ASKEW, BEGINS, EDGES, IN_ORDER, INSIDE, NO_END
from arena_lib.tests.ray_tracing.watching import (
    ALONG_IT,
    BEHIND,
    BESIDE,
    NEEDLE,
    ON_EDGES,
    POINT,
    STARTS_ON_IT,
    WALL,
    random_scene,
)

__test__ = False

BACKWARDS = WALL[[0, 2, 1]] + torch.tensor([2.0, 0.0, 0.0])
"""As WALL, farther away, with its corners the other way round."""
BEFORE = WALL - torch.tensor([1.0, 0.0, 0.0])


def scenes(generator: torch.Generator, axes: str) -> list[Case]:
    """Scattered; edges; several layers, the nearest not first; parallels and triangles without area; misses; units."""

    def case(label: str, rays: Tensor, triangles: Tensor) -> Case:
        return Case(label=label, args=(rays, triangles), axes={"output": axes})

    layers = torch.stack([BACKWARDS, WALL, BEFORE, WALL + 3])
    degenerate = torch.stack([NEEDLE, WALL, POINT])
    behind = ON_EDGES * torch.tensor([[1.0], [-1.0]])
    special = torch.cat([BEHIND, STARTS_ON_IT, ALONG_IT, ON_EDGES])
    tiny_rays, tiny_triangles = (1e-3 * part for part in random_scene(generator, 5, 3))
    return [
        case("scattered", *random_scene(generator, 17, 5)),
        case("several layers, the nearest in the middle", torch.cat([ON_EDGES, BESIDE]), layers),
        case("some parallel, and triangles without area", special, degenerate),
        case("behind the origin, with edges and corners", behind, torch.stack([WALL, NEEDLE])),
        case("nearly parallel, and other lengths", *nearly_parallel()),
        case("nothing is hit", BESIDE, torch.stack([WALL, NEEDLE])),
        case("one triangle", *random_scene(generator, 6, 1)),
        case("one ray", *random_scene(generator, 1, 4)),
        case("as many rays as triangles", *random_scene(generator, 3, 3)),
        case("in a small unit", tiny_rays, tiny_triangles),
    ]


def nearly_parallel() -> tuple[Tensor, Tensor]:
    """Rays that meet the point (0, 1, 1) at u = 1, nearly along x = 0, and triangles around it; all of uneven lengths."""
    directions = torch.tensor([[5e-7, 1.0, 0.0], [4e-6, 0.0, 1.0]])
    directions = torch.cat([1e3 * directions, 1e-3 * directions])
    point = torch.tensor([0.0, 1.0, 1.0])
    corners = [
        [[0.0, 0.0, 0.0], [0.0, 40.0, 0.0], [0.0, 0.0, 4.0]],
        [[0.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 40.0]],
        [[0.0, 0.5, 0.5], [0.0, 2.0, 0.5], [0.0, 0.5, 2.0]],
    ]
    return torch.stack([point - directions, directions], dim=1), torch.tensor(corners)


def pair_cases(generator: torch.Generator) -> list[Case]:
    """Every ray with every triangle."""
    return scenes(generator, "n_rays n_triangles")


def mesh_cases(generator: torch.Generator) -> list[Case]:
    """The nearest for each ray."""
    return scenes(generator, "n_rays")


def pairs_by_loop(rays: Tensor, triangles: Tensor) -> Tensor:
    """Triangle by triangle, with barycentric coordinates from areas."""
    columns = []
    O, D = rays.unbind(dim=1)
    for A, B, C in triangles:
        normal = torch.linalg.cross(B - A, C - A)
        towards = D @ normal
        is_parallel = towards.abs() <= 1e-6 * D.norm(dim=-1) * (B - A).norm() * (C - A).norm()
        u = (A - O) @ normal / towards.masked_fill(is_parallel, 1.0)
        point = O + u[:, None] * D
        pairs = ((A, B), (B, C), (C, A))
        parts = [torch.linalg.cross((Y - X).expand_as(point), point - X) @ normal for X, Y in pairs]
        small = 1e-6 * (normal @ normal)
        is_inside = torch.stack([part >= -small for part in parts]).all(dim=0)
        columns.append(torch.where(is_inside & ~is_parallel & (u >= 0), u, torch.inf))
    return torch.stack(columns, dim=1)


def pairs_by_repeating(rays: Tensor, triangles: Tensor) -> Tensor:
    """Repeats both, and overwrites singular matrices."""
    n_rays, n_triangles = len(rays), len(triangles)
    O, D = einops.repeat(rays, "n_rays two dims -> two n_rays n_triangles dims", n_triangles=n_triangles)
    A, B, C = einops.repeat(triangles, "n_triangles three dims -> three n_rays n_triangles dims", n_rays=n_rays)
    matrices = torch.stack([-D, B - A, C - A], dim=-1)
    lengths = matrices.norm(dim=-2).prod(dim=-1)
    singular = torch.linalg.det(matrices).abs() <= 1e-6 * lengths
    matrices[singular] = torch.eye(3)
    u, v, w = torch.linalg.solve(matrices, O - A).unbind(dim=-1)
    u[~((u >= 0) & (v >= 0) & (w >= 0) & (v + w <= 1) & ~singular)] = float("inf")
    return u


QUOTIENT = "u, v and w are quotients: the determinant stands below each"
LAST = "torch.where(is_hit, u, torch.inf)"
FARTHEST = "a miss is infinity, so that the nearest of several is the smallest number"


def wrong_pairs() -> tuple[Mistake, ...]:
    """What goes wrong with either way of intersecting."""
    conditions = "(u >= 0) & (v >= 0) & (w >= 0) & (v + w <= 1)"
    return (
        *instead_of(
            conditions,
            {
                "(v >= 0) & (w >= 0) & (v + w <= 1)": ("takes the rays for whole lines", BEGINS),
                "(u >= 0) & (v >= 0) & (w >= 0) & (v <= 1) & (w <= 1)": (
                    "takes the triangles for parallelograms",
                    "v + w is at most 1: beyond that lies the other half of the parallelogram",
                ),
                "(u >= 0) & (v >= 0) & (w >= 0)": ("takes the triangles for whole corners of the plane", INSIDE),
                "(u >= 0) & (v + w <= 1)": ("forgets that v and w aren't negative", INSIDE),
                "(u >= 0) & (v >= 0) & (v + w <= 1)": ("forgets that w isn't negative", INSIDE),
                "(u >= 0) & (w >= 0) & (v + w <= 1)": ("forgets that v isn't negative", INSIDE),
                "(u >= 0) & (v >= 0) & (w >= 0) & (u + v + w <= 1)": ("adds u to v + w", ALONG_EDGES),
                "(u >= 0) & (v >= 0) & (w >= 0) & (u + v <= 1)": ("adds u and v", ALONG_EDGES),
                "(u >= 0) & (u <= 1) & (v >= 0) & (w >= 0) & (v + w <= 1)": ("ends the rays at the screen", NO_END),
                "(u >= 0) & (v > 0) & (w > 0) & (v + w < 1)": ("leaves edges and corners out", EDGES),
                "(u > 0) & (v >= 0) & (w >= 0) & (v + w <= 1)": (
                    "leaves the rays' origins out",
                    "u may be 0: the origin belongs to the ray",
                ),
            },
        ),
        *instead_of(
            LAST,
            {
                "torch.where(is_hit, u, 0)": ("writes 0 for a miss", FARTHEST),
                "torch.where(is_hit, u, -1)": ("writes -1 for a miss", FARTHEST),
                "torch.where(is_hit, v, torch.inf)": ("returns v", "the distance along the ray is u"),
                "torch.where(is_hit, u, torch.inf).amin(dim=1)": (
                    "gives the nearest triangle alone",
                    "every ray has a number for every triangle: which is nearest comes later",
                ),
                "torch.where(is_hit, u, torch.nan)": ("writes NaN for a miss", FARTHEST),
                "u": ("gives distances of misses too", FARTHEST),
                "torch.where(is_hit, u, torch.inf).T": (
                    "has rays and triangles the wrong way round",
                    "each row belongs to a ray",
                ),
                "torch.where(is_hit, u * rays[:, 1:].norm(dim=-1), torch.inf)": (
                    "measures in the world's unit",
                    "a distance is u itself: it counts in lengths of D",
                ),
            },
        ),
    )


test_intersect_triangles = exercise(
    reference=meshes.intersect_triangles,
    cases=pair_cases,
    observe=outputs,
    accepts=[pairs_by_loop, pairs_by_repeating],
    mistakes=[
        *wrong_pairs(),
        *instead_of(
            "torch.broadcast_tensors(-D, B - A, C - A)",
            {
                "torch.broadcast_tensors(D, B - A, C - A)": (
                    "has the sign of D wrong",
                    "u D stands on the other side of the equation: its column is -D",
                ),
                "torch.broadcast_tensors(-D, B, C)": ("forgets to subtract A from B and C", ASKEW),
                "torch.broadcast_tensors(-D, B - A, C - B)": ("takes the edge from B to C", ASKEW),
            },
        ),
        *instead_of(
            "O - A)",
            {
                "A - O)": ("has the sign of the right side wrong", "the right side is O - A"),
                "0 * O - A)": ("forgets the origin", "the right side is O - A"),
            },
        ),
        Mistake("takes the unknowns in another order", "u, v, w = solve", "v, w, u = solve", why=IN_ORDER),
        Mistake(
            "puts the columns into rows",
            "dim=-1), O",
            "dim=-2), O",
            why="-D, B - A and C - A are columns: their entries lie along the axis before the last",
        ),
        Mistake(
            "counts NaN as a hit",
            "(u >= 0) & (v >= 0) & (w >= 0) & (v + w <= 1)",
            "~((u < 0) | (v < 0) | (w < 0) | (v + w > 1))",
            why="NaN compares False with everything: ask what must hold, not what must not",
        ),
        Mistake(
            "solves for parallel rays too",
            "solve_or_nan(",
            "torch.linalg.solve(",
            why="one singular matrix stops torch.linalg.solve for the whole batch: solve_or_nan gives NaN there",
        ),
    ],
)


def mesh_by_loop(rays: Tensor, triangles: Tensor) -> Tensor:
    """Keeps the nearest so far."""
    nearest = torch.full_like(rays[:, 0, 0], float("inf"))
    for i in range(len(triangles)):
        nearest = torch.minimum(nearest, meshes.intersect_triangles(rays, triangles[i : i + 1])[:, 0])
    return nearest


def mesh_by_repeating(rays: Tensor, triangles: Tensor) -> Tensor:
    """Everything in one function, as notebooks elsewhere have it."""
    return einops.reduce(pairs_by_repeating(rays, triangles), "n_rays n_triangles -> n_rays", "min")


def mesh_behind_too(rays: Tensor, triangles: Tensor) -> Tensor:
    """Solves as `intersect_triangles`, and takes what lies behind the origin for met."""
    turned = torch.stack([rays[:, 0], -rays[:, 1]], dim=1)
    before, behind = (meshes.intersect_triangles(some, triangles) for some in (rays, turned))
    return torch.where(behind.isfinite() & (behind > 0), -behind, before).amin(dim=1)


def nearest_of_all(pick: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A wrong version that picks among hits in another way."""
    return lambda rays, triangles: pick(meshes.intersect_triangles(rays, triangles))


test_raytrace_mesh = exercise(
    reference=meshes.raytrace_mesh,
    cases=mesh_cases,
    observe=outputs,
    accepts=[mesh_by_loop, mesh_by_repeating],
    mistakes=[
        *instead_of(
            ".amin(dim=1)",
            {
                ".amax(dim=1)": (
                    "takes the farthest triangle",
                    "what is near hides what is far: the smallest distance",
                ),
                ".amin(dim=0)": (
                    "gives the nearest ray for each triangle",
                    "there is a distance for each ray: take the least over the triangles, dim=1",
                ),
                "[:, 0]": ("looks at the first triangle alone", "any triangle may be the nearest"),
                ".argmin(dim=1)": ("says which triangle, not how far", "the result is the distance itself: amin"),
                ".isfinite().any(dim=1)": ("says whether, not how far", "the result is the distance"),
                ".amin(dim=1).nan_to_num(posinf=0)": ("writes 0 for a miss", "a miss stays infinity"),
                ".min(dim=1)": (
                    "gives distances and triangles",
                    "min with a dim gives both: take .values, or use amin",
                ),
            },
        ),
        Mistake(
            "takes the farthest triangle",
            function=nearest_of_all(
                lambda distances: (
                    distances.nan_to_num(posinf=-1).amax(dim=1).where(distances.isfinite().any(dim=1), torch.inf)
                )
            ),
            why="what is near hides what is far: the smallest distance",
        ),
        Mistake(
            "measures distances in units of space",
            function=lambda rays, triangles: meshes.raytrace_mesh(rays, triangles) * rays[:, 1].norm(dim=1),
            why="distances are measured in lengths of D: the result is u itself",
        ),
        Mistake(
            "meets triangles behind the origin",
            function=mesh_behind_too,
            why="a ray goes forwards alone: a hit needs u >= 0",
        ),
        Mistake(
            "takes the first triangle that is hit",
            function=nearest_of_all(
                lambda distances: distances.gather(1, distances.isfinite().int().argmax(dim=1, keepdim=True))[:, 0]
            ),
            why="the mesh isn't sorted: a later triangle may be nearer",
        ),
    ],
)


def products_by_determinants(rays: Tensor, triangles: Tensor) -> Tensor:
    """Cramer's rule with determinants of matrices."""
    O, D = rays[:, None, 0], rays[:, None, 1]
    A = triangles[None, :, 0]
    shape = (len(rays), len(triangles), 3)
    columns = [-D, triangles[None, :, 1] - A, triangles[None, :, 2] - A]
    matrix = torch.stack([column.expand(shape) for column in columns], dim=-1)
    whole = torch.linalg.det(matrix)
    answers = []
    for i in range(3):
        replaced = matrix.clone()
        replaced[..., i] = O - A
        answers.append(torch.linalg.det(replaced) / whole)
    u, v, w = answers
    is_regular = whole.abs() > 1e-6 * matrix.norm(dim=-2).prod(dim=-1)
    is_inside = (v >= -1e-6) & (w >= -1e-6) & (v + w <= 1 + 1e-6)
    return torch.where(is_regular & is_inside & (u >= 0), u, torch.inf)


test_moller_trumbore = exercise(
    reference=cross_products.moller_trumbore,
    cases=pair_cases,
    observe=outputs,
    accepts=[pairs_by_loop, products_by_determinants],
    mistakes=[
        *wrong_pairs(),
        *instead_of(
            "torch.linalg.cross(D, e2), torch.linalg.cross(T, e1)",
            {
                "torch.linalg.cross(e2, D), torch.linalg.cross(T, e1)": (
                    "turns a cross product round",
                    "a x b = -(b x a): P is D x e2, and Q is T x e1, in this order",
                ),
                "torch.linalg.cross(D, e2), torch.linalg.cross(e1, T)": (
                    "turns a cross product round",
                    "a x b = -(b x a): P is D x e2, and Q is T x e1, in this order",
                ),
                "torch.linalg.cross(D, e1), torch.linalg.cross(T, e2)": (
                    "swaps the two edges",
                    "P is D x e2 with e2 = C - A, and Q is T x e1 with e1 = B - A",
                ),
            },
        ),
        *instead_of(
            "(T * P).sum(dim=-1) / determinant",
            {
                "(T * P).sum(dim=-1) / determinant.abs()": (
                    "divides by the determinant's size",
                    "its sign belongs to it: triangles are seen from both sides",
                ),
                "(T * P).sum(dim=-1)": ("forgets to divide", QUOTIENT),
                "(T * Q).sum(dim=-1) / determinant": ("takes Q for v", "v = T . P / determinant"),
            },
        ),
        Mistake("forgets to divide", "(e2 * Q).sum(dim=-1) / determinant", "(e2 * Q).sum(dim=-1)", why=QUOTIENT),
        Mistake("forgets to divide", "(D * Q).sum(dim=-1) / determinant", "(D * Q).sum(dim=-1)", why=QUOTIENT),
        Mistake("takes e1 for u", "(e2 * Q)", "(e1 * Q)", why="u = e2 . Q / determinant"),
        Mistake("takes P for w", "(D * Q)", "(D * P)", why="w = D . Q / determinant"),
        Mistake("takes the edge from B to C", "C - A, O", "C - B, O", why="both edges begin in A: e2 = C - A"),
        *instead_of(
            "determinant.abs() <= PARALLEL * D.norm(dim=-1) * e1.norm(dim=-1) * e2.norm(dim=-1)",
            {
                "determinant <= PARALLEL * D.norm(dim=-1) * e1.norm(dim=-1) * e2.norm(dim=-1)": (
                    "sees triangles from one side only",
                    "a negative determinant is no miss: the ray meets the triangle from its other side",
                ),
                "determinant.abs() <= PARALLEL * D.norm(dim=-1) * e1.norm(dim=-1)": (
                    "leaves an edge out of the limit",
                    "a determinant of three columns is at most the product of all three lengths",
                ),
                "determinant == 0": (
                    "looks for a determinant of exactly 0",
                    "rounding makes it some number near 0: compare with PARALLEL times the product of the lengths",
                ),
                "determinant.abs() <= PARALLEL": (
                    "compares the determinant with a fixed number",
                    "a determinant is small beside the product of the lengths, not by itself: units mustn't matter",
                ),
            },
        ),
        *instead_of(
            "O - A\n",
            {
                "A - O\n": ("has the sign of T wrong", "T leads from A to O: T = O - A"),
                "O + 0 * A\n": ("forgets A in T", "T leads from A to O: T = O - A"),
            },
        ),
    ],
    equivalent={
        "determinant.abs() <= PARALLEL * D.norm(dim=-1) * e1.norm(dim=-1) * e2.norm(dim=-1) -> "
        "determinant.abs() < PARALLEL * D.norm(dim=-1) * e1.norm(dim=-1) * e2.norm(dim=-1)": "0 / 0 is NaN, which is no hit"
    },
)
