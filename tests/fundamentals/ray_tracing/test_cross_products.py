import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.fundamentals.ray_tracing import intersect_triangles, moller_trumbore


@given(
    seed=st.integers(0, 10_000), n_rays=st.integers(1, 8), n_triangles=st.integers(1, 7), exponent=st.integers(-5, 5)
)
@settings(max_examples=60, deadline=None)
def test_it_is_the_plain_form_in_any_unit(seed, n_rays, n_triangles, exponent):
    generator = torch.Generator().manual_seed(seed)
    rays = torch.randn(n_rays, 2, 3, generator=generator, dtype=torch.float64) * 10.0**exponent
    triangles = 2 * torch.randn(n_triangles, 3, 3, generator=generator, dtype=torch.float64) * 10.0**exponent
    torch.testing.assert_close(moller_trumbore(rays, triangles), intersect_triangles(rays, triangles))


def test_parallel_rays_and_triangles_without_area_are_missed():
    wall = torch.tensor([[2.0, 0.0, 0.0], [2.0, 4.0, 0.0], [2.0, 0.0, 4.0]])
    needle, point = torch.tensor([[2.0, 0, 0], [2, 1, 1], [2, 2, 2]]), torch.full((3, 3), 2.0)
    origins = torch.tensor([[0.0, 1.0, 1.0], [2.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    directions = torch.tensor([[0.0, 1.0, 0.5], [0.0, 0.5, 1.0], [2.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    distances = moller_trumbore(torch.stack([origins, directions], dim=1), torch.stack([wall, needle, point]))
    inf = float("inf")
    assert distances.tolist() == [[inf] * 3, [inf] * 3, [1.0, inf, inf], [inf] * 3]


def test_both_sides_are_seen():
    wall = torch.tensor([[[2.0, 0.0, 0.0], [2.0, 4.0, 0.0], [2.0, 0.0, 4.0]]])
    rays = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.5, 0.5]]])
    assert moller_trumbore(rays, torch.cat([wall, wall[:, [0, 2, 1]]])).tolist() == [[2.0, 2.0]]
