"""Judges of rays and segments in the plane."""

from collections.abc import Callable

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.fundamentals.ray_tracing import segments as reference
from arena_lib.fundamentals.ray_tracing.systems import is_singular
from arena_lib.tests.ray_tracing.watching import truth

__test__ = False

Point = tuple[int | float, int | float]


def flat(first: Point, second: Point) -> Tensor:
    """A ray or a segment with z = 0."""
    return torch.tensor([[*first, 0.0], [*second, 0.0]])


UP = flat((2, 0), (2, 4))
"""A segment in front of the origin, from y = 0 up."""
FROM_ORIGIN = flat((0, 0), (1, 0.5))


def ray_cases(generator: torch.Generator) -> list[Case]:
    """Hits and misses on all sides, ends, parallels; numbers with which nothing is rounded."""

    def case(label: str, ray: Tensor, segment: Tensor) -> Case:
        return Case(label=label, args=(ray, segment))

    aslant = flat((1, 2), (2, -1))
    tilted = [torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.5, -3.0]]), torch.tensor([[2.0, 0.0, 5.0], [2.0, 4.0, 7.0]])]
    return [
        case("a hit", FROM_ORIGIN, UP),
        case("passes above", flat((0, 0), (1, 3)), UP),
        case("passes below", flat((0, 0), (1, -0.5)), UP),
        case("the segment lies behind the origin", flat((0, 0), (-1, -0.5)), UP),
        case("the segment lies just behind the origin", FROM_ORIGIN, flat((-0.5, -1), (-0.5, 1))),
        case("another origin, a hit", aslant, flat((5, -2), (5, 1))),
        case("another origin, a miss", aslant, flat((5, -12), (5, -8))),
        case("between the origin and the screen", FROM_ORIGIN, flat((0.5, 1), (0.5, 0))),
        case("passes it between the origin and the screen", FROM_ORIGIN, flat((0.5, 1), (0.5, 0.5))),
        case("a segment along x", flat((0, 1), (2, -1)), flat((-1, -1), (7, -1))),
        case("through the first end", FROM_ORIGIN, flat((2, 1), (2, 5))),
        case("through the second end", FROM_ORIGIN, flat((2, -3), (2, 1))),
        case("begins on the segment", flat((2, 1), (1, 0)), UP),
        case("special case: parallel", FROM_ORIGIN, flat((1, 1), (3, 2))),
        case("special case: parallel, the other way round", FROM_ORIGIN, flat((4, 1), (2, 0))),
        case("special case: along the ray", FROM_ORIGIN, flat((2, 1), (4, 2))),
        case("special case: a segment that is one point", FROM_ORIGIN, flat((2, 1), (2, 1))),
        *(case(f"special case: along the ray up to rounding, {i}", *pair) for i, pair in enumerate(nearly_along(), 1)),
        case("with z, which doesn't matter", *tilted),
        case("a miss, but a hit if z were y", *torch.tensor([[[0.0, 0, 0], [1, 3, 0.5]], [[2, -10, 0], [2, -12, 4]]])),
        case("a miss, but a hit without x", *torch.tensor([[[0.0, 0, 0], [1, 3, 0.5]], [[-9, 6, 0], [-8, 6.5, 4]]])),
    ]


def nearly_along() -> list[tuple[Tensor, Tensor]]:
    """A ray and segments along it, whose determinant is rounded to a small number that isn't 0."""
    end = torch.tensor([0.9, 0.4, 0.0])
    ray = torch.stack([torch.zeros(3), end])
    return [(ray, torch.stack([first * end, last * end])) for first, last in ((1.3, 3.0), (1.5, 7.0), (3.0, 5.0))]


def ray_by_cramer(ray: Tensor, segment: Tensor) -> Tensor:
    """Cramer's rule; the answer is a tensor."""
    (o_x, o_y, _), (d_x, d_y, _) = ray
    (a_x, a_y, _), (b_x, b_y, _) = segment
    determinant = d_x * (a_y - b_y) - d_y * (a_x - b_x)
    if determinant.abs() <= 1e-6 * torch.hypot(d_x, d_y) * torch.hypot(a_x - b_x, a_y - b_y):
        return torch.tensor(False)
    u = ((a_x - o_x) * (a_y - b_y) - (a_y - o_y) * (a_x - b_x)) / determinant
    v = (d_x * (a_y - o_y) - d_y * (a_x - o_x)) / determinant
    return (u >= 0) & (v >= 0) & (v <= 1)


