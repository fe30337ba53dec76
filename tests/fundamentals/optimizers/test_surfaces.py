import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.optimizers.surfaces import SURFACES, heights_on_grid


@pytest.mark.parametrize("name", SURFACES)
def test_no_point_of_the_picture_is_lower_than_the_lowest(name):
    surface = SURFACES[name]
    heights, x, y = heights_on_grid(surface, 201)
    lowest = [surface.fn(*torch.tensor(point)).item() for point in surface.lowest]
    assert max(lowest) - min(lowest) < 1e-6
    assert heights.min().item() >= min(lowest) - 1e-6
    for px, py in (surface.start, *surface.lowest):
        assert x[0] < px < x[-1]
        assert y[0] < py < y[-1]


@pytest.mark.parametrize("name", SURFACES)
def test_the_ground_is_flat_at_the_lowest_points_and_not_where_one_begins(name):
    surface = SURFACES[name]
    for point in surface.lowest:
        xy = torch.tensor(point, requires_grad=True)
        surface.fn(xy[0], xy[1]).backward()
        assert xy.grad.norm() < 1e-6
    xy = torch.tensor(surface.start, requires_grad=True)
    surface.fn(xy[0], xy[1]).backward()
    assert xy.grad.norm() > 0.01


def test_the_grid_has_a_row_for_each_y():
    heights, x, y = heights_on_grid(SURFACES["rosenbrock"], 7)
    assert heights[5, 2] == SURFACES["rosenbrock"].fn(x[2], y[5])


def test_a_grid_of_one_point_is_refused():
    with pytest.raises(ConfigError, match="n_points=1"):
        heights_on_grid(SURFACES["saddle"], 1)
