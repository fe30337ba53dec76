"""Judges of points on a ray, and of cameras."""

from collections.abc import Sequence

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.ray_tracing import rays

__test__ = False

RAYS = {"output": "n_rays point dim"}


def point_cases(generator: torch.Generator) -> list[Case]:
    """Points before, in and behind the origin; as many points as there are dimensions; one point."""

    def case(label: str, u: Tensor) -> Case:
        return Case(
            label=label,
            args=(torch.randn(2, 3, generator=generator), u),
            axes={"output": "n_points dim"},
        )

    return [
        case("five points", torch.tensor([0.0, 0.5, 1.0, 2.0, 7.0])),
        case("points behind the origin", torch.tensor([-1.0, -0.25, 3.0, 0.0])),
        case("three points", torch.tensor([1.5, -2.0, 0.5])),
        case("one point", torch.tensor([2.5])),
    ]


def points_by_loop(ray: Tensor, u: Tensor) -> Tensor:
    """One point after the other."""
    return torch.stack([ray[0] + length * ray[1] for length in u])


def points_by_product(ray: Tensor, u: Tensor) -> Tensor:
    """A product of matrices."""
    return torch.stack([torch.ones_like(u), u], dim=1) @ ray


test_points_on_ray = exercise(
    reference=rays.points_on_ray,
    cases=point_cases,
    observe=outputs,
    accepts=[points_by_loop, points_by_product],
    mistakes=[
        *instead_of(
            "O + u[:, None] * D",
            {
                "u[:, None] * D": ("forgets the origin", "the ray begins in O: O + u D"),
                "O + u[:, None] * (D - O)": (
                    "takes the direction for a point",
                    "ray[1] is a direction already, not a second point",
                ),
                "D + u[:, None] * O": ("swaps origin and direction", "ray[0] is the origin and ray[1] the direction"),
                "O - u[:, None] * D": ("goes the other way", "the points are O + u D"),
                "O + u[:, None].clamp(min=0) * D": (
                    "stops at the origin",
                    "a point with a negative u lies behind the origin, and is computed like any other",
                ),
                "O + u[:, None] * D / D.norm()": (
                    "makes the direction as long as 1",
                    "u counts in lengths of D, whatever its length",
                ),
                "(O + u[:, None] * D).T": ("has dimensions and points the wrong way round", "each row is a point"),
                "O + u * D": (
                    "multiplies number by number",
                    "every point needs all of D: u[:, None] has an axis for the dimensions",
                    "RuntimeError",
                ),
            },
        ),
    ],
)


def is_float64(seen: Sequence[Observations]) -> bool:
    """Whether every call gave float64, whatever the numbers: numpy's differ from torch's in the last digit."""
    return all(torch.as_tensor(shown["output"]).dtype == torch.float64 for shown in seen)


def rays_1d_cases(generator: torch.Generator) -> list[Case]:
    """Odd and even numbers of pixels, a wide and a narrow screen."""
    sizes = {"nine pixels": (9, 10.0), "four pixels, a narrow screen": (4, 0.5), "two pixels": (2, 3.0)}
    return [Case(label=label, args=size, axes=RAYS) for label, size in sizes.items()]


def rays_1d_by_stack(num_pixels: int, y_limit: float) -> Tensor:
    """Puts the coordinates together."""
    y = torch.tensor([y_limit * (2 * i / (num_pixels - 1) - 1) for i in range(num_pixels)])
    directions = torch.stack([torch.ones(num_pixels), y, torch.zeros(num_pixels)], dim=1)
    return torch.stack([torch.zeros(num_pixels, 3), directions], dim=1)


def rays_1d_by_list(num_pixels: int, y_limit: float) -> Tensor:
    """Ray by ray."""
    return torch.tensor([[[0.0, 0, 0], [1, float(y), 0]] for y in torch.linspace(-y_limit, y_limit, num_pixels)])


