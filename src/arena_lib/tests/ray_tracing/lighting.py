"""Judges of normals, of Lambert's law, and of a lit mesh."""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.fundamentals.ray_tracing import lighting
from arena_lib.fundamentals.ray_tracing.meshes import raytrace_in_chunks
from arena_lib.tests.ray_tracing.meshes import BACKWARDS
from arena_lib.tests.ray_tracing.watching import (
    BESIDE,
    NEEDLE,
    ON_EDGES,
    POINT,
    WALL,
    on_a_device,
    random_scene,
)

__test__ = False


def normal_cases(generator: torch.Generator) -> list[Case]:
    """Scattered triangles, some without area, small ones, one, as many as dimensions."""

    def case(label: str, triangles: Tensor) -> Case:
        return Case(label=label, args=(triangles,), axes={"output": "n_triangles dim"})

    scattered = torch.randn(4, 3, 3, generator=generator)
    return [
        case("scattered triangles", torch.randn(5, 3, 3, generator=generator)),
        case("some without area", torch.stack([scattered[0], NEEDLE, scattered[1], POINT])),
        case("as many as dimensions", torch.randn(3, 3, 3, generator=generator)),
        case("one, and small", 1e-4 * torch.randn(1, 3, 3, generator=generator)),
    ]


def normals_by_normalize(triangles: Tensor) -> Tensor:
    """Calls torch's own."""
    A, B, C = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    return torch.nn.functional.normalize(torch.linalg.cross(B - A, C - A), dim=1)


def normals_by_loop(triangles: Tensor) -> Tensor:
    """From another corner, one by one."""
    normals = torch.zeros_like(triangles[:, 0])
    for i, (A, B, C) in enumerate(triangles):
        normal = torch.linalg.cross(C - B, A - B)
        if normal.norm() > 0:
            normals[i] = normal / normal.norm()
    return normals


def normals_of_unit_edges(triangles: Tensor) -> Tensor:
    """Divides too early."""
    A, B, C = triangles.unbind(dim=1)
    normalize = torch.nn.functional.normalize
    return torch.linalg.cross(normalize(B - A, dim=-1), normalize(C - A, dim=-1))


TOO_SHORT = "that makes normals of small triangles too short: take care of length 0 alone"

test_triangle_normals = exercise(
    reference=lighting.triangle_normals,
    cases=normal_cases,
    observe=outputs,
    accepts=[normals_by_normalize, normals_by_loop],
    mistakes=[
        *instead_of(
            "torch.linalg.cross(B - A, C - A)",
            {
                "torch.linalg.cross(C - A, B - A)": (
                    "points to the other side",
                    "a x b = -(b x a): the normal is (B - A) x (C - A), in this order",
                ),
                "torch.linalg.cross(B, C)": ("forgets to subtract A", "a normal belongs to the edges B - A and C - A"),
                "(B - A) * (C - A)": (
                    "multiplies entry by entry",
                    "the product is the cross product, which is perpendicular to both",
                ),
            },
        ),
        *instead_of(
            "torch.where(lengths > 0, normals / lengths, 0)",
            {
                "normals": ("forgets to divide by the length", "a normal has length 1, however large the triangle is"),
                "normals / lengths": (
                    "gives NaN for a triangle without area",
                    "0 / 0 is NaN: where the length is 0 the normal is zero",
                ),
                "normals / (lengths + 1e-4)": ("adds a number to the length", TOO_SHORT),
                "normals / (lengths + 1e-6)": ("adds a number to the length", TOO_SHORT),
                "normals / (lengths + 1e-8)": ("adds a number to the length", TOO_SHORT),
                "torch.where(lengths > 0, normals.abs() / lengths, 0)": (
                    "drops the signs",
                    "a normal may point to any side: its entries have signs",
                ),
                "torch.where(lengths > 0, normals / lengths.square(), 0)": (
                    "divides by the squared length",
                    "a length is the root of the sum of the squares",
                ),
            },
        ),
        *instead_of(
            "normals.norm(dim=-1, keepdim=True)",
            {
                "normals.norm(dim=0, keepdim=True)": (
                    "measures over the triangles",
                    "each normal has a length of its own: that of its three entries, dim=-1",
                ),
                "normals.norm()": (
                    "measures all normals together",
                    "each normal has a length of its own: that of its three entries, dim=-1",
                ),
                "normals.abs().sum(dim=-1, keepdim=True)": (
                    "adds the entries up",
                    "a length is the root of the sum of the squares",
                ),
            },
        ),
        Mistake(
            "makes the edges as long as 1, not the normal",
            function=normals_of_unit_edges,
            why="the cross product of two vectors of length 1 is as long as the sine of their angle: divide it by its length",
        ),
    ],
)


def unit(generator: torch.Generator, n: int) -> Tensor:
    """Directions of length 1."""
    return torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)


