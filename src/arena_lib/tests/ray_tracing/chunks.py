"""Judges of the nearest triangle in chunks, and on another device."""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.ray_tracing import meshes
from arena_lib.fundamentals.ray_tracing.cross_products import moller_trumbore
from arena_lib.tests.ray_tracing.meshes import BACKWARDS, BEFORE
from arena_lib.tests.ray_tracing.watching import (
    BESIDE,
    NEEDLE,
    ON_EDGES,
    SMALL,
    WALL,
    in_chunks,
    on_a_device,
    random_scene,
)

__test__ = False


def chunk_cases(generator: torch.Generator) -> list[Case]:
    """Chunks that fit and that don't, of one triangle, of more than there are; ties; misses; the chunk one gets."""

    def case(label: str, rays: Tensor, triangles: Tensor, *chunk_size: int) -> Case:
        return Case(
            label=label,
            args=(rays, triangles, *chunk_size),
            axes={"output": "n_rays"},
            given={
                "chunk_size": (*chunk_size, meshes.CHUNK_SIZE)[0],
                "mesh_bytes": triangles.numel() * triangles.element_size(),
            },
        )

    inside = ON_EDGES[-1:].clone()  # of a slice, the whole storage would count
    layers = torch.stack([BACKWARDS, WALL + 5, WALL, BEFORE, BACKWARDS + 1])
    return [
        case("many triangles, eight at a time", *random_scene(generator, 9, 60), 8),
        case("the last chunk is smaller", *random_scene(generator, 5, 13), 4),
        case("one triangle at a time", torch.cat([inside, BESIDE]), layers, 1),
        case("chunks that fit", *random_scene(generator, 9, 12), 3),
        case("one chunk is enough", *random_scene(generator, 8, 6), 50),
        case("equal triangles, in one chunk and in several", inside, torch.stack([NEEDLE, WALL, WALL, WALL, WALL]), 3),
        case("nothing is hit", BESIDE, torch.stack([WALL, WALL, NEEDLE]), 2),
        case("one ray, one triangle", inside, WALL[None], 1),
        case("without chunk_size", *random_scene(generator, 3, 300)),
    ]


def chunks_by_split(rays: Tensor, triangles: Tensor, chunk_size: int = meshes.CHUNK_SIZE) -> tuple[Tensor, Tensor]:
    """Collects the best of each chunk, and takes the best of these."""
    best = [moller_trumbore(rays, chunk).min(dim=1) for chunk in triangles.split(chunk_size)]
    distances, which = torch.stack([chunk.values for chunk in best]).min(dim=0)
    idx = torch.stack([chunk.indices for chunk in best]).gather(0, which[None])[0] + which * chunk_size
    return distances, torch.where(distances.isinf(), -1, idx)


def chunks_in_place(rays: Tensor, triangles: Tensor, chunk_size: int = meshes.CHUNK_SIZE) -> tuple[Tensor, Tensor]:
    """Writes into the best so far, by solving."""
    nearest = torch.full((len(rays),), torch.inf)
    which = torch.full((len(rays),), -1)
    start = 0
    while start < len(triangles):
        distances = meshes.intersect_triangles(rays, triangles[start : start + chunk_size])
        idx = distances.argmin(dim=1)
        values = distances[torch.arange(len(rays)), idx]
        nearer = values < nearest
        nearest[nearer], which[nearer] = values[nearer], start + idx[nearer]
        start += chunk_size
    return nearest, which


