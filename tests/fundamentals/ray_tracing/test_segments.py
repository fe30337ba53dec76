import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.fundamentals.ray_tracing import (
    intersect_ray_1d,
    intersect_rays_1d,
    make_rays_1d,
    make_systems_1d,
    points_on_ray,
)


def flat(*rows):
    return torch.tensor([[*row, 0.0] for row in rows])


def test_the_usual_scene_is_hit_where_it_can_be_worked_out():
    rays = make_rays_1d(9, 10.0)
    segments = torch.stack([flat((1, -12), (1, -6)), flat((0.5, 0.1), (0.5, 1.15)), flat((2, 12), (2, 21))])
    hits = [[intersect_ray_1d(ray, segment) for ray in rays] for segment in segments]
    assert torch.tensor(hits).nonzero().tolist() == [[0, 0], [0, 1], [2, 7], [2, 8]]
    assert intersect_rays_1d(rays, segments).tolist() == [True, True, *[False] * 5, True, True]


@given(seed=st.integers(0, 10_000), n_rays=st.integers(1, 6), n_segments=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_the_batch_is_what_the_loop_says(seed, n_rays, n_segments):
    generator = torch.Generator().manual_seed(seed)
    rays = torch.randn(n_rays, 2, 3, generator=generator, dtype=torch.float64)
    segments = torch.randn(n_segments, 2, 3, generator=generator, dtype=torch.float64)
    if n_segments:
        segments[-1, 1] = segments[-1, 0] + 2 * rays[0, 1]  # one that is parallel to a ray
    looped = [any(intersect_ray_1d(ray, segment) for segment in segments) for ray in rays]
    assert intersect_rays_1d(rays, segments).tolist() == looped


@given(seed=st.integers(0, 10_000), u=st.floats(-3, 3), v=st.floats(-1, 2))
@settings(max_examples=60, deadline=None)
def test_a_segment_through_a_point_of_the_ray_is_hit_where_it_should_be(seed, u, v):
    """The segment is laid so that it passes the ray's point u with its own point v."""
    generator = torch.Generator().manual_seed(seed)
    ray = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    along = torch.randn(3, generator=generator, dtype=torch.float64)
    crossing = points_on_ray(ray, torch.tensor([u], dtype=torch.float64))[0]
    segment = torch.stack([crossing - v * along, crossing + (1 - v) * along])
    if min(abs(u), abs(v), abs(v - 1)) > 1e-6:
        assert intersect_ray_1d(ray, segment) is (u > 0 and 0 < v < 1)


def test_the_systems_have_u_and_v_as_their_solution():
    rays, segments = torch.stack([flat((0, 0), (1, 0.5))]), torch.stack([flat((2, 0), (2, 4)), flat((4, 0), (4, 8))])
    matrices, vectors = make_systems_1d(rays, segments)
    solutions = torch.linalg.solve(matrices, vectors)
    assert solutions.tolist() == [[[2.0, 0.25], [4.0, 0.25]]]


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        (flat((2, 1), (2, 5)), True),
        (flat((2, -3), (2, 1)), True),
        (flat((0, 0), (0, 5)), True),
        (flat((2, 1), (4, 2)), False),
        (flat((1, 1), (3, 2)), False),
        (flat((2, 1), (2, 1)), False),
        (flat((-2, -1), (-2, 3)), False),
    ],
    ids=["first end", "second end", "the origin", "along it", "parallel", "a point", "behind"],
)
def test_special_cases(segment, expected):
    ray = flat((0, 0), (1, 0.5))
    assert intersect_ray_1d(ray, segment) is expected
    assert intersect_rays_1d(ray[None], segment[None]).tolist() == [expected]