def ray_by_inverse(ray: Tensor, segment: Tensor) -> bool:
    """Inverts the matrix, and compares numbers of Python."""
    O, D, L_1, L_2 = ray[0, :2], ray[1, :2], segment[0, :2], segment[1, :2]
    matrix = torch.column_stack([D, L_1 - L_2])
    if is_singular(matrix):
        return False
    u, v = (torch.linalg.inv(matrix) @ (L_1 - O)).tolist()
    return u >= 0.0 and 0.0 <= v <= 1.0


def on_other_axes(*axes: int) -> Callable[[Tensor, Tensor], bool]:
    """The reference with other coordinates in the place of x and y."""
    return lambda ray, segment: reference.intersect_ray_1d(ray[:, axes], segment[:, axes])


FIRST_TWO = "the plane is that of x and y: the first two entries"
PARALLEL_NEVER = "a ray that is parallel to the segment never meets it: there is nothing to solve"
BEGINS = "the ray begins in O: points with a negative u lie behind it"
ENDS = "the segment's ends belong to it: v may be 0 and 1"
SIGN = "u D - v (L_2 - L_1) = L_1 - O, so the second column is L_1 - L_2"

test_intersect_ray_1d = exercise(
    reference=reference.intersect_ray_1d,
    cases=ray_cases,
    observe=truth,
    accepts=[ray_by_cramer, ray_by_inverse],
    mistakes=[
        *instead_of(
            "u >= 0 and v >= 0 and v <= 1",
            {
                "v >= 0 and v <= 1": ("takes the ray for a whole line", BEGINS),
                "u >= 0": ("takes the segment for a whole line", "only points with 0 <= v <= 1 lie on the segment"),
                "u >= 0 and v >= 0": ("takes the segment for a ray", "it ends in L_2: v is at most 1"),
                "u >= 0 and v <= 1": ("lets the segment go on behind its first end", "v is at least 0"),
                "u > 0 and v >= 0 and v <= 1": (
                    "leaves the ray's origin out",
                    "u may be 0: the origin belongs to the ray",
                ),
                "u >= 0 and v > 0 and v <= 1": ("leaves the first end out", ENDS),
                "u >= 0 and v >= 0 and v < 1": ("leaves the second end out", ENDS),
                "u >= 0 and v > 0 and v < 1": ("leaves both ends out", ENDS),
                "u >= 0 and u <= 1 and v >= 0 and v <= 1": (
                    "ends the ray at the screen",
                    "a ray has no end: u may be as large as it likes",
                ),
                "u >= 1 and v >= 0 and v <= 1": (
                    "begins the ray at the screen",
                    "the ray begins in O, where u is 0: the screen at u = 1 is only what it is aimed through",
                ),
                "v >= 0 and u >= 0 and u <= 1": ("swaps u and v", "the first unknown is u, that of the first column D"),
            },
        ),
        *instead_of(
            "torch.stack([D, L_1 - L_2], dim=1)",
            {
                "torch.stack([D, L_2 - L_1], dim=1)": ("has the sign of the second column wrong", SIGN),
                "torch.stack([D, L_1 - L_2], dim=0)": (
                    "puts the columns into rows",
                    "D and L_1 - L_2 are columns: u multiplies D, and v multiplies L_1 - L_2",
                ),
                "torch.stack([D - O, L_1 - L_2], dim=1)": (
                    "takes the direction for a point",
                    "ray[1] is a direction already, not a second point",
                ),
            },
        ),
        *instead_of(
            "L_1 - O)",
            {
                "L_1)": ("forgets the origin", "the right side is L_1 - O"),
                "O - L_1)": ("has the sign of the right side wrong", "u D + v (L_1 - L_2) = L_1 - O"),
                "L_2 - O)": (
                    "starts from the second end",
                    "the segment is L_1 + v (L_2 - L_1): the right side is L_1 - O",
                ),
            },
        ),
        *instead_of(
            "return False",
            {
                "return True": ("counts parallel rays as hits", PARALLEL_NEVER),
                "pass": ("solves for parallel rays too", PARALLEL_NEVER),
            },
        ),
        Mistake(
            "looks for a determinant of exactly 0",
            "is_singular(matrix)",
            "torch.linalg.det(matrix) == 0",
            why="rounding makes it some number near 0: is_singular takes care of that",
        ),
        Mistake("looks at y and z", function=on_other_axes(1, 2, 0), why=FIRST_TWO),
        Mistake("looks at x and z", function=on_other_axes(0, 2, 1), why=FIRST_TWO),
    ],
)
test_intersect_ray_1d_special_case = test_intersect_ray_1d.part("special case")


def scattered(generator: torch.Generator, n_rays: int, n_segments: int) -> tuple[Tensor, Tensor]:
    """Rays and segments of all directions, with a z that doesn't matter."""
    return torch.randn(n_rays, 2, 3, generator=generator), 2 * torch.randn(n_segments, 2, 3, generator=generator)


