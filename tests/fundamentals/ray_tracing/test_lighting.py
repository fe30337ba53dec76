import pytest
import torch

from arena_lib.fundamentals.ray_tracing import (
    lambert_intensity,
    make_pawn,
    make_rays_2d,
    make_solid_of_revolution,
    raytrace_in_chunks,
    raytrace_mesh_lambert,
    triangle_normals,
)


def test_normals_are_perpendicular_and_as_long_as_1():
    triangles = torch.randn(50, 3, 3, generator=torch.Generator().manual_seed(0))
    normals = triangle_normals(triangles)
    torch.testing.assert_close(normals.norm(dim=1), torch.ones(50))
    for edge in (triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 1]):
        assert (edge * normals).sum(dim=1).abs().max() < 1e-5


@pytest.mark.parametrize("scale", [1e-8, 1e-4, 1e4, 1e8])
def test_normals_do_not_depend_on_the_unit(scale):
    triangles = torch.randn(20, 3, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(triangle_normals(scale * triangles), triangle_normals(triangles))


def test_a_triangle_without_area_faces_nowhere():
    triangles = torch.tensor([[[0.0, 0, 0], [1, 1, 1], [2, 2, 2]], [[1.0, 1, 1]] * 3])
    assert not triangle_normals(triangles).any()


def test_normals_of_a_solid_point_outwards():
    ball = torch.linspace(0, torch.pi, 12)
    outline = torch.stack([ball.sin(), -ball.cos()], dim=1)
    outline[[0, -1], 0] = 0
    triangles = make_solid_of_revolution(outline, n_around=9)
    assert ((triangle_normals(triangles) * triangles.mean(dim=1)).sum(dim=1) > 0.8).all()


def test_brightness_is_the_cosine():
    degrees = torch.tensor([0.0, 60.0, 90.0, 120.0, 180.0])
    angles = torch.deg2rad(degrees)
    normals = torch.stack([angles.cos(), angles.sin(), torch.zeros(5)], dim=1)
    intensity = lambert_intensity(normals, torch.tensor([2.0, 0.0, 0.0]), 0.1)
    torch.testing.assert_close(intensity, torch.tensor([2.1, 1.1, 0.1, 0.1, 0.1]))


def test_each_ray_sees_its_triangle_s_brightness():
    rays, pawn = make_rays_2d(15, 11, 0.4, 0.3), make_pawn(8, 5) + torch.tensor([3.0, 0.0, 0.0])
    light = torch.tensor([-0.5, 0.5, 0.2])
    picture = raytrace_mesh_lambert(rays, pawn, light, 0.2, "cpu")
    _, triangle_idx = raytrace_in_chunks(rays, pawn)
    assert 20 < (triangle_idx >= 0).sum() < 150
    for seen, idx in zip(picture, triangle_idx, strict=True):
        A, B, C = pawn[idx]
        normal = torch.linalg.cross(B - A, C - A)
        expected = 0.2 + max(0.0, float(normal @ light / normal.norm())) if idx >= 0 else 0.0
        assert float(seen) == pytest.approx(expected, abs=1e-5)


def test_a_lamp_behind_leaves_the_ambient_light_alone():
    rays, pawn = make_rays_2d(9, 9, 0.04, 0.04), make_pawn(8, 5) + torch.tensor([3.0, 0.0, 0.0])
    picture = raytrace_mesh_lambert(rays, pawn, torch.tensor([1.0, 0.0, 0.0]), 0.25)
    assert set(picture.tolist()) == {0.25}