def lambert_cases(generator: torch.Generator) -> list[Case]:
    """Faces towards the light, away from it, across it; weak and strong light; with and without any from all sides."""

    def case(label: str, normals: Tensor, light: Tensor, ambient_intensity: float) -> Case:
        return Case(label=label, args=(normals, light, ambient_intensity), axes={"output": "n_triangles"})

    faces = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    return [
        case("scattered faces", unit(generator, 7), torch.tensor([0.5, -0.25, 1.0]), 0.25),
        case("towards it, away from it, across it, and none", faces, torch.tensor([0.75, 0.0, 0.0]), 0.5),
        case("nothing from all sides", unit(generator, 5), torch.tensor([-1.0, 2.0, 0.5]), 0.0),
        case("as many faces as dimensions", unit(generator, 3), torch.tensor([3.0, 1.0, -2.0]), 0.125),
        case("in double precision", unit(generator, 2).double(), torch.tensor([1.0, 1.0, 1.0]).double(), 1.5),
    ]


def lambert_by_sum(normals: Tensor, light: Tensor, ambient_intensity: float) -> Tensor:
    """Entry by entry."""
    facing = (normals * light).sum(dim=1)
    return torch.where(facing > 0, facing, torch.zeros_like(facing)) + ambient_intensity


def lambert_by_einsum(normals: Tensor, light: Tensor, ambient_intensity: float) -> Tensor:
    """In the notation of einsum."""
    return torch.einsum("nd,d->n", normals, light).relu() + ambient_intensity


test_lambert_intensity = exercise(
    reference=lighting.lambert_intensity,
    cases=lambert_cases,
    observe=outputs,
    accepts=[lambert_by_sum, lambert_by_einsum],
    mistakes=[
        *instead_of(
            "(normals @ light).clamp(min=0)",
            {
                "(normals @ light)": (
                    "lets the light take brightness away",
                    "a triangle that faces away gets nothing of the light, not less than nothing",
                ),
                "(normals @ light).abs()": (
                    "lights the back as well",
                    "a triangle that faces away from the light gets nothing of it",
                ),
                "(normals @ -light).clamp(min=0)": (
                    "takes light for the way that the light goes",
                    "light points from the triangles to where the light comes from",
                ),
                "(normals @ light / light.norm()).clamp(min=0)": (
                    "makes the light as long as 1",
                    "the length of light is how strong it is",
                ),
                "(normals @ light).clamp(min=0, max=1)": (
                    "cuts bright light off",
                    "a strong light may give more than 1",
                ),
            },
        ),
        *instead_of(
            "ambient_intensity + (normals @ light).clamp(min=0)",
            {
                "(normals @ light).clamp(min=0)": (
                    "forgets the ambient light",
                    "every triangle gets ambient_intensity",
                ),
                "(normals @ light).clamp(min=ambient_intensity)": (
                    "takes the larger of the two",
                    "what comes from all sides is added to what comes from the light",
                ),
                "(ambient_intensity + normals @ light).clamp(min=0)": (
                    "adds the ambient light before it cuts off",
                    "the light gives nothing or more; the ambient light is added to that",
                ),
            },
        ),
    ],
)


def lit_cases(generator: torch.Generator) -> list[Case]:
    """Scattered triangles; layers of which the nearest counts; more than a chunk; misses; the last triangle; no area."""

    def case(label: str, rays: Tensor, triangles: Tensor, light: list[float], ambient_intensity: float) -> Case:
        return Case(
            label=label, args=(rays, triangles, torch.tensor(light), ambient_intensity), axes={"output": "n_rays"}
        )

    dim = WALL[[0, 2, 1]] + torch.tensor([1.0, 0.0, 0.0])
    layers = torch.stack([BACKWARDS, dim, WALL, BACKWARDS + 1])
    rays = torch.cat([ON_EDGES[-1:], BESIDE])
    return [
        case("scattered", *random_scene(generator, 15, 6), [-0.5, 0.75, 0.25], 0.25),
        case("the nearest in the middle, lit from the front", rays, layers, [-1.5, 0.25, 0.5], 0.125),
        case("the nearest in the middle, lit from behind", rays, layers, [0.75, 0.0, 0.5], 0.125),
        case("more triangles than a chunk", *random_scene(generator, 6, 140), [-1.0, 0.25, 0.5], 0.1),
        case("nothing is hit", BESIDE, torch.stack([WALL, NEEDLE]), [1.0, 2.0, 3.0], 0.5),
        case("no light from all sides", *random_scene(generator, 7, 3), [-2.0, -1.0, 1.0], 0.0),
    ]


