"""What bad rays, segments and triangles are told: the argument, what must hold, what was given, what to do."""

import pytest
import torch

from arena_lib.errors import ConfigError, DtypeError, ShapeError
from arena_lib.fundamentals import ray_tracing as rt

RAYS, TRIANGLES, SEGMENTS = torch.zeros(4, 2, 3), torch.zeros(5, 3, 3), torch.zeros(3, 2, 3)
pytestmark = pytest.mark.usefixtures("without_types")

ON_A_MESH = [rt.intersect_triangles, rt.raytrace_mesh, rt.moller_trumbore, rt.raytrace_in_chunks]
ON_A_MESH += [rt.raytrace_by_products, rt.raytrace_mesh_gpu]


@pytest.mark.parametrize("function", ON_A_MESH, ids=lambda function: function.__name__)
def test_wrong_rays_and_meshes_are_refused_by_name(function):
    for rays in (RAYS[0], RAYS[:, :1], RAYS[..., :2], RAYS[None]):
        with pytest.raises(ShapeError, match=r'rays must have the shape "n_rays 2 3".*: got \('):
            function(rays, TRIANGLES)
    for triangles in (TRIANGLES[0], TRIANGLES[:, :2], TRIANGLES[..., :2]):
        with pytest.raises(ShapeError, match=r'triangles must have the shape "n_triangles 3 3".*: got \('):
            function(RAYS, triangles)
    with pytest.raises(ShapeError, match="at least one triangle"):
        function(RAYS, TRIANGLES[:0])
    with pytest.raises(DtypeError, match=r"triangles must be floating-point numbers: got torch.int64.*triangles.float"):
        function(RAYS, TRIANGLES.long())
    with pytest.raises(
        DtypeError, match=r"rays and triangles must have one dtype: got torch.float64 and torch.float32"
    ):
        function(RAYS.double(), TRIANGLES)


def test_what_else_looks_at_meshes_refuses_them_too():
    with pytest.raises(ShapeError, match="triangles"):
        rt.triangle_normals(TRIANGLES[0])
    with pytest.raises(ShapeError, match="triangles"):
        rt.rotate_mesh(TRIANGLES[0], torch.tensor(0.5), torch.zeros(3))
    with pytest.raises(ShapeError, match="rays"):
        rt.raytrace_mesh_lambert(RAYS[0], TRIANGLES, torch.ones(3), 0.5)
    with pytest.raises(ShapeError, match="triangles"):
        rt.raytrace_triangle(RAYS, TRIANGLES[0, :2])


@pytest.mark.parametrize("function", [rt.make_systems_1d, rt.intersect_rays_1d], ids=lambda function: function.__name__)
def test_wrong_segments_are_refused_by_name(function):
    with pytest.raises(ShapeError, match=r'segments must have the shape "n_segments 2 3".*segment\[None\]'):
        function(RAYS, SEGMENTS[0])
    with pytest.raises(DtypeError, match="rays and segments must have one dtype"):
        function(RAYS, SEGMENTS.double())
    with pytest.raises(DtypeError, match="rays must be floating-point"):
        function(RAYS.long(), SEGMENTS.long())


def test_a_single_ray_of_whole_numbers_is_refused():
    with pytest.raises(DtypeError, match="rays must be floating-point"):
        rt.intersect_ray_1d(RAYS[0].long(), SEGMENTS[0].long())
    with pytest.raises(DtypeError, match="D must be floating-point"):
        rt.triangle_ray_intersects(*TRIANGLES[0], torch.zeros(3), torch.tensor([1, 0, 0]))


@pytest.mark.parametrize("chunk_size", [0, -3])
def test_a_chunk_has_a_triangle_at_least(chunk_size):
    for function in (rt.raytrace_in_chunks, rt.raytrace_by_products):
        with pytest.raises(ConfigError, match=f"chunk_size must be at least 1: got {chunk_size}"):
            function(RAYS, TRIANGLES, chunk_size)


def test_a_screen_has_two_pixels_and_a_width():
    with pytest.raises(ConfigError, match=r"at least 2 pixels along y.*got 1"):
        rt.make_rays_1d(1, 2.0)
    with pytest.raises(ConfigError, match=r"at least 2 pixels along z.*got 0"):
        rt.make_rays_2d(3, 0, 1.0, 1.0)
    for limit in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match="z_limit must be finite and above 0"):
            rt.make_rays_2d(3, 4, 1.0, limit)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("function", ON_A_MESH, ids=lambda function: function.__name__)
def test_half_precision_is_refused_where_it_would_lose_hits(function, dtype):
    with pytest.raises(DtypeError, match=r"rays must be float32 or float64: got torch\.b?float16"):
        function(RAYS.to(dtype), TRIANGLES.to(dtype))