test_raytrace_in_chunks = exercise(
    reference=meshes.raytrace_in_chunks,
    cases=chunk_cases,
    observe=in_chunks,
    accepts=[chunks_by_split, chunks_in_place],
    mistakes=[
        *instead_of(
            "range(0, len(triangles), chunk_size)",
            {
                "range(0, chunk_size * (len(triangles) // chunk_size), chunk_size)": (
                    "leaves the last, smaller chunk out",
                    "a chunk may be smaller than the others: triangles[start : start + chunk_size] ends where the mesh does",
                ),
                "range(0, 1, chunk_size)": (
                    "looks at the first chunk alone",
                    "every chunk may hold the nearest triangle",
                ),
                "range(chunk_size, len(triangles), chunk_size)": (
                    "begins with the second chunk",
                    "the first chunk begins at triangle 0",
                ),
            },
        ),
        Mistake(
            "leaves the last triangle of each chunk out",
            "triangles[start : start + chunk_size]",
            "triangles[start : start + chunk_size - 1]",
            why="a slice ends before its second number, so that start + chunk_size is right",
        ),
        *(
            Mistake(
                "takes more than chunk_size triangles at a time",
                "triangles[start : start + chunk_size]",
                wrong,
                why="a chunk has chunk_size triangles: only so memory stays small",
                shows=lambda seen: not all(case.get(SMALL, True) for case in seen),
            )
            for wrong in ("triangles[start:]", "triangles[start : start + CHUNK_SIZE]")
        ),
        *instead_of(
            "distances < nearest",
            {
                "distances <= nearest": (
                    "takes the last of equal triangles",
                    "of triangles at the same distance the first one counts: distances < nearest",
                ),
                "(distances <= nearest) & (distances < torch.inf)": (
                    "takes the last of equal triangles",
                    "of triangles at the same distance the first one counts: distances < nearest",
                ),
                "distances > nearest": ("keeps the farther one", "what is nearer than the best so far takes its place"),
                "distances < torch.inf": (
                    "takes the last chunk's hit",
                    "a hit counts only where it is nearer than the best so far",
                ),
            },
        ),
        *instead_of(
            "start + idx",
            {
                "idx": (
                    "counts triangles from the chunk's start",
                    "min says where in the chunk: add the chunk's start",
                ),
                "start * chunk_size + idx": ("multiplies the start", "start counts triangles already, not chunks"),
                "start // chunk_size + idx": (
                    "adds the number of the chunk",
                    "idx counts from the chunk's first triangle: add that one's number, start",
                ),
            },
        ),
        *instead_of(
            "torch.where(is_nearer, start + idx, triangle_idx)",
            {
                "torch.where(distances < nearest, start + idx, triangle_idx)": (
                    "never updates the triangle",
                    "by then nearest is the new one: compare before it is overwritten",
                ),
                "start + idx": ("takes the last chunk's triangle", "a triangle counts only where its distance does"),
                "torch.where(distances < torch.inf, start + idx, triangle_idx)": (
                    "takes the last chunk's triangle",
                    "a triangle counts only where its distance does",
                ),
            },
        ),
        Mistake(
            "gives a miss the triangle 0",
            "torch.full_like(nearest, -1, dtype=torch.int64)",
            "torch.full_like(nearest, 0, dtype=torch.int64)",
            why="a ray that meets nothing has the triangle -1",
        ),
        Mistake(
            "writes -1 for the distance of a miss",
            "return nearest,",
            "return nearest.nan_to_num(posinf=-1.0),",
            why="a ray that meets nothing has the distance infinity; -1 is its triangle",
        ),
        Mistake(
            "begins with the distance 0",
            "rays.new_full((len(rays),), torch.inf)",
            "rays.new_full((len(rays),), 0.0)",
            why="nothing is nearer than 0: the best so far is infinity at first",
        ),
    ],
    equivalent={
        "moller_trumbore(rays, triangles[start:start + chunk_size]) -> "
        "moller_trumbore(rays, triangles[start:start + chunk_size + 1])": "a triangle may be looked at twice"
    },
)


def device_cases(generator: torch.Generator) -> list[Case]:
    """Fewer and more triangles than a chunk has; hits and misses."""

    def case(label: str, rays: Tensor, triangles: Tensor) -> Case:
        return Case(label=label, args=(rays, triangles), axes={"output": "n_rays"})

    return [
        case("a few triangles", *random_scene(generator, 7, 5)),
        case("more triangles than a chunk", *random_scene(generator, 4, 150)),
        case("edges, misses and a triangle without area", torch.cat([ON_EDGES, BESIDE]), torch.stack([NEEDLE, WALL])),
    ]


def on_gpu_by_solving(rays: Tensor, triangles: Tensor, device: torch.device | str | None = None) -> Tensor:
    """Solves on the device."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return meshes.raytrace_mesh(rays.to(device), triangles.to(device)).cpu()


def on_gpu_of_course(rays: Tensor, triangles: Tensor) -> Tensor:
    """Without the argument, as notebooks elsewhere have it."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return meshes.raytrace_in_chunks(rays.to(device), triangles.to(device))[0].cpu()


test_raytrace_mesh_gpu = exercise(
    reference=meshes.raytrace_mesh_gpu,
    cases=device_cases,
    observe=on_a_device,
    accepts=[on_gpu_by_solving, on_gpu_of_course],
    mistakes=[
        *instead_of(
            "distances.to(rays.device)",
            {
                "distances": (
                    "leaves the result on the device",
                    "whoever called has everything where rays is: move the result back with .to(rays.device)",
                ),
                "distances.to(rays.device).nan_to_num(posinf=0)": ("writes 0 for a miss", "a miss stays infinity"),
            },
        ),
        *instead_of(
            "rays.to(device), triangles.to(device)",
            {
                "rays, triangles": (
                    "computes somewhere else than on the device",
                    "rays.to(device) and triangles.to(device) give copies there: these must meet",
                ),
                "rays.to(device), triangles": (
                    "moves the rays alone",
                    "all that meets in an operation must be on one device: move the triangles too",
                    "RuntimeError",
                ),
                "rays.to(device), triangles[:CHUNK_SIZE].to(device)": (
                    "takes the first chunk alone",
                    "all triangles are moved, raytrace_in_chunks takes them chunk by chunk",
                ),
            },
        ),
        Mistake(
            "returns the triangles",
            "distances, _ =",
            "_, distances =",
            why="raytrace_in_chunks gives the distances first",
        ),
        Mistake(
            "computes somewhere else than on the device",
            "pick_device() if device is None else device",
            "pick_device()",
            why="rays.to(device) and triangles.to(device) give copies there: these must meet",
        ),
    ],
)
