import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.landscapes import (
    TwoLayers,
    filter_normalise,
    flatten_parameters,
    losses_along_line,
    losses_in_plane,
    rescale_hidden,
    unflatten_parameters,
)


def bowl(theta):
    return (theta**2).sum()


def test_a_line_begins_and_ends_at_its_ends():
    ends = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.5])
    losses = losses_along_line(bowl, *ends, 4)
    assert (losses[0].item(), losses[-1].item()) == (bowl(ends[0]).item(), bowl(ends[1]).item())
    torch.testing.assert_close(losses[1], bowl(ends[0] + (ends[1] - ends[0]) / 3))


def test_a_plane_has_a_row_for_each_y():
    places = torch.tensor([-1.0, 0.0, 2.0])
    plane = losses_in_plane(bowl, torch.zeros(2), torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0]), places)
    torch.testing.assert_close(plane, places**2 + 9 * places[:, None] ** 2)


def test_normalised_directions_look_the_same_from_rescaled_networks():
    model = TwoLayers(3, 4, 2)
    x = torch.randn(9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    params = unflatten_parameters(flatten_parameters(model), model)
    params["b_in"] = torch.zeros(4, dtype=torch.float64)
    twin = rescale_hidden(params, torch.full((4,), 7.0, dtype=torch.float64))
    generator = torch.Generator().manual_seed(1)
    raw = {name: torch.randn(part.shape, generator=generator, dtype=torch.float64) for name, part in params.items()}

    def answers(parts):
        return torch.relu(x @ parts["W_in"] + parts["b_in"]) @ parts["W_out"] + parts["b_out"]

    seen = []
    for place in (params, twin):
        step = filter_normalise(raw, place)
        seen.append(answers({name: place[name] + 0.5 * step[name] for name in place}))
        torch.testing.assert_close(step["W_in"].norm(dim=0), place["W_in"].norm(dim=0))
    torch.testing.assert_close(*seen)


@pytest.mark.usefixtures("without_types")
def test_one_point_and_directions_of_other_shapes_are_refused():
    with pytest.raises(ConfigError, match="n_points must be at least 2: got 1"):
        losses_along_line(bowl, torch.ones(2), torch.ones(2), 1)
    with pytest.raises(ShapeError, match=r"theta_b must have one entry for each parameter: got shape \(3,\)"):
        losses_along_line(bowl, torch.ones(2), torch.ones(3), 5)
    with pytest.raises(ShapeError, match=r"direction of W must have its shape, \(2, 3\): got \(3, 2\)"):
        filter_normalise({"W": torch.ones(3, 2)}, {"W": torch.ones(2, 3)})