test_make_rays_1d = exercise(
    reference=rays.make_rays_1d,
    cases=rays_1d_cases,
    observe=outputs,
    accepts=[rays_1d_by_stack, rays_1d_by_list],
    mistakes=[
        *instead_of(
            "torch.linspace(-y_limit, y_limit, num_pixels)",
            {
                "torch.linspace(0, y_limit, num_pixels)": (
                    "begins in the middle of the screen",
                    "the screen goes from -y_limit to y_limit",
                ),
                "torch.linspace(y_limit, -y_limit, num_pixels)": (
                    "begins at the top",
                    "the rays come in the order of their y, the lowest first",
                ),
                "torch.linspace(-y_limit, y_limit, num_pixels + 1)[:-1]": (
                    "leaves the last end out",
                    "both ends of the screen have a pixel",
                ),
                "(torch.arange(num_pixels) + 0.5) / num_pixels * 2 * y_limit - y_limit": (
                    "takes the middles of equal pieces",
                    "both ends of the screen have a pixel: torch.linspace has both ends",
                ),
                "torch.linspace(-1, 1, num_pixels)": ("ignores y_limit", "the screen goes from -y_limit to y_limit"),
                "torch.linspace(-y_limit / 2, y_limit / 2, num_pixels)": (
                    "makes the screen half as wide",
                    "y_limit is half of the screen's width already",
                ),
            },
        ),
        *instead_of(
            "rays[:, 1, 0] = 1",
            {
                "rays[:, 1, 0] = 0": ("forgets the x of the directions", "the screen stands at x = 1"),
                "rays[:, :, 0] = 1": (
                    "begins on the screen",
                    "each ray begins in (0, 0, 0), and its direction has x = 1",
                ),
            },
        ),
        Mistake(
            "returns float64",
            "torch.zeros(num_pixels, 2, 3)",
            "torch.zeros(num_pixels, 2, 3, dtype=torch.float64)",
            why="the numbers are float32, which is what torch makes; numpy makes float64",
            shows=is_float64,
        ),
        Mistake(
            "puts the pixels on the z axis",
            "rays[:, 1, 1]",
            "rays[:, 1, 2]",
            why="in the flat world z is 0, and the pixels differ in y",
        ),
        Mistake(
            "puts the direction first",
            "return rays",
            "return rays.flip(1)",
            why="rays[:, 0] are the origins and rays[:, 1] the directions",
        ),
        Mistake(
            "makes the directions as long as 1",
            "return rays",
            "return torch.nn.functional.normalize(rays, dim=-1)",
            why="the direction is the pixel itself, (1, y, 0)",
        ),
    ],
)


def rays_2d_cases(generator: torch.Generator) -> list[Case]:
    """Screens with other numbers of pixels along y than along z, and other limits."""
    sizes = {"a tall screen": (4, 3, 2.0, 0.5), "a wide screen": (2, 5, 0.25, 3.0), "two by two": (2, 2, 1.0, 7.0)}
    return [Case(label=label, args=size, axes=RAYS) for label, size in sizes.items()]


def rays_2d_by_repeating(num_pixels_y: int, num_pixels_z: int, y_limit: float, z_limit: float) -> Tensor:
    """Fills a tensor of zeros."""
    y = torch.linspace(-y_limit, y_limit, num_pixels_y)
    z = torch.linspace(-z_limit, z_limit, num_pixels_z)
    made = torch.zeros(num_pixels_y * num_pixels_z, 2, 3)
    made[:, 1, 0] = 1
    made[:, 1, 1] = einops.repeat(y, "y -> (y z)", z=num_pixels_z)
    made[:, 1, 2] = einops.repeat(z, "z -> (y z)", y=num_pixels_y)
    return made


def rays_2d_by_loops(num_pixels_y: int, num_pixels_z: int, y_limit: float, z_limit: float) -> Tensor:
    """Two loops."""
    return torch.tensor(
        [
            [[0.0, 0.0, 0.0], [1.0, float(y), float(z)]]
            for y in torch.linspace(-y_limit, y_limit, num_pixels_y)
            for z in torch.linspace(-z_limit, z_limit, num_pixels_z)
        ]
    )


