import pytest
import torch

from arena_lib.errors import MissingDeviceError
from arena_lib.fundamentals.ray_tracing import (
    intersect_triangles,
    make_pawn,
    make_rays_2d,
    make_solid_of_revolution,
    points_on_ray,
    raytrace_in_chunks,
    raytrace_mesh,
    raytrace_mesh_gpu,
    raytrace_triangle,
)


def scene(seed=0, n_rays=30, n_triangles=11):
    generator = torch.Generator().manual_seed(seed)
    rays = torch.randn(n_rays, 2, 3, generator=generator, dtype=torch.float64)
    return rays, 2 * torch.randn(n_triangles, 3, 3, generator=generator, dtype=torch.float64)


def test_each_column_is_one_triangle_s_answer():
    rays, triangles = scene()
    distances = intersect_triangles(rays, triangles)
    assert distances.isfinite().any(dim=0).sum() > 5
    for triangle, column in zip(triangles, distances.T, strict=True):
        assert torch.equal(column.isfinite(), raytrace_triangle(rays, triangle))
        normal = torch.linalg.cross(triangle[1] - triangle[0], triangle[2] - triangle[0])
        for ray, u in zip(rays, column, strict=True):
            if u.isfinite():
                (point,) = points_on_ray(ray, u[None])
                assert abs(float((point - triangle[0]) @ normal)) < 1e-9, "the hit lies in the triangle's plane"


def test_distances_count_in_lengths_of_the_direction():
    rays, triangles = scene()
    longer = rays * torch.tensor([1.0, 4.0], dtype=torch.float64)[:, None]
    torch.testing.assert_close(raytrace_mesh(longer, triangles), raytrace_mesh(rays, triangles) / 4)


def test_the_nearest_hit_counts_whatever_the_order():
    rays, triangles = scene()
    nearest = raytrace_mesh(rays, triangles)
    assert nearest.isfinite().sum() > 5
    assert nearest.isinf().sum() > 5
    assert torch.equal(nearest, intersect_triangles(rays, triangles).min(dim=1).values)
    torch.testing.assert_close(raytrace_mesh(rays, triangles.flip(0)), nearest)


def test_a_ball_is_as_far_as_geometry_says():
    """The ball of radius 1 at distance 3, seen by the ray straight ahead, and by one just past it."""
    angles = torch.linspace(0, torch.pi, 40)
    outline = torch.stack([angles.sin(), -angles.cos()], dim=1)
    outline[[0, -1], 0] = 0
    ball = make_solid_of_revolution(outline, n_around=80) + torch.tensor([3.0, 0.0, 0.0])
    rays = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 1e-3, 1e-3]], [[0.0, 0.0, 0.0], [1.0, 0.36, 0.0]]])
    distances = raytrace_mesh(rays, ball)
    assert float(distances[0]) == pytest.approx(2.0, abs=5e-3)
    assert distances[1].isinf(), "the ball's edge lies at a slope of 1 / 8 ** 0.5 = 0.354"


@pytest.mark.parametrize("chunk_size", [1, 2, 4, 11, 100])
def test_chunks_change_nothing(chunk_size):
    rays, triangles = scene(n_triangles=11)
    distances, triangle_idx = raytrace_in_chunks(rays, triangles, chunk_size)
    everything = intersect_triangles(rays, triangles)
    torch.testing.assert_close(distances, everything.amin(dim=1))
    assert torch.equal(triangle_idx, torch.where(distances.isfinite(), everything.argmin(dim=1), -1))


def test_of_equal_triangles_the_first_counts():
    rays, triangles = scene(n_triangles=2)
    _, triangle_idx = raytrace_in_chunks(rays, triangles.repeat(3, 1, 1), chunk_size=2)
    assert set(triangle_idx.tolist()) == {-1, 0, 1}


def test_a_closed_solid_has_no_holes():
    """Each ray into the pawn's middle meets it; few pass an edge so closely that rounding lets them through."""
    pawn = make_pawn(12, 6)
    generator = torch.Generator().manual_seed(0)
    origins = torch.nn.functional.normalize(torch.randn(3000, 3, generator=generator), dim=1) * 4
    rays = torch.stack([origins, torch.tensor([0.0, -0.5, 0.0]) - origins], dim=1)
    assert raytrace_in_chunks(rays, pawn)[0].isfinite().all()


def test_on_the_cpu_it_is_raytrace_mesh():
    rays = make_rays_2d(9, 7, 0.4, 0.3)
    pawn = make_pawn(8, 4) + torch.tensor([3.0, 0.0, 0.0])
    for device in (None, "cpu", torch.device("cpu")):
        torch.testing.assert_close(raytrace_mesh_gpu(rays, pawn, device), raytrace_mesh(rays, pawn))


def test_without_a_device_the_fastest_is_picked(monkeypatch):
    def pick():
        raise MissingDeviceError("it was asked")

    monkeypatch.setattr("arena_lib.fundamentals.ray_tracing.meshes.pick_device", pick)
    rays, triangles = scene()
    with pytest.raises(MissingDeviceError):
        raytrace_mesh_gpu(rays, triangles)
    raytrace_mesh_gpu(rays, triangles, "cpu")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_on_a_gpu_the_result_comes_back():
    rays, triangles = (part.float() for part in scene())
    distances = raytrace_mesh_gpu(rays, triangles, "cuda")
    assert distances.device == rays.device
    torch.testing.assert_close(distances, raytrace_mesh(rays, triangles))
