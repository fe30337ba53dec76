import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.fundamentals.ray_tracing import raytrace_triangle, triangle_ray_intersects

WALL = torch.tensor([[2.0, 0.0, 0.0], [2.0, 4.0, 0.0], [2.0, 0.0, 4.0]])


@given(seed=st.integers(0, 10_000), v=st.floats(-1, 2), w=st.floats(-1, 2), u=st.floats(-2, 3))
@settings(max_examples=80, deadline=None)
def test_a_ray_through_a_point_with_known_coordinates(seed, v, w, u):
    generator = torch.Generator().manual_seed(seed)
    A, B, C, D = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    O = A + v * (B - A) + w * (C - A) - u * D
    margins = (abs(v), abs(w), abs(1 - v - w), abs(u))
    if min(margins) > 1e-4:
        expected = v > 0 and w > 0 and v + w < 1 and u > 0
        assert triangle_ray_intersects(A, B, C, O, D) is expected
        rays, triangle = torch.stack([O, D])[None], torch.stack([A, B, C])
        assert raytrace_triangle(rays, triangle).tolist() == [expected]
        assert raytrace_triangle(rays, triangle[[2, 0, 1]]).tolist() == [expected], "any corner may be the first"
        assert raytrace_triangle(rays, triangle[[1, 0, 2]]).tolist() == [expected], "seen from the other side, too"


@pytest.mark.parametrize(
    ("origin", "direction", "expected"),
    [
        ((0, 0, 0), (2, 2, 0), True),
        ((0, 0, 0), (2, 0, 2), True),
        ((0, 0, 0), (1, 1, 1), True),
        ((0, 0, 0), (2, 0, 0), True),
        ((0, 0, 0), (2, 4, 0), True),
        ((2, 1, 1), (1, 0, 0), True),
        ((3, 1, 1), (1, 0, 0), False),
        ((0, 1, 1), (0, 1, 0.5), False),
        ((2, 1, 1), (0, 0, 1), False),
        ((0, 0, 0), (2, 3, 3), False),
        ((0, 0, 0), (0, 0, 0), False),
    ],
    ids=[
        "edge AB", "edge AC", "edge BC", "corner A", "corner B", "begins on it", "behind", "parallel", "in its plane",
        "other half of the parallelogram", "no direction",
    ],
)  # fmt: skip
def test_special_cases(origin, direction, expected):
    O, D = torch.tensor(origin, dtype=torch.float32), torch.tensor(direction, dtype=torch.float32)
    assert triangle_ray_intersects(*WALL, O, D) is expected
    assert raytrace_triangle(torch.stack([O, D])[None], WALL).tolist() == [expected]


@pytest.mark.parametrize(
    "corners", [[[2.0, 0, 0], [2, 1, 1], [2, 2, 2]], [[2.0, 2, 2]] * 3, [[2.0, 0, 0]] * 2 + [[2, 1, 1]]]
)
def test_nothing_meets_a_triangle_without_area(corners):
    triangle = torch.tensor(corners)
    D = triangle[1]
    assert triangle_ray_intersects(*triangle, torch.zeros(3), D) is False
    assert raytrace_triangle(torch.stack([torch.zeros(3), D])[None], triangle).tolist() == [False]