FIRST_SCENE = torch.stack([flat((1, -12), (1, -6)), flat((0.5, 0.1), (0.5, 1.15)), flat((2, 12), (2, 21))])


def system_cases(generator: torch.Generator) -> list[Case]:
    """Scattered rays and segments, of which there are more or fewer; one of each."""
    axes = {"output": "n_rays n_segments equation unknown"}
    sizes = {"several": (5, 3), "as many segments as rays": (4, 4), "one ray": (1, 4), "one segment": (3, 1)}
    return [Case(label=label, args=scattered(generator, *size), axes=axes) for label, size in sizes.items()]


def systems_by_loops(rays: Tensor, segments: Tensor) -> tuple[Tensor, Tensor]:
    """Two loops."""
    matrices = rays.new_zeros(len(rays), len(segments), 2, 2)
    vectors = rays.new_zeros(len(rays), len(segments), 2)
    for i, (O, D) in enumerate(rays[..., :2]):
        for j, (L_1, L_2) in enumerate(segments[..., :2]):
            matrices[i, j, :, 0], matrices[i, j, :, 1], vectors[i, j] = D, L_1 - L_2, L_1 - O
    return matrices, vectors


def systems_by_expanding(rays: Tensor, segments: Tensor) -> tuple[Tensor, Tensor]:
    """Makes both as large as the result first."""
    rays = rays[:, None].expand(-1, len(segments), -1, -1)[..., :2]
    segments = segments[None].expand(len(rays), -1, -1, -1)[..., :2]
    matrices = torch.stack([rays[..., 1, :], segments[..., 0, :] - segments[..., 1, :]], dim=-1)
    return matrices, segments[..., 0, :] - rays[..., 0, :]


test_make_systems_1d = exercise(
    reference=reference.make_systems_1d,
    cases=system_cases,
    observe=outputs,
    accepts=[systems_by_loops, systems_by_expanding],
    mistakes=[
        *instead_of(
            "torch.broadcast_tensors(D, L_1 - L_2)",
            {
                "torch.broadcast_tensors(D, L_2 - L_1)": ("has the sign of the second column wrong", SIGN),
                "torch.broadcast_tensors(L_1 - L_2, D)": (
                    "swaps the columns",
                    "u comes first, and so does its column D",
                ),
                "torch.broadcast_tensors(D - O, L_1 - L_2)": (
                    "takes the direction for a point",
                    "ray[1] is a direction already, not a second point",
                ),
            },
        ),
        Mistake(
            "puts the columns into rows",
            "dim=-1), L_1",
            "dim=-2), L_1",
            why="D and L_1 - L_2 are columns: their entries lie along the axis before the last",
        ),
        *instead_of(
            "L_1 - O",
            {
                "O - L_1": ("has the sign of the vectors wrong", "the right side is L_1 - O"),
                "L_1.expand_as(columns[0])": ("forgets the origins", "the right side is L_1 - O"),
                "L_2 - O": (
                    "starts from the second end",
                    "the segment is L_1 + v (L_2 - L_1): the right side is L_1 - O",
                ),
                "(L_1 - O).transpose(0, 1)": (
                    "has rays and segments the wrong way round",
                    "the first axis is the rays'",
                ),
            },
        ),
        *instead_of(
            "rays[:, None, 1, :2]",
            {
                "rays[:, None, 1, 1:]": ("looks at y and z", "the plane is that of x and y: the first two entries"),
            },
        ),
    ],
)


def rays_cases(generator: torch.Generator) -> list[Case]:
    """The camera's rays; scattered ones; ends, parallels and points among others; one of each."""

    def case(label: str, rays: Tensor, segments: Tensor) -> Case:
        return Case(label=label, args=(rays, segments), axes={"output": "n_rays"})

    y = torch.linspace(-10, 10, 9)
    camera = torch.zeros(9, 2, 3)
    camera[:, 1, 0], camera[:, 1, 1] = 1.0, y
    fan = torch.stack([flat((0, 0), end) for end in ((1, 0.5), (1, 2), (-1, -0.5), (1, 0), (1, -0.25), (-1, 0.5))])
    with_parallels = torch.stack([flat((1, 1), (3, 2)), flat((2, 1), (4, 2)), flat((3, 0.5), (3, 0.5))])
    on_it = torch.stack([flat((2, 1), (1, 0)), flat((3, 1), (1, 0))])
    return [
        case("a camera and three segments", camera, FIRST_SCENE),
        case("scattered rays and segments", *scattered(generator, 13, 4)),
        case("a hit, and segments behind, above and through an end", fan, torch.stack([UP, flat((2, 6), (2, 8))])),
        case("begins on a segment, or behind it", on_it, UP[None]),
        case("one ray", *scattered(generator, 1, 7)),
        case("one segment", *scattered(generator, 6, 1)),
        case("as many segments as rays", *scattered(generator, 5, 5)),
        case("special case: parallels and a point", fan, with_parallels),
        case("special case: nothing but parallels", fan[:1], with_parallels),
        case("special case: parallels among others", fan, torch.cat([with_parallels, UP[None]])),
        case("special case: along a segment up to rounding", *map(torch.stack, zip(*nearly_along(), strict=True))),
    ]


