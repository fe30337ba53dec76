import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.fundamentals.ray_tracing import (
    intersect_triangles,
    make_pawn,
    make_rays_2d,
    make_torus_knot,
    matrix_products,
    raytrace_by_products,
    raytrace_in_chunks,
)


@given(
    seed=st.integers(0, 10_000),
    n_rays=st.integers(1, 9),
    n_triangles=st.integers(1, 12),
    chunk_size=st.integers(1, 15),
    exponent=st.integers(-4, 4),
)
@settings(max_examples=80, deadline=None)
def test_it_is_the_plain_form(seed, n_rays, n_triangles, chunk_size, exponent):
    generator = torch.Generator().manual_seed(seed)
    rays = torch.randn(n_rays, 2, 3, generator=generator, dtype=torch.float64) * 10.0**exponent
    triangles = 2 * torch.randn(n_triangles, 3, 3, generator=generator, dtype=torch.float64) * 10.0**exponent
    distances, triangle_idx = raytrace_by_products(rays, triangles, chunk_size)
    expected, expected_idx = raytrace_in_chunks(rays, triangles)
    torch.testing.assert_close(distances, expected)
    assert torch.equal(triangle_idx, expected_idx)


@pytest.mark.parametrize("mesh", [make_pawn(), make_torus_knot(40, 7)], ids=["pawn", "knot"])
@pytest.mark.parametrize("far", [3.0, 40.0])
def test_pictures_are_the_plain_form_s(mesh, far):
    """In float32 too: only rays that pass an edge within rounding may differ, and then in a neighbour or an outline."""
    side = 45
    rays = make_rays_2d(side, side, 1.5 / far, 1.5 / far)
    mesh = mesh + torch.tensor([far, 0.0, 0.0])
    distances, triangle_idx = raytrace_by_products(rays, mesh)
    everything = intersect_triangles(rays, mesh)
    nearest = everything.amin(dim=1)
    n_hits = int(nearest.isfinite().sum())
    assert n_hits > 200
    assert (distances.isfinite() != nearest.isfinite()).sum() <= 2
    both = distances.isfinite() & nearest.isfinite()
    torch.testing.assert_close(distances[both], nearest[both], rtol=1e-4, atol=1e-4)
    assert (triangle_idx[both] != everything.argmin(dim=1)[both]).float().mean() < 0.01


def test_blocks_of_rays_change_nothing(monkeypatch):
    rays = make_rays_2d(8, 9, 0.4, 0.4)
    mesh = make_pawn(6, 4) + torch.tensor([3.0, 0.0, 0.0])
    whole = raytrace_by_products(rays, mesh)
    monkeypatch.setattr(matrix_products, "RAYS_AT_ONCE", 5)
    for part, expected in zip(raytrace_by_products(rays, mesh), whole, strict=True):
        torch.testing.assert_close(part, expected)


def test_what_was_given_stays_as_it_was():
    rays, mesh = make_rays_2d(3, 4, 0.4, 0.4), make_pawn(5, 3)
    before = rays.clone(), mesh.clone()
    raytrace_by_products(rays, mesh)
    assert torch.equal(rays, before[0])
    assert torch.equal(mesh, before[1])


def test_no_rays_give_no_hits():
    distances, triangle_idx = raytrace_by_products(torch.zeros(0, 2, 3), make_pawn(5, 3))
    assert (tuple(distances.shape), tuple(triangle_idx.shape)) == ((0,), (0,))


def test_parallels_and_triangles_without_area_are_missed():
    wall = torch.tensor([[2.0, 0.0, 0.0], [2.0, 4.0, 0.0], [2.0, 0.0, 4.0]])
    needle, point = torch.tensor([[2.0, 0, 0], [2, 1, 1], [2, 2, 2]]), torch.full((3, 3), 2.0)
    rays = torch.tensor([[[0.0, 1.0, 1.0], [0.0, 1.0, 0.5]], [[0.0, 0.0, 0.0], [2.0, 1.0, 1.0]]])
    distances, triangle_idx = raytrace_by_products(rays, torch.stack([point, needle, wall]))
    assert triangle_idx.tolist() == [-1, 2]
    torch.testing.assert_close(distances, torch.tensor([float("inf"), 1.0]))