def lit_by_all_normals(
    rays: Tensor, triangles: Tensor, light: Tensor, ambient_intensity: float, device: torch.device | str | None = None
) -> Tensor:
    """Picks the normals of the hits first."""
    device = torch.device(device or "cpu")
    rays, triangles, light = rays.to(device), triangles.to(device), light.to(device)
    distances, idx = raytrace_in_chunks(rays, triangles)
    normals = normals_by_normalize(triangles)[idx]
    lit = ambient_intensity + (normals * light).sum(dim=-1).clamp(min=0)
    return (lit * distances.isfinite()).cpu()


def lit_of_course(
    rays: Tensor, triangles: Tensor, light: Tensor, ambient_intensity: float, device: str | None = None
) -> Tensor:
    """With a mask that is written into."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    distances, idx = raytrace_in_chunks(rays.to(device), triangles.to(device))
    intensities = lambert_by_sum(normals_by_normalize(triangles.to(device)), light.to(device), ambient_intensity)
    picture = intensities.gather(0, idx.clamp(min=0))
    picture[distances == torch.inf] = 0.0
    return picture.cpu()


ORDER = "(triangle_normals(triangles), light.to(device), ambient_intensity)"

test_raytrace_mesh_lambert = exercise(
    reference=lighting.raytrace_mesh_lambert,
    cases=lit_cases,
    observe=on_a_device,
    accepts=[lit_by_all_normals, lit_of_course],
    mistakes=[
        *instead_of(
            "torch.where(triangle_idx >= 0, intensities[triangle_idx], 0)",
            {
                "intensities[triangle_idx]": (
                    "lights the background",
                    "the index -1 is the last triangle: where a ray meets nothing the picture is 0",
                ),
                "torch.where(triangle_idx > 0, intensities[triangle_idx], 0)": (
                    "takes triangle 0 for a miss",
                    "only -1 is a miss: triangles are counted from 0",
                ),
                "torch.where(triangle_idx >= 0, intensities[triangle_idx], ambient_intensity)": (
                    "gives the background ambient light",
                    "a ray that meets nothing sees 0",
                ),
                "torch.where(triangle_idx >= 0, intensities[triangle_idx], torch.inf)": (
                    "writes infinity for a miss",
                    "infinity is the distance of a miss; its brightness is 0",
                ),
                "torch.where(triangle_idx >= 0, intensities[0], 0)": (
                    "gives all of the mesh one brightness",
                    "each ray sees the triangle that it meets first: intensities[triangle_idx]",
                ),
            },
        ),
        *instead_of(
            ORDER,
            {
                "(-triangle_normals(triangles), light.to(device), ambient_intensity)": (
                    "lights the wrong side",
                    "triangle_normals points outwards, and light to where the light comes from: both stay as they are",
                ),
                "(triangle_normals(triangles), -light.to(device), ambient_intensity)": (
                    "lights the wrong side",
                    "triangle_normals points outwards, and light to where the light comes from: both stay as they are",
                ),
                "(triangle_normals(triangles), torch.nn.functional.normalize(light.to(device), dim=0), ambient_intensity)": (
                    "makes the light as long as 1",
                    "the length of light is how strong it is",
                ),
                "(triangle_normals(triangles), light.to(device), 0.0)": (
                    "forgets the ambient light",
                    "every triangle gets ambient_intensity",
                ),
                "(torch.linalg.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), "
                "light.to(device), ambient_intensity)": (
                    "forgets to make the normals as long as 1",
                    "a large triangle isn't brighter than a small one: use triangle_normals",
                ),
                "(triangle_normals(triangles), light, ambient_intensity)": (
                    "leaves the light where it is",
                    "all that meets in an operation must be on one device: move the light too",
                ),
            },
        ),
        *instead_of(
            f"lambert_intensity{ORDER}",
            {
                "ambient_intensity + (triangle_normals(triangles) @ light.to(device)).abs()": (
                    "lights the back as well",
                    "a triangle that faces away from the light gets nothing of it",
                ),
                "(ambient_intensity + triangle_normals(triangles) @ light.to(device)).clamp(min=0)": (
                    "adds the ambient light before it cuts off",
                    "the light gives nothing or more; the ambient light is added to that",
                ),
                "ambient_intensity + triangle_normals(triangles) @ light.to(device)": (
                    "lets the light take brightness away",
                    "a triangle that faces away gets nothing of the light, not less than nothing",
                ),
                f"lambert_intensity{ORDER}.clamp(max=1)": (
                    "cuts bright light off",
                    "a strong light may give more than 1",
                ),
            },
        ),
        Mistake(
            "leaves the result on the device",
            ".to(rays.device)",
            "",
            why="whoever called has everything where rays is: move the result back with .to(rays.device)",
        ),
        Mistake(
            "ignores the device",
            "pick_device() if device is None else device",
            "pick_device()",
            why="where to compute is the argument device; pick_device() only where there is none",
        ),
    ],
)
