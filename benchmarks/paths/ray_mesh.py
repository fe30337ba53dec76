"""The nearest triangle of each ray: by matrix products, beside solving a system for each pair.

"linalg-solve" makes a 3 x 3 system of every ray with every triangle and hands them to torch.linalg.solve_ex (some are
singular, which solve would refuse), chunk by chunk, so that it fits into memory. "moller-trumbore" is the lesson's form, by
cross products in chunks of the same size. What is compared is the distance of each ray; a few rays may pass an edge
within rounding.
"""

import torch
from torch import Tensor

from arena_lib.fundamentals.ray_tracing import (
    make_rays_2d,
    make_torus_knot,
    raytrace_by_products,
    raytrace_in_chunks,
)
from benchmarks.harness.declaring import Benchmark, Disagreement, Goal, Place, Workload

SIZES = {"tiny": (12, 9, 4), "cpu": (256, 64, 8), "gpu": (256, 64, 8)}
"""Pixels along a side of the screen; parts of the knot along and around, two triangles for each pair of them."""
CHUNK_SIZE = 16
"""Triangles at a time for both peers: matrices of 64k rays then take 38 MB."""
MOST_ON_EDGES = 1e-3
"""The share of rays that may pass an edge within rounding, and so hit on one side of it and miss on the other."""
ROUNDING = 1e-3
"""The largest relative difference of two distances."""


def make(place: Place) -> Workload:
    """Runs return the distances."""
    side, n_along, n_around = SIZES[place.size]
    rays = make_rays_2d(side, side, 0.5, 0.5).to(place.device, place.dtype)
    knot = make_torus_knot(n_along, n_around) + torch.tensor([3.0, 0.0, 0.0])
    triangles = knot.to(place.device, place.dtype)
    return Workload(
        ours=lambda: raytrace_by_products(rays, triangles)[0],
        peers={
            "linalg-solve": lambda: lambda: solve_in_chunks(rays, triangles),
            "moller-trumbore": lambda: lambda: raytrace_in_chunks(rays, triangles, CHUNK_SIZE)[0],
        },
        agree=compare_distances,
        units=len(rays) * len(triangles),
    )


def solve_pairs(rays: Tensor, triangles: Tensor) -> Tensor:
    """Distances of all pairs, with no care for systems that are singular: their solutions are infinite or NaN."""
    O, D = rays[:, None].unbind(dim=2)
    A, B, C = triangles.unbind(dim=1)
    matrices = torch.stack(torch.broadcast_tensors(-D, B - A, C - A), dim=-1)
    u, v, w = torch.linalg.solve_ex(matrices, O - A).result.unbind(dim=-1)
    return torch.where((u >= 0) & (v >= 0) & (w >= 0) & (v + w <= 1), u, torch.inf)


def solve_in_chunks(rays: Tensor, triangles: Tensor) -> Tensor:
    """The distance to the nearest of all triangles, some at a time."""
    nearest = torch.full_like(rays[:, 0, 0], torch.inf)
    for chunk in triangles.split(CHUNK_SIZE):
        nearest = torch.minimum(nearest, solve_pairs(rays, chunk).amin(dim=1))
    return nearest


def compare_distances(ours: Tensor, theirs: Tensor) -> float:
    """The largest relative difference where both hit the same surface; `Disagreement` beyond rounding."""
    if ours.shape != theirs.shape:
        raise Disagreement(f"the results have different shapes: {tuple(ours.shape)} and {tuple(theirs.shape)}")
    difference = torch.where(ours == theirs, 0, (ours - theirs).abs() / theirs).nan_to_num(nan=torch.inf)
    is_apart = difference > ROUNDING
    share = float(is_apart.double().mean())
    if not share <= MOST_ON_EDGES:
        raise Disagreement(f"{share:.2%} of the rays have other distances; at most {MOST_ON_EDGES:.1%} pass an edge")
    return float(difference[~is_apart].max())


BENCHMARK = Benchmark(
    name="ray_mesh",
    title="Ray-mesh intersection",
    cases={"knot": "64k rays, a knot of 1k triangles"},
    unit="pairs",
    make=make,
    dtypes={"cpu": ("float32",), "cuda": ("float32",)},
    peers=("linalg-solve", "moller-trumbore"),
    goals=(Goal("knot", "linalg-solve", 10.0, on="cpu"), Goal("knot", "linalg-solve", 20.0, on="cuda")),
)
