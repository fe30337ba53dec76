"""Judges of section 0.1, Ray tracing."""

from arena_lib.tests.ray_tracing.cameras import test_make_rays_1d, test_make_rays_2d, test_points_on_ray
from arena_lib.tests.ray_tracing.chunks import test_raytrace_in_chunks, test_raytrace_mesh_gpu
from arena_lib.tests.ray_tracing.lighting import (
    test_lambert_intensity,
    test_raytrace_mesh_lambert,
    test_triangle_normals,
)
from arena_lib.tests.ray_tracing.meshes import test_intersect_triangles, test_moller_trumbore, test_raytrace_mesh
from arena_lib.tests.ray_tracing.rotations import test_rotate_mesh, test_rotation_matrix
from arena_lib.tests.ray_tracing.segments import (
    test_intersect_ray_1d,
    test_intersect_ray_1d_special_case,
    test_intersect_rays_1d,
    test_intersect_rays_1d_special_case,
    test_make_systems_1d,
)
from arena_lib.tests.ray_tracing.systems import test_is_singular, test_solve_or_nan
from arena_lib.tests.ray_tracing.triangles import test_raytrace_triangle, test_triangle_ray_intersects

__test__ = False

__all__ = [
    "test_intersect_ray_1d",
    "test_intersect_ray_1d_special_case",
    "test_intersect_rays_1d",
    "test_intersect_rays_1d_special_case",
    "test_intersect_triangles",
    "test_is_singular",
    "test_lambert_intensity",
    "test_make_rays_1d",
    "test_make_rays_2d",
    "test_make_systems_1d",
    "test_moller_trumbore",
    "test_points_on_ray",
    "test_raytrace_in_chunks",
    "test_raytrace_mesh",
    "test_raytrace_mesh_gpu",
    "test_raytrace_mesh_lambert",
    "test_raytrace_triangle",
    "test_rotate_mesh",
    "test_rotation_matrix",
    "test_solve_or_nan",
    "test_triangle_normals",
    "test_triangle_ray_intersects",
]
