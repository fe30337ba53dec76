"""What learners hand in for meshes, chunks and devices: right in another way, or wrong in one."""

import torch

from arena_lib.checking import run
from arena_lib.fundamentals.ray_tracing import lambert_intensity, moller_trumbore, raytrace_in_chunks, triangle_normals
from arena_lib.tests import ray_tracing as tests


def whole_at_once(rays, triangles, chunk_size=64):
    distances, triangle_idx = moller_trumbore(rays, triangles).min(dim=1)
    return distances, torch.where(distances.isfinite(), triangle_idx, -1)


def rays_in_chunks(rays, triangles, chunk_size=64):
    pieces = [whole_at_once(piece, triangles) for piece in rays.split(chunk_size)]
    return tuple(torch.cat(parts) for parts in zip(*pieces, strict=True))


def best_so_far_in_float32(rays, triangles, chunk_size=64):
    nearest, which = torch.full((len(rays),), torch.inf), torch.full((len(rays),), -1)
    for start in range(0, len(triangles), chunk_size):
        distances, idx = moller_trumbore(rays, triangles[start : start + chunk_size]).min(dim=1)
        is_nearer = distances < nearest
        nearest[is_nearer], which[is_nearer] = distances[is_nearer], start + idx[is_nearer]
    return nearest, which


def lit_by_mask(rays, triangles, light, ambient_intensity, device="cpu"):
    """Writes into the hits alone, which can't be traced on a device without values."""
    distances, idx = raytrace_in_chunks(rays.to(device), triangles.to(device))
    intensities = lambert_intensity(triangle_normals(triangles.to(device)), light.to(device), ambient_intensity)
    picture = torch.zeros(len(rays), dtype=rays.dtype, device=device)
    is_hit = distances.isfinite()
    picture[is_hit] = intensities[idx[is_hit]]
    return picture.cpu()


def cpu_inside(rays, triangles, device="cpu"):
    """Moves its arguments, and makes the best so far on the CPU."""
    nearest = torch.full((len(rays),), torch.inf, dtype=rays.dtype)
    distances, _ = raytrace_in_chunks(rays.to(device), triangles.to(device))
    return torch.stack([nearest, distances]).amin(dim=0).to(rays.device)


def test_all_at_once_is_told_about_memory():
    message = run(tests.test_raytrace_in_chunks, whole_at_once).message
    assert "takes more than chunk_size triangles at a time" in message


def test_chunks_of_rays_are_told_about_memory():
    """Memory then grows with the mesh."""
    message = run(tests.test_raytrace_in_chunks, rays_in_chunks).message
    assert "takes more than chunk_size triangles at a time" in message


def test_numbers_of_torchs_own_type_are_enough():
    """Nobody has said that a mesh may be in double precision."""
    assert run(tests.test_raytrace_in_chunks, best_so_far_in_float32).passed


def test_a_mask_that_needs_values_is_no_fault():
    assert run(tests.test_raytrace_mesh_lambert, lit_by_mask).passed


def test_a_tensor_that_stays_on_the_cpu_is_seen_without_a_gpu():
    result = run(tests.test_raytrace_mesh_gpu, cpu_inside)
    assert not result.passed
    assert "device" in result.message


def test_an_older_form_without_a_device_passes():
    assert run(tests.test_raytrace_mesh_gpu, lambda rays, triangles: raytrace_in_chunks(rays, triangles)[0]).passed
    assert run(
        tests.test_raytrace_mesh_lambert,
        lambda rays, triangles, light, ambient: lit_by_mask(rays, triangles, light, ambient),
    ).passed
