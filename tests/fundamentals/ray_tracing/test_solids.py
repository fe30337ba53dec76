"""Meshes are closed, and their corners go round counterclockwise as seen from outside."""

import math
from collections import Counter

import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.ray_tracing import make_pawn, make_solid_of_revolution, make_torus_knot


def volume(triangles):
    """By the divergence theorem: positive where corners go round counterclockwise as seen from outside."""
    A, B, C = triangles.double().unbind(dim=1)
    return float((A * torch.linalg.cross(B, C)).sum()) / 6


def edges(triangles):
    """How often each directed edge is there, corners rounded."""
    corners = [
        [tuple(corner) for corner in triangle] for triangle in triangles.double().mul(1e4).round().add(0.0).tolist()
    ]
    return Counter((a, b) for A, B, C in corners for a, b in ((A, B), (B, C), (C, A)))


MESHES = {
    "knot": make_torus_knot(50, 7),
    "cinquefoil": make_torus_knot(80, 6, p=2, q=5, thickness=0.1),
    "pawn": make_pawn(),
    "pyramid": make_solid_of_revolution(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), 4),
}


@pytest.mark.parametrize("name", MESHES)
def test_every_edge_has_a_triangle_on_either_side(name):
    counts = edges(MESHES[name])
    assert set(counts.values()) == {1}
    assert {(b, a) for a, b in counts} == set(counts)


@pytest.mark.parametrize("name", MESHES)
def test_it_is_turned_outwards_and_has_no_flat_triangles(name):
    assert volume(MESHES[name]) > 0
    A, B, C = MESHES[name].unbind(dim=1)
    assert (torch.linalg.cross(B - A, C - A).norm(dim=-1) > 1e-4).all()


def test_a_pyramid_has_the_volume_of_one():
    assert volume(MESHES["pyramid"]) == pytest.approx(2 / 3, rel=1e-4)


def test_a_tube_has_the_volume_of_one():
    """Pappus: the cross-section times the curve's length, as its middle runs along the curve."""
    n_along, n_around, thickness = 2000, 60, 0.2
    section = n_around / 2 * math.sin(2 * math.pi / n_around) * thickness**2
    t = torch.arange(n_along, dtype=torch.float64) * 2 * math.pi / n_along
    distance = 0.8 + 0.38 * (3 * t).cos()
    speed = ((2 * distance) ** 2 + (3 * 0.38) ** 2).sqrt()
    length = float(speed.mean()) * 2 * math.pi
    assert volume(make_torus_knot(n_along, n_around, thickness=thickness)) == pytest.approx(section * length, rel=1e-3)


def test_the_sizes_are_those_that_are_promised():
    assert make_torus_knot(12, 5).shape == (120, 3, 3)
    assert make_torus_knot().norm(dim=-1).max() <= 1.18 + 0.22 + 1e-6
    pawn = make_pawn()
    assert (float(pawn[..., 1].min()), round(float(pawn[..., 1].max()), 4)) == (-1.0, 0.95)


def test_what_makes_no_solid_is_refused():
    with pytest.raises(ConfigError, match="at least 3 parts along and 3 around: got 2 and 9"):
        make_torus_knot(2, 9)
    for p, q in ((2, 4), (0, 3), (3, -2)):
        with pytest.raises(ConfigError, match=f"without a common divisor: got {p} and {q}"):
            make_torus_knot(p=p, q=q)
    with pytest.raises(ConfigError, match="head must have at least 2 parts: got 1"):
        make_pawn(n_head=1)
    with pytest.raises(ConfigError, match="at least 3 parts around: got 2"):
        make_pawn(n_around=2)
    with pytest.raises(ShapeError, match="at least two points: got 1"):
        make_solid_of_revolution(torch.zeros(1, 2))