def rays_by_loops(rays: Tensor, segments: Tensor) -> Tensor:
    """Asks about every pair."""
    return torch.tensor([any(reference.intersect_ray_1d(ray, segment) for segment in segments) for ray in rays])


def rays_by_cramer(rays: Tensor, segments: Tensor) -> Tensor:
    """Cramer's rule, with a determinant of 1 where it is 0."""
    O, D, L_1, L_2 = rays[:, None, 0], rays[:, None, 1], segments[None, :, 0], segments[None, :, 1]

    def cross(a: Tensor, b: Tensor) -> Tensor:
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]

    determinant = cross(D, L_1 - L_2)
    lengths = D[..., :2].norm(dim=-1) * (L_1 - L_2)[..., :2].norm(dim=-1)
    is_parallel = determinant.abs() <= 1e-6 * lengths
    determinant = determinant.masked_fill(is_parallel, 1.0)
    u, v = cross(L_1 - O, L_1 - L_2) / determinant, cross(D, L_1 - O) / determinant
    return ((u >= 0) & (v >= 0) & (v <= 1) & ~is_parallel).max(dim=1).values


test_intersect_rays_1d = exercise(
    reference=reference.intersect_rays_1d,
    cases=rays_cases,
    observe=outputs,
    accepts=[rays_by_loops, rays_by_cramer],
    mistakes=[
        *instead_of(
            "(u >= 0) & (v >= 0) & (v <= 1)",
            {
                "(v >= 0) & (v <= 1)": ("takes the rays for whole lines", BEGINS),
                "(u >= 0)": ("takes the segments for whole lines", "only points with 0 <= v <= 1 lie on a segment"),
                "(u >= 0) & (v >= 0)": ("takes the segments for rays", "a segment ends in L_2: v is at most 1"),
                "(u > 0) & (v >= 0) & (v <= 1)": (
                    "leaves the rays' origins out",
                    "u may be 0: the origin belongs to the ray",
                ),
                "(u >= 0) & (v > 0) & (v < 1)": ("leaves the ends out", ENDS),
                "(u >= 0) & (v > 0) & (v <= 1)": ("leaves the first ends out", ENDS),
                "(u >= 0) & (v >= 0) & (v < 1)": ("leaves the second ends out", ENDS),
                "(v >= 0) & (u >= 0) & (u <= 1)": (
                    "swaps u and v",
                    "the first unknown is u, that of the first column D",
                ),
                "(u >= 0) & (v >= 0) | (v <= 1)": (
                    "is content with one of the conditions",
                    "all of them must hold: &, not |",
                ),
                "~((u < 0) | (v < 0) | (v > 1))": (
                    "counts NaN as a hit",
                    "NaN compares False with everything: ask what must hold, not what must not",
                ),
                "(u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)": (
                    "ends the rays at the screen",
                    "a ray has no end: u may be as large as it likes",
                ),
            },
        ),
        *instead_of(
            ".any(dim=1)",
            {
                ".all(dim=1)": ("asks for all segments", "one segment is enough"),
                ".any(dim=0)": (
                    "says which segments are hit",
                    "the answer is for each ray: any over the segments, dim=1",
                ),
                "[:, 0]": ("looks at the first segment alone", "any of the segments counts"),
                ".sum(dim=1)": ("counts the segments", "the answer is True or False: any(dim=1)"),
            },
        ),
        Mistake(
            "lets each condition hold for another segment",
            "((u >= 0) & (v >= 0) & (v <= 1)).any(dim=1)",
            "(u >= 0).any(dim=1) & ((v >= 0) & (v <= 1)).any(dim=1)",
            why="one segment must meet all conditions: any comes last",
        ),
        Mistake(
            "solves for parallel rays too",
            "solve_or_nan(",
            "torch.linalg.solve(",
            why="one singular matrix stops torch.linalg.solve for the whole batch: solve_or_nan gives NaN there",
        ),
    ],
)
test_intersect_rays_1d_special_case = test_intersect_rays_1d.part("special case")
