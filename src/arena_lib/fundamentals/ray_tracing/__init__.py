"""Ray tracing, from one ray and one segment to a mesh that is lit and turns.

rays             points of a ray, and the cameras that send rays out
systems          many small systems of linear equations at once, some of them without a solution
segments         rays and segments in the plane
triangles        rays and one triangle
meshes           the nearest hit among many triangles: plain, in chunks, on another device
cross_products   rays and triangles by cross products
matrix_products  the nearest hit by matrix products: the fast form
lighting         normals, Lambert's law, a lit picture
rotations        turning a mesh
solids           meshes to look at: a torus knot, a pawn, solids of revolution
"""

from arena_lib.fundamentals.ray_tracing.cross_products import moller_trumbore
from arena_lib.fundamentals.ray_tracing.lighting import lambert_intensity, raytrace_mesh_lambert, triangle_normals
from arena_lib.fundamentals.ray_tracing.matrix_products import raytrace_by_products
from arena_lib.fundamentals.ray_tracing.meshes import (
    intersect_triangles,
    raytrace_in_chunks,
    raytrace_mesh,
    raytrace_mesh_gpu,
)
from arena_lib.fundamentals.ray_tracing.rays import make_rays_1d, make_rays_2d, points_on_ray
from arena_lib.fundamentals.ray_tracing.rotations import rotate_mesh, rotation_matrix
from arena_lib.fundamentals.ray_tracing.segments import intersect_ray_1d, intersect_rays_1d, make_systems_1d
from arena_lib.fundamentals.ray_tracing.solids import make_pawn, make_solid_of_revolution, make_torus_knot
from arena_lib.fundamentals.ray_tracing.systems import is_singular, solve_or_nan
from arena_lib.fundamentals.ray_tracing.triangles import raytrace_triangle, triangle_ray_intersects

__all__ = [
    "intersect_ray_1d",
    "intersect_rays_1d",
    "intersect_triangles",
    "is_singular",
    "lambert_intensity",
    "make_pawn",
    "make_rays_1d",
    "make_rays_2d",
    "make_solid_of_revolution",
    "make_systems_1d",
    "make_torus_knot",
    "moller_trumbore",
    "points_on_ray",
    "raytrace_by_products",
    "raytrace_in_chunks",
    "raytrace_mesh",
    "raytrace_mesh_gpu",
    "raytrace_mesh_lambert",
    "raytrace_triangle",
    "rotate_mesh",
    "rotation_matrix",
    "solve_or_nan",
    "triangle_normals",
    "triangle_ray_intersects",
]
