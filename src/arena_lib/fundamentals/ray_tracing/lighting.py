"""Light on a mesh: how bright each pixel is.

A matt surface sends the light that falls on it into all directions alike, and how much falls on it depends on how
squarely it faces the light: Lambert's cosine law.

Shapes:  triangles "n_triangles 3 3" (a corner in each row), normals "n_triangles 3", light "3", rays "n_rays 2 3".
Raises:  ShapeError and DtypeError for other rays or triangles; MissingDeviceError for a device that isn't there.
Source:  Lambert 1760, Photometria; Shirley and Marschner 2021, Fundamentals of computer graphics, section 5.2.
Differs: no shadows: a surface that faces the light is lit, whatever stands in between.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.core.device import pick_device
from arena_lib.fundamentals.ray_tracing.inputs import check_mesh, check_triangles
from arena_lib.fundamentals.ray_tracing.meshes import raytrace_in_chunks


def triangle_normals(triangles: Float[Tensor, "n_triangles 3 3"]) -> Float[Tensor, "n_triangles 3"]:
    """The direction in which each triangle faces: perpendicular to it, of length 1.

    It is (B - A) x (C - A), divided by its length. So it points to the side from which A, B, C are seen to go round
    counterclockwise. Where (B - A) x (C - A) is zero the triangle has no area and faces nowhere: its normal is zero.

    >>> triangle_normals(torch.tensor([[[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]]))
    tensor([[0., 0., 1.]])
    """
    check_mesh(triangles)
    A, B, C = triangles.unbind(dim=1)
    normals = torch.linalg.cross(B - A, C - A)
    lengths = normals.norm(dim=-1, keepdim=True)
    return torch.where(lengths > 0, normals / lengths, 0)


def lambert_intensity(
    normals: Float[Tensor, "n_triangles 3"], light: Float[Tensor, "3"], ambient_intensity: float
) -> Float[Tensor, " n_triangles"]:
    """How bright each triangle is: ambient_intensity, and what it gets of the light.

    `light` points from the triangles to the light, and its length is how strong the light is. A triangle gets
    normal . light of it if that is positive, and nothing if it faces away from the light. `ambient_intensity` comes
    from all sides: every triangle gets it.

    >>> lambert_intensity(torch.tensor([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]]), torch.tensor([0.5, 0.5, 0.0]), 0.25)
    tensor([0.7500, 0.2500])
    """
    return ambient_intensity + (normals @ light).clamp(min=0)


def raytrace_mesh_lambert(
    rays: Float[Tensor, "n_rays 2 3"],
    triangles: Float[Tensor, "n_triangles 3 3"],
    light: Float[Tensor, "3"],
    ambient_intensity: float,
    device: torch.device | str | None = None,
) -> Float[Tensor, " n_rays"]:
    """How bright what each ray meets first is, and 0 for a ray that meets nothing.

    Find the nearest triangle of each ray (`raytrace_in_chunks`); its intensity is that of `lambert_intensity`, with its
    normal of `triangle_normals`. `device` is where to compute; without one it is `pick_device()`. The result comes
    back to where the rays are.

    >>> triangles = torch.tensor([[[2.0, -1.0, -1.0], [2.0, -1.0, 3.0], [2.0, 3.0, -1.0]]])
    >>> rays = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [1.0, -9.0, 0.0]]])
    >>> raytrace_mesh_lambert(rays, triangles, torch.tensor([-0.5, 0.0, 0.0]), 0.25)
    tensor([0.7500, 0.0000])
    """
    check_triangles(rays, triangles)
    device = pick_device() if device is None else device
    triangles = triangles.to(device)
    _, triangle_idx = raytrace_in_chunks(rays.to(device), triangles)
    intensities = lambert_intensity(triangle_normals(triangles), light.to(device), ambient_intensity)
    return torch.where(triangle_idx >= 0, intensities[triangle_idx], 0).to(rays.device)
