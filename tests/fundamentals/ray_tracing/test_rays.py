import pytest
import torch

from arena_lib.fundamentals.ray_tracing import make_rays_1d, make_rays_2d, points_on_ray


def test_a_ray_passes_its_origin_and_its_pixel():
    ray = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 0.25]])
    points = points_on_ray(ray, torch.tensor([0.0, 1.0, -2.0]))
    assert points.tolist() == [[1.0, 2.0, 3.0], [1.5, 1.0, 3.25], [0.0, 4.0, 2.5]]


@pytest.mark.parametrize(("num_pixels", "y_limit"), [(2, 0.5), (9, 10.0), (30, 1.0)])
def test_pixels_lie_evenly_and_end_at_the_limits(num_pixels, y_limit):
    origins, directions = make_rays_1d(num_pixels, y_limit).unbind(dim=1)
    assert not origins.any()
    x, y, z = directions.unbind(dim=1)
    assert x.tolist() == [1.0] * num_pixels
    assert not z.any()
    assert (y[0], y[-1]) == (-y_limit, y_limit)
    torch.testing.assert_close(y.diff(), torch.full((num_pixels - 1,), 2 * y_limit / (num_pixels - 1)))


def test_a_picture_is_the_rays_reshaped():
    directions = make_rays_2d(4, 3, 1.0, 5.0)[:, 1].reshape(4, 3, 3)
    assert (directions[..., 0] == 1).all()
    assert (directions[..., 1].diff(dim=0) > 0).all(), "rows go up"
    assert (directions[..., 2].diff(dim=1) > 0).all(), "columns go to the right"
    assert (directions[..., 1] == directions[:, :1, 1]).all()
    assert directions[-1, -1].tolist() == [1.0, 1.0, 5.0]


def test_one_column_of_the_camera_in_space_is_the_flat_one():
    flat = make_rays_1d(5, 2.0)
    torch.testing.assert_close(make_rays_2d(5, 3, 2.0, 1.0).reshape(5, 3, 2, 3)[:, 1], flat)