test_make_rays_2d = exercise(
    reference=rays.make_rays_2d,
    cases=rays_2d_cases,
    observe=outputs,
    accepts=[rays_2d_by_repeating, rays_2d_by_loops],
    mistakes=[
        *instead_of(
            "torch.cartesian_prod(torch.ones(1), y, z)",
            {
                "torch.cartesian_prod(torch.ones(1), z, y)[:, [0, 2, 1]]": (
                    "goes through y first",
                    "for one y after the other come all z: z changes fastest",
                ),
                "torch.cartesian_prod(torch.ones(1), z, y)": (
                    "swaps y and z",
                    "a direction is (1, y, z): y is its second entry",
                ),
                "torch.cartesian_prod(torch.ones(1), y, z)[:, [0, 2, 1]]": (
                    "swaps y and z",
                    "a direction is (1, y, z): y is its second entry",
                ),
                "torch.stack([torch.ones(len(y) * len(z)), y.repeat(len(z)), z.repeat(len(y))], dim=1)": (
                    "moves along y and z at once",
                    "each y comes with all z: y is repeated by repeat_interleave, z by repeat",
                ),
                "torch.stack([torch.ones(len(y) * len(z)), y.repeat_interleave(len(z)), z.repeat_interleave(len(y))], 1)": (
                    "moves along y and z at once",
                    "each y comes with all z: y is repeated by repeat_interleave, z by repeat",
                ),
                "torch.cartesian_prod(torch.zeros(1), y, z)": (
                    "forgets the x of the directions",
                    "the screen stands at x = 1",
                ),
                "torch.cartesian_prod(torch.ones(1), y.flip(0), z)": (
                    "begins at the top",
                    "the lowest y comes first: the picture has its first row at the bottom",
                ),
                "torch.nn.functional.normalize(torch.cartesian_prod(torch.ones(1), y, z), dim=-1)": (
                    "makes the directions as long as 1",
                    "the direction is the pixel itself, (1, y, z)",
                ),
            },
        ),
        *instead_of(
            "torch.linspace(-z_limit, z_limit, num_pixels_z)",
            {
                "torch.linspace(-y_limit, y_limit, num_pixels_z)": (
                    "takes the limit of y for z too",
                    "z goes from -z_limit to z_limit",
                ),
                "torch.linspace(0, z_limit, num_pixels_z)": (
                    "begins in the middle of the screen",
                    "the screen goes from minus the limit to the limit, along y and along z",
                ),
            },
        ),
        *instead_of(
            "torch.linspace(-y_limit, y_limit, num_pixels_y)",
            {
                "torch.linspace(-z_limit, z_limit, num_pixels_y)": (
                    "takes the limit of z for y",
                    "y goes from -y_limit to y_limit",
                ),
                "torch.linspace(0, y_limit, num_pixels_y)": (
                    "begins in the middle of the screen",
                    "the screen goes from minus the limit to the limit, along y and along z",
                ),
            },
        ),
        Mistake(
            "returns float64",
            "dim=1)",
            "dim=1).double()",
            why="the numbers are float32, which is what torch makes; numpy makes float64",
            shows=is_float64,
        ),
        Mistake(
            "keeps rows and columns apart",
            "dim=1)",
            "dim=1).unflatten(0, (num_pixels_y, num_pixels_z))",
            why="the rays are one long list, row after row: n_rays is the first axis",
        ),
        Mistake(
            "begins on the screen",
            "torch.zeros_like(pixels), pixels",
            "pixels, pixels",
            why="each ray begins in (0, 0, 0)",
        ),
        Mistake(
            "puts the direction first",
            "torch.zeros_like(pixels), pixels",
            "pixels, torch.zeros_like(pixels)",
            why="rays[:, 0] are the origins and rays[:, 1] the directions",
        ),
    ],
)
