"""Meshes to look at, made by formulas: a torus knot and a chess pawn.

Each is closed, and the corners of each triangle go round counterclockwise as seen from outside.

Shapes:  triangles "n_triangles 3 3"; an outline "n_points 2" (radius, height).
Raises:  ConfigError for too few parts, or for p and q that have a divisor in common; ShapeError for an outline of one point.
Source:  Adams 1994, The knot book, section 5.1 (torus knots); the pawn's outline is our own.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.ray_tracing.systems import PARALLEL

PAWN = (
    (0.0, -1.0), (0.6, -1.0), (0.62, -0.86), (0.5, -0.78), (0.52, -0.7), (0.36, -0.55), (0.24, -0.2), (0.2, 0.16),
    (0.36, 0.22), (0.36, 0.28), (0.18, 0.34),
)  # fmt: skip
"""The pawn's outline from its foot to its neck: radius and height."""
HEAD_HEIGHT, HEAD_RADIUS, NECK_ANGLE = 0.62, 0.33, 0.58
"""Of the ball on top: the height of its middle, its radius, and the angle from straight down at which it leaves the neck."""

RING, WOUND = 0.8, 0.38
"""Of a torus knot: the radius of the ring, and how far from the ring the knot is wound about it."""


def make_torus_knot(
    n_along: int = 96, n_around: int = 10, *, p: int = 2, q: int = 3, thickness: float = 0.22
) -> Float[Tensor, "n_triangles 3 3"]:
    """A tube of `n_along` times `n_around` quadrilaterals, two triangles each, along a knot on a torus.

    The torus is a ring that faces the camera, along x, of radius 0.8. The knot goes round it p times, and is wound q
    times about the ring, 0.38 away from it. With p = 2 and q = 3 that is a trefoil. It fits into a ball of
    radius 1.18 + thickness.

    >>> make_torus_knot(6, 4).shape
    torch.Size([48, 3, 3])
    """
    if n_along < 3 or n_around < 3:
        raise ConfigError(
            f"a tube must have at least 3 parts along and 3 around: got {n_along} and {n_around}. Pass 96 and 10."
        )
    if p < 1 or q < 1 or math.gcd(p, q) != 1:
        raise ConfigError(f"p and q must be positive, without a common divisor: got {p} and {q}. Pass 2 and 3.")
    t = torch.arange(n_along, dtype=torch.float64)[:, None] * (2 * torch.pi / n_along)
    forward, up, right = torch.eye(3, dtype=torch.float64)
    from_axis = (p * t).sin() * up + (p * t).cos() * right
    round_ring = (p * t).cos() * up - (p * t).sin() * right
    from_ring = (q * t).cos() * from_axis + (q * t).sin() * forward
    about_ring = (q * t).cos() * forward - (q * t).sin() * from_axis
    tangent = p * (RING + WOUND * (q * t).cos()) * round_ring + q * WOUND * about_ring
    sideways = torch.linalg.cross(from_ring, torch.nn.functional.normalize(tangent, dim=-1))
    s = torch.arange(n_around, dtype=torch.float64)[:, None] * (2 * torch.pi / n_around)
    tube = s.cos() * from_ring[:, None] + s.sin() * sideways[:, None]
    knot = RING * from_axis + WOUND * from_ring
    return _tile(knot[:, None] + thickness * tube, is_closed=True).float()


def make_pawn(n_around: int = 20, n_head: int = 9) -> Float[Tensor, "n_triangles 3 3"]:
    """A chess pawn: a foot, a collar and a ball for a head. It stands upright, from y = -1 to y = 0.95.

    >>> bool(make_pawn()[..., 1].min() == -1)
    True
    """
    if n_head < 2:
        raise ConfigError(f"a head must have at least 2 parts: got {n_head}. Pass 9.")
    angles = torch.linspace(NECK_ANGLE, torch.pi, n_head)
    ball = torch.stack([HEAD_RADIUS * angles.sin(), HEAD_HEIGHT - HEAD_RADIUS * angles.cos()], dim=-1)
    ball[-1, 0] = 0
    return make_solid_of_revolution(torch.cat([torch.tensor(PAWN), ball]), n_around)


def make_solid_of_revolution(
    outline: Float[Tensor, "n_points 2"], n_around: int = 20
) -> Float[Tensor, "n_triangles 3 3"]:
    """What an outline, from bottom to top, passes through as it turns about the y axis: `outline[i]` is (radius, height).

    Triangles without area, which a radius of 0 gives, are left out.

    >>> make_solid_of_revolution(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), n_around=4).shape  # a pyramid
    torch.Size([8, 3, 3])
    """
    if len(outline) < 2:
        raise ShapeError(f"an outline must have at least two points: got {len(outline)}. Pass rows (radius, height).")
    if n_around < 3:
        raise ConfigError(f"a solid must have at least 3 parts around: got {n_around}. Pass 20.")
    angles = torch.arange(n_around) * (2 * torch.pi / n_around)
    radius, height = outline[:, None].unbind(dim=-1)
    points = torch.stack([radius * angles.cos(), height.expand(-1, n_around), radius * angles.sin()], dim=-1)
    triangles = _tile(points, is_closed=False)
    A, B, C = triangles.unbind(dim=1)
    e1, e2 = B - A, C - A
    return triangles[torch.linalg.cross(e1, e2).norm(dim=-1) > PARALLEL * e1.norm(dim=-1) * e2.norm(dim=-1)]


def _tile(points: Float[Tensor, "rows columns 3"], *, is_closed: bool) -> Float[Tensor, "n_triangles 3 3"]:
    """Two triangles for each four neighbours; columns close to a ring, and rows too where `is_closed`."""
    following = points.roll(-1, dims=0)
    if not is_closed:
        points, following = points[:-1], following[:-1]
    here, right, up, both = points, points.roll(-1, dims=1), following, following.roll(-1, dims=1)
    lower = torch.stack([here, up, right], dim=-2)
    upper = torch.stack([right, up, both], dim=-2)
    return torch.cat([lower, upper]).flatten(0, 1)
